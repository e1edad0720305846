package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/args"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/leak"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/faultserver"
)

// demo is what one run of the demo is made of. Two runs with the same are the
// same, but for what this machine makes of the times.
type demo struct {
	seed   uint64
	plant  string
	script script
	due    []time.Duration // arrivals
}

// The script's length, in seconds: below the least too little happens to prove
// anything, and the most keeps the server's record whole.
const leastSeconds, mostSeconds = 3, 60

func newDemo() *cobra.Command {
	var (
		asJSON  bool
		plant   string
		seed    uint64
		seconds float64
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A service fails and recovers; a client holds",
		Long: `Starts a fault server on loopback and makes 800 calls a second to it, through
healthy, flaky, outage, recovery and throttled, first with holdfast, then with a
bare http.Client against a fresh server that fails in the same way. Tells what
happens, compares the two, and exits with 0 only if the counts hold: nothing
lost, nothing done twice, nothing sent while the breaker was open or inside a
Retry-After, nothing leaked. Times are printed, not judged.`,
		Args: args.None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case plant != "" && plant != plantFreshKey:
				return exit.Errorf(exit.Usage, "--plant %q: must be %s", plant, plantFreshKey)
			case !(seconds >= leastSeconds && seconds <= mostSeconds): // not <, so that NaN is caught
				return exit.Errorf(exit.Usage, "--seconds %v: must be %d to %d", seconds, leastSeconds, mostSeconds)
			}
			s := newScript(time.Duration(seconds * float64(time.Second)))
			d := demo{seed: seed, plant: plant, script: s, due: schedule(seed, s.length)}
			return d.run(cmd.Context(), asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object with all counts instead of the story")
	f.StringVar(&plant, "plant", "", "make a mistake that must be noticed: `fresh-key` sends a new X-Request-ID with each attempt")
	f.Uint64Var(&seed, "seed", 1, "of the arrivals and the faults: the `number` that makes two runs alike")
	f.Float64Var(&seconds, "seconds", usualLength.Seconds(), "how many `seconds` each side takes, 3 to 60; the phases shrink and grow with it")
	return cmd
}

// run shows both sides and judges them.
func (d demo) run(ctx context.Context, asJSON bool, stdout, stderr io.Writer) error {
	out, tty := stdout, term.Of(stdout)
	if asJSON { // the object has stdout for itself; a person still wants to see something
		if out, tty = stderr, term.Of(stderr); !tty.Live {
			out = io.Discard
		}
	}
	before := runtime.NumGoroutine()
	held, err := d.side(func(server *faultserver.Server) (seen, error) {
		d.writeHead(out, tty, server.Addr())
		return withHoldfast(ctx, d, server, newShow(out, tty, d))
	})
	if err != nil {
		return stopped(ctx, err)
	}
	bare, err := d.side(func(server *faultserver.Server) (seen, error) {
		d.writeAgain(out)
		again := newShow(out, tty, d)
		again.texts = false
		return withNothing(ctx, d, server, again)
	})
	if err != nil {
		return stopped(ctx, err)
	}
	c := count(d, held, bare, leak.Count(before))

	if asJSON {
		object, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			return exit.Errorf(exit.Failure, "%w", err)
		}
		fmt.Fprintf(stdout, "%s\n", object)
	} else {
		fmt.Fprintln(out)
		writeTable(out, c)
		fmt.Fprintln(out)
		writeVerdict(out, tty, c)
	}
	switch {
	case len(c.Problems) == 0:
		return nil
	case asJSON:
		return exit.Errorf(exit.Failure, "the counts of the demo do not hold: %s", strings.Join(c.Problems, "; "))
	}
	return exit.Errorf(exit.Failure, "the counts of the demo do not hold") // the verdict has said why
}

// side runs one side against a fresh server that follows the script. The server
// is gone when it returns.
func (d demo) side(run func(*faultserver.Server) (seen, error)) (seen, error) {
	server, err := faultserver.New(d.script.plan(d.seed), faultserver.Backend(faultserver.Embeddings))
	if err != nil {
		return seen{}, err
	}
	s, err := run(server)
	return s, errors.Join(err, server.Close())
}

// stopped is the error of a run that did not come to its end.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exit.With(exit.Interrupted, errors.New("demo interrupted"))
	}
	return exit.With(exit.Failure, err)
}

func (d demo) writeHead(w io.Writer, tty term.Terminal, addr string) {
	long := "a bad quarter of a minute"
	if d.script.length != usualLength {
		long = "a bad " + format.Duration(d.script.length)
	}
	fmt.Fprintf(w, "%s · %d calls a second, one embeddings API on %s, %s\n", tty.Paint(term.Bold, "holdfast demo"), rate, addr, long)
	fmt.Fprintf(w, "retries after %d, %d, %s ± half · breaker opens after %d failures for %s, %d probes · %d connections\n",
		baseDelay.Milliseconds(), 2*baseDelay.Milliseconds(), format.Duration(4*baseDelay), threshold, format.Duration(d.script.openFor), probes, connections)
	fmt.Fprintln(w, "scaled down from the defaults: 1, 2, 4 s · 15 failures, 60 s, 3 probes · 50 connections")
	if d.plant != "" {
		fmt.Fprintln(w, "planted: every attempt carries a fresh X-Request-ID, so the counts must not hold")
	}
	fmt.Fprintln(w)
}

func (d demo) writeAgain(w io.Writer) {
	fmt.Fprintf(w, "\nthe same arrivals and faults, a bare http.Client · no retries, %s for a call · %d connections\n\n", format.Duration(attemptTime), connections)
}

func writeVerdict(w io.Writer, tty term.Terminal, c counts) {
	if len(c.Problems) == 0 {
		fmt.Fprintf(w, "  %s nothing was done twice, nothing leaked, the service was left alone while it was down.\n", tty.Paint(term.Green, "Holds:"))
		return
	}
	fmt.Fprintf(w, "  %s\n", tty.Paint(term.Red, "Does not hold:"))
	for _, p := range c.Problems {
		fmt.Fprintf(w, "    %s\n", p)
	}
}
