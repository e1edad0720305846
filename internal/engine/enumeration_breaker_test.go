package engine

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The states of the breaker and their keys. The moves are in
// enumeration_breaker_moves_test.go, the rules in enumeration_breaker_rules_test.go.

const (
	tick      = time.Second // time passes in these
	openFor   = 2 * tick
	limit     = 1 * tick // of each operation
	expiry    = limit + openFor
	beyond    = expiry + tick // past every instant in a machine
	threshold = 2
	most      = 3 // callers
)

// breakerModel is one configuration.
//
// In the coarse model a locked step is one call of the production method, with lock
// and publication. In the fine model the machine's step and publish are two edges,
// and other callers load the snapshot between them.
type breakerModel struct {
	callers, probes int
	fine            bool
	merged          bool // see toLock

	handle Breaker // each step sets its state here, and calls the production method
}

type breakerState struct {
	machine  breaker.Breaker
	snapshot uint64
	now      time.Time
	locked   bool // fine: the machine has stepped, and the step is not published
	callers  [most]caller
	lost     [most]time.Time // the expiries of the probes that are never returned; zero for none
}

// caller runs one operation at a time, and has at most one ticket.
type caller struct {
	phase      phase
	outcome    outcome.Outcome // while returning, noting or ending
	ticket     breaker.Ticket
	returned   bool // the ticket was given back; the caller still has a copy
	publishing bool // fine: holds the lock, and has yet to publish

	// The model's own knowledge: the expiry of the ticket if it is that of a probe
	// that is out, else zero.
	expires time.Time
}

type phase uint8

const (
	idle       phase = iota
	admitted         // has a ticket
	asking           // the snapshot did not answer: the caller is on its way to the lock
	confirming       // likewise, and so the next two
	returning
	noting
	beginning
	ending
)

func (m *breakerModel) start() breakerState {
	return breakerState{
		machine: breaker.New(breaker.Config{Threshold: threshold, OpenFor: openFor, Probes: m.probes}),
		now:     time.Unix(1_000_000, 0),
	}
}

// on sets the handle to a state.
func (m *breakerModel) on(s *breakerState) *Breaker {
	m.handle.machine = s.machine.Clone()
	m.handle.snapshot.Store(s.snapshot)
	return &m.handle
}

// take copies the state of the handle.
func (s *breakerState) take(h *Breaker) { s.machine, s.snapshot = h.machine, h.snapshot.Load() }

// publishedEpoch is the epoch of the published snapshot.
func (s *breakerState) publishedEpoch() uint64 { return lookTicket(admission(s.snapshot)).epoch }

func admission(s uint64) *breaker.Ticket {
	t, _ := breaker.Snapshot(s).Admit()
	return &t
}

// validity replaces the numbers of a ticket: epochs and generations only grow, so
// one that is past never matches again.
type validity uint8

const (
	none      validity = iota
	old                // of an epoch that is over
	oldProbe           // likewise, and of a probe
	overtaken          // of the snapshot's epoch, which the machine has left: its step is not published yet
	current            // of the closed state
	gone               // of a probe of this epoch, of another generation
	standing           // of a probe of this generation; plus its index
)

func (s *breakerState) validity(c *caller) validity {
	t, m := lookTicket(&c.ticket), look(&s.machine)
	switch {
	case c.phase == idle || c.phase == asking:
		return none
	case t.epoch != m.epoch && t.probe != 0:
		return oldProbe
	case t.epoch != m.epoch && t.epoch == s.publishedEpoch():
		return overtaken
	case t.epoch != m.epoch:
		return old
	case t.probe == 0:
		return current
	case int(t.probe) > len(m.probes) || m.probes[t.probe-1].generation != t.generation:
		return gone
	}
	return standing + validity(t.probe-1)
}

// left is the number of ticks until t, from 0 to 7. Time only goes forward here, so
// past instants are all the same. (The tests of the machine have timelines with
// other clocks.)
func (s *breakerState) left(t time.Time) byte {
	if !t.After(s.now) {
		return 0
	}
	return byte(t.Sub(s.now)/tick) & 7
}

// key leaves out what makes no difference: the numbers of epochs and generations,
// for which validity stands; the distance of past instants; the instants that only
// statistics show; the number of failures once the breaker is open, of which only
// the snapshot's bit remains; and the order of the callers.
func (m *breakerModel) key(s *breakerState) (k key) {
	b, published := look(&s.machine), breaker.Snapshot(s.snapshot)
	k[0] = byte(b.state) | byte(published&7)<<2 // the snapshot's state and its bit
	if s.locked {
		k[0] |= 1 << 5
	}
	k[1] = byte(b.epoch - s.publishedEpoch()) // a step begins one epoch at most
	if k[2] = byte(b.failures); b.state != breaker.Closed {
		k[2] = min(k[2], 1)
	}
	k[3] = byte(b.successes) << 4
	if b.state == breaker.Open {
		k[3] |= s.left(b.retryAt)
	}
	for i, probe := range b.probes {
		k[4+i] = s.left(probe.expires) // three at most; the third exists with a planted bug only
	}
	for i, at := range s.lost {
		k[7+i] = s.left(at)
	}
	slices.Sort(k[7:10])
	var codes [most]uint32
	for i := range s.callers {
		codes[i] = s.code(&s.callers[i])
	}
	slices.Sort(codes[:])
	for i, code := range codes {
		binary.LittleEndian.PutUint32(k[12+4*i:], code)
	}
	return k
}

// code is a caller's part of the key.
func (s *breakerState) code(c *caller) uint32 {
	n := uint32(c.phase) | uint32(c.outcome)<<3 | uint32(s.validity(c))<<6 | uint32(s.left(c.expires))<<10
	if c.returned {
		n |= 1 << 13
	}
	if c.publishing {
		n |= 1 << 14
	}
	return n
}
