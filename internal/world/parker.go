package world

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Parker is a place where one goroutine, or one coroutine of a simulation, waits.
type Parker interface {
	// Park waits for a call of Wake, for until (zero: no limit) or for the end of ctx.
	// If Wake was called before, Park returns at once.
	Park(ctx context.Context, until time.Time) Woken
	// Wake ends the current Park, or else the next one. It does not wait, and any
	// goroutine may call it. Of several calls before a Park one counts.
	Wake()
	// Free ends the use of the Parker. Neither Park nor Wake may be called any more,
	// and no Wake may be in progress but the one that ended the last Park.
	Free()
}

// Woken is the event that ended a Park.
type Woken uint8

const (
	// ByWake: Wake was called.
	ByWake Woken = iota
	// ByTime: the time limit has passed.
	ByTime
	// ByContext: the context has ended.
	ByContext
)

// parker is the Parker of the real World.
//
// Parkers are reused, since under contention nearly every operation waits. A wait
// that only Wake can end uses cond and so allocates nothing. Other waits use a
// channel and a timer, which are not reused: in tests they belong to the bubble of
// testing/synctest that made them.
type parker struct {
	state atomic.Uint32
	cond  sync.Cond     // of a goroutine that is parked
	wake  chan struct{} // of one that is selecting
}

// The states of a parker.
const (
	empty     uint32 = iota
	parked           // on cond
	selecting        // on wake and other channels
	woken            // Wake was called, and no Park has ended by it yet
)

var parkers = sync.Pool{New: func() any {
	p := new(parker)
	p.cond.L = (*locker)(p)
	return p
}}

func newParker() *parker { return parkers.Get().(*parker) }

func (p *parker) Park(ctx context.Context, until time.Time) Woken {
	done := ctx.Done()
	if until.IsZero() && done == nil {
		if p.state.Load() != woken {
			p.cond.Wait()
		}
		p.state.Swap(empty) // what came before Wake comes before the return
		return ByWake
	}
	wake := make(chan struct{}, 1)
	p.wake = wake
	if !p.state.CompareAndSwap(empty, selecting) { // woken before
		p.state.Swap(empty)
		return ByWake
	}
	by := wait(wake, done, until)
	switch {
	case by == ByWake:
		p.state.Store(empty)
	case !p.state.CompareAndSwap(selecting, empty):
		<-wake // a Wake at the same moment, which is for the next Park, has ended
	}
	return by
}

// locker is the Locker of cond. There is no mutex: Wait calls Unlock once every later
// Signal reaches it, and this is the moment to be parked.
type locker parker

func (l *locker) Lock() {}

func (l *locker) Unlock() {
	if !l.state.CompareAndSwap(empty, parked) { // woken meanwhile
		l.cond.Signal()
	}
}

func (p *parker) Wake() {
	switch p.state.Swap(woken) {
	case parked:
		p.cond.Signal()
	case selecting:
		p.wake <- struct{}{}
	}
}

func (p *parker) Free() {
	p.state.Store(empty)
	parkers.Put(p)
}

// wait waits for the first of the three, where nil and zero are none.
func wait(wake, done <-chan struct{}, until time.Time) Woken {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-wake:
		return ByWake
	case <-timeout:
		return ByTime
	case <-done:
		return ByContext
	}
}
