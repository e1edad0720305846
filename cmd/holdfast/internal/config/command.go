// Package config is the command holdfast config: it checks and shows settings.
package config

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
)

// NewCommand makes the command. It reads environment variables by env.
func NewCommand(env providers.Lookup) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or show the settings of a file and the environment",
		Long: `Reads settings in the same way as a program that uses the package settings: from the
file, if one is given, and from the environment of this command. The environment
wins. No other file is read.`,
		Args: args.Subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckCommand(env), newShowCommand(env))
	return cmd
}

// optionalFile is for commands that take a settings file, or none.
func optionalFile(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("%s takes at most one argument, a settings file; got %s", cmd.Name(), format.Plural(len(args), "argument"))
	case len(args) == 1 && args[0] == "":
		// Most likely a shell variable that is not set.
		return fmt.Errorf("%s: the settings file's name is empty; leave it out for the environment only", cmd.Name())
	}
	return nil
}
