package world

import (
	"context"
	"sync"
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
	// Free ends the use of the Parker. Neither Park nor Wake may be called any more.
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
	mu    sync.Mutex
	cond  sync.Cond // on mu
	woken bool
	wake  chan struct{} // in place of cond, during a Park with other ends
}

var parkers = sync.Pool{New: func() any {
	p := new(parker)
	p.cond.L = &p.mu
	return p
}}

func newParker() *parker { return parkers.Get().(*parker) }

func (p *parker) Park(ctx context.Context, until time.Time) Woken {
	done := ctx.Done()
	p.mu.Lock()
	if until.IsZero() && done == nil {
		for !p.woken {
			p.cond.Wait()
		}
	}
	if p.woken {
		p.woken = false
		p.mu.Unlock()
		return ByWake
	}
	wake := make(chan struct{}, 1)
	p.wake = wake
	p.mu.Unlock()
	by := wait(wake, done, until)
	p.mu.Lock()
	p.wake = nil
	p.woken = len(wake) > 0 // a Wake while this Park ended is for the next
	p.mu.Unlock()
	return by
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

func (p *parker) Wake() {
	p.mu.Lock()
	if p.wake == nil {
		p.woken = true
		p.cond.Signal()
	} else {
		select {
		case p.wake <- struct{}{}:
		default: // it was called before
		}
	}
	p.mu.Unlock()
}

func (p *parker) Free() {
	p.mu.Lock() // a Wake that ended the last Park may not have returned yet
	p.woken = false
	p.mu.Unlock()
	parkers.Put(p)
}
