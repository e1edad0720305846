// Package root builds the command that all others are below, and runs it.
package root

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// New is the command holdfast with the given commands below it.
func New(version string, commands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:     "holdfast",
		Short:   "Resilient outbound calls: the commands of the library",
		Version: version,
		Args:    args.Subcommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Run reports errors, in one line.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(args.FlagError)
	root.SetVersionTemplate("holdfast {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(commands...)
	return root
}

// Run runs a command and returns its exit status. Nothing that it started is left
// running then.
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would read os.Args
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exit.Report(stderr, root.ExecuteContext(ctx))
}

// Main runs a command with the arguments of the process, and ends the process. The
// first interrupt cancels the command, the second ends the process at once.
func Main(root *cobra.Command) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before the cancellation is visible
		cancel()
	}()
	os.Exit(Run(ctx, root, os.Args[1:], os.Stdout, os.Stderr))
}
