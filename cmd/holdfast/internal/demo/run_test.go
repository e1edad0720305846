package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// The tests of the whole demo run it as a process, because it counts goroutines. They do
// not run in parallel, because a demo needs a CPU.

func TestDemo(t *testing.T) {
	cmd := program.Command(t, "demo", "--json", "--seconds", "3")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	failed := cmd.Run()
	var c counts
	object := json.NewDecoder(&stdout)
	object.DisallowUnknownFields()
	if err := object.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if _, err := object.Token(); err != io.EOF {
		t.Errorf("after the object: %v, want the end", err)
	}
	wrong, unproved := check(c)
	if c.Verdict == tooBusy { // the counts that would prove more are not reached, but none is wrong
		if failed == nil || len(wrong) > 0 || len(unproved) == 0 || !c.isBusy() {
			t.Errorf("%v, %q, %q, busy: %v; want the error of a busy machine", failed, wrong, unproved, c.isBusy())
		}
		return
	}
	if failed != nil || stderr.Len() > 0 {
		t.Errorf("%v, stderr has %q; want exit status 0", failed, &stderr)
	}
	if c.Verdict != "holds" || len(c.Problems) > 0 {
		t.Errorf("verdict %q, problems %q; want holds", c.Verdict, c.Problems)
	}
	if len(wrong)+len(unproved) > 0 {
		t.Errorf("checked again: %q, %q; want nothing", wrong, unproved)
	}
	if c.Calls != 2400 || c.BareCalls != 2400 || c.Loop.Calls != 2400 || c.Loop.Duplicates == 0 || c.Loop.AttemptsInOutage <= c.BareAttemptsInOutage || c.Succeeded == 0 || c.Rejected == 0 || c.BareSucceeded == 0 {
		t.Errorf("%+v", c)
	}
	// In the outage the bare client sends every call.
	if c.AttemptsInOutage >= c.BareAttemptsInOutage {
		t.Errorf("%d attempts in the outage, a bare client made %d; want fewer", c.AttemptsInOutage, c.BareAttemptsInOutage)
	}
}

// With a new key for every attempt work is done twice, and the demo must report it.
func TestPlantFreshKey(t *testing.T) {
	cmd := program.Command(t, "demo", "--seconds", "3", "--plant", "fresh-key")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != exit.Failure {
		t.Errorf("%v, want exit status %d", err, exit.Failure)
	}
	if want := "holdfast: the counts of the demo do not hold\n"; stderr.String() != want {
		t.Errorf("stderr has %q, want %q", &stderr, want)
	}
	text := stdout.String()
	if !regexp.MustCompile(`(?m)^    duplicate_effects is [1-9]\d*: must be 0$`).MatchString(text) || !strings.Contains(text, "Does not hold:") {
		t.Errorf("it wrote\n%s\nwant a verdict that names duplicate_effects", text)
	}
	for _, part := range []string{"planted:", "healthy", "flaky", "outage", "circuit breaker opened after 15 failed calls", "recovery", "throttled", "done", "bare http.Client", "http.Client in a loop", "calls", "2,400"} {
		if !strings.Contains(text, part) {
			t.Errorf("it wrote\n%s\nwant %q in it", text, part)
		}
	}
	if strings.ContainsAny(text, "\r\x1b") {
		t.Errorf("it wrote %q; want lines only, since stdout is not a terminal", text)
	}
}

func TestInterrupted(t *testing.T) {
	for _, args := range [][]string{{"demo"}, {"demo", "--plant", "fresh-key"}} {
		r := program.Start(t, "healthy", append(args, "--seconds", "3")...)
		addr := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(r.Stdout.String())
		if status := r.Interrupt(t, addr); status != exit.Interrupted {
			t.Errorf("%q: exit status %d, want %d", args, status, exit.Interrupted)
		}
		if want := "holdfast: demo interrupted\n"; r.Stderr.String() != want {
			t.Errorf("%q: stderr has %q, want %q", args, r.Stderr, want)
		}
		if strings.Contains(r.Stdout.String(), "Holds") {
			t.Errorf("%q: it wrote %q, want no verdict", args, r.Stdout)
		}
	}
}

// A signal interrupts the second client.
func TestSignal(t *testing.T) {
	cmd := program.Command(t, "demo", "--seconds", "3", "--seed", "2")
	out, stderr := cmdtest.Await("bare http.Client"), cmdtest.Await("")
	cmd.Stdout, cmd.Stderr = out, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out.Seen:
	case <-time.After(30 * time.Second):
		t.Errorf("no second half after 30 s: %q", out)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != exit.Interrupted {
		t.Errorf("%v, want exit status %d", err, exit.Interrupted)
	}
	if want := "holdfast: demo interrupted\n"; stderr.String() != want {
		t.Errorf("stderr has %q, want %q", stderr, want)
	}
}

func TestVerdict(t *testing.T) {
	var out bytes.Buffer
	c := passing()
	writeVerdict(&out, term.Terminal{}, c)
	c.Problems = []string{"duplicate_effects is 1: must be 0"}
	writeVerdict(&out, term.Terminal{}, c)
	c.LateStarts, c.LatestStart = 400, 230.4
	writeVerdict(&out, term.Terminal{}, c)
	c.Verdict, c.Problems = tooBusy, []string{"retry_after_asked is 0: must be more, else nothing was proved"}
	writeVerdict(&out, term.Terminal{}, c)
	want := `  Holds: nothing was done twice, nothing leaked, the service was left alone while it was down.
  Does not hold:
    duplicate_effects is 1: must be 0
  Late starts: 402 of 36,000 calls began more than 20 ms later than planned, the latest by 230 ms: this machine is busy.
  A call that was planned in one phase can meet the next, and the times are those of the machine.

  Does not hold:
    duplicate_effects is 1: must be 0
  Late starts: 402 of 36,000 calls began more than 20 ms later than planned, the latest by 230 ms: this machine is busy.
  A call that was planned in one phase can meet the next, and the times are those of the machine.

  Not proved: the machine was too busy to show it.
    retry_after_asked is 0: must be more, else nothing was proved
`
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
