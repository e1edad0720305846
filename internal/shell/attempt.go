package shell

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Attempt is the context of one attempt: it ends with the attempt, at the
// attempt's deadline, or with its parent, whichever is first.
//
// It differs from context.WithDeadline in what it costs: next to nothing, until
// somebody asks for Done; only then is there a channel, a timer and a hook in
// the parent. A function that makes one call and looks at no context so pays
// for none. It is never used for a second attempt: a context that has ended
// stays ended.
//
// Init makes a zero Attempt ready. It must not be copied afterwards.
type Attempt struct {
	parent   context.Context
	deadline time.Time // its own, zero if it has none; the watch's counts once there is one
	watch    atomic.Pointer[watch]
}

// watch is what an Attempt needs once somebody waits for its end, or once it has
// ended. It is set once and never replaced.
type watch struct {
	over bool // it had ended before anybody watched: nothing below changes any more
	kept bool // somebody else watches the clock

	mu       sync.Mutex
	err      error         // why it ended
	done     chan struct{} // made for the first who asks
	deadline time.Time
	timer    *time.Timer
	unhook   func() bool // from a parent of another make
	above    *hook       // in a parent that is an Attempt
	children []*hook     // what happens at the end

	// Nearly every Attempt has one child: there is room for it here.
	room   [1]*hook
	one    hook
	filled bool // and never used again: somebody may still hold it
}

// hook is an AfterFunc, or a child that ends with its parent.
type hook struct {
	run   func()
	child *Attempt
}

// Watch is the memory in which an Attempt keeps what it needs once somebody waits
// for its end, for those who know that somebody will.
type Watch struct{ watch }

// What attempts leave behind that end unwatched, which is nearly all of them.
var (
	canceled = unwatched(context.Canceled)
	exceeded = unwatched(context.DeadlineExceeded)
)

func unwatched(err error) *watch {
	w := &watch{over: true, err: err, done: make(chan struct{})}
	close(w.done)
	return w
}

// Init sets the parent and the attempt's own deadline, zero for none.
func (c *Attempt) Init(parent context.Context, deadline time.Time) {
	c.parent, c.deadline = parent, deadline
}

// WatchIn says that somebody will wait for the end, and where to keep what that
// takes. It is called before anybody has the context, as is Keep.
func (c *Attempt) WatchIn(in *Watch) { c.watchIn(&in.watch) }

// Keep does the same, and says that somebody else watches the clock, and calls
// Expire when the time has come: no timer is needed then.
func (c *Attempt) Keep(in *Watch) {
	in.kept = true
	c.watchIn(&in.watch)
}

// Expire ends the context as its deadline would.
func (c *Attempt) Expire() { c.end(context.DeadlineExceeded) }

// Deadline is the earlier of the attempt's own and the parent's.
func (c *Attempt) Deadline() (time.Time, bool) {
	own := c.deadline
	if w := c.watch.Load(); w != nil && !w.over {
		w.mu.Lock()
		own = w.deadline
		w.mu.Unlock()
	}
	theirs, ok := c.parent.Deadline()
	if own.IsZero() || ok && theirs.Before(own) {
		return theirs, ok
	}
	return own, true
}

// Value is the parent's.
func (c *Attempt) Value(key any) any { return c.parent.Value(key) }

// Done is closed when the attempt's context ends.
func (c *Attempt) Done() <-chan struct{} {
	w := c.watched()
	if w.over {
		return w.done
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		w.done = make(chan struct{})
		if w.err != nil {
			close(w.done)
		}
	}
	return w.done
}

// Err says why the context has ended, and nil while it has not.
func (c *Attempt) Err() error {
	deadline := c.deadline
	if w := c.watch.Load(); w != nil {
		if w.over {
			return w.err
		}
		w.mu.Lock()
		err := w.err
		deadline = w.deadline
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	// Nobody may be watching the clock and the parent, or their watchers may be
	// late: look for oneself.
	if err := c.parent.Err(); err != nil {
		return c.end(err)
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return c.end(context.DeadlineExceeded)
	}
	return nil
}

// AfterFunc runs f in a goroutine of its own once the context has ended. It is
// what the context package looks for in a parent that is not its own, so that a
// child context needs no goroutine to follow this one.
func (c *Attempt) AfterFunc(f func()) (stop func() bool) {
	w := c.watched()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		go f()
		return func() bool { return false }
	}
	h := w.add(f, nil)
	return func() bool { return w.drop(h) }
}

// add keeps a hook. It is called under the lock.
func (w *watch) add(f func(), child *Attempt) *hook {
	h := &w.one
	if w.filled {
		h = new(hook)
	}
	w.filled = true
	h.run, h.child = f, child
	if w.children == nil {
		w.children = w.room[:0]
	}
	w.children = append(w.children, h)
	return h
}

// drop reports whether it was in time.
func (w *watch) drop(h *hook) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.children {
		if other == h {
			last := len(w.children) - 1
			w.children[i], w.children[last] = w.children[last], nil
			w.children = w.children[:last]
			return true
		}
	}
	return false
}

// adopt makes the end of c that of child; it is false if c has ended already.
func (c *Attempt) adopt(child *Attempt) (h *hook, ok bool) {
	w := c.watched()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, false
	}
	return w.add(nil, child), true
}

// Extend moves the attempt's own deadline, zero for none: a body that goes on
// after the headers is bounded by the operation and no longer by the attempt.
// A context that has ended stays ended.
func (c *Attempt) Extend(deadline time.Time) {
	w := c.watched()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.deadline = deadline
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	c.arm(w)
}

// End ends the context with the attempt. Calling it again does nothing.
func (c *Attempt) End() { c.end(context.Canceled) }

// String names the context in messages, as those of the standard library do.
func (c *Attempt) String() string { return "holdfast attempt" }

// watched gives the watch, and sets it if this is the first who asks.
func (c *Attempt) watched() *watch {
	if w := c.watch.Load(); w != nil {
		return w
	}
	return c.watchIn(new(watch))
}

func (c *Attempt) watchIn(w *watch) *watch {
	w.deadline = c.deadline
	w.mu.Lock() // whoever finds it waits until it is armed
	defer w.mu.Unlock()
	if !c.watch.CompareAndSwap(nil, w) {
		return c.watch.Load()
	}
	c.arm(w)
	switch parent, ok := c.parent.(*Attempt); {
	case ok: // what context.AfterFunc would come to, with less around it
		if w.above, ok = parent.adopt(c); !ok {
			go c.follow()
		}
	case c.parent.Done() != nil:
		w.unhook = context.AfterFunc(c.parent, c.follow)
	}
	return w
}

// follow ends the context with its parent.
func (c *Attempt) follow() { c.end(c.parent.Err()) }

// arm starts the timer. It is called under the watch's lock.
func (c *Attempt) arm(w *watch) {
	if w.deadline.IsZero() || w.kept {
		return
	}
	w.timer = time.AfterFunc(time.Until(w.deadline), func() {
		w.mu.Lock()
		early := w.deadline.IsZero() || time.Now().Before(w.deadline) // moved since
		w.mu.Unlock()
		if !early {
			c.end(context.DeadlineExceeded)
		}
	})
}

// end ends the context once, for the first reason that is given, which it
// returns.
func (c *Attempt) end(err error) error {
	if c.watch.Load() == nil {
		mark := canceled
		switch err {
		case context.Canceled:
		case context.DeadlineExceeded:
			mark = exceeded
		default:
			mark = unwatched(err)
		}
		if c.watch.CompareAndSwap(nil, mark) {
			return err
		}
	}
	w := c.watch.Load()
	if w.over {
		return w.err
	}
	w.mu.Lock()
	if w.err != nil {
		defer w.mu.Unlock()
		return w.err
	}
	w.err = err
	if w.done != nil {
		close(w.done)
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	children, unhook, above := w.children, w.unhook, w.above
	w.children, w.unhook, w.above = nil, nil, nil
	w.mu.Unlock()
	if unhook != nil {
		unhook()
	}
	if above != nil {
		c.parent.(*Attempt).watch.Load().drop(above)
	}
	for _, h := range children {
		if h.child != nil {
			h.child.follow()
			continue
		}
		go h.run()
	}
	return err
}
