package call

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// script is a world in which everything is decided beforehand, and that writes
// down what a call does to it, a line for each effect that something hangs on.
// It has no clock: a backoff moves its time.
type script struct {
	log []string
	now time.Time

	attempts []outcome.Result // what the attempts come to, in order
	do       func(n int)      // in attempt n, if set
	deadline time.Time
	probe    bool

	refuse      bool         // Admit says no
	opensAt     time.Time    // Admits says no from here on; zero is never
	refuseAfter int          // Confirm says no from this attempt on; 0 is never
	noSlotFrom  int          // Slot says no from the nth time on
	silentAfter int          // Silent says yes after the nth slot, once
	held        retry.Reason // what Silence says
	backoff     retry.Reason // what Backoff says
	slots       int          // times that one was taken
	holds       bool         // it holds one
}

func (s *script) write(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func (s *script) Now() time.Time      { return s.now }
func (s *script) Chance() float64     { return 0.5 }
func (s *script) Deadline() time.Time { return s.deadline }

func (s *script) Admit() bool {
	s.write("admit: %s", yes(!s.refuse))
	return !s.refuse
}

func (s *script) Admits(t time.Time) bool {
	ok := s.opensAt.IsZero() || t.Before(s.opensAt)
	s.write("admits in %v: %s", t.Sub(s.now), yes(ok))
	return ok
}

func (s *script) Confirm() bool {
	ok := s.refuseAfter == 0 || s.slots < s.refuseAfter
	s.write("confirm: %s", yes(ok))
	return ok
}

func (s *script) Probe() bool { return s.probe }

func (s *script) Verdict(o outcome.Outcome) { s.write("verdict: %v", o) }

func (s *script) Silence() retry.Reason {
	s.write("silence: %v", s.held)
	return s.held
}

func (s *script) Silent() bool {
	silent := s.silentAfter > 0 && s.slots == s.silentAfter
	if silent {
		s.write("silent: yes") // it seldom is
	}
	return silent
}

func (s *script) Slot() retry.Reason {
	s.slots++
	if s.noSlotFrom > 0 && s.slots >= s.noSlotFrom {
		s.write("slot: %v", retry.NoSlot)
		return retry.NoSlot
	}
	s.holds = true
	s.write("slot: %v", retry.Go)
	return retry.Go
}

func (s *script) Free() {
	s.holds = false
	s.write("free")
}

func (s *script) Attempt(n int) outcome.Result {
	if s.do != nil {
		s.do(n)
	}
	r := s.attempts[n-1]
	s.write("attempt %d: %v", n, r.Outcome)
	return r
}

func (s *script) Backoff(d retry.Decision) retry.Reason {
	s.write("backoff %v: %v", d.Wait, s.backoff)
	s.now = d.At
	return s.backoff
}

var (
	success   = outcome.Result{Outcome: outcome.Success}
	transient = outcome.Result{Outcome: outcome.Transient}
	notFound  = outcome.Result{Outcome: outcome.Permanent}
	stopped   = outcome.Result{Outcome: outcome.Canceled}
)

var cfg = retry.Config{Retries: 2, Base: time.Second, Max: 10 * time.Second, Jitter: retry.None}

func TestRecipes(t *testing.T) {
	const turn = "silence: goes on, slot: goes on, confirm: yes" // what goes before an attempt
	tests := []struct {
		what   string
		script script
		why    retry.Reason
		recipe string
	}{
		{"success: a permit around it all, a slot around the attempt",
			script{attempts: []outcome.Result{success}}, retry.Answered,
			"admit: yes, " + turn + ", attempt 1: success, free, verdict: success"},
		{"two retries: one verdict an operation, one slot an attempt, none of them held during a backoff",
			script{attempts: []outcome.Result{transient, transient, success}}, retry.Answered,
			"admit: yes, " +
				turn + ", attempt 1: transient, free, admits in 1s: yes, backoff 1s: goes on, " +
				turn + ", attempt 2: transient, free, admits in 2s: yes, backoff 2s: goes on, " +
				turn + ", attempt 3: success, free, verdict: success"},
		{"the retries are used up: the verdict is the outcome of the last attempt",
			script{attempts: []outcome.Result{transient, transient, transient}}, retry.Exhausted,
			"admit: yes, " +
				turn + ", attempt 1: transient, free, admits in 1s: yes, backoff 1s: goes on, " +
				turn + ", attempt 2: transient, free, admits in 2s: yes, backoff 2s: goes on, " +
				turn + ", attempt 3: transient, free, verdict: transient"},
		{"an answer that is no",
			script{attempts: []outcome.Result{notFound}}, retry.Refused,
			"admit: yes, " + turn + ", attempt 1: permanent, free, verdict: permanent"},
		{"the next wait does not fit: it is not begun, and the breaker is not asked about it",
			script{attempts: []outcome.Result{transient}, deadline: noon.Add(time.Second)}, retry.NoTime,
			"admit: yes, " + turn + ", attempt 1: transient, free, verdict: transient"},
		{"refused at admission: nothing happens, and there is no permit to return",
			script{refuse: true}, retry.BreakerOpened,
			"admit: no"},
		{"the breaker is open, and will be when the backoff is over: why wait for a refusal",
			script{attempts: []outcome.Result{transient}, opensAt: noon}, retry.BreakerOpened,
			"admit: yes, " + turn + ", attempt 1: transient, free, admits in 1s: no, verdict: transient"},
		{"it opened during the backoff: the attempt is not made, its slot is free, the last verdict stands",
			script{attempts: []outcome.Result{transient}, refuseAfter: 2}, retry.BreakerOpened,
			"admit: yes, " + turn + ", attempt 1: transient, free, admits in 1s: yes, backoff 1s: goes on, " +
				"silence: goes on, slot: goes on, confirm: no, free, verdict: transient"},
		{"it opened during the wait for a slot: no attempt was made, so there is no verdict",
			script{refuseAfter: 1}, retry.BreakerOpened,
			"admit: yes, silence: goes on, slot: goes on, confirm: no, free, verdict: unknown"},
		{"a half-open probe makes one attempt",
			script{attempts: []outcome.Result{transient}, probe: true}, retry.WasProbe,
			"admit: yes, " + turn + ", attempt 1: transient, free, verdict: transient"},
		{"a silence that begins during the wait for a slot sends the caller back, without the slot",
			script{attempts: []outcome.Result{success}, silentAfter: 1}, retry.Answered,
			"admit: yes, silence: goes on, slot: goes on, silent: yes, free, " + turn + ", attempt 1: success, free, verdict: success"},
		{"a silence that cannot be waited out: no slot was taken",
			script{held: retry.HeldBack}, retry.HeldBack,
			"admit: yes, silence: the service asked for silence, verdict: unknown"},
		{"no slot in time, before the first attempt",
			script{noSlotFrom: 1}, retry.NoSlot,
			"admit: yes, silence: goes on, slot: no slot came free, verdict: unknown"},
		{"no slot in time, after it: a full bulkhead does not change the verdict",
			script{attempts: []outcome.Result{transient}, noSlotFrom: 2}, retry.NoSlot,
			"admit: yes, " + turn + ", attempt 1: transient, free, admits in 1s: yes, backoff 1s: goes on, " +
				"silence: goes on, slot: no slot came free, verdict: transient"},
		{"cancelled during an attempt",
			script{attempts: []outcome.Result{stopped}}, retry.Refused,
			"admit: yes, " + turn + ", attempt 1: canceled, free, verdict: canceled"},
		{"cancelled during a backoff: the last attempt's verdict stands",
			script{attempts: []outcome.Result{transient}, backoff: retry.Ended}, retry.Ended,
			"admit: yes, " + turn + ", attempt 1: transient, free, admits in 1s: yes, backoff 1s: the caller's context ended, verdict: transient"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			s := tt.script
			s.now = noon
			d := Run(&s, &cfg)
			if d.Again || d.Why != tt.why {
				t.Errorf("ended with %+v, want %v", d, tt.why)
			}
			expect(t, &s, tt.recipe)
		})
	}
}

func expect(t *testing.T, s *script, recipe string) {
	t.Helper()
	if got := strings.Join(s.log, ", "); got != recipe {
		t.Errorf("did\n\t%s\nwant\n\t%s", strings.Join(s.log, "\n\t"), strings.ReplaceAll(recipe, ", ", "\n\t"))
	}
	if s.holds {
		t.Error("a slot did not come back")
	}
}

// What a wait would have been is told, for the error's text.
func TestWaitIsTold(t *testing.T) {
	s := script{now: noon, attempts: []outcome.Result{transient}, backoff: retry.Ended}
	if d := Run(&s, &cfg); d.Wait != time.Second {
		t.Errorf("ended with %+v, in a wait of 1s", d)
	}
}

// The permit and the slot come back through a panic and a Goexit, and the
// verdict is Unknown, whatever the attempt before came to.
func TestPanicAndGoexit(t *testing.T) {
	const turn = "silence: goes on, slot: goes on, confirm: yes"
	ends := map[string]func(){"a panic": func() { panic("in the caller's function") }, "a Goexit": runtime.Goexit}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := script{now: noon, attempts: []outcome.Result{transient}, do: func(n int) {
				if n == 2 {
					end()
				}
			}}
			through, returned := make(chan any), false
			go func() {
				defer func() { through <- recover() }()
				Run(&s, &cfg)
				returned = true
			}()
			if got := <-through; returned || name == "a panic" && got != "in the caller's function" {
				t.Errorf("it did not pass through: %v", got)
			}
			expect(t, &s, "admit: yes, "+turn+", attempt 1: transient, free, admits in 1s: yes, backoff 1s: goes on, "+
				turn+", free, verdict: unknown")
		})
	}
}
