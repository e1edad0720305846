package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/settings"
)

func newCheckCommand(env providers.Lookup) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check all settings",
		Long: `Prints the number of settings and where their values are from. If a setting is
invalid, it lists every problem instead and exits with 3.

A misspelt variable is not found, because no setting reads it. The output counts the
variables that were read, and holdfast config show --set lists them.`,
		Example: `  holdfast config check providers.json`,
		Args:    optionalFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := providers.Load(cmd.ErrOrStderr(), strings.Join(args, ""), env)
			if err == nil {
				writeSummary(cmd.OutOrStdout(), loaded)
			}
			return err
		},
	}
}

// writeSummary writes the number of settings and where their values are from.
func writeSummary(w io.Writer, loaded settings.Settings) {
	var file string
	var fromFile, fromVariable int
	for _, s := range loaded.Sources {
		switch {
		case s.Variable != "":
			fromVariable++
		case s.File != "":
			fromFile++
			file = s.File
		}
	}
	var from []string
	add := func(n int, origin string) {
		if n > 0 {
			from = append(from, format.Number(n)+" "+origin)
		}
	}
	add(fromFile, "from "+format.Printable(file))
	add(fromVariable, "from the environment")
	add(len(loaded.Sources)-fromFile-fromVariable, "by default")
	fmt.Fprintf(w, "%s of %s hold: %s\n", format.Plural(len(loaded.Sources), "setting"),
		format.Plural(len(providers.Groups(loaded)), "provider"), strings.Join(from, ", "))
}
