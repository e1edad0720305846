package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

func newFaultsList() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every fault with what it is for",
		Long: `Lists the id of every fault with what a client must withstand. With --verbose also
how true each is to the real thing, and the test that proves it on the wire.`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			writeCatalog(cmd.OutOrStdout(), term.Of(cmd.OutOrStdout()), catalog(), verbose)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "say how faithful each is, and where it is proved")
	return cmd
}

func newFaultsSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of a plan",
		Long: `Prints the JSON schema of a plan, for editors and for tools that write plans. It
knows names, types and words; what else must hold is said when a plan is read.`,
		Example: `  holdfast faults schema > plan.schema.json`,
		Args:    args.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := cmd.OutOrStdout().Write(fault.Schema()); err != nil {
				return exit.Errorf(exit.Failure, "%w", exit.Reason(err))
			}
			return nil
		},
	}
}

// catalog is every fault that this program has.
func catalog() []fault.Entry { return slices.Concat(fault.Catalog(), h2fault.Catalog()) }

// writeCatalog writes a line or, if verbose, a paragraph for each fault.
func writeCatalog(w io.Writer, tty term.Terminal, catalog []fault.Entry, verbose bool) {
	widest := 0
	for _, e := range catalog {
		widest = max(widest, len(e.ID))
	}
	for i, e := range catalog {
		if !verbose {
			fmt.Fprint(w, term.Wrap(tty.Columns(), fmt.Sprintf("%-*s  ", widest, e.ID), e.Purpose))
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, tty.Paint(term.Bold, string(e.ID)))
		fmt.Fprint(w, term.Wrap(tty.Columns(), "  purpose   ", e.Purpose))
		fmt.Fprint(w, term.Wrap(tty.Columns(), "  faithful  ", e.Faithful))
		fmt.Fprintf(w, "  proof     %s\n", proofOf(e.ID)) // whole, to be copied
	}
}

// proofOf is the command that proves a fault on the wire. The test it runs fails
// for an id without a proof.
func proofOf(id fault.ID) string {
	if strings.HasPrefix(string(id), "h2.") {
		return "go -C faultserver/h2fault test -run 'TestEveryFaultOnTheWire/^" + strings.ReplaceAll(string(id), ".", `\.`) + "$'"
	}
	return "go test ./faultserver -run 'TestEveryFaultOnTheWire/^" + strings.ReplaceAll(string(id), ".", `\.`) + "$'"
}
