package demo

import (
	"strings"
	"testing"
)

// passing are counts without a problem.
func passing() counts {
	recovered := 277.0
	return counts{
		Calls: 12_000, Succeeded: 8_644, Rejected: 3_181, Failed: 175,
		BareCalls: 12_000, BareSucceeded: 7_836, BareFailed: 4_164,
		Loop: plain{
			Calls: 12_000, Succeeded: 8_596, Failed: 3_404, LateStarts: 2, Attempts: 23_462, AttemptsInOutage: 12_282,
			Effects: 11_407, Duplicates: 3_284, P50: 9.7, P99: 190, ConnectionsOpened: 12_314,
		},
		Attempts: 9_665, AttemptsEnded: 9_665, AttemptsByClient: 9_665, AttemptsByServer: 9_665, BareAttempts: 12_000,
		AttemptsInOutage: 380, BareAttemptsInOutage: 3_121,
		HalfOpenPermits: 26, HalfOpenAttempts: 26, HalfOpenVoid: 1, HalfOpenMost: 1,
		BreakerTransitions: []transition{{6_150, "open", 15}, {6_651, "half_open", 0}, {6_660, "open", 16}, {10_160, "half_open", 0}, {10_277, "closed", 0}},
		RecoveredAfter:     &recovered,
		Effects:            8_768, ResentAfterEffect: 123, BareEffects: 9_382,
		RetryAfterAsked: 14,
		P50:             9.6, P99: 1_031, BareP50: 9.4, BareP99: 18, RejectedP50: 20.6,
		ConnectionsOpened: 412, BareConnectionsOpened: 3_147,
	}
}

func TestCheck(t *testing.T) {
	if wrong, unproved := check(passing()); len(wrong)+len(unproved) > 0 {
		t.Errorf("the passing counts: %q, %q; want nothing", wrong, unproved)
	}
	tests := []struct {
		name  string
		spoil func(*counts)
		want  string
	}{
		{"no calls", func(c *counts) { *c = counts{} }, "calls is 0, bare_calls 0"},
		{"the loop made a call more", func(c *counts) { c.Loop.Calls++; c.Loop.Failed++ }, "loop.calls 12001"},
		{"a call of the loop was lost", func(c *counts) { c.Loop.Failed-- }, "must add up to loop.calls, 12000"},
		{"one client made a call more", func(c *counts) { c.BareCalls++; c.BareFailed++ }, "calls is 12000, bare_calls 12001"},
		{"a call was lost", func(c *counts) { c.Succeeded-- }, "must add up to calls, 12000"},
		{"a bare call was lost", func(c *counts) { c.BareFailed-- }, "must add up to bare_calls, 12000"},
		{"an attempt did not end", func(c *counts) { c.AttemptsEnded-- }, "attempts is 9665, attempts_ended 9664"},
		{"the client counts otherwise", func(c *counts) { c.AttemptsByClient++ }, "attempts_by_client 9666"},
		{"the server saw one more", func(c *counts) { c.AttemptsByServer++ }, "attempts_by_server 9666"},
		{"the record is not whole", func(c *counts) { c.RecordDropped = 1 }, "record_dropped is 1"},
		{"something was done twice", func(c *counts) { c.DuplicateEffects = 1 }, "duplicate_effects is 1"},
		{"too few repeats to prove it", func(c *counts) { c.ResentAfterEffect = 19 }, "resent_after_effect is 19: must be at least 20"},
		{"work that is in no count", func(c *counts) { c.EffectsUntracked = 1 }, "effects_untracked is 1"},
		{"answers without work", func(c *counts) { c.Effects = c.Succeeded - 1 }, "effects is 8643: must be at least succeeded"},
		{"an attempt while open", func(c *counts) { c.AttemptsWhileOpen = 1 }, "attempts_while_open is 1"},
		{"two attempts with a permit", func(c *counts) { c.HalfOpenMost = 2 }, "half_open_most is 2"},
		{"a probe without a permit", func(c *counts) { c.HalfOpenAttempts++ }, "half_open_attempts is 27"},
		{"a permit that was forgotten", func(c *counts) { c.HalfOpenPermits++ }, "half_open_attempts is 26: must be half_open_permits, 27"},
		{"it never opened", func(c *counts) { c.BreakerTransitions = nil }, "breaker_transitions has no open"},
		{"it never closed again", func(c *counts) { c.RecoveredAfter = nil }, "recovered_after_ms is null"},
		{"no Retry-After", func(c *counts) { c.RetryAfterAsked = 0 }, "retry_after_asked is 0"},
		{"a request inside a Retry-After", func(c *counts) { c.SentInsideRetryAfter = 1 }, "sent_inside_retry_after is 1"},
		{"a goroutine is left", func(c *counts) { c.GoroutinesLeaked = 1 }, "goroutines_leaked is 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := passing()
			tt.spoil(&c)
			wrong, unproved := check(c)
			problems := append(wrong, unproved...)
			if !strings.Contains(strings.Join(problems, "\n"), tt.want) {
				t.Errorf("%q, want %q among them", problems, tt.want)
			}
			if c.Calls > 0 && len(problems) != 1 {
				t.Errorf("%q, want one problem only", problems)
			}
		})
	}
}

func TestCheckIgnoresTimes(t *testing.T) {
	c := passing()
	slow := 1e6
	c.P50, c.P99, c.RejectedP50, c.LateP99, c.RecoveredAfter = 1e6, 1e6, 1e6, 1e6, &slow
	if wrong, unproved := check(c); len(wrong)+len(unproved) > 0 {
		t.Errorf("%q, %q; want nothing", wrong, unproved)
	}
}

// A count that proves nothing is no failure of holdfast if the machine is busy; a count that
// is wrong is one on any machine.
func TestBusyMachine(t *testing.T) {
	d := comparison{script: newScript(usualLength)}
	calls := func(late int) measurement { // one in a hundred is busy
		m := measurement{calls: make([]call, 100)}
		for i := range m.calls {
			m.calls[i] = call{due: ms, began: ms + lateStart, result: failed}
			if i < late {
				m.calls[i].began++
			}
		}
		return m
	}
	for _, tt := range []struct {
		late, doneTwice int
		want            string
	}{
		{0, 0, "fails"}, // the breaker did not open, and nothing explains it
		{2, 0, "fails"}, // of 300
		{3, 0, tooBusy},
		{3, 1, "fails"},
	} {
		guarded := calls(tt.late)
		guarded.effects.Duplicates = tt.doneTwice
		c := count(d, guarded, calls(0), calls(0), 0)
		if c.Verdict != tt.want || c.LateStarts != tt.late || len(c.Problems) != 4+tt.doneTwice {
			t.Errorf("%d late starts, %d done twice: verdict %q, %d late, problems %q; want %q", tt.late, tt.doneTwice, c.Verdict, c.LateStarts, c.Problems, tt.want)
		}
	}
}
