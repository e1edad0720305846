package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/fifo"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Bulkhead is a bulkhead that is safe for concurrent use.
//
// Without waiters, acquiring and releasing a permit is one atomic step each on the
// snapshot. The first waiter sets its waiters bit. From then on permits are acquired
// under the lock alone, and each release goes on to grant the free permits to the
// waiters. The bit is set exactly while there are waiters; it changes only under
// the lock.
type Bulkhead struct {
	MaxStreams int // streams beside the permits; set before the first use

	snapshot atomic.Uint64
	permits  int
	mu       sync.Mutex
	streams  atomic.Int64
	machine  bulkhead.Bulkhead  // under mu
	waiters  fifo.Queue[waiter] // under mu; those of the machine's queue, in the same order
}

// waiter is a place in the queue, and the caller that waits there. Its Wake grants a
// permit; it is called at most once, and under the lock.
type waiter struct {
	ticket bulkhead.Ticket
	caller world.Parker
}

// NewBulkhead returns an empty bulkhead.
func NewBulkhead(cfg bulkhead.Config) *Bulkhead {
	return &Bulkhead{permits: cfg.Permits, machine: bulkhead.New(cfg)}
}

// Wait is the result of a wait for a permit.
type Wait uint8

const (
	// Acquired: the caller has a permit, and releases it once.
	Acquired Wait = iota
	// QueueFull: the queue has its greatest length.
	QueueFull
	// TimedOut: no permit was free within the limits of the wait.
	TimedOut
	// ContextEnded: the caller's context ended first.
	ContextEnded
)

// TryAcquire acquires a permit if one is free and no other caller waits.
func (b *Bulkhead) TryAcquire() bool {
	for {
		s := b.load()
		next, ok := s.Acquire(b.permits)
		if !ok {
			return false
		}
		if b.swap(s, next) {
			return true
		}
	}
}

// Acquire waits in w for a permit from now until deadline, zero for no deadline, and
// for MaxWait at most.
func (b *Bulkhead) Acquire(ctx context.Context, w world.World, now, deadline time.Time) Wait {
	place, until, how := b.enqueue(w, now)
	switch how {
	case acquired:
		return Acquired
	case rejected:
		return QueueFull
	}
	defer place.caller.Free()
	if until.IsZero() || !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	switch place.caller.Park(ctx, until) {
	case world.ByTime:
		return b.timedOut(place.ticket)
	case world.ByContext:
		return b.contextEnded(place.ticket)
	}
	return Acquired
}

// Release releases a permit, to the first waiter if there is one. It panics if more
// permits were released than acquired, since the limit no longer holds then.
func (b *Bulkhead) Release() {
	if s := b.giveBack(); !s.Uncontended() {
		b.released(s)
	}
}

// ReleaseStream releases the permit of a stream, which has a place of its own from now on.
// It is false, and the stream keeps its permit, if no place is free.
func (b *Bulkhead) ReleaseStream() bool {
	if b.streams.Add(1) > int64(b.MaxStreams) {
		b.streams.Add(-1)
		return false
	}
	b.Release()
	return true
}

// EndStream gives back the place of a stream.
func (b *Bulkhead) EndStream() { b.streams.Add(-1) }

// Streams is the number of streams that have a place.
func (b *Bulkhead) Streams() int { return int(b.streams.Load()) }

// InUse is the number of permits in use.
func (b *Bulkhead) InUse() int { return b.load().InUse() }

// Waiting is the number of waiters.
func (b *Bulkhead) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.Waiting()
}

// timedOut ends a wait at its limit.
func (b *Bulkhead) timedOut(t bulkhead.Ticket) Wait {
	if b.remove(t) {
		return TimedOut
	}
	return Acquired // granted at the same moment
}

// contextEnded ends the wait of a caller that no longer wants the permit.
func (b *Bulkhead) contextEnded(t bulkhead.Ticket) Wait {
	if !b.remove(t) {
		b.Release() // granted at the same moment
	}
	return ContextEnded
}

// giveBack is all of Release if the snapshot is uncontended.
func (b *Bulkhead) giveBack() bulkhead.Snapshot {
	return bulkhead.Snapshot(b.snapshot.Add(^uint64(0)))
}

// released is the rest of Release if it is not.
func (b *Bulkhead) released(s bulkhead.Snapshot) {
	if s.OverReleased() {
		b.snapshot.Add(1)
		panic("holdfast: a permit of a bulkhead was released twice")
	}
	b.grant()
}

func (b *Bulkhead) load() bulkhead.Snapshot { return bulkhead.Snapshot(b.snapshot.Load()) }

func (b *Bulkhead) swap(old, next bulkhead.Snapshot) bool {
	return b.snapshot.CompareAndSwap(uint64(old), uint64(next))
}

// enqueueing is the result of enqueue.
type enqueueing uint8

const (
	enqueued enqueueing = iota
	acquired
	rejected
)

// enqueue is a locked step: it adds a waiter, unless there is none yet and a permit
// has become free since TryAcquire failed.
func (b *Bulkhead) enqueue(w world.World, now time.Time) (waiter, time.Time, enqueueing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, until, ok := b.machine.Enqueue(now)
	if !ok {
		return waiter{}, time.Time{}, rejected
	}
	for {
		s := b.load()
		if next, free := s.Acquire(b.permits); free {
			if b.swap(s, next) {
				b.machine.Remove(t)
				return waiter{}, time.Time{}, acquired
			}
		} else if b.swap(s, s.WithWaiters()) {
			next := waiter{t, w.Parker()}
			b.waiters.Push(next)
			return next, until, enqueued
		}
	}
}

// grant is a locked step: it grants the free permits to waiters in order. The permit
// that the caller released may be taken by now, if there was no waiter for a moment;
// then the release of that permit comes here too.
func (b *Bulkhead) grant() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.grantNext() {
	}
}

// grantNext is one round of grant. It is false if there is nothing left to do.
func (b *Bulkhead) grantNext() bool {
	if b.machine.Waiting() == 0 {
		return false
	}
	s := b.load()
	next, free := s.Grant(b.permits, b.machine.Waiting() == 1)
	if free && b.swap(s, next) {
		t, _ := b.machine.Dequeue()
		b.removeWaiter(t).Wake()
	}
	return free
}

// remove is a locked step: it removes a waiter that gives up. It is false if the
// waiter was granted a permit before.
func (b *Bulkhead) remove(t bulkhead.Ticket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.machine.Remove(t) {
		return false
	}
	b.removeWaiter(t)
	for b.machine.Waiting() == 0 {
		if s := b.load(); b.swap(s, s.WithoutWaiters()) {
			break
		}
	}
	return true
}

// removeWaiter is called under the lock. The waiter is nearly always the first.
func (b *Bulkhead) removeWaiter(t bulkhead.Ticket) world.Parker {
	if b.waiters.Values()[0].ticket == t {
		return b.waiters.Pop().caller
	}
	i, _ := slices.BinarySearchFunc(b.waiters.Values(), t, func(w waiter, t bulkhead.Ticket) int { return cmp.Compare(w.ticket, t) })
	caller := b.waiters.Values()[i].caller
	b.waiters.Delete(i)
	return caller
}
