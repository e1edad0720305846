package virtual

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/world"
)

// caller is a coroutine that runs one function after the other. They are reused,
// since a coroutine is a goroutine with a stack.
type caller struct {
	world *World
	event event // resumes it
	f     func()

	enter  func() (struct{}, bool) // continues the coroutine until it waits or ends
	leave  func(struct{}) bool     // waits; false if the coroutine shall end
	end    func()                  // ends the coroutine
	ending bool

	parker *parker // where it waits
	woken  world.Woken
	hook   lazyctx.Hook // in the context of its wait
	ended  func()       // the function of hook
}

// unwind is the panic that ends a coroutine, so that its deferred functions run.
type unwind struct{}

func (w *World) newCaller() *caller {
	if last := len(w.idle) - 1; last >= 0 {
		c := w.idle[last]
		w.idle = w.idle[:last]
		return c
	}
	c := &caller{world: w}
	c.event.caller = c
	c.ended = func() { c.wake(world.ByContext) }
	c.enter, c.end = iter.Pull(c.run)
	w.callers = append(w.callers, c)
	return c
}

// run is the coroutine.
func (c *caller) run(leave func(struct{}) bool) {
	c.leave = leave
	for {
		c.call()
		c.f = nil
		c.world.idle = append(c.world.idle, c)
		if !leave(struct{}{}) {
			return
		}
	}
}

func (c *caller) call() {
	defer func() {
		if !c.ending {
			return // with the panic, if there is one
		}
		if r := recover(); r != nil && r != (unwind{}) {
			panic(r)
		}
	}()
	c.f()
}

// resume continues a caller that starts, was woken, or has waited until its limit.
func (w *World) resume(c *caller) {
	if c.parker != nil {
		c.parker.caller, c.parker = nil, nil
		c.woken = world.ByTime
	}
	w.running = c
	c.enter()
	w.running = nil
}

// wake has a caller resumed that waits. It does nothing if the caller was woken at the
// same instant already.
func (c *caller) wake(by world.Woken) {
	if c.parker == nil {
		return
	}
	c.parker.caller, c.parker = nil, nil
	c.woken = by
	events := &c.world.events
	events.cancel(&c.event)
	events.push(&c.event, events.now)
}

// endAll ends all callers, those that wait by a panic.
func (w *World) endAll() {
	w.idle = nil                          // so that deferred functions that call Go get new callers
	for i := 0; i < len(w.callers); i++ { // which end in their turn
		c := w.callers[i]
		c.ending = true
		w.running = c
		c.end()
	}
	w.running, w.callers, w.idle = nil, nil, nil
	w.events.clear()
}

// parker is a world.Parker of a World.
type parker struct {
	world  *World
	caller *caller // that waits here
	woken  bool
}

// Parker gives a place to wait.
func (w *World) Parker() world.Parker {
	if last := len(w.parkers) - 1; last >= 0 {
		p := w.parkers[last]
		w.parkers = w.parkers[:last]
		return p
	}
	return &parker{world: w}
}

func (p *parker) Park(ctx context.Context, until time.Time) world.Woken {
	w := p.world
	c := w.running
	if c == nil {
		panic("virtual: code that is no caller waits: start it with World.Go")
	}
	switch {
	case c.ending:
		panic(unwind{})
	case p.woken:
		p.woken = false
		return world.ByWake
	}
	if !until.IsZero() && sinceStart(until) <= w.events.now {
		return world.ByTime
	}
	end := lazyctx.From(ctx)
	switch {
	case end == nil:
		if ctx.Done() != nil {
			panic(fmt.Sprintf("virtual: a %T ends outside of virtual time: use World.Context", ctx))
		}
	case end.Err() != nil:
		return world.ByContext
	default:
		end.OnEnd(&c.hook, c.ended)
	}
	p.caller, c.parker = c, p
	if !until.IsZero() {
		w.events.push(&c.event, sinceStart(until))
	}
	more := c.leave(struct{}{})
	if end != nil {
		end.Remove(&c.hook)
	}
	if !more {
		p.caller, c.parker = nil, nil
		panic(unwind{})
	}
	return c.woken
}

func (p *parker) Wake() {
	if p.caller == nil {
		p.woken = true
		return
	}
	p.caller.wake(world.ByWake)
}

func (p *parker) Free() {
	p.woken = false
	p.world.parkers = append(p.world.parkers, p)
}
