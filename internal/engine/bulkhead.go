package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// Bulkhead is a bulkhead that is safe for concurrent use.
//
// Without waiters, acquiring and releasing a permit is one atomic step each on the
// snapshot. The first waiter sets its waiters bit. From then on permits are acquired
// under the lock alone, and each release goes on to grant the free permits to the
// waiters. The bit is set exactly while there are waiters; it changes only under
// the lock.
type Bulkhead struct {
	snapshot atomic.Uint64
	permits  int
	mu       sync.Mutex
	machine  bulkhead.Bulkhead // under mu
	waiters  []waiter          // under mu; those of the machine's queue, in the same order
}

// waiter is a place in the queue, and the channel that grants it a permit.
type waiter struct {
	ticket  bulkhead.Ticket
	granted chan<- struct{}
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

// Acquire waits for a permit from now until deadline, zero for no deadline, and for
// MaxWait at most.
func (b *Bulkhead) Acquire(ctx context.Context, now, deadline time.Time) Wait {
	granted := make(chan struct{}, 1) // at most one grant, so that Release never blocks
	t, until, how := b.enqueue(now, granted)
	switch how {
	case acquired:
		return Acquired
	case rejected:
		return QueueFull
	}
	if until.IsZero() || !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(until.Sub(now))
		defer timer.Stop()
		timeout = timer.C
	}
	done := ctx.Done()
	if timeout == nil && done == nil { // only a grant can end the wait
		<-granted
		return Acquired
	}
	select {
	case <-granted:
		return Acquired
	case <-timeout:
		return b.timedOut(t)
	case <-done:
		return b.contextEnded(t)
	}
}

// Release releases a permit, to the first waiter if there is one. It panics if more
// permits were released than acquired, since the limit no longer holds then.
func (b *Bulkhead) Release() {
	if s := b.giveBack(); !s.Uncontended() {
		b.released(s)
	}
}

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
func (b *Bulkhead) enqueue(now time.Time, granted chan<- struct{}) (bulkhead.Ticket, time.Time, enqueueing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, until, ok := b.machine.Enqueue(now)
	if !ok {
		return 0, time.Time{}, rejected
	}
	for {
		s := b.load()
		if next, free := s.Acquire(b.permits); free {
			if b.swap(s, next) {
				b.machine.Remove(t)
				return 0, time.Time{}, acquired
			}
		} else if b.swap(s, s.WithWaiters()) {
			b.waiters = append(b.waiters, waiter{t, granted})
			return t, until, enqueued
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
		b.removeWaiter(t) <- struct{}{}
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
func (b *Bulkhead) removeWaiter(t bulkhead.Ticket) (granted chan<- struct{}) {
	if first := &b.waiters[0]; first.ticket == t {
		granted, *first = first.granted, waiter{} // so that the channel can be collected
		b.waiters = b.waiters[1:]
		return granted
	}
	i, _ := slices.BinarySearchFunc(b.waiters, t, func(w waiter, t bulkhead.Ticket) int { return cmp.Compare(w.ticket, t) })
	granted = b.waiters[i].granted
	b.waiters = slices.Delete(b.waiters, i, i+1)
	return granted
}
