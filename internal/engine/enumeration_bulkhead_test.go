package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/world"
)

// The states of the bulkhead and their keys. The moves are in
// enumeration_bulkhead_moves_test.go, the rules in enumeration_bulkhead_rules_test.go.

// crowd is the greatest number of callers.
const crowd = 4

// bulkheadModel is one configuration.
//
// Without the lock each atomic step is an edge: the load and the swap of TryAcquire,
// and the addition of Release. A locked step is one edge in the coarse model; in the
// fine model each round of grant is an edge. The steps enqueue and remove are never
// divided: each changes the snapshot by one swap, and the rest of their changes
// cannot be seen without the lock.
type bulkheadModel struct {
	callers, permits, queue int
	fine                    bool
}

type bulkheadState struct {
	machine  bulkhead.Bulkhead
	snapshot uint64
	callers  [crowd]acquirer
	line     [crowd]int8 // the waiters in order, by the model's own knowledge: a caller's number + 1
}

// acquirer is a caller of the bulkhead.
type acquirer struct {
	stage   stage
	loaded  bulkhead.Snapshot // the result of its load or of its addition
	ticket  bulkhead.Ticket   // while it waits
	granted bool              // while it waits: it has a permit, and has not looked yet
}

type stage uint8

const (
	away      stage = iota
	looked          // TryAcquire has loaded the snapshot
	toEnqueue       // TryAcquire was false: on its way to the lock
	waiting
	holding  // a permit
	gave     // Release has added, and there were waiters: on its way to the lock
	granting // fine: has the lock, between two rounds
)

func (m *bulkheadModel) start() bulkheadState {
	return bulkheadState{machine: bulkhead.New(bulkhead.Config{Permits: m.permits, Queue: m.queue})}
}

// on makes a handle with the state. Its waiters are the callers that wait and have no
// permit.
func (m *bulkheadModel) on(s *bulkheadState) (*Bulkhead, *[crowd]grants) {
	h := &Bulkhead{permits: m.permits, machine: s.machine.Clone()}
	h.snapshot.Store(s.snapshot)
	granted := new([crowd]grants)
	var waiters []waiter
	for i := range s.callers {
		if c := &s.callers[i]; c.stage == waiting && !c.granted {
			waiters = append(waiters, waiter{c.ticket, &granted[i]})
		}
	}
	slices.SortFunc(waiters, func(a, b waiter) int { return cmp.Compare(a.ticket, b.ticket) })
	for _, w := range waiters {
		h.waiters.Push(w)
	}
	return h, granted
}

// key leaves out the numbers of the tickets, of which only the order matters, and
// the order of the callers.
func (m *bulkheadModel) key(s *bulkheadState) (k key) {
	var codes [crowd]uint64
	for i := range s.callers {
		codes[i] = s.code(i)
	}
	slices.Sort(codes[:])
	k[0] = byte(s.snapshot) | byte(s.snapshot>>63)<<7
	k[1] = byte(s.machine.Waiting())
	for i, code := range codes {
		binary.LittleEndian.PutUint32(k[4+4*i:], uint32(code))
	}
	return k
}

// code is a caller's part of the key: its stage, the snapshot that it loaded, its
// place in the machine's queue and its place in the model's line.
func (s *bulkheadState) code(i int) uint64 {
	c := &s.callers[i]
	n := uint64(c.stage) | uint64(c.loaded&7)<<3 | uint64(c.loaded>>63)<<6
	if c.stage == waiting {
		n |= uint64(slices.Index(lookBulkhead(&s.machine).queue.Values(), c.ticket)+1) << 8
		n |= uint64(slices.Index(s.line[:], int8(i+1))+1) << 12
	}
	if c.granted {
		n |= 1 << 16
	}
	return n
}

// instant is the time of all steps: nothing in the queue depends on it.
var instant = time.Unix(1_000_000, 0)

// grants is a Parker that counts its wake-ups and never waits. The model decides when
// a caller sees its grant.
type grants int

func (g *grants) Park(context.Context, time.Time) world.Woken { panic("the model waits itself") }
func (g *grants) Wake()                                       { *g++ }
func (g *grants) Free()                                       {}

// parked is a World with one Parker.
type parked struct {
	world.Source
	grants grants
}

func (p *parked) Parker() world.Parker { return &p.grants }
