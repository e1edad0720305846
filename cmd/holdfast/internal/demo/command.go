// Package demo is the command holdfast demo: it compares holdfast with an http.Client, bare
// and in a loop of retries, while a service fails and recovers.
package demo

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/listen"
)

// The limits of the script's length. A shorter script has too few events to prove
// anything; a longer one exceeds the record of the server.
const minSeconds, maxSeconds = 3, 60

// NewCommand makes the command.
func NewCommand() *cobra.Command {
	var (
		asJSON  bool
		plant   string
		seed    uint64
		seconds float64
		page    string
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Compare holdfast with an http.Client while a service fails and recovers",
		Long: `Starts a fault server on loopback and makes 800 calls a second to it, in the phases
healthy, flaky, outage, recovery and throttled. It does so first with holdfast, then
with a bare http.Client, and then with one in a plain loop of 3 retries without jitter:
each time with a new server and the same faults. It prints events as they happen and
compares the clients.

Exits with 0 only if the counts are right: no call is lost, no work is done twice,
nothing is sent while the breaker is open or inside a Retry-After, and no goroutine
leaks. Times are printed, but not checked. On a busy machine calls begin late: then it
says how many, and that too few events happened to prove the counts, if that is so.`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case plant != "" && plant != plantFreshKey:
				return exit.Errorf(exit.Usage, "--plant %q: must be %s", plant, plantFreshKey)
			case !(seconds >= minSeconds && seconds <= maxSeconds): // not <, so that NaN is caught
				return exit.Errorf(exit.Usage, "--seconds %v: must be %d to %d", seconds, minSeconds, maxSeconds)
			}
			s := newScript(time.Duration(seconds * float64(time.Second)))
			c := comparison{seed: seed, plant: plant, script: s, due: arrivals(seed, s.length)}
			if page != "" {
				if err := listen.CheckAddress(page); err != nil {
					return exit.Errorf(exit.Usage, "--page %s: %w", page, err)
				}
				if !listen.IsLoopback(page) {
					return exit.Errorf(exit.Usage, "--page %s: must be a loopback address, such as 127.0.0.1:0", page)
				}
				var err error
				if c.page, err = servePage(page); err != nil {
					return exit.Errorf(exit.Failure, "--page %s: %w", page, err)
				}
				defer c.page.close()
			}
			return c.run(cmd.Context(), asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object with all counts instead of the events and the table")
	f.StringVar(&plant, "plant", "", "make a deliberate mistake that the counts must reveal: `fresh-key` sends a new X-Request-ID with each attempt")
	f.Uint64Var(&seed, "seed", 1, "the `number` that determines the arrivals and the faults")
	f.StringVar(&page, "page", "", "serve the live page of the client at a loopback `ADDRESS`; port 0 is any free port")
	f.Float64Var(&seconds, "seconds", usualLength.Seconds(), "the `seconds` for each client, 3 to 60; the phases are scaled to it")
	return cmd
}
