// Package plans has the built-in plans of faults, and reads plans from files.
package plans

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
)

// NewCommand makes the command holdfast faults plans.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plans [NAME]",
		Short: "List the built-in plans, or print one",
		Long: `Lists the built-in plans, which --plan takes by name. With a name it prints that plan
as JSON, as the beginning of a plan of your own.`,
		Example: `  holdfast faults plans outage > mine.json`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				for _, b := range Builtins {
					fmt.Fprint(out, term.Wrap(term.Of(out).Columns(), fmt.Sprintf("%-17s  ", b.Name), b.Text))
				}
				return nil
			}
			data, err := Builtin(args[0])
			if err != nil {
				return exit.With(exit.Usage, err)
			}
			return write(cmd, data)
		},
	}
}

// NewSchemaCommand makes the command holdfast faults schema.
func NewSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of a plan",
		Long: `Prints the JSON schema of a plan, for editors and for tools that write plans. It
describes names, types and enumerated values. Other rules are checked when a plan is
read.`,
		Example: `  holdfast faults schema > plan.schema.json`,
		Args:    args.None,
		RunE:    func(cmd *cobra.Command, _ []string) error { return write(cmd, fault.Schema()) },
	}
}

func write(cmd *cobra.Command, text []byte) error {
	if _, err := cmd.OutOrStdout().Write(text); err != nil {
		return exit.With(exit.Failure, exit.Reason(err))
	}
	return nil
}
