// Package breaker is the circuit breaker as a pure machine: time and outcomes
// are arguments, decisions are results. It has no clock, no lock and no timer;
// the handle in internal/engine has the lock.
//
// A number of failures in a row opens it. An open breaker admits nothing for a
// while. Then it admits a few probes, and as many successes in a row close it. The
// difficulty is results that arrive late, twice or never: a result from before the
// outage, a ticket that is returned twice, a probe with a dead goroutine. Three
// devices handle them. Every change of state begins a new epoch, and results of
// older epochs are ignored. Every probe has a generation, so that a second return
// no longer matches. Every probe has an expiry, so that half-open always ends.
package breaker

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// State decides which operations a breaker admits.
type State uint8

const (
	// Closed admits all operations and counts failures in a row.
	Closed State = iota
	// Open admits none until its time is over.
	Open
	// HalfOpen admits a few probes at a time, and their outcomes decide.
	HalfOpen
)

var stateNames = [...]string{"closed", "open", "half_open"}

// String returns closed, open or half_open.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// MaxProbes bounds Config.Probes: more at once would be traffic.
const MaxProbes = 1000

// DefaultProbeLimit bounds a probe of an operation without a limit.
const DefaultProbeLimit = 10 * time.Minute

// Config has a breaker's settings. All must be positive; the caller of New has set
// the defaults and checked the bounds.
type Config struct {
	Threshold int           // failures in a row that open it
	OpenFor   time.Duration // the time that it then stays open
	Probes    int           // probes at once in half-open, and successes in a row that close it; at most MaxProbes
}

// Breaker is the machine. It is not safe for concurrent use. With a published
// Snapshot most operations need no lock.
type Breaker struct {
	cfg   Config
	state State
	epoch uint64 // bumped with each change of state; a ticket carries the one it was issued in

	failures    int // in a row, while closed; those that opened it, afterwards
	successes   int // in a row, while half-open
	openedAt    time.Time
	retryAt     time.Time // the end of the open time
	lastFailure time.Time

	probes []probe // Config.Probes of them in half-open; empty otherwise
}

// probe is a place for one operation in half-open. It is free if its expiry is zero
// or past.
type probe struct {
	generation uint64 // of the ticket that has it
	expires    time.Time
}

// Ticket is the right to run one operation. Copies are the same ticket.
type Ticket struct {
	epoch      uint64
	generation uint64
	probe      uint16 // the probe's index + 1; 0 for a ticket of the closed state
}

// Probe reports whether the ticket is that of a probe. Its holder makes one attempt:
// retries of probes would multiply the load on a service that is recovering.
func (t Ticket) Probe() bool { return t.probe != 0 }

// Change is a change of state, to be reported once the lock is released. The zero
// Change is none.
type Change struct {
	From, To State
	Epoch    uint64    // of the new state; orders the changes of one breaker
	Failures int       // Open: the failures in a row that opened it
	Since    time.Time // HalfOpen, Closed: the time of the opening
	RetryAt  time.Time // Open: the time of the first probe
}

// Happened reports whether c is a change at all.
func (c Change) Happened() bool { return c.Epoch != 0 }

// New returns a closed breaker.
func New(cfg Config) Breaker { return Breaker{cfg: cfg} }

// Allow decides whether an operation may start at now. limit bounds the operation,
// zero for no limit: a probe expires once limit and the open time have passed.
//
// A rejection has the instant at which the next call makes sense.
func (b *Breaker) Allow(now time.Time, limit time.Duration) (t Ticket, retryAt time.Time, c Change, ok bool) {
	switch b.state {
	case Closed:
		return Ticket{epoch: b.epoch}, time.Time{}, Change{}, true
	case Open:
		if now.Before(b.retryAt) {
			return Ticket{}, b.retryAt, Change{}, false
		}
		c = b.become(HalfOpen)
		b.probes = make([]probe, b.cfg.Probes)
	}
	for i := range b.probes {
		p := &b.probes[i]
		if p.expires.After(now) {
			continue
		}
		if limit <= 0 {
			limit = DefaultProbeLimit
		}
		p.generation++
		p.expires = now.Add(limit + b.cfg.OpenFor)
		return Ticket{epoch: b.epoch, generation: p.generation, probe: uint16(i + 1)}, time.Time{}, c, true
	}
	return Ticket{}, b.probeFree(), c, false
}

// Confirm asks again for an operation that was admitted before and is about to
// start an attempt: the breaker may have opened while the operation waited. It
// returns the same ticket if that is still valid. Else, after a change of state or
// the expiry of the probe, the operation is admitted anew or rejected.
func (b *Breaker) Confirm(now time.Time, t Ticket, limit time.Duration) (Ticket, time.Time, Change, bool) {
	if b.holds(now, t) {
		return t, time.Time{}, Change{}, true
	}
	return b.Allow(now, limit)
}

// Done takes the ticket back with the operation's outcome. It changes nothing if the
// ticket is of an older epoch, or of a probe that was returned or has expired.
func (b *Breaker) Done(now time.Time, t Ticket, o outcome.Outcome) Change {
	if !b.holds(now, t) {
		return Change{}
	}
	if t.probe != 0 {
		b.probes[t.probe-1].expires = time.Time{} // free: the ticket is no longer valid
	}
	return b.judge(now, o)
}

// AnswerBegan takes the ticket back for an answer that has begun and has not ended yet. A
// probe has succeeded: the service is up. A closed breaker learns nothing, since an
// answer can still break off. AnswerEnded tells it how the answer ended.
func (b *Breaker) AnswerBegan(now time.Time, t Ticket) Change {
	if t.probe == 0 {
		return Change{}
	}
	return b.Done(now, t, outcome.Success)
}

// AnswerEnded counts the end of an answer after its ticket was returned: Success for a good end,
// Transient for an answer that broke off. Only a good end forgets the failures before it.
// The end of a probe's answer counts in every epoch but an open one: the probe itself may
// have begun the next. Otherwise an end of an older epoch changes nothing.
func (b *Breaker) AnswerEnded(now time.Time, t Ticket, o outcome.Outcome) Change {
	switch {
	case t.epoch != b.epoch && (t.probe == 0 || b.state == Open):
		return Change{}
	case o == outcome.Success && b.state == HalfOpen: // AnswerBegan has counted it
		return Change{}
	}
	return b.judge(now, o)
}

// Note counts an outcome and leaves the ticket valid: one attempt of an operation
// that goes on. Outcomes of older epochs change nothing.
func (b *Breaker) Note(now time.Time, t Ticket, o outcome.Outcome) Change {
	if t.epoch != b.epoch {
		return Change{}
	}
	return b.judge(now, o)
}

// judge counts an outcome of this epoch.
func (b *Breaker) judge(now time.Time, o outcome.Outcome) Change {
	if o == outcome.Transient {
		b.lastFailure = now
	}
	switch b.state {
	case Closed:
		switch o {
		case outcome.Success:
			b.failures = 0
		case outcome.Transient:
			if b.failures++; b.failures >= b.cfg.Threshold {
				return b.open(now)
			}
		}
	case HalfOpen:
		switch o {
		// A Permanent outcome is a successful probe: the service is up. Else the
		// breaker of a service that answers 404 would never close.
		case outcome.Success, outcome.Permanent:
			if b.successes++; b.successes >= b.cfg.Probes {
				c := b.become(Closed)
				b.failures, b.probes = 0, nil
				return c
			}
		case outcome.Transient:
			b.failures++
			return b.open(now)
		}
	}
	return Change{}
}

func (b *Breaker) open(now time.Time) Change {
	b.openedAt, b.retryAt, b.probes = now, now.Add(b.cfg.OpenFor), nil
	return b.become(Open)
}

// become is the only place where the state changes.
func (b *Breaker) become(s State) Change {
	c := Change{From: b.state, To: s, Epoch: b.epoch + 1, Since: b.openedAt}
	if s == Open {
		c.Failures, c.RetryAt = b.failures, b.retryAt
	}
	b.state, b.successes = s, 0
	b.epoch++
	return c
}

// holds reports whether t is valid: of this epoch, and not returned or expired.
func (b *Breaker) holds(now time.Time, t Ticket) bool {
	if t.epoch != b.epoch {
		return false
	}
	if t.probe == 0 {
		return true
	}
	p := b.probes[t.probe-1]
	return p.generation == t.generation && p.expires.After(now)
}

// probeFree returns the first instant at which a probe expires.
func (b *Breaker) probeFree() time.Time {
	at := b.probes[0].expires
	for _, p := range b.probes[1:] {
		if p.expires.Before(at) {
			at = p.expires
		}
	}
	return at
}

// State returns the state at now. After its open time a breaker is half-open,
// even before the next call of Allow.
func (b *Breaker) State(now time.Time) State {
	if b.state == Open && !now.Before(b.retryAt) {
		return HalfOpen
	}
	return b.state
}

// Next returns the next instant at which time alone changes an answer: the end
// of the open time, or the first expiry if no probe is free. It is false if
// there is none.
func (b *Breaker) Next(now time.Time) (time.Time, bool) {
	switch {
	case b.state == Open && now.Before(b.retryAt):
		return b.retryAt, true
	case b.state == HalfOpen && b.probeFree().After(now):
		return b.probeFree(), true
	}
	return time.Time{}, false
}

// Stats is the state of a breaker for statistics.
type Stats struct {
	State       State
	Failures    int // in a row; those that opened it while it is not closed
	Successes   int // in a row, in half-open
	OpenedAt    time.Time
	RetryAt     time.Time
	LastFailure time.Time
	Probing     int // probes in use
}

// Stats reads the machine at now and changes nothing.
func (b *Breaker) Stats(now time.Time) Stats {
	s := Stats{
		State: b.State(now), Failures: b.failures, Successes: b.successes, LastFailure: b.lastFailure,
	}
	if b.state != Closed {
		s.OpenedAt, s.RetryAt = b.openedAt, b.retryAt
	}
	for _, p := range b.probes {
		if p.expires.After(now) {
			s.Probing++
		}
	}
	return s
}

// Clone returns an independent copy, for enumerations and simulations.
func (b *Breaker) Clone() Breaker {
	c := *b
	c.probes = slices.Clone(b.probes)
	return c
}
