package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/settings"
)

// lookup is how an environment variable is asked for: [os.LookupEnv] is one.
type lookup func(name string) (value string, ok bool)

func newConfig(env lookup) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the settings of a file and the environment, or show what counts",
		Long: `Reads settings as a program with the package settings does: from the file, if one
is given, and from the environment of this command, which wins. No other file is
looked for.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(env), newConfigShow(env))
	return cmd
}

func newConfigCheck(env lookup) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether all settings hold, or what is wrong with which",
		Long: `Says in one line how many settings there are, and where from; or every problem, and
exits with 3. A misspelt variable is no problem, since nothing asks for it: the
line says how many were heard, and holdfast config show --set which.`,
		Example: `  holdfast config check providers.json`,
		Args:    settingsFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := loadSettings(cmd.ErrOrStderr(), args, env)
			if err == nil {
				writeChecked(cmd.OutOrStdout(), loaded)
			}
			return err
		},
	}
}

func newConfigShow(env lookup) *cobra.Command {
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
			loaded, err := loadSettings(cmd.ErrOrStderr(), args, env)
			if err == nil {
				out := cmd.OutOrStdout()
				writeSettings(out, terminalOf(out), loaded, set)
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
		return fmt.Errorf("%s takes at most one argument, a settings file; got %s", cmd.Name(), plural(len(args), "argument"))
	case len(args) == 1 && args[0] == "":
		// Most likely a shell's variable that nobody has set.
		return fmt.Errorf("%s: the settings file's name is empty; leave it out for the environment only", cmd.Name())
	}
	return nil
}

// loadSettings reads the file, if args has one, and the environment. It writes
// warnings to stderr.
func loadSettings(stderr io.Writer, args []string, env lookup) (settings.Settings, error) {
	path := strings.Join(args, "")
	loaded, err := settings.Load(path, env)
	var wrong *settings.Error
	switch {
	case errors.As(err, &wrong):
		return loaded, &exit{config, toldSettings{wrong}}
	case err != nil:
		return loaded, exitf(config, "%s: %w", path, reason(err))
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintf(stderr, "holdfast: warning: %s\n", w)
	}
	return loaded, nil
}

// toldSettings is a problem with settings without the program's name, which report
// writes before every message.
type toldSettings struct{ err *settings.Error }

func (t toldSettings) Error() string { return strings.TrimPrefix(t.err.Error(), "holdfast: ") }
func (t toldSettings) Unwrap() error { return t.err }

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
			from = append(from, number(n)+" "+where)
		}
	}
	add(fromFile, "from "+printable(file))
	add(fromVariable, "from the environment")
	add(len(loaded.Sources)-fromFile-fromVariable, "by default")
	fmt.Fprintf(w, "%s of %s hold: %s\n", plural(len(loaded.Sources), "setting"),
		plural(len(providers(loaded)), "provider"), strings.Join(from, ", "))
}

// provided is one provider, and what counts for it.
type provided struct {
	name     string
	settings []settings.Source // each with its place below the provider
}

// providers groups the settings, in their order.
func providers(loaded settings.Settings) (all []provided) {
	for _, s := range loaded.Sources {
		name, path, _ := strings.Cut(strings.TrimPrefix(s.Setting, "providers."), ".")
		if n := len(all); n == 0 || all[n-1].name != name {
			all = append(all, provided{name: name})
		}
		last := &all[len(all)-1]
		s.Setting = path
		last.settings = append(last.settings, s)
	}
	return all
}

// widestValue bounds the column of values: an address that is longer shifts its
// own line only.
const widestValue = 40

// writeSettings writes a line for each setting, below the name of its provider;
// with onlySet for each that is not a default.
func writeSettings(w io.Writer, term terminal, loaded settings.Settings, onlySet bool) {
	var shown []provided
	var path, value int
	for _, p := range providers(loaded) {
		some := provided{name: p.name}
		for _, s := range p.settings {
			if onlySet && isDefault(s) {
				continue
			}
			s.Value = cmp.Or(printable(s.Value), `""`)
			some.settings = append(some.settings, s)
			path = max(path, len(s.Setting))
			if n := utf8.RuneCountInString(s.Value); n <= widestValue {
				value = max(value, n)
			}
		}
		if len(some.settings) > 0 {
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
		fmt.Fprintln(w, term.paint(bold, p.name))
		for _, s := range p.settings {
			line := fmt.Sprintf("  %-*s  %-*s  %s", path, s.Setting, value, s.Value, printable(s.From()))
			if isDefault(s) {
				line = term.paint(dim, line)
			}
			fmt.Fprintln(w, line)
		}
	}
}

func isDefault(s settings.Source) bool { return s.File == "" && s.Variable == "" }
