package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/leak"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/faultserver"
)

// comparison is the input of a run. Two runs with the same input differ in their times
// only.
type comparison struct {
	seed   uint64
	plant  string
	script script
	due    []time.Duration // when the calls start
	page   *livePage       // nil for none
}

// run runs the three clients, shows their results and checks the counts.
func (d comparison) run(ctx context.Context, asJSON bool, stdout, stderr io.Writer) error {
	out, terminal := stdout, term.Of(stdout)
	if asJSON { // stdout is for the object alone; a terminal on stderr shows the progress
		if out, terminal = stderr, term.Of(stderr); !terminal.Live {
			out = io.Discard
		}
	}
	before := runtime.NumGoroutine()
	guarded, err := d.runClient(func(server *faultserver.Server) (measurement, error) {
		d.writeHead(out, terminal, server.Addr())
		if d.page != nil {
			fmt.Fprintf(out, "the live page, while holdfast runs: %s\n", d.page.url)
		}
		return runHoldfast(ctx, d, server, newTimeline(out, terminal, d))
	})
	if err != nil {
		return runError(ctx, err)
	}
	bare, err := d.runClient(func(server *faultserver.Server) (measurement, error) {
		d.writeSecondHead(out)
		events := newTimeline(out, terminal, d)
		events.descriptions = false
		return runPlain(ctx, d, server, events, 0)
	})
	if err != nil {
		return runError(ctx, err)
	}
	loop, err := d.runClient(func(server *faultserver.Server) (measurement, error) {
		d.writeThirdHead(out)
		events := newTimeline(out, terminal, d)
		events.descriptions = false
		return runPlain(ctx, d, server, events, maxRetries)
	})
	if err != nil {
		return runError(ctx, err)
	}
	d.page.close()
	c := count(d, guarded, bare, loop, leak.Count(before))

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
		writeVerdict(out, terminal, c)
	}
	switch {
	case len(c.Problems) == 0:
		return nil
	case c.Verdict == tooBusy:
		return exit.Errorf(exit.Failure, "this machine is too busy for the demo: run it again when less else is running")
	case asJSON:
		return exit.Errorf(exit.Failure, "the counts of the demo do not hold: %s", strings.Join(c.Problems, "; "))
	}
	return exit.Errorf(exit.Failure, "the counts of the demo do not hold") // the verdict has the reasons
}

// runClient runs one client against a new server that follows the script. It closes
// the server.
func (d comparison) runClient(run func(*faultserver.Server) (measurement, error)) (measurement, error) {
	keep := (maxRetries + 1) * len(d.due) // every attempt
	server, err := faultserver.New(d.script.plan(d.seed), faultserver.Backend(faultserver.Embeddings), faultserver.Keep(keep))
	if err != nil {
		return measurement{}, err
	}
	m, err := run(server)
	return m, errors.Join(err, server.Close())
}

// runError is the error of a run that was interrupted or failed.
func runError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exit.With(exit.Interrupted, errors.New("demo interrupted"))
	}
	return exit.With(exit.Failure, err)
}

func (d comparison) writeHead(w io.Writer, terminal term.Terminal, addr string) {
	long := "a bad quarter of a minute"
	if d.script.length != usualLength {
		long = "a bad " + format.Duration(d.script.length)
	}
	fmt.Fprintf(w, "%s · %d calls a second, one embeddings API on %s, %s\n", terminal.Paint(term.Bold, "holdfast demo"), callsPerSecond, addr, long)
	fmt.Fprintf(w, "retries after %d, %d, %s ± half · breaker opens after %d failures for %s, %d probes · %d connections\n",
		baseDelay.Milliseconds(), 2*baseDelay.Milliseconds(), format.Duration(4*baseDelay), threshold, format.Duration(d.script.openFor), probes, connections)
	fmt.Fprintln(w, "scaled down from the defaults: 1, 2, 4 s · 15 failures, 60 s, 3 probes · 50 connections")
	if d.plant != "" {
		fmt.Fprintln(w, "planted: every attempt carries a fresh X-Request-ID, so the counts must not hold")
	}
	fmt.Fprintln(w)
}

func (d comparison) writeSecondHead(w io.Writer) {
	fmt.Fprintf(w, "\nthe same arrivals and faults, a bare http.Client · no retries, %s for a call · %d connections\n\n", format.Duration(attemptTime), connections)
}

func (d comparison) writeThirdHead(w io.Writer) {
	fmt.Fprintf(w, "\nthe same again, an http.Client in a loop · %d retries after %d, %d, %s, no jitter, no key · %d connections\n\n",
		maxRetries, baseDelay.Milliseconds(), 2*baseDelay.Milliseconds(), format.Duration(4*baseDelay), connections)
}

func writeVerdict(w io.Writer, terminal term.Terminal, c counts) {
	if late, of := c.lateStarts(); c.isBusy() {
		fmt.Fprintf(w, "  %s %s of %s calls began more than %s later than planned, the latest by %s: this machine is busy.\n",
			terminal.Paint(term.Bold, "Late starts:"), format.Number(late), format.Number(of), format.Duration(lateStart), format.Duration(time.Duration(c.LatestStart*float64(time.Millisecond))))
		fmt.Fprintf(w, "  A call that was planned in one phase can meet the next, and the times are those of the machine.\n\n")
	}
	if c.Verdict == tooBusy {
		fmt.Fprintf(w, "  %s the machine was too busy to show it.\n", terminal.Paint(term.Bold, "Not proved:"))
		for _, p := range c.Problems {
			fmt.Fprintf(w, "    %s\n", p)
		}
		return
	}
	if len(c.Problems) == 0 {
		fmt.Fprintf(w, "  %s nothing was done twice, nothing leaked, the service was left alone while it was down.\n", terminal.Paint(term.Green, "Holds:"))
		return
	}
	fmt.Fprintf(w, "  %s\n", terminal.Paint(term.Red, "Does not hold:"))
	for _, p := range c.Problems {
		fmt.Fprintf(w, "    %s\n", p)
	}
}
