package shell

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// Bulkhead is a bulkhead for any number of goroutines.
//
// Slots are taken and given back by one atomic step on the word. The first who
// has to wait sets the word's waiting bit: from then on nobody takes a slot
// without the lock, and whoever gave one back goes on to serve the line. The
// bit stands exactly as long as somebody is in line; it changes only under the
// lock.
type Bulkhead struct {
	word    atomic.Uint64
	slots   int
	mu      sync.Mutex
	machine bulkhead.Bulkhead // under mu
	line    []place           // under mu; the machine's queue, so bounded as it is
}

// place is somebody in line, and how to tell that a slot has come.
type place struct {
	ticket bulkhead.Ticket
	wake   chan<- struct{}
}

// NewBulkhead returns an empty bulkhead.
func NewBulkhead(cfg bulkhead.Config) *Bulkhead {
	return &Bulkhead{slots: cfg.Slots, machine: bulkhead.New(cfg)}
}

// Wait is how a wait for a slot ended.
type Wait uint8

const (
	// Taken: the slot is the caller's, who gives it back once.
	Taken Wait = iota
	// QueueFull: as many as may wait were waiting already.
	QueueFull
	// TooLong: no slot came free in the time that a wait may take.
	TooLong
	// ContextEnded: the caller's context ended first.
	ContextEnded
)

// TryTake takes a slot if one is free and nobody waits for it.
func (b *Bulkhead) TryTake() bool {
	for {
		w := b.load()
		next, ok := w.Take(b.slots)
		if !ok {
			return false
		}
		if b.swap(w, next) {
			return true
		}
	}
}

// Take waits for a slot, in line, until deadline at most; zero for as long as a
// wait may take at all. now is when the wait begins.
func (b *Bulkhead) Take(ctx context.Context, now, deadline time.Time) Wait {
	woken := make(chan struct{}, 1) // served at most once, so that Give never blocks
	t, until, how := b.join(now, woken)
	switch how {
	case tookSlot:
		return Taken
	case wasFull:
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
	if timeout == nil && done == nil { // nothing else can end the wait
		<-woken
		return Taken
	}
	select {
	case <-woken:
		return Taken
	case <-timeout:
		return b.tooLong(t)
	case <-done:
		return b.unwanted(t)
	}
}

// tooLong ends a wait that has taken its time.
func (b *Bulkhead) tooLong(t bulkhead.Ticket) Wait {
	if b.leave(t) {
		return TooLong
	}
	return Taken // served in the same moment
}

// unwanted ends a wait for somebody who no longer wants the slot.
func (b *Bulkhead) unwanted(t bulkhead.Ticket) Wait {
	if !b.leave(t) {
		b.Give() // served in the same moment
	}
	return ContextEnded
}

// Give gives a slot back: to the first in line, if there is one. It panics if
// more slots were given back than were taken, since then the limit no longer
// holds.
func (b *Bulkhead) Give() {
	if w := b.put(); !w.Plain() {
		b.given(w)
	}
}

// put is the whole of Give where the word is plain.
func (b *Bulkhead) put() bulkhead.Word { return bulkhead.Word(b.word.Add(^uint64(0))) }

// given is the rest of it where the word is not.
func (b *Bulkhead) given(w bulkhead.Word) {
	if w.Overdrawn() {
		b.word.Add(1)
		panic("holdfast: a slot of a bulkhead was released twice")
	}
	b.serve()
}

// InUse is the number of slots that are taken now, Waiting of callers in line.
func (b *Bulkhead) InUse() int { return b.load().InUse() }

// Waiting is the number of callers in line now.
func (b *Bulkhead) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.Waiting()
}

func (b *Bulkhead) load() bulkhead.Word { return bulkhead.Word(b.word.Load()) }

func (b *Bulkhead) swap(old, next bulkhead.Word) bool {
	return b.word.CompareAndSwap(uint64(old), uint64(next))
}

// joining is what came of stepping into the line.
type joining uint8

const (
	joined joining = iota
	tookSlot
	wasFull
)

// join is a locked step: it puts the caller in line, unless nobody is in it and
// a slot has come free since the caller looked.
func (b *Bulkhead) join(now time.Time, woken chan<- struct{}) (bulkhead.Ticket, time.Time, joining) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, until, ok := b.machine.Join(now)
	if !ok {
		return 0, time.Time{}, wasFull
	}
	for {
		w := b.load()
		if next, free := w.Take(b.slots); free {
			if b.swap(w, next) {
				b.machine.Leave(t)
				return 0, time.Time{}, tookSlot
			}
		} else if b.swap(w, w.Wait()) {
			b.line = append(b.line, place{t, woken})
			return t, until, joined
		}
	}
}

// serve is a locked step: as long as a slot is free it goes to the first in
// line. The slot that brought the caller here may be gone by now, if the line
// was empty for a moment; then its new owner comes here with it.
func (b *Bulkhead) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.serveFirst() {
	}
}

// serveFirst is one round of serve, and false if there is nothing more to do.
func (b *Bulkhead) serveFirst() bool {
	if b.machine.Waiting() == 0 {
		return false
	}
	w := b.load()
	next, free := w.Serve(b.slots, b.machine.Waiting() == 1)
	if free && b.swap(w, next) {
		t, _ := b.machine.Serve()
		b.outOfLine(t) <- struct{}{}
	}
	return free
}

// leave is a locked step: it takes a caller that gave up out of the line. It is
// false if a slot was handed to the caller before.
func (b *Bulkhead) leave(t bulkhead.Ticket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.machine.Leave(t) {
		return false
	}
	b.outOfLine(t)
	for b.machine.Waiting() == 0 {
		if w := b.load(); b.swap(w, w.Calm()) {
			break
		}
	}
	return true
}

// outOfLine takes a caller out of the line, nearly always the first. It is called under
// the lock.
func (b *Bulkhead) outOfLine(t bulkhead.Ticket) (wake chan<- struct{}) {
	if first := &b.line[0]; first.ticket == t {
		wake, *first = first.wake, place{} // nothing holds on to who is gone
		b.line = b.line[1:]
		return wake
	}
	i, _ := slices.BinarySearchFunc(b.line, t, func(p place, t bulkhead.Ticket) int { return cmp.Compare(p.ticket, t) })
	wake = b.line[i].wake
	b.line = slices.Delete(b.line, i, i+1)
	return wake
}
