// Package catalog lists the faults that plans can have.
package catalog

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// NewCommand makes the command holdfast faults list.
func NewCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every fault and its purpose",
		Long: `Lists the ID of every fault, and what a client must withstand. With --verbose it also
prints how faithful the fault is, and the command of the test that proves it on the
wire.`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write(cmd.OutOrStdout(), term.Of(cmd.OutOrStdout()), verbose)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also print how faithful each fault is, and its test")
	return cmd
}

// All is every fault.
func All() []fault.Entry { return slices.Concat(fault.Catalog(), h2fault.Catalog()) }

// WriteTable writes a line for each fault.
func WriteTable(w io.Writer, terminal term.Terminal, indent string, faults []fault.Entry) {
	widest := 0
	for _, e := range faults {
		widest = max(widest, len(e.ID))
	}
	for _, e := range faults {
		fmt.Fprint(w, term.Wrap(terminal.Columns(), fmt.Sprintf("%s%-*s  ", indent, widest, e.ID), e.Purpose))
	}
}

// write writes a line or, if verbose, a paragraph for each fault.
func write(w io.Writer, terminal term.Terminal, verbose bool) {
	if !verbose {
		WriteTable(w, terminal, "", All())
		return
	}
	for i, e := range All() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, terminal.Paint(term.Bold, string(e.ID)))
		fmt.Fprint(w, term.Wrap(terminal.Columns(), "  purpose   ", e.Purpose))
		fmt.Fprint(w, term.Wrap(terminal.Columns(), "  faithful  ", e.Faithful))
		fmt.Fprintf(w, "  proof     %s\n", proofOf(e.ID)) // not wrapped, so that it can be copied
	}
}

// proofOf is the command line of the test that proves a fault on the wire. That test
// fails for a fault without a proof.
func proofOf(id fault.ID) string {
	test := "-run 'TestEveryFaultOnTheWire/^" + strings.ReplaceAll(string(id), ".", `\.`) + "$'"
	if strings.HasPrefix(string(id), "h2.") {
		return "go -C faultserver/h2fault test " + test
	}
	return "go test ./faultserver " + test
}
