// Package args checks the arguments of commands, and explains those that are
// invalid.
package args

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// None is for commands that have flags only.
func None(cmd *cobra.Command, args []string) error {
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

// FlagError explains an error of the flag parser.
func FlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		// The letters after an unknown one may be a secret that belongs to it.
		return fmt.Errorf("unknown flag: -%s; %s --help lists the flags", unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		return fmt.Errorf("--%s %q: must be %s", flag.Name, invalid.GetValue(), kinds[flag.Value.Type()])
	}
	return err
}
