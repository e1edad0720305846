// Package explain is the command holdfast faults explain: it describes a plan of faults.
package explain

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/plans"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// NewCommand makes the command.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain PLAN",
		Short: "Show a plan as a timeline, and describe its faults",
		Long: `Shows a plan, built-in or from a file, as a timeline. Describes the faults of each
phase and the IDs of these faults. It starts no server.`,
		Example: `  holdfast faults explain outage`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain takes one argument, a built-in plan or a file with one; got %s", format.Plural(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, note, err := plans.Load(args[0])
			if err != nil {
				return plans.LoadError(args[0], err)
			}
			if note != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: note: %s\n", note)
			}
			out := cmd.OutOrStdout()
			write(out, term.Of(out), args[0], plan)
			return nil
		},
	}
}
