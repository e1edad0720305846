package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit statuses other than 0.
const (
	failure     = 1
	usage       = 2
	config      = 3
	tryAgain    = 75  // sysexits.h: a failure that may pass
	interrupted = 130 // 128 and SIGINT, as a shell would have it
)

// exit is an error that knows its exit status.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

func exitf(status int, format string, args ...any) error {
	return &exit{status, fmt.Errorf(format, args...)}
}

// report writes the one message of a failed command, and gives its exit status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "holdfast: %s\n", strings.TrimRight(err.Error(), "\n"))
	return exitStatus(err)
}

// exitStatus is the status of a command that failed.
func exitStatus(err error) int {
	var e *exit
	if errors.As(err, &e) {
		return e.status
	}
	// What the commands return is an exit; the rest is cobra's, about arguments.
	return usage
}

// flagProblem says what is wrong with a flag, in the words of the other messages.
func flagProblem(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "": // what is joined to it may be a secret
		return fmt.Errorf("unknown flag: -%s; %s --help lists those there are", unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; %s --help lists those there are", err, cmd.CommandPath())
	case errors.As(err, &invalid):
		kind := map[string]string{
			"bool": "true or false", "uint64": "a whole number from 0", "int": "a whole number", "float64": "a number",
			"duration": "a duration up to a year, as 1.5s, or off",
		}
		return fmt.Errorf("--%s %q: must be %s", invalid.GetFlag().Name, invalid.GetValue(), kind[invalid.GetFlag().Value.Type()])
	}
	return err
}

// knownCommand: cobra asks it about what is no command.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], near[0])
	}
	last := len(names) - 1
	return fmt.Errorf("unknown command %q; there are %s and %s", args[0], strings.Join(names[:last], ", "), names[last])
}

// noArguments is for commands that have flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument; got %q", cmd.Name(), args[0])
	}
	return nil
}
