// Package args checks the arguments of commands, and explains those that are
// invalid.
package args

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// None is for commands that have flags only.
func None(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && givesSecret(cmd) { // a part of it, if quotes are missing
		return fmt.Errorf("%s takes no argument; got %d: are quotes missing?", cmd.Name(), len(args))
	}
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument; got %q", cmd.Name(), args[0])
	}
	return nil
}

// Subcommand is for commands that have subcommands only. It names the one that is
// spelled most like an unknown one.
func Subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := Nearest(cmd, args[0]); near != "" {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], near)
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q; there are %s", args[0], format.List(names, "and"))
}

// Nearest is the subcommand that is spelled most like name, "" if none is similar.
func Nearest(cmd *cobra.Command, name string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return near[0]
	}
	return ""
}

// kinds describe the values of flags by the names of their types.
var kinds = map[string]string{
	"bool":     "true or false",
	"uint64":   "a whole number from 0",
	"int":      "a whole number",
	"float64":  "a number",
	"duration": "a duration up to a year, such as 1.5s, or off",
}

// secret marks flags with values that may be secrets.
const secret = "holdfast_secret"

// Secret marks flags of a command with values that may be secrets, so that no error repeats
// them.
func Secret(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.Flags().SetAnnotation(name, secret, nil); err != nil {
			panic(err)
		}
	}
}

func isSecret(f *pflag.Flag) bool {
	_, ok := f.Annotations[secret]
	return ok
}

// givesSecret reports whether a flag is given with a value that may be a secret.
func givesSecret(cmd *cobra.Command) (given bool) {
	cmd.Flags().Visit(func(f *pflag.Flag) { given = given || isSecret(f) })
	return given
}

// shownName is the name of an unknown flag without what may be the value of a flag with a
// secret: --admin-tokenVALUE has no = in it.
func shownName(cmd *cobra.Command, name string) string {
	shown := name
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if isSecret(f) && strings.HasPrefix(name, f.Name) {
			shown = f.Name + "…"
		}
	})
	return shown
}

// FlagError explains an error of the flag parser.
func FlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		// The letters after an unknown one may be a secret that belongs to it.
		return fmt.Errorf("unknown flag: -%s; %s --help lists the flags", unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &unknown):
		if name := shownName(cmd, unknown.GetSpecifiedName()); name != unknown.GetSpecifiedName() {
			return fmt.Errorf("unknown flag: --%s; %s --help lists the flags", name, cmd.CommandPath())
		}
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		if isSecret(flag) {
			return fmt.Errorf("--%s: must be %s", flag.Name, kinds[flag.Value.Type()])
		}
		return fmt.Errorf("--%s %q: must be %s", flag.Name, invalid.GetValue(), kinds[flag.Value.Type()])
	}
	return err
}
