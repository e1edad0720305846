package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/settings"
)

func newConfig(env providers.Lookup) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the settings of a file and the environment, or show what counts",
		Long: `Reads settings as a program with the package settings does: from the file, if one
is given, and from the environment of this command, which wins. No other file is
looked for.`,
		Args: args.Subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(env), newConfigShow(env))
	return cmd
}

func newConfigCheck(env providers.Lookup) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether all settings hold, or what is wrong with which",
		Long: `Says in one line how many settings there are, and where from; or every problem, and
exits with 3. A misspelt variable is no problem, since nothing asks for it: the
line says how many were heard, and holdfast config show --set which.`,
		Example: `  holdfast config check providers.json`,
		Args:    settingsFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := providers.Load(strings.Join(args, ""), env)
			if err == nil {
				writeChecked(cmd.OutOrStdout(), loaded)
			}
			return err
		},
	}
}

func newConfigShow(env providers.Lookup) *cobra.Command {
	var set bool
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show every setting that counts, and where it is from",
		Long: `Shows every setting of every provider, defaults included, and whether the value is
from the file, a $VARIABLE, or the default. The API key and the values of headers
are hidden, and a ${NAME} in the path of an address is shown as that; what else is
put together from variables is shown.`,
		Example: `  holdfast config show
  holdfast config show --set providers.json`,
		Args: settingsFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := providers.Load(strings.Join(args, ""), env)
			if err == nil {
				out := cmd.OutOrStdout()
				writeSettings(out, term.Of(out), loaded, set)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&set, "set", false, "only what the file or a variable sets, not the defaults")
	return cmd
}

// settingsFile is for commands that take a settings file, or none.
func settingsFile(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("%s takes at most one argument, a settings file; got %s", cmd.Name(), format.Plural(len(args), "argument"))
	case len(args) == 1 && args[0] == "":
		// Most likely a shell's variable that nobody has set.
		return fmt.Errorf("%s: the settings file's name is empty; leave it out for the environment only", cmd.Name())
	}
	return nil
}

// writeChecked says how many settings there are, and where from.
func writeChecked(w io.Writer, loaded settings.Settings) {
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
	add := func(n int, where string) {
		if n > 0 {
			from = append(from, format.Number(n)+" "+where)
		}
	}
	add(fromFile, "from "+format.Printable(file))
	add(fromVariable, "from the environment")
	add(len(loaded.Sources)-fromFile-fromVariable, "by default")
	fmt.Fprintf(w, "%s of %s hold: %s\n", format.Plural(len(loaded.Sources), "setting"),
		format.Plural(len(providers.Groups(loaded)), "provider"), strings.Join(from, ", "))
}

// widestValue bounds the column of values: an address that is longer shifts its
// own line only.
const widestValue = 40

// writeSettings writes a line for each setting, below the name of its provider;
// with onlySet for each that is not a default.
func writeSettings(w io.Writer, tty term.Terminal, loaded settings.Settings, onlySet bool) {
	var shown []providers.Group
	var path, value int
	for _, p := range providers.Groups(loaded) {
		some := providers.Group{Provider: p.Provider}
		for _, s := range p.Settings {
			if onlySet && providers.IsDefault(s) {
				continue
			}
			s.Value = cmp.Or(format.Printable(s.Value), `""`)
			some.Settings = append(some.Settings, s)
			path = max(path, len(s.Setting))
			if n := utf8.RuneCountInString(s.Value); n <= widestValue {
				value = max(value, n)
			}
		}
		if len(some.Settings) > 0 {
			shown = append(shown, some)
		}
	}
	if len(shown) == 0 {
		fmt.Fprintln(w, "nothing is set: all is by default")
	}
	for i, p := range shown {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, tty.Paint(term.Bold, p.Provider))
		for _, s := range p.Settings {
			line := fmt.Sprintf("  %-*s  %-*s  %s", path, s.Setting, value, s.Value, format.Printable(s.From()))
			if providers.IsDefault(s) {
				line = tty.Paint(term.Dim, line)
			}
			fmt.Fprintln(w, line)
		}
	}
}
