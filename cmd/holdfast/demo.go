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
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case plant != "" && plant != plantFreshKey:
				return exitf(usage, "--plant %q: must be %s", plant, plantFreshKey)
			case !(seconds >= leastSeconds && seconds <= mostSeconds): // not <, so that NaN is caught
				return exitf(usage, "--seconds %v: must be %d to %d", seconds, leastSeconds, mostSeconds)
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
	out, term := stdout, terminalOf(stdout)
	if asJSON { // the object has stdout for itself; a person still wants to see something
		if out, term = stderr, terminalOf(stderr); !term.live {
			out = io.Discard
		}
	}
	before := runtime.NumGoroutine()
	held, err := d.side(func(server *faultserver.Server) (seen, error) {
		d.writeHead(out, term, server.Addr())
		return withHoldfast(ctx, d, server, newShow(out, term, d))
	})
	if err != nil {
		return stopped(ctx, err)
	}
	bare, err := d.side(func(server *faultserver.Server) (seen, error) {
		d.writeAgain(out)
		again := newShow(out, term, d)
		again.texts = false
		return withNothing(ctx, d, server, again)
	})
	if err != nil {
		return stopped(ctx, err)
	}
	c := count(d, held, bare, leaked(before))

	if asJSON {
		object, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			return exitf(failure, "%w", err)
		}
		fmt.Fprintf(stdout, "%s\n", object)
	} else {
		fmt.Fprintln(out)
		writeTable(out, c)
		fmt.Fprintln(out)
		writeVerdict(out, term, c)
	}
	switch {
	case len(c.Problems) == 0:
		return nil
	case asJSON:
		return exitf(failure, "the counts of the demo do not hold: %s", strings.Join(c.Problems, "; "))
	}
	return exitf(failure, "the counts of the demo do not hold") // the verdict has said why
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
		return &exit{interrupted, errors.New("demo interrupted")}
	}
	return &exit{failure, err}
}

func (d demo) writeHead(w io.Writer, term terminal, addr string) {
	long := "a bad quarter of a minute"
	if d.script.length != usualLength {
		long = "a bad " + short(d.script.length)
	}
	fmt.Fprintf(w, "%s · %d calls a second, one embeddings API on %s, %s\n", term.paint(bold, "holdfast demo"), rate, addr, long)
	fmt.Fprintf(w, "retries after %d, %d, %s ± half · breaker opens after %d failures for %s, %d probes · %d connections\n",
		baseDelay.Milliseconds(), 2*baseDelay.Milliseconds(), short(4*baseDelay), threshold, short(d.script.openFor), probes, connections)
	fmt.Fprintln(w, "scaled down from the defaults: 1, 2, 4 s · 15 failures, 60 s, 3 probes · 50 connections")
	if d.plant != "" {
		fmt.Fprintln(w, "planted: every attempt carries a fresh X-Request-ID, so the counts must not hold")
	}
	fmt.Fprintln(w)
}

func (d demo) writeAgain(w io.Writer) {
	fmt.Fprintf(w, "\nthe same arrivals and faults, a bare http.Client · no retries, %s for a call · %d connections\n\n", short(attemptTime), connections)
}

func writeVerdict(w io.Writer, term terminal, c counts) {
	if len(c.Problems) == 0 {
		fmt.Fprintf(w, "  %s nothing was done twice, nothing leaked, the service was left alone while it was down.\n", term.paint(green, "Holds:"))
		return
	}
	fmt.Fprintf(w, "  %s\n", term.paint(red, "Does not hold:"))
	for _, p := range c.Problems {
		fmt.Fprintf(w, "    %s\n", p)
	}
}

// leaked counts the goroutines that are left. A connection's end a moment after
// it was closed, so they have two seconds.
func leaked(before int) int {
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if n := runtime.NumGoroutine() - before; n <= 0 || time.Now().After(until) {
			return max(n, 0)
		}
	}
}
