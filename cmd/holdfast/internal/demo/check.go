package demo

import (
	"fmt"
	"slices"
)

// minResent is the number of repeats of completed work that the server must receive.
// With fewer, the absence of duplicates would prove nothing.
const minResent = 20

// check returns a problem for each count that is wrong, and one for each that is too small
// to prove anything. Each begins with the name of the field. Times are not checked, because
// they depend on the machine.
func check(c counts) (wrong, unproved []string) {
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	mustShow := func(ok bool, format string, args ...any) {
		if !ok {
			unproved = append(unproved, fmt.Sprintf(format, args...))
		}
	}
	must(c.Calls > 0 && c.Calls == c.BareCalls && c.Calls == c.Loop.Calls,
		"calls is %d, bare_calls %d, loop.calls %d: must be equal", c.Calls, c.BareCalls, c.Loop.Calls)
	must(c.Succeeded+c.Failed+c.Rejected == c.Calls,
		"succeeded, failed and rejected are %d, %d and %d: must add up to calls, %d", c.Succeeded, c.Failed, c.Rejected, c.Calls)
	must(c.BareSucceeded+c.BareFailed == c.BareCalls,
		"bare_succeeded and bare_failed are %d and %d: must add up to bare_calls, %d", c.BareSucceeded, c.BareFailed, c.BareCalls)
	must(c.Loop.Succeeded+c.Loop.Failed == c.Loop.Calls,
		"loop.succeeded and loop.failed are %d and %d: must add up to loop.calls, %d", c.Loop.Succeeded, c.Loop.Failed, c.Loop.Calls)
	for _, other := range []struct {
		name string
		n    int
	}{{"attempts_ended", c.AttemptsEnded}, {"attempts_by_client", c.AttemptsByClient}, {"attempts_by_server", c.AttemptsByServer}} {
		must(c.Attempts == other.n, "attempts is %d, %s %d: must be equal", c.Attempts, other.name, other.n)
	}
	must(c.RecordDropped == 0, "record_dropped is %d: must be 0, else the counts are incomplete", c.RecordDropped)

	must(c.DuplicateEffects == 0, "duplicate_effects is %d: must be 0", c.DuplicateEffects)
	mustShow(c.ResentAfterEffect >= minResent, "resent_after_effect is %d: must be at least %d, else nothing was proved", c.ResentAfterEffect, minResent)
	must(c.EffectsUntracked == 0, "effects_untracked is %d: must be 0, else the counts are incomplete", c.EffectsUntracked)
	must(c.Effects >= c.Succeeded, "effects is %d: must be at least succeeded, %d", c.Effects, c.Succeeded)

	must(c.AttemptsWhileOpen == 0, "attempts_while_open is %d: must be 0", c.AttemptsWhileOpen)
	must(c.HalfOpenMost <= 1, "half_open_most is %d: must be at most one attempt a permit", c.HalfOpenMost)
	must(c.HalfOpenAttempts == c.HalfOpenPermits, "half_open_attempts is %d: must be half_open_permits, %d", c.HalfOpenAttempts, c.HalfOpenPermits)
	mustShow(slices.ContainsFunc(c.BreakerTransitions, func(t transition) bool { return t.To == "open" }),
		"breaker_transitions has no open: must open in the outage")
	mustShow(c.RecoveredAfter != nil, "recovered_after_ms is null: the breaker must close after the recovery")

	mustShow(c.RetryAfterAsked > 0, "retry_after_asked is 0: must be more, else nothing was proved")
	must(c.SentInsideRetryAfter == 0, "sent_inside_retry_after is %d: must be 0", c.SentInsideRetryAfter)
	must(c.GoroutinesLeaked == 0, "goroutines_leaked is %d: must be 0", c.GoroutinesLeaked)
	return wrong, unproved
}
