// Package retry decides, after each attempt, whether there is another one and
// when: a pure machine that is told the time, the attempt's result and a number
// of chance, and that says why it stops.
package retry

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Jitter is how chance spreads the waits of many callers, so that those who
// failed together do not come back together.
type Jitter uint8

const (
	// Full waits anything from nothing to the whole backoff. It spreads best.
	Full Jitter = iota
	// Proportional waits the backoff give or take half of it. A wait may so reach
	// one and a half times Config.Max.
	Proportional
	// Decorrelated waits anything from Base to three times the wait before.
	Decorrelated
	// None waits the backoff itself: for tests, and for a single caller.
	None
)

var jitterNames = [...]string{"full", "proportional", "decorrelated", "none"}

// String gives the jitter's name in lower case.
func (j Jitter) String() string {
	if j.Valid() {
		return jitterNames[j]
	}
	return "invalid"
}

// Valid reports whether j is one of the four.
func (j Jitter) Valid() bool { return int(j) < len(jitterNames) }

// Config is a schedule's settings, its defaults filled in and its bounds checked.
type Config struct {
	Retries       int           // after the first attempt
	Base, Max     time.Duration // the backoff before retry n (from 0) is min(Base·2ⁿ, Max)
	MaxRetryAfter time.Duration // a service that asks for more has ended the operation; zero: it is not listened to
	Jitter        Jitter
}

// Reason is why an operation made no further attempt.
type Reason uint8

const (
	// Go is no reason: the operation goes on.
	Go Reason = iota
	// Answered: the last attempt succeeded.
	Answered
	// Refused: the last attempt's outcome is not one to repeat.
	Refused
	// NotRepeatable: the outcome is one to repeat, but this request is not.
	NotRepeatable
	// Exhausted: all retries were made.
	Exhausted
	// NoTime: the next wait does not fit into what is left of the operation's time.
	NoTime
	// AskedTooMuch: the service wants to be left alone for longer than MaxRetryAfter.
	AskedTooMuch
	// WasProbe: a half-open probe makes one attempt.
	WasProbe
	// BreakerOpened: the breaker opened while the operation waited.
	BreakerOpened
	// NoPermit: the bulkhead had no permit in time.
	NoPermit
	// CoolingDown: the service asked to be left alone, for longer than this operation can wait.
	CoolingDown
	// Ended: the caller cancelled, or its deadline passed.
	Ended
)

var reasons = [...]string{
	Go:            "goes on",
	Answered:      "answered",
	Refused:       "not worth repeating",
	NotRepeatable: "this request must not be repeated",
	Exhausted:     "no retries left",
	NoTime:        "the next wait does not fit into the time that is left",
	AskedTooMuch:  "the service asked for a longer wait than is allowed",
	WasProbe:      "a half-open probe makes one attempt",
	BreakerOpened: "the circuit breaker opened",
	NoPermit:      "no permit came free",
	CoolingDown:   "the service asked to be left alone",
	Ended:         "the caller's context ended",
}

// String says it in a few words, for a line of an explanation.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "invalid"
}

// Decision is what follows an attempt.
type Decision struct {
	Again bool
	Why   Reason        // not Again: why not
	At    time.Time     // Again: when
	Wait  time.Duration // how long that is; for NoTime and AskedTooMuch, how long it would have been
	Most  time.Duration // the wait's upper end, before chance shortened it
}

// Schedule is one operation's way through its retries. Each operation starts
// with a fresh one from Start.
type Schedule struct {
	cfg  *Config
	made int           // retries granted
	last time.Duration // the wait before the last one, for Decorrelated
}

// Start begins an operation. cfg must not change while the schedule is in use.
func Start(cfg *Config) Schedule { return Schedule{cfg: cfg} }

// Next decides what follows an attempt that ended at now with r. u is chance, in
// [0, 1). deadline is when the operation has to be over, zero if it has no end:
// a wait that reaches it is not begun, since nothing could come after.
func (s *Schedule) Next(now, deadline time.Time, r outcome.Result, u float64) Decision {
	switch r.Outcome {
	case outcome.Success:
		return Decision{Why: Answered}
	case outcome.Transient, outcome.Throttled:
	default:
		return Decision{Why: Refused}
	}
	if s.made >= s.cfg.Retries {
		return Decision{Why: Exhausted}
	}
	if r.NoRepeat {
		return Decision{Why: NotRepeatable}
	}

	wait, most := s.backoff(u)
	if r.RetryAfter > 0 && s.cfg.MaxRetryAfter > 0 {
		if r.RetryAfter > s.cfg.MaxRetryAfter {
			return Decision{Why: AskedTooMuch, Wait: r.RetryAfter, Most: r.RetryAfter}
		}
		// What the service asked for is the least; the own backoff may be longer.
		// Chance only adds to it, or the first to come back would come too early.
		asked, spread := r.RetryAfter, outcome.Spread(r.RetryAfter)
		wait = max(wait, asked+time.Duration(u*float64(spread)))
		most = max(most, asked+spread)
	}
	at := now.Add(wait)
	if !deadline.IsZero() && !at.Before(deadline) {
		return Decision{Why: NoTime, Wait: wait, Most: most}
	}
	s.made++
	s.last = wait
	return Decision{Again: true, At: at, Wait: wait, Most: most}
}

// backoff gives the next wait and its upper end.
func (s *Schedule) backoff(u float64) (wait, most time.Duration) {
	base, limit := s.cfg.Base, s.cfg.Max
	if s.cfg.Jitter == Decorrelated {
		most = limit
		if prev := max(s.last, base); prev <= limit/3 { // else three times it is beyond the limit, or overflows
			most = 3 * prev
		}
		low := min(base, most)
		return low + time.Duration(u*float64(most-low)), most
	}
	d := limit
	// A shift that loses bits, or reaches the sign, is beyond any limit.
	if shifted := base << s.made; shifted>>s.made == base && shifted < limit {
		d = shifted
	}
	switch s.cfg.Jitter {
	case Proportional:
		return d/2 + time.Duration(u*float64(d)), d + d/2
	case None:
		return d, d
	default:
		return time.Duration(u * float64(d)), d
	}
}
