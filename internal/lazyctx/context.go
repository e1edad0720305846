// Package lazyctx has a context that costs next to nothing until code waits for
// its end.
//
// context.WithDeadline makes a timer, a channel and a hook in its parent at once.
// Most attempts end before anything waits for their context, so a Context makes
// these when Done or AfterFunc is called for the first time.
//
// A Context takes its clock from its parent; see world.Of.
package lazyctx

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Context is the context of one attempt. It ends at the first of these: End or
// Expire is called, its deadline passes, its parent ends. It stays ended, so each
// attempt needs a Context of its own.
//
// The zero Context needs Init before its first use. It must not be copied after
// that.
type Context struct {
	parent   context.Context
	deadline time.Time // the Context's own, zero for none; state.deadline replaces it once state is set
	state    atomic.Pointer[state]
}

// state exists once code waits for the end of a Context, or once the Context has
// ended. It is set once and never replaced.
type state struct {
	over    bool // the Context ended before any code waited: no field changes any more
	noTimer bool // the owner calls Expire at the deadline
	used    bool // one was given out; it is never used again, since its holder may still have it

	mu       sync.Mutex
	world    world.World
	err      error         // the reason for the end
	done     chan struct{} // made by the first call of Done
	deadline time.Time
	timer    world.Timer
	unhook   func() bool // removes the hook from a parent of another type
	above    *Hook       // the hook in a parent that is a Context
	hooks    *Hook       // the first of a ring, run in order at the end
	one      Hook        // memory for a hook: nearly every Context has one
}

// Hook is memory for one function that runs at the end of a Context; see OnEnd.
type Hook struct {
	ender      Ender
	next, prev *Hook // nil if the Hook is not in use
}

// Ender is notified of the end of a Context, in the goroutine that ends it. It must not wait.
type Ender interface{ ContextEnded(world.World) }

// concurrent is a function of AfterFunc.
type concurrent func()

func (f concurrent) ContextEnded(w world.World) { w.Go(f) }

// direct is a function of OnEnd.
type direct func()

func (f direct) ContextEnded(world.World) { f() }

// ContextEnded ends a child.
func (c *Context) ContextEnded(world.World) { c.follow() }

// Watch is memory for the state of one Context. A caller that knows that code will
// wait for the end of a Context places it in an allocation of its own.
type Watch struct{ state }

// The states of Contexts that end before any code waits for them, which is nearly
// all of them.
var (
	canceled = endedState(context.Canceled)
	exceeded = endedState(context.DeadlineExceeded)
)

func endedState(err error) *state {
	s := &state{over: true, err: err, done: make(chan struct{})}
	close(s.done)
	return s
}

// Init sets the parent and the Context's own deadline, zero for none.
func (c *Context) Init(parent context.Context, deadline time.Time) {
	c.parent, c.deadline = parent, deadline
}

// InitWatched is Init for an owner that calls Expire at the deadline, so that the
// Context starts no timer. Its state is in, ready for code that waits for its end.
func (c *Context) InitWatched(parent context.Context, deadline time.Time, in *Watch) {
	c.Init(parent, deadline)
	in.noTimer = true
	c.watchIn(&in.state)
}

// Parent returns the parent that Init set.
func (c *Context) Parent() context.Context { return c.parent }

// Expire ends the Context as its deadline would.
func (c *Context) Expire() { c.end(context.DeadlineExceeded) }

// End ends the Context with its attempt. Further calls do nothing.
func (c *Context) End() { c.end(context.Canceled) }

// Extend moves the Context's own deadline, zero for none: once the headers are
// there, the operation bounds the rest of the body and the attempt no longer does.
// Extend does nothing if the Context has ended.
func (c *Context) Extend(deadline time.Time) {
	s := c.waited()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.deadline = deadline
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	c.startTimer(s)
}

// Deadline is the earlier of the Context's own deadline and its parent's.
func (c *Context) Deadline() (time.Time, bool) {
	own := c.deadline
	if s := c.state.Load(); s != nil && !s.over {
		s.mu.Lock()
		own = s.deadline
		s.mu.Unlock()
	}
	theirs, ok := c.parent.Deadline()
	if own.IsZero() || ok && theirs.Before(own) {
		return theirs, ok
	}
	return own, true
}

// Done is closed when the Context ends.
func (c *Context) Done() <-chan struct{} {
	s := c.waited()
	if s.over {
		return s.done
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.err != nil {
			close(s.done)
		}
	}
	return s.done
}

// Err is the reason for the end, nil before it.
func (c *Context) Err() error {
	s, deadline := c.state.Load(), c.deadline
	if s != nil {
		if s.over {
			return s.err
		}
		s.mu.Lock()
		err := s.err
		deadline = s.deadline
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	// Without a state there is neither timer nor hook, and with one they may be
	// late. So Err looks at the parent and the clock itself.
	if err := c.parent.Err(); err != nil {
		return c.end(err)
	}
	switch {
	case deadline.IsZero(),
		s != nil && s.world.Now().Before(deadline), // which is cheaper than to look for the World
		s == nil && world.Of(c.parent).Now().Before(deadline):
		return nil
	}
	return c.end(context.DeadlineExceeded)
}

// Value is the parent's.
func (c *Context) Value(key any) any {
	if _, ok := key.(nearest); ok {
		return c
	}
	return c.parent.Value(key)
}

// nearest is the key of the nearest Context above.
type nearest struct{}

// From gives the Context that ends together with ctx: ctx itself, or the one that it
// adds values to. It is nil if there is none.
func From(ctx context.Context) *Context {
	if c, ok := ctx.(*Context); ok {
		return c
	}
	if c, ok := ctx.Value(nearest{}).(*Context); ok && c.Done() == ctx.Done() {
		return c
	}
	return nil
}

// AfterFunc runs f in a goroutine of its own once the Context has ended. Package
// context looks for this method in a parent of a foreign type, and then needs no
// goroutine to follow it.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	s := c.waited()
	h, err := s.add(nil, concurrent(f))
	if err != nil {
		world.Of(c.parent).Go(f)
		return func() bool { return false }
	}
	return func() bool { return s.remove(h) }
}

// OnEnd runs f once the Context has ended, in the goroutine that ends it. f must not
// wait. The Hook h is in use until then or until Remove. OnEnd is false, and f does
// not run, if the Context has ended already.
func (c *Context) OnEnd(h *Hook, f func()) bool {
	_, err := c.waited().add(h, direct(f))
	return err == nil
}

// Remove takes back a Hook of OnEnd. It is false if its function runs or has run.
func (c *Context) Remove(h *Hook) bool { return c.state.Load().remove(h) }

// Notify notifies e once the Context has ended, and is false if it has ended already.
func (c *Context) Notify(e Ender) bool {
	_, err := c.waited().add(nil, e)
	return err == nil
}

// Forget takes back a Notify. It is false if e was notified, or is being notified.
func (c *Context) Forget(e Ender) bool {
	s := c.waited()
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := s.hooks; h != nil; h = h.next {
		if h.ender == e {
			s.unlink(h)
			return true
		}
		if h.next == s.hooks {
			break
		}
	}
	return false
}

// String names the Context in messages, as the contexts of the standard library do.
func (c *Context) String() string { return "holdfast attempt" }

// waited gives the state, and sets it first if there is none.
func (c *Context) waited() *state {
	if s := c.state.Load(); s != nil {
		return s
	}
	return c.watchIn(new(state))
}

// watchIn sets s as the state, and starts what ends the Context: the timer and the
// hook in the parent.
func (c *Context) watchIn(s *state) *state {
	s.deadline, s.world = c.deadline, world.Of(c.parent)
	s.mu.Lock() // other goroutines that find s wait until it is complete
	defer s.mu.Unlock()
	if !c.state.CompareAndSwap(nil, s) {
		return c.state.Load()
	}
	switch parent := From(c.parent); {
	case parent != nil: // as context.AfterFunc would, with fewer allocations
		s.above, s.err = parent.waited().add(nil, c)
	case c.parent.Done() != nil && !s.world.IsReal():
		panic(fmt.Sprintf("lazyctx: a %T ends outside of virtual time: use a Context", c.parent))
	case c.parent.Done() != nil:
		s.unhook = context.AfterFunc(c.parent, c.follow)
	}
	if s.err == nil {
		c.startTimer(s)
	}
	return s
}

// startTimer is called under the state's lock.
func (c *Context) startTimer(s *state) {
	if s.deadline.IsZero() || s.noTimer {
		return
	}
	s.timer = s.world.AfterFunc(s.world.Until(s.deadline), func() {
		s.mu.Lock()
		early := s.deadline.IsZero() || s.world.Now().Before(s.deadline) // Extend has moved it
		s.mu.Unlock()
		if !early {
			c.end(context.DeadlineExceeded)
		}
	})
}

// follow ends the Context with its parent.
func (c *Context) follow() { c.end(c.parent.Err()) }

// end ends the Context and returns the reason, which is that of the first call.
func (c *Context) end(err error) error {
	if c.state.Load() == nil {
		over := canceled
		switch err {
		case context.Canceled:
		case context.DeadlineExceeded:
			over = exceeded
		default:
			over = endedState(err)
		}
		if c.state.CompareAndSwap(nil, over) {
			return err
		}
	}
	s := c.state.Load()
	if s.over {
		return s.err
	}
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	s.err = err
	if s.done != nil {
		close(s.done)
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	unhook, above := s.unhook, s.above
	s.unhook, s.above = nil, nil
	s.mu.Unlock()
	if unhook != nil {
		unhook()
	}
	if above != nil {
		From(c.parent).state.Load().remove(above)
	}
	for e := s.next(); e != nil; e = s.next() {
		e.ContextEnded(s.world)
	}
	return err
}

// add has e notified of the end, with h as the memory or, if h is nil, memory of the
// state. It gives the reason instead if the Context has ended.
func (s *state) add(h *Hook, e Ender) (*Hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil, s.err
	case h == nil && !s.used:
		h, s.used = &s.one, true
	case h == nil:
		h = new(Hook)
	}
	h.ender = e
	if first := s.hooks; first == nil {
		s.hooks, h.next, h.prev = h, h, h
	} else {
		h.next, h.prev = first, first.prev
		h.prev.next, first.prev = h, h
	}
	return h, nil
}

// remove is false if the hook is not in use any more.
func (s *state) remove(h *Hook) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.next == nil {
		return false
	}
	s.unlink(h)
	return true
}

// next takes the first hook off the ring. It is nil if there is none.
func (s *state) next() Ender {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks
	if h == nil {
		return nil
	}
	s.unlink(h)
	return h.ender
}

// unlink is called under the lock.
func (s *state) unlink(h *Hook) {
	switch s.hooks {
	case h.next: // it is the only one, or the last
		if h.next == h {
			s.hooks = nil
		}
	case h:
		s.hooks = h.next
	}
	h.next.prev, h.prev.next = h.prev, h.next
	h.next, h.prev = nil, nil
}
