package demo

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast"
)

// counts is the result of the demo: --json prints it, the table shows it and check
// checks it. The bare fields are those of the http.Client without retries, Loop those of
// the one in a loop.
type counts struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
	Plant   string  `json:"plant,omitempty"`

	Calls     int `json:"calls"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Rejected  int `json:"rejected"` // by the open breaker
	// Crowded is the part of Failed that was not started because of maxOutstanding.
	Crowded int `json:"crowded"`

	BareCalls     int `json:"bare_calls"`
	BareSucceeded int `json:"bare_succeeded"`
	BareFailed    int `json:"bare_failed"`
	BareCrowded   int `json:"bare_crowded"`

	Loop plain `json:"loop"`

	// LateStarts are the calls that began more than lateStart later than planned,
	// LatestStart the delay of the latest call of all clients.
	LateStarts     int     `json:"late_starts"`
	BareLateStarts int     `json:"bare_late_starts"`
	LatestStart    float64 `json:"latest_start_ms"`

	// Attempts from four sources: started and ended for the observer, counted by the
	// client and recorded by the server.
	Attempts         int `json:"attempts"`
	AttemptsEnded    int `json:"attempts_ended"`
	AttemptsByClient int `json:"attempts_by_client"`
	AttemptsByServer int `json:"attempts_by_server"`
	BareAttempts     int `json:"bare_attempts"` // by the server of the bare client
	RecordDropped    int `json:"record_dropped"`

	AttemptsInOutage     int `json:"attempts_in_outage"`
	BareAttemptsInOutage int `json:"bare_attempts_in_outage"`

	AttemptsWhileOpen int `json:"attempts_while_open"`
	// HalfOpenPermits are the permits that were still valid at their attempt.
	// HalfOpenVoid are the others: between permit and attempt the breaker closed and
	// admitted the call again, or opened and rejected it.
	HalfOpenPermits    int          `json:"half_open_permits"`
	HalfOpenVoid       int          `json:"half_open_void"`
	HalfOpenAttempts   int          `json:"half_open_attempts"`
	HalfOpenMost       int          `json:"half_open_most"` // attempts with one permit
	BreakerTransitions []transition `json:"breaker_transitions"`
	// RecoveredAfter is the time from the beginning of the recovery until the breaker
	// closed and stayed closed; null if it did not.
	RecoveredAfter *float64 `json:"recovered_after_ms"`

	Effects              int `json:"effects"`
	EffectsUntracked     int `json:"effects_untracked"`
	DuplicateEffects     int `json:"duplicate_effects"`
	ResentAfterEffect    int `json:"resent_after_effect"`
	BareEffects          int `json:"bare_effects"`
	BareDuplicates       int `json:"bare_duplicate_effects"`
	RetryAfterAsked      int `json:"retry_after_asked"` // answers with a Retry-After
	SentInsideRetryAfter int `json:"sent_inside_retry_after"`

	// Latencies count from the scheduled start, and are those of the calls that
	// succeeded.
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	BareP50     float64 `json:"bare_p50_ms"`
	BareP99     float64 `json:"bare_p99_ms"`
	RejectedP50 float64 `json:"rejected_p50_us"` // the duration of a rejected call
	// LateP99 is the delay of this machine behind the schedule.
	LateP99 float64 `json:"late_start_p99_ms"`

	ConnectionsOpened     int `json:"connections_opened"`
	BareConnectionsOpened int `json:"bare_connections_opened"`
	GoroutinesLeaked      int `json:"goroutines_leaked"`

	Verdict  string   `json:"verdict"` // holds, fails or too busy
	Problems []string `json:"problems,omitempty"`
}

// tooBusy is the verdict of a run in which nothing is wrong, but the machine started so many
// calls late that they do not show everything.
const tooBusy = "too busy"

// plain are the counts of an http.Client without holdfast.
type plain struct {
	Calls             int     `json:"calls"`
	Succeeded         int     `json:"succeeded"`
	Failed            int     `json:"failed"`
	Crowded           int     `json:"crowded"` // the part of Failed that was not started
	LateStarts        int     `json:"late_starts"`
	Attempts          int     `json:"attempts"`
	AttemptsInOutage  int     `json:"attempts_in_outage"`
	Effects           int     `json:"effects"`
	Duplicates        int     `json:"duplicate_effects"`
	P50               float64 `json:"p50_ms"`
	P99               float64 `json:"p99_ms"`
	ConnectionsOpened int     `json:"connections_opened"`
}

// countPlain counts the results of an http.Client.
func countPlain(d comparison, m measurement) plain {
	p := plain{
		Calls: len(m.calls), LateStarts: countLate(m.calls), Attempts: len(m.record) + m.dropped, AttemptsInOutage: inOutage(d, m),
		Effects: m.effects.Done, Duplicates: m.effects.Duplicates, ConnectionsOpened: m.connections,
	}
	var took []time.Duration
	for i := range m.calls {
		switch call := &m.calls[i]; call.result {
		case answered:
			p.Succeeded++
			took = append(took, call.ended-call.due)
		case crowded:
			p.Crowded++
			p.Failed++
		case failed:
			p.Failed++
		}
	}
	p.P50, p.P99 = inUnits(quantile(took, 0.5), time.Millisecond), inUnits(quantile(took, 0.99), time.Millisecond)
	return p
}

// countLate counts the calls that began late.
func countLate(calls []call) (n int) {
	for i := range calls {
		if calls[i].isLate() {
			n++
		}
	}
	return n
}

// latest is the longest delay of a call behind the schedule.
func latest(all ...[]call) (d time.Duration) {
	for _, calls := range all {
		for i := range calls {
			d = max(d, calls[i].began-calls[i].due)
		}
	}
	return d
}

// lateStarts are the late calls of all clients, and all their calls.
func (c *counts) lateStarts() (late, of int) {
	return c.LateStarts + c.BareLateStarts + c.Loop.LateStarts, c.Calls + c.BareCalls + c.Loop.Calls
}

// isBusy reports whether one call in a hundred began late.
func (c *counts) isBusy() bool {
	late, of := c.lateStarts()
	return late > 0 && 100*late >= of
}

// transition is a change of the breaker's state in the output of --json.
type transition struct {
	At       float64 `json:"at_ms"`
	To       string  `json:"to"`
	Failures int     `json:"failures,omitempty"`
}

// count counts the results of the clients.
func count(d comparison, guarded, bare, loop measurement, leaked int) counts {
	b := countPlain(d, bare)
	c := counts{
		Seed: d.seed, Seconds: d.script.length.Seconds(), Plant: d.plant,
		Calls:     len(guarded.calls),
		BareCalls: b.Calls, BareSucceeded: b.Succeeded, BareFailed: b.Failed, BareCrowded: b.Crowded,
		Loop:       countPlain(d, loop),
		LateStarts: countLate(guarded.calls), BareLateStarts: b.LateStarts,
		LatestStart:      inUnits(latest(guarded.calls, bare.calls, loop.calls), time.Millisecond),
		AttemptsByClient: int(guarded.stats.Attempts), AttemptsByServer: len(guarded.record) + guarded.dropped,
		BareAttempts: b.Attempts, RecordDropped: guarded.dropped + bare.dropped + loop.dropped,
		Effects: guarded.effects.Done, DuplicateEffects: guarded.effects.Duplicates, ResentAfterEffect: guarded.effects.Resent,
		EffectsUntracked: guarded.effects.Untracked + bare.effects.Untracked + loop.effects.Untracked,
		BareEffects:      b.Effects, BareDuplicates: b.Duplicates,
		AttemptsInOutage: inOutage(d, guarded), BareAttemptsInOutage: b.AttemptsInOutage,
		BareP50: b.P50, BareP99: b.P99,
		ConnectionsOpened: guarded.connections, BareConnectionsOpened: b.ConnectionsOpened,
		GoroutinesLeaked: leaked,
	}
	c.countResults(guarded)
	c.countBreaker(d.script, guarded)
	c.RetryAfterAsked, c.SentInsideRetryAfter = countCooldowns(guarded.calls)
	c.measureTimes(guarded)
	wrong, unproved := check(c)
	switch c.Problems = append(wrong, unproved...); {
	case len(c.Problems) == 0:
		c.Verdict = "holds"
	case len(wrong) == 0 && c.isBusy():
		c.Verdict = tooBusy
	default:
		c.Verdict = "fails"
	}
	return c
}

// inOutage counts the attempts during the outage.
func inOutage(d comparison, m measurement) (n int) {
	for _, a := range m.record {
		if inWindow(d.script.outage().Window, a.At) {
			n++
		}
	}
	return n
}

// countResults counts the calls by their results.
func (c *counts) countResults(guarded measurement) {
	for i := range guarded.calls {
		switch guarded.calls[i].result {
		case answered:
			c.Succeeded++
		case rejected:
			c.Rejected++
		case crowded:
			c.Crowded++
			c.Failed++
		case failed:
			c.Failed++
		}
	}
}

// countBreaker counts the attempts that the breaker admitted, and its changes.
func (c *counts) countBreaker(s script, guarded measurement) {
	open := openings(guarded.changes)
	for i := range guarded.calls {
		call := &guarded.calls[i]
		c.Attempts += len(call.attempts)
		c.AttemptsEnded += call.done
		for _, a := range call.attempts {
			if a.probe {
				c.HalfOpenAttempts++
			}
			if slices.ContainsFunc(open, func(o opening) bool { return o.violatedBy(a) }) {
				c.AttemptsWhileOpen++
			}
		}
		for _, p := range call.permits {
			c.HalfOpenMost = max(c.HalfOpenMost, p.used)
			if readmitted := len(call.attempts) > p.after; p.used == 0 && (readmitted || call.result == rejected) {
				c.HalfOpenVoid++
			} else {
				c.HalfOpenPermits++
			}
		}
	}
	c.BreakerTransitions = []transition{}
	for _, ch := range guarded.changes {
		c.BreakerTransitions = append(c.BreakerTransitions, transition{inUnits(ch.at, time.Millisecond), ch.to.String(), ch.failures})
		switch after := inUnits(ch.at-s.recovery().From, time.Millisecond); {
		case after < 0:
		case ch.to == holdfast.Open: // again
			c.RecoveredAfter = nil
		case ch.to == holdfast.Closed:
			c.RecoveredAfter = &after
		}
	}
}

// opening is a time during which the breaker was open.
type opening struct {
	window
	retryAt time.Duration
}

// openings returns the times during which the breaker was open. Each begins at the event
// of the opening, which follows the change, and ends at the time of the next change.
func openings(changes []stateChange) (open []opening) {
	for i, ch := range changes {
		if ch.to != holdfast.Open {
			continue
		}
		until := time.Duration(1<<63 - 1)
		if i+1 < len(changes) {
			until = changes[i+1].at
		}
		open = append(open, opening{window{ch.at, until}, ch.retryAt})
	}
	return open
}

// violatedBy reports whether an attempt started while the breaker was open. An attempt
// reads the clock before the breaker admits it. So the attempt with the permit that made the
// breaker half-open can have a time shortly before that change. Such a permit was
// requested after the open time, an invalid one before.
func (o opening) violatedBy(a attempt) bool {
	return o.contains(a.at) && !(a.probe && a.permit >= o.retryAt)
}

// countCooldowns counts the answers with a Retry-After, and the attempts that did not
// wait for it.
func countCooldowns(calls []call) (asked, violations int) {
	var windows []window
	for i := range calls {
		for _, a := range calls[i].attempts {
			if a.cooldown != (window{}) {
				windows = append(windows, a.cooldown)
			}
		}
	}
	for i := range calls {
		for _, a := range calls[i].attempts {
			if slices.ContainsFunc(windows, func(w window) bool { return w.contains(a.at) }) {
				violations++
			}
		}
	}
	return len(windows), violations
}

// measureTimes computes the quantiles of the latencies.
func (c *counts) measureTimes(guarded measurement) {
	var took, late, cost []time.Duration
	for i := range guarded.calls {
		call := &guarded.calls[i]
		late = append(late, call.began-call.due)
		switch call.result {
		case answered:
			took = append(took, call.ended-call.due)
		case rejected:
			cost = append(cost, call.ended-call.began)
		}
	}
	c.P50, c.P99 = inUnits(quantile(took, 0.5), time.Millisecond), inUnits(quantile(took, 0.99), time.Millisecond)
	c.RejectedP50 = inUnits(quantile(cost, 0.5), time.Microsecond)
	c.LateP99 = inUnits(quantile(late, 0.99), time.Millisecond)
}

// quantile sorts ds and returns the smallest that is at least as long as the share q of
// them; 0 for none.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[min(int(q*float64(len(ds))), len(ds)-1)]
}

// inUnits rounds a duration to thousandths of a unit.
func inUnits(d, unit time.Duration) float64 {
	return float64(int64(float64(d)/float64(unit)*1000+0.5)) / 1000
}
