package shell

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// What is enumerated of the breaker: its states, and what makes two of them the
// same. The moves are in enumerate_breaker_moves_test.go, the rules in
// enumerate_breaker_rules_test.go.

const (
	tick      = time.Second // time passes in these
	openFor   = 2 * tick
	limit     = 1 * tick // of each operation
	expiry    = limit + openFor
	beyond    = expiry + tick // past every instant that a machine remembers
	threshold = 2
	most      = 3 // callers
)

// breakerModel is one configuration.
//
// The coarse model makes a locked step by calling the production method, lock
// and publication included. The fine one takes it apart: the machine's step and
// publish are two edges, and others load the word in between.
type breakerModel struct {
	callers, probes int
	fine            bool
	merged          bool // see toLock

	handle Breaker // where production's methods run: each step lays its state here first
}

type breakerState struct {
	machine breaker.Breaker
	word    uint64
	now     time.Time
	locked  bool // fine: the machine has stepped, and the step is not published
	callers [most]caller
	lost    [most]time.Time // when the permits expire that nobody will return; zero for none
}

// caller is one operation at a time, by somebody who holds at most one ticket.
type caller struct {
	phase      phase
	outcome    outcome.Outcome // while returning or noting
	ticket     breaker.Ticket
	returned   bool // the ticket was given back; the caller still has a copy
	publishing bool // fine: holds the lock, and has yet to publish

	// What the model knows without asking the machine: the ticket is a half-open
	// permit that is out, until this instant; zero if it is none, or none any more.
	permit time.Time
}

type phase uint8

const (
	idle       phase = iota
	admitted         // has a ticket
	asking           // the word did not answer: the caller is on its way to the lock
	confirming       // likewise, as are the next two
	returning
	noting
)

func (m *breakerModel) start() breakerState {
	return breakerState{
		machine: breaker.New(breaker.Config{Threshold: threshold, OpenFor: openFor, Probes: m.probes}),
		now:     time.Unix(1_000_000, 0),
	}
}

// on lays a state into the handle.
func (m *breakerModel) on(s *breakerState) *Breaker {
	m.handle.machine = s.machine.Clone()
	m.handle.word.Store(s.word)
	return &m.handle
}

// take takes the handle's state over.
func (s *breakerState) take(h *Breaker) { s.machine, s.word = h.machine, h.word.Load() }

// wordEpoch is the epoch that the published word names.
func (s *breakerState) wordEpoch() uint64 { return lookTicket(admission(s.word)).epoch }

func admission(w uint64) *breaker.Ticket {
	t, _ := breaker.Word(w).Admit()
	return &t
}

// worth is what a ticket is worth, and all that its numbers mean: epochs and
// generations only ever grow, so one that is past will not match again.
type worth uint8

const (
	none      worth = iota
	old             // of an epoch that is over
	overtaken       // of the epoch in the word, which the machine has left: the step is not published yet
	current         // of the closed state as it is
	gone            // a permit of this epoch whose slot is in another generation
	standing        // a permit whose generation is its slot's; plus the slot's index
)

func (s *breakerState) worth(c *caller) worth {
	t, m := lookTicket(&c.ticket), look(&s.machine)
	switch {
	case c.phase == idle || c.phase == asking:
		return none
	case t.epoch != m.epoch && t.epoch == s.wordEpoch():
		return overtaken
	case t.epoch != m.epoch:
		return old
	case t.probe == 0:
		return current
	case int(t.probe) > len(m.slots) || m.slots[t.probe-1].generation != t.generation:
		return gone
	}
	return standing + worth(t.probe-1)
}

// left is how many ticks are left until t, from none to seven. Time only goes
// on here, so how long ago an instant was makes no difference. (A clock that
// does not only go on has its timelines in the machine's own tests.)
func (s *breakerState) left(t time.Time) byte {
	if !t.After(s.now) {
		return 0
	}
	return byte(t.Sub(s.now)/tick) & 7
}

// key leaves out: the numbers of epochs and generations, of which worth keeps
// what they mean; how long ago something was; the instants that only statistics
// show; how many failures opened the breaker, once it is open, since nothing but
// the word's bit comes of them; and which caller is which.
func (m *breakerModel) key(s *breakerState) (k key) {
	b, w := look(&s.machine), breaker.Word(s.word)
	k[0] = byte(b.state) | byte(w&7)<<2 // the word's state and its bit
	if s.locked {
		k[0] |= 1 << 5
	}
	k[1] = byte(b.epoch - s.wordEpoch()) // a step makes one epoch at most
	if k[2] = byte(b.failures); b.state != breaker.Closed {
		k[2] = min(k[2], 1)
	}
	k[3] = byte(b.successes) << 4
	if b.state == breaker.Open {
		k[3] |= s.left(b.retryAt)
	}
	for i, slot := range b.slots {
		k[4+i] = s.left(slot.expires) // three slots at most, of which a planted bug makes one
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
	n := uint32(c.phase) | uint32(c.outcome)<<3 | uint32(s.worth(c))<<6 | uint32(s.left(c.permit))<<10
	if c.returned {
		n |= 1 << 13
	}
	if c.publishing {
		n |= 1 << 14
	}
	return n
}
