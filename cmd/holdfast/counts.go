package main

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast"
)

// counts is everything that the demo counted: what --json prints, what the table
// shows and what judge judges. The bare fields are the http.Client's.
type counts struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
	Plant   string  `json:"plant,omitempty"`

	Calls     int `json:"calls"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Rejected  int `json:"rejected"` // by the open breaker
	// Crowded are those of Failed that came while too many were outstanding.
	Crowded int `json:"crowded"`

	BareCalls     int `json:"bare_calls"`
	BareSucceeded int `json:"bare_succeeded"`
	BareFailed    int `json:"bare_failed"`
	BareCrowded   int `json:"bare_crowded"`

	// The attempts as the observer saw them start and end, as the client counts
	// them, and as the server recorded them.
	Attempts         int `json:"attempts"`
	AttemptsEnded    int `json:"attempts_ended"`
	AttemptsByClient int `json:"attempts_by_client"`
	AttemptsByServer int `json:"attempts_by_server"`
	BareAttempts     int `json:"bare_attempts"` // by its server
	RecordDropped    int `json:"record_dropped"`

	AttemptsInOutage     int `json:"attempts_in_outage"`
	BareAttemptsInOutage int `json:"bare_attempts_in_outage"`

	AttemptsWhileOpen int `json:"attempts_while_open"`
	// HalfOpenPermits are the permits that stood when their attempt was due.
	// HalfOpenVoid are the others: between permit and attempt the breaker had
	// closed, and admitted the call anew, or opened, and refused it.
	HalfOpenPermits    int          `json:"half_open_permits"`
	HalfOpenVoid       int          `json:"half_open_void"`
	HalfOpenAttempts   int          `json:"half_open_attempts"`
	HalfOpenMost       int          `json:"half_open_most"` // attempts with one permit
	BreakerTransitions []transition `json:"breaker_transitions"`
	// RecoveredAfter is from the beginning of the recovery to when the breaker
	// closed for good; null if it did not.
	RecoveredAfter *float64 `json:"recovered_after_ms"`

	Effects              int `json:"effects"`
	EffectsUntracked     int `json:"effects_untracked"`
	DuplicateEffects     int `json:"duplicate_effects"`
	ResentAfterEffect    int `json:"resent_after_effect"`
	BareEffects          int `json:"bare_effects"`
	BareDuplicates       int `json:"bare_duplicate_effects"`
	RetryAfterAsked      int `json:"retry_after_asked"` // attempts that were answered so
	SentInsideRetryAfter int `json:"sent_inside_retry_after"`

	// Latencies count from the instant at which the call was to start, and are
	// those of the calls that succeeded.
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	BareP50     float64 `json:"bare_p50_ms"`
	BareP99     float64 `json:"bare_p99_ms"`
	RejectedP50 float64 `json:"rejected_p50_us"` // what a refusal cost its caller
	// LateP99 is how far this machine was behind the schedule.
	LateP99 float64 `json:"late_start_p99_ms"`

	ConnectionsOpened     int `json:"connections_opened"`
	BareConnectionsOpened int `json:"bare_connections_opened"`
	GoroutinesLeaked      int `json:"goroutines_leaked"`

	Verdict  string   `json:"verdict"` // holds or fails
	Problems []string `json:"problems,omitempty"`
}

// transition is a change of the breaker's state as --json prints it.
type transition struct {
	At       float64 `json:"at_ms"`
	To       string  `json:"to"`
	Failures int     `json:"failures,omitempty"`
}

// count counts what both sides came to.
func count(d demo, held, bare seen, leaked int) counts {
	c := counts{
		Seed: d.seed, Seconds: d.script.length.Seconds(), Plant: d.plant,
		Calls: len(held.calls), BareCalls: len(bare.calls),
		AttemptsByClient: int(held.stats.Attempts), AttemptsByServer: len(held.record) + held.dropped,
		BareAttempts: len(bare.record) + bare.dropped, RecordDropped: held.dropped + bare.dropped,
		Effects: held.effects.Done, DuplicateEffects: held.effects.Duplicates, ResentAfterEffect: held.effects.Resent,
		EffectsUntracked: held.effects.Untracked + bare.effects.Untracked,
		BareEffects:      bare.effects.Done, BareDuplicates: bare.effects.Duplicates,
		AttemptsInOutage: inOutage(d, held), BareAttemptsInOutage: inOutage(d, bare),
		ConnectionsOpened: held.connections, BareConnectionsOpened: bare.connections,
		GoroutinesLeaked: leaked,
	}
	c.endings(held, bare)
	c.breaker(d.script, held)
	c.RetryAfterAsked, c.SentInsideRetryAfter = silences(held.calls)
	c.times(held, bare)
	if c.Problems = judge(c); len(c.Problems) == 0 {
		c.Verdict = "holds"
	} else {
		c.Verdict = "fails"
	}
	return c
}

func inOutage(d demo, s seen) (n int) {
	for _, a := range s.record {
		if in(d.script.outage().Window, a.At) {
			n++
		}
	}
	return n
}

func (c *counts) endings(held, bare seen) {
	for i := range held.calls {
		switch held.calls[i].ending {
		case answered:
			c.Succeeded++
		case refused:
			c.Rejected++
		case crowded:
			c.Crowded++
			c.Failed++
		case failed:
			c.Failed++
		}
	}
	for i := range bare.calls {
		switch bare.calls[i].ending {
		case answered:
			c.BareSucceeded++
		case crowded:
			c.BareCrowded++
			c.BareFailed++
		case failed:
			c.BareFailed++
		}
	}
}

// breaker counts what the breaker let through, and when.
func (c *counts) breaker(s script, held seen) {
	open := openings(held.changes)
	for i := range held.calls {
		call := &held.calls[i]
		c.Attempts += len(call.attempts)
		c.AttemptsEnded += call.done
		for _, a := range call.attempts {
			if a.probe {
				c.HalfOpenAttempts++
			}
			if slices.ContainsFunc(open, func(o opening) bool { return o.wronged(a) }) {
				c.AttemptsWhileOpen++
			}
		}
		for _, p := range call.permits {
			c.HalfOpenMost = max(c.HalfOpenMost, p.used)
			if anew := len(call.attempts) > p.after; p.used == 0 && (anew || call.ending == refused) {
				c.HalfOpenVoid++
			} else {
				c.HalfOpenPermits++
			}
		}
	}
	c.BreakerTransitions = []transition{}
	for _, ch := range held.changes {
		c.BreakerTransitions = append(c.BreakerTransitions, transition{inUnits(ch.at, time.Millisecond), ch.to.String(), ch.failures})
		switch after := inUnits(ch.at-s.recovery().From, time.Millisecond); {
		case after < 0:
		case ch.to == holdfast.Open: // once more
			c.RecoveredAfter = nil
		case ch.to == holdfast.Closed:
			c.RecoveredAfter = &after
		}
	}
}

// opening is a time for which the breaker was open.
type opening struct {
	window
	retryAt time.Duration
}

// openings finds when the breaker was open. It has begun to be when its opening
// is told, since that is after the change, and ended when the next change was
// decided on.
func openings(changes []change) (open []opening) {
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

// wronged says whether an attempt started while the breaker was open. An attempt
// reads the clock before the breaker's last yes to it, so the permit that made
// the breaker half-open may carry an instant shortly before the change; it was
// asked for after the open time was over. One from before was not.
func (o opening) wronged(a attempt) bool {
	return o.holds(a.at) && !(a.probe && a.permit >= o.retryAt)
}

// silences counts how often the service asked to be left alone, and the attempts
// that did not.
func silences(calls []call) (asked, broken int) {
	var windows []window
	for i := range calls {
		for _, a := range calls[i].attempts {
			if a.silence != (window{}) {
				windows = append(windows, a.silence)
			}
		}
	}
	for i := range calls {
		for _, a := range calls[i].attempts {
			if slices.ContainsFunc(windows, func(w window) bool { return w.holds(a.at) }) {
				broken++
			}
		}
	}
	return len(windows), broken
}

func (c *counts) times(held, bare seen) {
	var took, late, cost, bareTook []time.Duration
	for i := range held.calls {
		call := &held.calls[i]
		late = append(late, call.began-call.due)
		switch call.ending {
		case answered:
			took = append(took, call.ended-call.due)
		case refused:
			cost = append(cost, call.ended-call.began)
		}
	}
	for i := range bare.calls {
		if call := &bare.calls[i]; call.ending == answered {
			bareTook = append(bareTook, call.ended-call.due)
		}
	}
	c.P50, c.P99 = inUnits(quantile(took, 0.5), time.Millisecond), inUnits(quantile(took, 0.99), time.Millisecond)
	c.BareP50, c.BareP99 = inUnits(quantile(bareTook, 0.5), time.Millisecond), inUnits(quantile(bareTook, 0.99), time.Millisecond)
	c.RejectedP50 = inUnits(quantile(cost, 0.5), time.Microsecond)
	c.LateP99 = inUnits(quantile(late, 0.99), time.Millisecond)
}

// quantile sorts ds and gives the smallest of them that is at least as long as
// the share q of them; 0 for none.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[min(int(q*float64(len(ds))), len(ds)-1)]
}

// inUnits rounds to the thousandth of a unit.
func inUnits(d, unit time.Duration) float64 {
	return float64(int64(float64(d)/float64(unit)*1000+0.5)) / 1000
}
