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

	refuse       bool         // Admit says no
	opensAt      time.Time    // Admits says no from here on; zero is never
	refuseAfter  int          // Confirm says no from this attempt on; 0 is never
	noPermitFrom int          // Acquire says no from the nth time on
	coolAfter    int          // CoolingDown says yes after the nth permit, once
	cooldown     retry.Reason // the answer of Cooldown
	backoff      retry.Reason // the answer of Backoff
	notes        bool         // attempts are counted
	check        bool         // it is a check
	permits      int          // times that one was asked for
	holds        bool         // it holds one
}

func (s *script) write(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func (s *script) Ended() time.Time    { return s.now }
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
	ok := s.refuseAfter == 0 || s.permits < s.refuseAfter
	s.write("confirm: %s", yes(ok))
	return ok
}

func (s *script) Probe() bool { return s.probe }

func (s *script) Settle(o outcome.Outcome) { s.write("settle: %v", o) }

func (s *script) Note(o outcome.Outcome) bool {
	if s.notes {
		s.write("note: %v", o)
	}
	return s.notes
}

func (s *script) Cooldown() retry.Reason {
	s.write("cooldown: %v", s.cooldown)
	return s.cooldown
}

func (s *script) CoolingDown() bool {
	cooling := s.coolAfter > 0 && s.permits == s.coolAfter
	if cooling {
		s.write("cooling down: yes") // it seldom is
	}
	return cooling
}

func (s *script) Acquire() retry.Reason {
	s.permits++
	if s.noPermitFrom > 0 && s.permits >= s.noPermitFrom {
		s.write("acquire: %v", retry.NoPermit)
		return retry.NoPermit
	}
	s.holds = true
	s.write("acquire: %v", retry.Go)
	return retry.Go
}

func (s *script) Release() {
	s.holds = false
	s.write("release")
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
	success      = outcome.Result{Outcome: outcome.Success}
	transient    = outcome.Result{Outcome: outcome.Transient}
	notFound     = outcome.Result{Outcome: outcome.Permanent}
	noConnection = outcome.Result{Outcome: outcome.Unknown, NoRepeat: true, Stands: true}
	stale        = outcome.Result{Outcome: outcome.Transient, AtOnce: true, Stands: true}
	stopped      = outcome.Result{Outcome: outcome.Canceled}
)

var cfg = retry.Config{Retries: 2, Base: time.Second, Max: 10 * time.Second, Jitter: retry.None}

func TestRecipes(t *testing.T) {
	const turn = "cooldown: goes on, acquire: goes on, confirm: yes" // what goes before an attempt
	tests := []struct {
		what   string
		script script
		why    retry.Reason
		recipe string
	}{
		{"success: a ticket around the operation, a permit around the attempt",
			script{attempts: []outcome.Result{success}}, retry.Answered,
			"admit: yes, " + turn + ", attempt 1: success, release, settle: success"},
		{"two retries: one verdict per operation, one permit per attempt, none held during a backoff",
			script{attempts: []outcome.Result{transient, transient, success}}, retry.Answered,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, " +
				turn + ", attempt 2: transient, release, admits in 2s: yes, backoff 2s: goes on, " +
				turn + ", attempt 3: success, release, settle: success"},
		{"the retries are used up: the verdict is the outcome of the last attempt",
			script{attempts: []outcome.Result{transient, transient, transient}}, retry.Exhausted,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, " +
				turn + ", attempt 2: transient, release, admits in 2s: yes, backoff 2s: goes on, " +
				turn + ", attempt 3: transient, release, settle: transient"},
		{"an answer that is no",
			script{attempts: []outcome.Result{notFound}}, retry.NotWorthRepeating,
			"admit: yes, " + turn + ", attempt 1: permanent, release, settle: permanent"},
		{"the next wait does not fit: it is not begun, and the breaker is not asked about it",
			script{attempts: []outcome.Result{transient}, deadline: noon.Add(time.Second)}, retry.NoTime,
			"admit: yes, " + turn + ", attempt 1: transient, release, settle: transient"},
		{"rejected at admission: there is no ticket to give back",
			script{refuse: true}, retry.BreakerOpened,
			"admit: no"},
		{"the breaker is open, and still will be after the backoff: no wait for a rejection",
			script{attempts: []outcome.Result{transient}, opensAt: noon}, retry.BreakerOpened,
			"admit: yes, " + turn + ", attempt 1: transient, release, admits in 1s: no, settle: transient"},
		{"it opened during the backoff: the attempt is not made, its permit is released, the last verdict stands",
			script{attempts: []outcome.Result{transient}, refuseAfter: 2}, retry.BreakerOpened,
			"admit: yes, " + turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, " +
				"cooldown: goes on, acquire: goes on, confirm: no, release, settle: transient"},
		{"it opened during the wait for a permit: no attempt was made, so there is no verdict",
			script{refuseAfter: 1}, retry.BreakerOpened,
			"admit: yes, cooldown: goes on, acquire: goes on, confirm: no, release, settle: unknown"},
		{"a half-open probe makes one attempt",
			script{attempts: []outcome.Result{transient}, probe: true}, retry.WasProbe,
			"admit: yes, " + turn + ", attempt 1: transient, release, settle: transient"},
		{"a cooldown that begins during the wait for a permit restarts the wait, without the permit",
			script{attempts: []outcome.Result{success}, coolAfter: 1}, retry.Answered,
			"admit: yes, cooldown: goes on, acquire: goes on, cooling down: yes, release, " + turn + ", attempt 1: success, release, settle: success"},
		{"a cooldown that cannot be waited out: no permit was acquired",
			script{cooldown: retry.CoolingDown}, retry.CoolingDown,
			"admit: yes, cooldown: the service asked to be left alone, settle: unknown"},
		{"no permit in time, before the first attempt",
			script{noPermitFrom: 1}, retry.NoPermit,
			"admit: yes, cooldown: goes on, acquire: no permit came free, settle: unknown"},
		{"no permit in time, after it: a full bulkhead does not change the verdict",
			script{attempts: []outcome.Result{transient}, noPermitFrom: 2}, retry.NoPermit,
			"admit: yes, " + turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, " +
				"cooldown: goes on, acquire: no permit came free, settle: transient"},
		{"cancelled during an attempt",
			script{attempts: []outcome.Result{stopped}}, retry.NotWorthRepeating,
			"admit: yes, " + turn + ", attempt 1: canceled, release, settle: canceled"},
		{"attempts are counted: each that is followed by another is noted, and the last is the verdict",
			script{attempts: []outcome.Result{transient, transient, transient}, notes: true}, retry.Exhausted,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 1s: yes, note: transient, backoff 1s: goes on, " +
				turn + ", attempt 2: transient, release, admits in 2s: yes, note: transient, backoff 2s: goes on, " +
				turn + ", attempt 3: transient, release, settle: transient"},
		{"attempts are counted, and the operation ends in a backoff: the attempt is not counted twice",
			script{attempts: []outcome.Result{transient}, notes: true, backoff: retry.Ended}, retry.Ended,
			"admit: yes, " + turn + ", attempt 1: transient, release, admits in 1s: yes, note: transient, backoff 1s: the caller's context ended, settle: unknown"},
		{"an attempt that says nothing of the service: the verdict before it stands",
			script{attempts: []outcome.Result{transient, noConnection}}, retry.NotWorthRepeating,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, " +
				turn + ", attempt 2: unknown, release, settle: transient"},
		{"a first attempt that says nothing of the service: there is no verdict",
			script{attempts: []outcome.Result{noConnection}}, retry.NotWorthRepeating,
			"admit: yes, " + turn + ", attempt 1: unknown, release, settle: unknown"},
		{"a stale connection: the repeat does not wait, and only its outcome counts",
			script{attempts: []outcome.Result{stale, success}, notes: true}, retry.Answered,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 0s: yes, backoff 0s: goes on, " +
				turn + ", attempt 2: success, release, settle: success"},
		{"nothing but stale connections: there is no verdict, and none is counted",
			script{attempts: []outcome.Result{stale, stale, stale}, notes: true}, retry.Exhausted,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 0s: yes, backoff 0s: goes on, " +
				turn + ", attempt 2: transient, release, admits in 2s: yes, backoff 2s: goes on, " +
				turn + ", attempt 3: transient, release, settle: unknown"},
		{"a probe that met a stale connection has not probed yet",
			script{attempts: []outcome.Result{stale, transient}, probe: true}, retry.WasProbe,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 0s: yes, backoff 0s: goes on, " +
				turn + ", attempt 2: transient, release, settle: transient"},
		{"a probe that meets two has",
			script{attempts: []outcome.Result{stale, stale}, probe: true}, retry.WasProbe,
			"admit: yes, " +
				turn + ", attempt 1: transient, release, admits in 0s: yes, backoff 0s: goes on, " +
				turn + ", attempt 2: transient, release, settle: unknown"},
		{"a check never gives a verdict",
			script{attempts: []outcome.Result{transient}, deadline: noon.Add(time.Second), check: true}, retry.NoTime,
			"admit: yes, " + turn + ", attempt 1: transient, release, settle: unknown"},
		{"cancelled during a backoff: the last attempt's verdict stands",
			script{attempts: []outcome.Result{transient}, backoff: retry.Ended}, retry.Ended,
			"admit: yes, " + turn + ", attempt 1: transient, release, admits in 1s: yes, backoff 1s: the caller's context ended, settle: transient"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			s := tt.script
			s.now = noon
			d := Run(&s, &cfg, s.check)
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
		t.Error("a permit did not come back")
	}
}

// What a wait would have been is told, for the error's text.
func TestWaitIsTold(t *testing.T) {
	s := script{now: noon, attempts: []outcome.Result{transient}, backoff: retry.Ended}
	if d := Run(&s, &cfg, false); d.Wait != time.Second {
		t.Errorf("ended with %+v, in a wait of 1s", d)
	}
}

// Ticket and permit come back through a panic and a Goexit, and the verdict is
// Unknown, whatever the outcome of the attempt before.
func TestPanicAndGoexit(t *testing.T) {
	const turn = "cooldown: goes on, acquire: goes on, confirm: yes"
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
				Run(&s, &cfg, false)
				returned = true
			}()
			if got := <-through; returned || name == "a panic" && got != "in the caller's function" {
				t.Errorf("it did not pass through: %v", got)
			}
			expect(t, &s, "admit: yes, "+turn+", attempt 1: transient, release, admits in 1s: yes, backoff 1s: goes on, "+
				turn+", release, settle: unknown")
		})
	}
}
