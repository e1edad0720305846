// Package retry decides after each attempt whether and when to make another
// one. It is a pure machine: the time, the attempt's result and a random number
// are arguments, and a decision with its reason is the result.
package retry

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Jitter is the random spread of waits. It keeps callers that failed together
// from retrying together.
type Jitter uint8

const (
	// Full waits between zero and the whole backoff. It spreads best.
	Full Jitter = iota
	// Proportional waits the backoff plus or minus half of it, so up to one and
	// a half times Config.Max.
	Proportional
	// Decorrelated waits between Base and three times the wait before.
	Decorrelated
	// None waits exactly the backoff: for tests, and for a single caller.
	None
)

var jitterNames = [...]string{"full", "proportional", "decorrelated", "none"}

// String returns the jitter's name in lower case.
func (j Jitter) String() string {
	if j.Valid() {
		return jitterNames[j]
	}
	return "invalid"
}

// Valid reports whether j is one of the four.
func (j Jitter) Valid() bool { return int(j) < len(jitterNames) }

// Config has a schedule's settings. The caller of Start has set the defaults
// and checked the bounds.
type Config struct {
	Retries       int           // after the first attempt
	Base, Max     time.Duration // the backoff before retry n (from 0) is min(Base·2ⁿ, Max)
	MaxRetryAfter time.Duration // the longest wait that a service may ask for; zero ignores it
	Jitter        Jitter
	// Throttled is the schedule after an attempt that was Throttled. Zero Retries: the
	// one above.
	Throttled Throttled
}

// Throttled is a schedule for a service that asked for fewer requests. Its waits are between
// half the backoff and the whole, and its retries are counted for themselves.
type Throttled struct {
	Retries   int
	Base, Max time.Duration
}

// Most is the largest number of retries that an operation can make.
func (c *Config) Most() int { return c.Retries + c.Throttled.Retries }

// Reason is the reason against a further attempt.
type Reason uint8

const (
	// Go means that the operation goes on.
	Go Reason = iota
	// Answered: the last attempt succeeded.
	Answered
	// NotWorthRepeating: the last attempt's outcome is not repeated.
	NotWorthRepeating
	// NotRepeatable: the outcome is repeated, but this request cannot be.
	NotRepeatable
	// Exhausted: all retries were made.
	Exhausted
	// NoTime: the next wait exceeds the operation's remaining time.
	NoTime
	// AskedTooMuch: the service asked for a wait longer than MaxRetryAfter.
	AskedTooMuch
	// WasProbe: a half-open probe makes one attempt.
	WasProbe
	// BreakerOpened: the breaker opened while the operation waited.
	BreakerOpened
	// NoPermit: the bulkhead had no permit in time.
	NoPermit
	// CoolingDown: the service's cooldown is longer than this operation can wait.
	CoolingDown
	// Ended: the caller cancelled, or its deadline passed.
	Ended
)

var reasons = [...]string{
	Go:                "goes on",
	Answered:          "answered",
	NotWorthRepeating: "not worth repeating",
	NotRepeatable:     "this request must not be repeated",
	Exhausted:         "no retries left",
	NoTime:            "the next wait does not fit into the time that is left",
	AskedTooMuch:      "the service asked for a longer wait than is allowed",
	WasProbe:          "a half-open probe makes one attempt",
	BreakerOpened:     "the circuit breaker opened",
	NoPermit:          "no permit came free",
	CoolingDown:       "the service asked to be left alone",
	Ended:             "the caller's context ended",
}

// String returns a short text for explanations.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "invalid"
}

// Decision is the result of Next.
type Decision struct {
	Again bool
	Why   Reason        // the reason if not Again
	At    time.Time     // the start of the next attempt if Again
	Wait  time.Duration // the length of the wait, also for NoTime and AskedTooMuch
	Most  time.Duration // the upper end of the wait before jitter
}

// maxFree bounds the repetitions that are free. A pool is seldom larger.
const maxFree = 100

// Schedule is the state of one operation's retries. Start makes one for each
// operation.
type Schedule struct {
	cfg  *Config
	made int           // retries granted, without those of the schedule Throttled
	slow int           // retries of the schedule Throttled
	once bool          // one of them at once
	free int           // and those that are free
	last time.Duration // the last wait, for Decorrelated
}

// Start begins an operation. cfg must not change while the schedule is in use.
func Start(cfg *Config) Schedule { return Schedule{cfg: cfg} }

// Next decides about another attempt after one that ended at now with r. u is a
// random number in [0, 1). deadline is the end of the operation, zero for none:
// a wait that reaches it is not begun, since no attempt could follow.
func (s *Schedule) Next(now, deadline time.Time, r outcome.Result, u float64) Decision {
	switch r.Outcome {
	case outcome.Success:
		return Decision{Why: Answered}
	case outcome.Transient, outcome.Throttled:
	default:
		return Decision{Why: NotWorthRepeating}
	}
	if r.AtOnce && r.Free && !r.NoRepeat && s.free < maxFree && (deadline.IsZero() || now.Before(deadline)) {
		s.free++
		return Decision{Again: true, At: now}
	}
	atOnce := r.AtOnce && !s.once // also without retries, as net/http does it
	slowly := r.Outcome == outcome.Throttled && s.cfg.Throttled.Retries > 0
	if slowly && s.slow >= s.cfg.Throttled.Retries || !slowly && s.made >= s.cfg.Retries && !(atOnce && s.cfg.Retries == 0) {
		return Decision{Why: Exhausted}
	}
	if r.NoRepeat {
		return Decision{Why: NotRepeatable}
	}

	if atOnce && (deadline.IsZero() || now.Before(deadline)) {
		s.once = true
		s.made++
		return Decision{Again: true, At: now}
	}

	wait, most := s.backoff(u)
	if slowly {
		most = doubled(s.cfg.Throttled.Base, s.slow, s.cfg.Throttled.Max)
		wait = most/2 + time.Duration(u*float64(most/2))
	}
	if r.RetryAfter > 0 && s.cfg.MaxRetryAfter > 0 {
		if r.RetryAfter > s.cfg.MaxRetryAfter {
			return Decision{Why: AskedTooMuch, Wait: r.RetryAfter, Most: r.RetryAfter}
		}
		// The asked wait is the minimum; the backoff may be longer. Jitter only
		// adds to it, or some callers would be too early.
		asked, spread := r.RetryAfter, outcome.Spread(r.RetryAfter)
		wait = max(wait, asked+time.Duration(u*float64(spread)))
		most = max(most, asked+spread)
	}
	at := now.Add(wait)
	if !deadline.IsZero() && !at.Before(deadline) {
		return Decision{Why: NoTime, Wait: wait, Most: most}
	}
	if slowly {
		s.slow++
	} else {
		s.made++
		s.last = wait
	}
	return Decision{Again: true, At: at, Wait: wait, Most: most}
}

// backoff returns the next wait and its upper end.
func (s *Schedule) backoff(u float64) (wait, most time.Duration) {
	base, limit := s.cfg.Base, s.cfg.Max
	if s.cfg.Jitter == Decorrelated {
		most = limit
		if prev := max(s.last, base); prev <= limit/3 { // else three times exceeds the limit, or overflows
			most = 3 * prev
		}
		low := min(base, most)
		return low + time.Duration(u*float64(most-low)), most
	}
	d := doubled(base, s.made, limit)
	switch s.cfg.Jitter {
	case Proportional:
		return d/2 + time.Duration(u*float64(d)), d + d/2
	case None:
		return d, d
	default:
		return time.Duration(u * float64(d)), d
	}
}

// doubled is base after n doublings, at most limit.
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	// A shift that loses bits or reaches the sign exceeds any limit.
	if shifted := base << n; shifted>>n == base && shifted < limit {
		return shifted
	}
	return limit
}
