package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/settings"
)

func newShowCommand(env providers.Lookup) *cobra.Command {
	var onlySet bool
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Show every setting and where its value is from",
		Long: `Shows every setting of every provider, including the defaults. Each value is from the
file, from a $VARIABLE, or the default. The API key and the values of headers are
hidden. A ${NAME} in the path of an address is not expanded. Other values that
contain variables are shown with the variables expanded.`,
		Example: `  holdfast config show
  holdfast config show --set providers.json`,
		Args: optionalFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := providers.Load(cmd.ErrOrStderr(), strings.Join(args, ""), env)
			if err == nil {
				out := cmd.OutOrStdout()
				writeSettings(out, term.Of(out), loaded, onlySet)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&onlySet, "set", false, "show only settings from the file or a variable, without the defaults")
	return cmd
}

// widestValue bounds the column of values. A longer value shifts its own line only.
const widestValue = 40

// writeSettings writes a line for each setting, below the name of its provider. With
// onlySet it leaves out the defaults.
func writeSettings(w io.Writer, tty term.Terminal, loaded settings.Settings, onlySet bool) {
	var shown []providers.Group
	var nameWidth, valueWidth int
	for _, g := range providers.Groups(loaded) {
		kept := providers.Group{Provider: g.Provider}
		for _, s := range g.Settings {
			if onlySet && providers.IsDefault(s) {
				continue
			}
			s.Value = cmp.Or(format.Printable(s.Value), `""`)
			kept.Settings = append(kept.Settings, s)
			nameWidth = max(nameWidth, len(s.Setting))
			if n := utf8.RuneCountInString(s.Value); n <= widestValue {
				valueWidth = max(valueWidth, n)
			}
		}
		if len(kept.Settings) > 0 {
			shown = append(shown, kept)
		}
	}
	if len(shown) == 0 {
		fmt.Fprintln(w, "nothing is set: all is by default")
	}
	for i, g := range shown {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, tty.Paint(term.Bold, g.Provider))
		for _, s := range g.Settings {
			line := fmt.Sprintf("  %-*s  %-*s  %s", nameWidth, s.Setting, valueWidth, s.Value, format.Printable(s.From()))
			if providers.IsDefault(s) {
				line = tty.Paint(term.Dim, line)
			}
			fmt.Fprintln(w, line)
		}
	}
}
