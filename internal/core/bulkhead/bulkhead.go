// Package bulkhead is the limit on how much runs at once, as a pure machine: so
// many slots, and a bounded queue that is served in order. It has no lock, no
// timer and no channel; the handle that has them is in internal/shell.
//
// The number of slots in use lives in the Word, not here, because taking and
// giving back a free slot is what nearly every call does: one atomic step each,
// without the lock. The machine holds the queue, and is asked only when somebody
// has to wait or is waiting.
package bulkhead

import (
	"slices"
	"time"
)

// Config is a bulkhead's three numbers, its defaults filled in and its bounds
// checked: Slots is positive and at most MaxSlots, the others may be zero.
type Config struct {
	Slots   int           // at once
	Queue   int           // waiting at once; one more is refused
	MaxWait time.Duration // for one slot; zero for as long as the caller likes
}

// MaxSlots bounds Config.Slots: the word counts to here.
const MaxSlots = 1<<31 - 1

// Word is the slots in use and whether somebody waits. The zero Word is an
// empty bulkhead.
type Word uint64

// waiting says that the queue is not empty. From then on nobody takes a slot past
// the lock: one that comes free is for the first in line.
const waiting Word = 1 << 63

// Take gives the word after a free slot was taken, and false if none is free or
// others are waiting for one.
func (w Word) Take(slots int) (Word, bool) {
	return w + 1, w < Word(slots) // with the waiting bit set, w is larger than any count
}

// Serve gives the word after a free slot was taken for the first in line, and
// false if none is free. last says that nobody waits after that one.
func (w Word) Serve(slots int, last bool) (Word, bool) {
	free := w.InUse() < slots
	if w++; last {
		w &^= waiting
	}
	return w, free
}

// Wait gives the word that keeps everybody else from taking a slot.
func (w Word) Wait() Word { return w | waiting }

// Calm gives the word after the last in line has left it.
func (w Word) Calm() Word { return w &^ waiting }

// Plain reports whether the word is a count and nothing else: nobody waits, and
// no more was given back than was taken.
func (w Word) Plain() bool { return w <= MaxSlots }

// Overdrawn reports whether more slots were given back than were taken.
func (w Word) Overdrawn() bool { return w.Calm() > MaxSlots }

// InUse is the number of slots that are taken.
func (w Word) InUse() int { return int(w.Calm()) }

// Ticket is a place in the queue. Tickets are given out in increasing order,
// from 1.
type Ticket uint64

// Bulkhead is the queue. It is not safe for concurrent use.
type Bulkhead struct {
	cfg   Config
	last  Ticket
	queue []Ticket // increasing: the front is served next
}

// New returns a bulkhead nobody waits at.
func New(cfg Config) Bulkhead { return Bulkhead{cfg: cfg} }

// Join puts a caller in line and says until when it may wait, zero for no limit.
// It is false if the queue is full.
func (b *Bulkhead) Join(now time.Time) (t Ticket, until time.Time, ok bool) {
	if len(b.queue) >= b.cfg.Queue {
		return 0, time.Time{}, false
	}
	if b.cfg.MaxWait > 0 {
		until = now.Add(b.cfg.MaxWait)
	}
	b.last++
	b.queue = append(b.queue, b.last)
	return b.last, until, true
}

// Serve takes the first in line out of the queue, whose the slot is that just
// came free. It is false if nobody waits.
func (b *Bulkhead) Serve() (Ticket, bool) {
	if len(b.queue) == 0 {
		return 0, false
	}
	t := b.queue[0]
	b.queue = b.queue[1:]
	return t, true
}

// Leave takes a caller that gave up out of the queue. It is false if the caller
// is not in it any more: then it was served, and a slot is its own.
func (b *Bulkhead) Leave(t Ticket) bool {
	i, waits := slices.BinarySearch(b.queue, t)
	if waits {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	return waits
}

// Waiting is the length of the queue.
func (b *Bulkhead) Waiting() int { return len(b.queue) }

// Clone gives an independent copy: enumeration and simulation branch here.
func (b *Bulkhead) Clone() Bulkhead {
	c := *b
	c.queue = slices.Clone(b.queue)
	return c
}
