// Command holdfast shows what the library holdfast does, and serves the faults
// that it is made for.
//
//	holdfast call      one call, in the manner of curl
//	holdfast demo      a service fails and recovers; a client holds
//	holdfast embed     embeddings of any number of texts, and none paid for twice
//	holdfast faults    serves a plan of faults, for whatever client is to be tried
//	holdfast config    says which settings of the providers count, and where they are from
//	holdfast conformance   judges any client, in any language, by the rules that holdfast is judged by
//	holdfast version   says which build this is, and what went into it
//
// It exits with 0, or 1 for a failure, 2 for an argument that makes no sense, 3
// for a file or a setting that does not hold, 130 if it was interrupted; call has
// some more, which its help lists.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before anybody is told: a second Ctrl-C ends the process at once
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program: tests call it, too. It returns the exit status when
// nothing is left running.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would read os.Args
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.ExecuteContext(ctx))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:     "holdfast",
		Short:   "Outbound calls that hold when the other side does not",
		Version: thisBuild().String(),
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// report says it, in one line.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagProblem)
	root.SetVersionTemplate("holdfast {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newCall(os.LookupEnv), newConfig(os.LookupEnv), newConformance(), newDemo(), newEmbed(os.LookupEnv), newFaults(), newVersion())
	return root
}
