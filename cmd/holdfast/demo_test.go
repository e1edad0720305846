package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// The shortest demo, as JSON and as a story. Both are processes of their own,
// since they count goroutines, and run side by side.

func TestDemoHolds(t *testing.T) {
	t.Parallel()
	cmd := program.Command(t, "demo", "--json", "--seconds", "3")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%v, want exit status 0", err)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr has %q, want nothing", &stderr)
	}
	var c counts
	object := json.NewDecoder(&stdout)
	object.DisallowUnknownFields()
	if err := object.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if _, err := object.Token(); err != io.EOF {
		t.Errorf("after the object: %v, want the end", err)
	}
	if c.Verdict != "holds" || len(c.Problems) > 0 {
		t.Errorf("verdict %q, problems %q; want holds", c.Verdict, c.Problems)
	}
	if problems := judge(c); len(problems) > 0 {
		t.Errorf("judged again: %q, want nothing", problems)
	}
	if c.Calls != 2400 || c.BareCalls != 2400 || c.Succeeded == 0 || c.Rejected == 0 || c.BareSucceeded == 0 {
		t.Errorf("%+v", c)
	}
	// A bare client is told no in the outage as often as it asks.
	if c.AttemptsInOutage >= c.BareAttemptsInOutage {
		t.Errorf("%d attempts in the outage, a bare client made %d; want fewer", c.AttemptsInOutage, c.BareAttemptsInOutage)
	}
}

// TestDemoNoticesFreshKeys: a client that gives every attempt a key of its own
// has work done twice, and the demo must say so.
func TestDemoNoticesFreshKeys(t *testing.T) {
	t.Parallel()
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
	story := stdout.String()
	if !regexp.MustCompile(`(?m)^    duplicate_effects is [1-9]\d*: must be 0$`).MatchString(story) || !strings.Contains(story, "Does not hold:") {
		t.Errorf("it said\n%s\nwant a verdict that names duplicate_effects", story)
	}
	for _, part := range []string{"planted:", "healthy", "flaky", "outage", "circuit breaker opened after 15 failed calls", "recovery", "throttled", "done", "bare http.Client", "calls", "2,400"} {
		if !strings.Contains(story, part) {
			t.Errorf("it said\n%s\nwant %q in it", story, part)
		}
	}
	if strings.ContainsAny(story, "\r\x1b") {
		t.Errorf("it said %q; want lines only, since it is no terminal", story)
	}
}

// TestJSONNames: who reads the object relies on these.
func TestJSONNames(t *testing.T) {
	text, err := json.Marshal(counts{})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(`calls succeeded failed rejected attempts attempts_while_open
		half_open_permits half_open_attempts bare_calls bare_succeeded bare_attempts effects duplicate_effects
		resent_after_effect p50_ms p99_ms rejected_p50_us breaker_transitions recovered_after_ms
		sent_inside_retry_after connections_opened bare_connections_opened goroutines_leaked verdict`) {
		if _, there := object[name]; !there {
			t.Errorf("the object has no %s", name)
		}
	}
}

func TestDemoInterrupted(t *testing.T) {
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
			t.Errorf("%q: it said %q, want no verdict", args, r.Stdout)
		}
	}
}

// TestCtrlC is the same with a real signal, in the second half.
func TestCtrlC(t *testing.T) {
	t.Parallel()
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

func TestSchedule(t *testing.T) {
	due := schedule(1, 15*time.Second)
	if len(due) != 12_000 {
		t.Fatalf("%d arrivals, want 12,000", len(due))
	}
	if !slices.IsSorted(due) || due[0] < 0 || due[len(due)-1] >= 15*time.Second {
		t.Errorf("arrivals from %v to %v, want them in order within 15 s", due[0], due[len(due)-1])
	}
	if !slices.Equal(due, schedule(1, 15*time.Second)) {
		t.Error("the same seed gave other arrivals")
	}
	if slices.Equal(due, schedule(2, 15*time.Second)) {
		t.Error("another seed gave the same arrivals")
	}
}

func TestScriptIsWhole(t *testing.T) {
	for _, length := range []time.Duration{3 * time.Second, 15 * time.Second, 60 * time.Second} {
		s := newScript(length)
		if err := s.plan(1).Validate(); err != nil {
			t.Errorf("%v: %v", length, err)
		}
		for i, p := range s.phases {
			from := time.Duration(0)
			if i > 0 {
				from = s.phases[i-1].Until
			}
			if p.From != from || s.at(p.From) != i || s.at(p.Until-1) != i {
				t.Errorf("%v: phase %s from %v to %v is not the %d. without a gap", length, p.name, p.From, p.Until, i)
			}
		}
		if end := s.phases[4].Until; end != length {
			t.Errorf("%v: the last phase ends at %v", length, end)
		}
	}
	// What obeys a 429 of the last moment still ends before the others would be
	// too many.
	if s := newScript(usualLength); s.refusing.Until-s.refusing.From >= retryAfter {
		t.Errorf("refusing for %v; must be less than the %v that it asks for", s.refusing.Until-s.refusing.From, retryAfter)
	}
}
