// Package lazyctx has a context that costs next to nothing until code waits for
// its end.
//
// context.WithDeadline makes a timer, a channel and a hook in its parent at once.
// Most attempts end before anything waits for their context, so a Context makes
// these when Done or AfterFunc is called for the first time.
package lazyctx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
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

	mu       sync.Mutex
	err      error         // the reason for the end
	done     chan struct{} // made by the first call of Done
	deadline time.Time
	timer    *time.Timer
	unhook   func() bool // removes the hook from a parent of another type
	above    *hook       // the hook in a parent that is a Context
	hooks    []*hook     // run at the end

	// Nearly every Context has one hook. These fields are its memory.
	room [1]*hook
	one  hook
	used bool // one has been given out; it is never used again, since its holder may still have it
}

// hook is a function of AfterFunc, or a child that ends with its parent.
type hook struct {
	run   func()
	child *Context
}

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

// WatchIn prepares the Context in the memory of in for code that waits for its
// end. Call it before any other code has the Context.
func (c *Context) WatchIn(in *Watch) { c.watchIn(&in.state) }

// Keep is WatchIn for an owner that calls Expire at the deadline: the Context then
// starts no timer.
func (c *Context) Keep(in *Watch) {
	in.noTimer = true
	c.watchIn(&in.state)
}

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
	deadline := c.deadline
	if s := c.state.Load(); s != nil {
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
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return c.end(context.DeadlineExceeded)
	}
	return nil
}

// Value is the parent's.
func (c *Context) Value(key any) any { return c.parent.Value(key) }

// AfterFunc runs f in a goroutine of its own once the Context has ended. Package
// context looks for this method in a parent of a foreign type, and then needs no
// goroutine to follow it.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	s := c.waited()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		go f()
		return func() bool { return false }
	}
	h := s.add(f, nil)
	return func() bool { return s.remove(h) }
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
	s.deadline = c.deadline
	s.mu.Lock() // other goroutines that find s wait until it is complete
	defer s.mu.Unlock()
	if !c.state.CompareAndSwap(nil, s) {
		return c.state.Load()
	}
	c.startTimer(s)
	switch parent, ok := c.parent.(*Context); {
	case ok: // as context.AfterFunc would, with fewer allocations
		if s.above, ok = parent.adopt(c); !ok {
			go c.follow()
		}
	case c.parent.Done() != nil:
		s.unhook = context.AfterFunc(c.parent, c.follow)
	}
	return s
}

// startTimer is called under the state's lock.
func (c *Context) startTimer(s *state) {
	if s.deadline.IsZero() || s.noTimer {
		return
	}
	s.timer = time.AfterFunc(time.Until(s.deadline), func() {
		s.mu.Lock()
		early := s.deadline.IsZero() || time.Now().Before(s.deadline) // Extend has moved it
		s.mu.Unlock()
		if !early {
			c.end(context.DeadlineExceeded)
		}
	})
}

// adopt ends child together with c. It is false if c has ended already.
func (c *Context) adopt(child *Context) (h *hook, ok bool) {
	s := c.waited()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, false
	}
	return s.add(nil, child), true
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
	hooks, unhook, above := s.hooks, s.unhook, s.above
	s.hooks, s.unhook, s.above = nil, nil, nil
	s.mu.Unlock()
	if unhook != nil {
		unhook()
	}
	if above != nil {
		c.parent.(*Context).state.Load().remove(above)
	}
	for _, h := range hooks {
		if h.child != nil {
			h.child.follow()
			continue
		}
		go h.run()
	}
	return err
}

// add is called under the lock.
func (s *state) add(f func(), child *Context) *hook {
	h := &s.one
	if s.used {
		h = new(hook)
	}
	s.used = true
	h.run, h.child = f, child
	if s.hooks == nil {
		s.hooks = s.room[:0]
	}
	s.hooks = append(s.hooks, h)
	return h
}

// remove is false if the hook has run or was removed before.
func (s *state) remove(h *hook) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.hooks {
		if other == h {
			last := len(s.hooks) - 1
			s.hooks[i], s.hooks[last] = s.hooks[last], nil
			s.hooks = s.hooks[:last]
			return true
		}
	}
	return false
}
