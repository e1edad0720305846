// Package bulkhead is a limit on concurrency as a pure machine: a number of
// permits, and a bounded queue in order of arrival. It has no lock, no timer and
// no channel; the handle in internal/engine has them.
//
// The Snapshot counts the permits in use, since nearly every operation only
// acquires and releases a free permit: one atomic step each, without the lock. The
// machine is the queue, and is used only while operations wait.
package bulkhead

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/fifo"
)

// Config has a bulkhead's settings. Permits is positive and at most MaxPermits, the
// others may be zero; the caller of New has set the defaults and checked the bounds.
type Config struct {
	Permits int           // in use at once
	Queue   int           // waiting at once; more are rejected
	MaxWait time.Duration // for one permit; zero for no limit
}

// MaxPermits bounds Config.Permits: a Snapshot counts to here.
const MaxPermits = 1<<31 - 1

// Ticket is a place in the queue. Tickets increase, from 1.
type Ticket uint64

// Bulkhead is the queue. It is not safe for concurrent use.
type Bulkhead struct {
	cfg   Config
	last  Ticket
	queue fifo.Queue[Ticket] // increasing
}

// New returns a bulkhead with an empty queue.
func New(cfg Config) Bulkhead { return Bulkhead{cfg: cfg} }

// Enqueue adds a waiter and returns the end of its wait, zero for no limit. It
// is false if the queue is full.
func (b *Bulkhead) Enqueue(now time.Time) (t Ticket, until time.Time, ok bool) {
	if b.queue.Len() >= b.cfg.Queue {
		return 0, time.Time{}, false
	}
	if b.cfg.MaxWait > 0 {
		until = now.Add(b.cfg.MaxWait)
	}
	b.last++
	b.queue.Push(b.last)
	return b.last, until, true
}

// Dequeue removes the first waiter, which gets the permit that is free now. It is
// false if the queue is empty.
func (b *Bulkhead) Dequeue() (Ticket, bool) {
	if b.queue.Len() == 0 {
		return 0, false
	}
	return b.queue.Pop(), true
}

// Remove removes a waiter that gives up. It is false if the waiter has left the
// queue: then it has a permit.
func (b *Bulkhead) Remove(t Ticket) bool {
	i, waits := slices.BinarySearch(b.queue.Values(), t)
	if waits {
		b.queue.Delete(i)
	}
	return waits
}

// Waiting returns the length of the queue.
func (b *Bulkhead) Waiting() int { return b.queue.Len() }

// Clone returns an independent copy, for enumerations and simulations.
func (b *Bulkhead) Clone() Bulkhead {
	c := *b
	c.queue = b.queue.Clone()
	return c
}
