package shell

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// What is enumerated of the bulkhead: its states, and what makes two of them the
// same. The moves are in enumerate_bulkhead_moves_test.go, the rules in
// enumerate_bulkhead_rules_test.go.

// crowd is how many callers there may be.
const crowd = 4

// bulkheadModel is one configuration.
//
// What happens without the lock is one edge for each atomic step: the load and
// the swap of TryTake, and the addition of Give. What happens under the lock is
// one edge in the coarse model; in the fine one the rounds of serve are edges of
// their own. Join and leave are not divided further: each changes the word by
// one swap, and nothing else of what they change can be seen without the lock.
type bulkheadModel struct {
	callers, slots, queue int
	fine                  bool
}

type bulkheadState struct {
	machine bulkhead.Bulkhead
	word    uint64
	callers [crowd]waiter
	line    [crowd]int8 // who waits, in order, as the model knows it: a caller's number + 1
}

// waiter is a caller of the bulkhead.
type waiter struct {
	stage  stage
	word   bulkhead.Word   // what it loaded, or what its addition gave
	ticket bulkhead.Ticket // in line
	served bool            // in line: its slot has come, and it has not looked yet
}

type stage uint8

const (
	away   stage = iota
	loaded       // TryTake has loaded the word
	toJoin       // TryTake was false: on its way to the lock
	inLine
	holding // a slot
	gave    // Give has added, and the word was not plain: on its way to the lock
	serving // fine: holds the lock, between two rounds
)

func (m *bulkheadModel) start() bulkheadState {
	return bulkheadState{machine: bulkhead.New(bulkhead.Config{Slots: m.slots, Queue: m.queue})}
}

// on lays a state into a handle. Who waits and was not served has its channel
// there.
func (m *bulkheadModel) on(s *bulkheadState) (*Bulkhead, *[crowd]chan struct{}) {
	h := &Bulkhead{slots: m.slots, machine: s.machine.Clone()}
	h.word.Store(s.word)
	var woken [crowd]chan struct{}
	for i := range s.callers {
		woken[i] = make(chan struct{}, 1)
		if c := &s.callers[i]; c.stage == inLine && !c.served {
			h.line = append(h.line, place{c.ticket, woken[i]})
		}
	}
	slices.SortFunc(h.line, func(a, b place) int { return cmp.Compare(a.ticket, b.ticket) })
	return h, &woken
}

// key leaves out the numbers of tickets, of which their order remains, and which
// caller is which.
func (m *bulkheadModel) key(s *bulkheadState) (k key) {
	var codes [crowd]uint64
	for i := range s.callers {
		codes[i] = s.code(i)
	}
	slices.Sort(codes[:])
	k[0] = byte(s.word) | byte(s.word>>63)<<7
	k[1] = byte(s.machine.Waiting())
	for i, code := range codes {
		binary.LittleEndian.PutUint32(k[4+4*i:], uint32(code))
	}
	return k
}

// code is a caller's part of the key: its stage, the word that it holds, its
// place in the machine's queue and its place in the model's line.
func (s *bulkheadState) code(i int) uint64 {
	c := &s.callers[i]
	n := uint64(c.stage) | uint64(c.word&7)<<3 | uint64(c.word>>63)<<6
	if c.stage == inLine {
		n |= uint64(slices.Index(lookBulkhead(&s.machine).queue, c.ticket)+1) << 8
		n |= uint64(slices.Index(s.line[:], int8(i+1))+1) << 12
	}
	if c.served {
		n |= 1 << 16
	}
	return n
}

// instant is when things happen: nothing in the queue depends on it.
var instant = time.Unix(1_000_000, 0)
