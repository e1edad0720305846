// Package breaker is the circuit breaker as a pure machine: it is told the time
// and the outcomes, and answers with decisions. It has no clock, no lock and no
// timer; the handle that has them is in internal/shell.
//
// In a word: so many failures in a row open it, an open breaker admits nothing
// for a while, then a few probes may try, and as many successes in a row close
// it. What makes that hard is everything that comes late, twice or never: a
// result from before the outage, a permit returned two times, a probe whose
// goroutine died. Three devices deal with all of them. Every change of state
// begins a new epoch, and a result that started in an older one is ignored.
// Every probe occupies a slot with a generation, so that a second return finds
// the generation gone. And every occupied slot has an expiry, so that half-open
// cannot last for ever.
package breaker

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// State is what a breaker does with those who ask.
type State uint8

const (
	// Closed admits everyone and counts failures in a row.
	Closed State = iota
	// Open admits nobody until its time is over.
	Open
	// HalfOpen admits a few probes at a time and judges by them.
	HalfOpen
)

var stateNames = [...]string{"closed", "open", "half_open"}

// String gives closed, open or half_open.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// MaxProbes bounds Config.Probes: more probes than this at once are no probe
// but traffic.
const MaxProbes = 1000

// DefaultProbeLimit is how long a probe may take that has no limit of its own.
const DefaultProbeLimit = 10 * time.Minute

// Config is a breaker's three numbers. All must be positive; whoever builds a
// machine has filled in the defaults and checked the bounds.
type Config struct {
	Threshold int           // failures in a row that open it
	OpenFor   time.Duration // how long it then stays open
	Probes    int           // probes at once in half-open, and successes in a row that close it; at most MaxProbes
}

// Breaker is the machine. It is not safe for concurrent use; see Word for how a
// shell spares the quiet path its lock.
type Breaker struct {
	cfg   Config
	state State
	epoch uint64 // bumped with each change of state; a ticket carries the one it was issued in

	failures    int // in a row, while closed; those that opened it, afterwards
	successes   int // in a row, while half-open
	openedAt    time.Time
	retryAt     time.Time // the end of the open time
	lastFailure time.Time

	slots []slot // one for each probe of half-open; empty otherwise
}

// slot is a half-open permit. It is free when its expiry is zero or past.
type slot struct {
	generation uint64 // of the ticket that may return it
	expires    time.Time
}

// Ticket is the right to make one operation. It is a small value; copies of it
// are the same ticket.
type Ticket struct {
	epoch      uint64
	generation uint64
	probe      uint16 // the slot's index + 1; 0 for a ticket of the closed state
}

// Probe reports whether the ticket is a half-open permit: its holder makes one
// attempt, since retries inside probes multiply the load on a service that is
// just getting up.
func (t Ticket) Probe() bool { return t.probe != 0 }

// Change is a change of state, for the shell to publish after it has unlocked.
// The zero Change is none.
type Change struct {
	From, To State
	Epoch    uint64    // of the new state; orders the changes of one breaker
	Failures int       // Open: the failures in a row that opened it
	Since    time.Time // when the state that ended had begun to count: the opening, for HalfOpen and Closed
	RetryAt  time.Time // Open: when the first probe may go
}

// Happened reports whether c is a change at all.
func (c Change) Happened() bool { return c.Epoch != 0 }

// New returns a closed breaker.
func New(cfg Config) Breaker { return Breaker{cfg: cfg} }

// Allow decides whether an operation may start at now. limit is how long the
// operation may take at most, zero if it has no limit; it matters to a probe,
// whose slot is free again once limit and the open time have passed.
//
// A refusal comes with the instant at which asking again makes sense.
func (b *Breaker) Allow(now time.Time, limit time.Duration) (t Ticket, retryAt time.Time, c Change, ok bool) {
	switch b.state {
	case Closed:
		return Ticket{epoch: b.epoch}, time.Time{}, Change{}, true
	case Open:
		if now.Before(b.retryAt) {
			return Ticket{}, b.retryAt, Change{}, false
		}
		c = b.become(HalfOpen)
		b.slots = make([]slot, b.cfg.Probes)
	}
	for i := range b.slots {
		s := &b.slots[i]
		if s.expires.After(now) {
			continue
		}
		if limit <= 0 {
			limit = DefaultProbeLimit
		}
		s.generation++
		s.expires = now.Add(limit + b.cfg.OpenFor)
		return Ticket{epoch: b.epoch, generation: s.generation, probe: uint16(i + 1)}, time.Time{}, c, true
	}
	return Ticket{}, b.slotFree(), c, false
}

// Confirm asks again on behalf of an operation that was admitted before and is
// about to start an attempt: while it waited for its turn, the breaker may have
// opened. A ticket that is still good comes back as it is; one of an older
// epoch, or of a slot that has expired, has to be admitted anew.
func (b *Breaker) Confirm(now time.Time, t Ticket, limit time.Duration) (Ticket, time.Time, Change, bool) {
	if b.holds(now, t) {
		return t, time.Time{}, Change{}, true
	}
	return b.Allow(now, limit)
}

// Done takes the ticket back with the operation's verdict. A ticket of an older
// epoch changes nothing, and neither does a permit that was returned before or
// has expired.
func (b *Breaker) Done(now time.Time, t Ticket, o outcome.Outcome) Change {
	if !b.holds(now, t) {
		return Change{}
	}
	if t.probe != 0 {
		b.slots[t.probe-1].expires = time.Time{} // free: whoever returns this ticket again finds it gone
	}
	return b.judge(now, o)
}

// Note counts an outcome without taking the ticket back: one attempt of an
// operation that goes on, or a body that broke after its headers were taken for
// a success. Outcomes of an older epoch change nothing.
func (b *Breaker) Note(now time.Time, t Ticket, o outcome.Outcome) Change {
	if t.epoch != b.epoch {
		return Change{}
	}
	return b.judge(now, o)
}

// judge lets an outcome of this epoch count.
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
		// A refusal counts as a probe that succeeded: the service is up and said
		// no. Otherwise one that answers 404 would never close its breaker.
		case outcome.Success, outcome.Permanent:
			if b.successes++; b.successes >= b.cfg.Probes {
				c := b.become(Closed)
				b.failures, b.slots = 0, nil
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
	b.openedAt, b.retryAt, b.slots = now, now.Add(b.cfg.OpenFor), nil
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

// holds reports whether t is a ticket of this epoch that is still out.
func (b *Breaker) holds(now time.Time, t Ticket) bool {
	if t.epoch != b.epoch {
		return false
	}
	if t.probe == 0 {
		return true
	}
	s := b.slots[t.probe-1]
	return s.generation == t.generation && s.expires.After(now)
}

// slotFree is the first instant at which an occupied slot expires.
func (b *Breaker) slotFree() time.Time {
	at := b.slots[0].expires
	for _, s := range b.slots[1:] {
		if s.expires.Before(at) {
			at = s.expires
		}
	}
	return at
}

// State gives the state as seen at now: an open breaker whose time is over reads
// as half-open, although nothing has asked it yet.
func (b *Breaker) State(now time.Time) State {
	if b.state == Open && !now.Before(b.retryAt) {
		return HalfOpen
	}
	return b.state
}

// Next gives the next instant at which time alone changes an answer, and false
// if none does: the end of the open time, or the expiry that frees the first
// probe slot when none is free.
func (b *Breaker) Next(now time.Time) (time.Time, bool) {
	switch {
	case b.state == Open && now.Before(b.retryAt):
		return b.retryAt, true
	case b.state == HalfOpen && b.slotFree().After(now):
		return b.slotFree(), true
	}
	return time.Time{}, false
}

// Snapshot is the machine as it stands, for statistics.
type Snapshot struct {
	State       State
	Failures    int // in a row; those that opened it while it is not closed
	Successes   int // in a row, in half-open
	OpenedAt    time.Time
	RetryAt     time.Time
	LastFailure time.Time
	Probing     int // half-open slots that are taken
}

// Snapshot reads the machine at now and changes nothing.
func (b *Breaker) Snapshot(now time.Time) Snapshot {
	s := Snapshot{
		State: b.State(now), Failures: b.failures, Successes: b.successes, LastFailure: b.lastFailure,
	}
	if b.state != Closed {
		s.OpenedAt, s.RetryAt = b.openedAt, b.retryAt
	}
	for _, slot := range b.slots {
		if slot.expires.After(now) {
			s.Probing++
		}
	}
	return s
}

// Clone gives an independent copy: enumeration and simulation branch here.
func (b *Breaker) Clone() Breaker {
	c := *b
	c.slots = slices.Clone(b.slots)
	return c
}
