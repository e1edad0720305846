package lazyctx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/world"
)

// newContext has its own deadline that far away, zero for none.
func newContext(parent context.Context, d time.Duration) *Context {
	c := new(Context)
	var deadline time.Time
	if d != 0 {
		deadline = time.Now().Add(d)
	}
	c.Init(parent, deadline)
	return c
}

// ended expects that Err and Done both report the end.
func ended(t *testing.T, c context.Context, want error) {
	t.Helper()
	if err := c.Err(); err != want {
		t.Errorf("Err is %v, want %v", err, want)
	}
	select {
	case <-c.Done():
	default:
		t.Error("Done is open")
	}
	if err := c.Err(); err != want {
		t.Errorf("asked again, Err is %v, want %v", err, want)
	}
}

// goesOn expects that c has not ended.
func goesOn(t *testing.T, c context.Context) {
	t.Helper()
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v, but nothing has ended it", err)
	}
	select {
	case <-c.Done():
		t.Error("Done is closed")
	default:
	}
}

func TestContextEndsAtItsDeadline(t *testing.T) {
	for _, watched := range []bool{false, true} {
		t.Run(fmt.Sprintf("watched %v", watched), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newContext(t.Context(), time.Second)
				if watched {
					c.Done()
				}
				if at, ok := c.Deadline(); !ok || time.Until(at) != time.Second {
					t.Errorf("deadline %v %v", at, ok)
				}
				time.Sleep(time.Second - time.Nanosecond)
				if err := c.Err(); err != nil {
					t.Errorf("a nanosecond before its deadline: %v", err)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				ended(t, c, context.DeadlineExceeded)
				if cause := context.Cause(c); cause != context.DeadlineExceeded {
					t.Errorf("cause %v", cause)
				}
				c.End() // too late: it has its reason
				ended(t, c, context.DeadlineExceeded)
			})
		})
	}
}

// The timer wakes a goroutine that waits for Done.
func TestContextClosesDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		<-newContext(t.Context(), time.Second).Done()
		if took := time.Since(start); took != time.Second {
			t.Errorf("Done closed after %v", took)
		}
	})
}

func TestContextEndsWithItsParent(t *testing.T) {
	why := errors.New("the caller has given up")
	for _, watched := range []bool{false, true} {
		t.Run(fmt.Sprintf("watched %v", watched), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				c := newContext(parent, time.Minute)
				if watched {
					c.Done()
				}
				goesOnUnwatched(t, c, watched)
				cancel(why)
				synctest.Wait()
				ended(t, c, context.Canceled)
				if cause := context.Cause(c); cause != why {
					t.Errorf("cause %v, want the parent's", cause)
				}
			})
		})
	}
}

// goesOnUnwatched calls Err alone, which must not make a state.
func goesOnUnwatched(t *testing.T, c *Context, watched bool) {
	t.Helper()
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v", err)
	}
	if got := c.state.Load() != nil; got != watched {
		t.Errorf("watched %v, want %v", got, watched)
	}
}

func TestContextHasItsParentsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, own := range []time.Duration{0, time.Minute} {
			if at, ok := newContext(parent, own).Deadline(); !ok || time.Until(at) != time.Second {
				t.Errorf("own %v: deadline %v %v, want the parent's", own, at, ok)
			}
		}
		if at, ok := newContext(parent, time.Millisecond).Deadline(); !ok || time.Until(at) != time.Millisecond {
			t.Errorf("deadline %v %v, want its own, which is earlier", at, ok)
		}
		if at, ok := newContext(t.Context(), 0).Deadline(); ok {
			t.Errorf("deadline %v, but neither has one", at)
		}
		c := newContext(parent, time.Minute)
		time.Sleep(time.Second)
		synctest.Wait()
		ended(t, c, context.DeadlineExceeded)
	})
}

// hooks counts the hooks of a Context.
func hooks(c *Context) (n int) {
	first := c.state.Load().hooks
	for h := first; h != nil; h = h.next {
		if n++; h.next == first {
			break
		}
	}
	return n
}

// odd is a context of a foreign type, with an error of its own.
type odd struct {
	context.Context
	done chan struct{}
	err  error
}

func (o *odd) Done() <-chan struct{} { return o.done }
func (o *odd) Err() error            { return o.err }

func TestContextKeepsItsParentsError(t *testing.T) {
	why := errors.New("the shift is over")
	c := newContext(&odd{context.Background(), make(chan struct{}), why}, 0)
	ended(t, c, why)
}

func TestContextEndsAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unwatched := newContext(t.Context(), time.Minute)
		unwatched.End()
		ended(t, unwatched, context.Canceled)

		watched := newContext(t.Context(), time.Minute)
		goesOn(t, watched)
		done := watched.Done()
		watched.End()
		watched.End()
		<-done
		ended(t, watched, context.Canceled)
		if at, ok := watched.Deadline(); !ok || time.Until(at) != time.Minute {
			t.Errorf("deadline %v %v: it had one", at, ok)
		}
		if at, ok := unwatched.Deadline(); !ok || time.Until(at) != time.Minute {
			t.Errorf("deadline %v %v: it had one", at, ok)
		}
	})
}

// A context that has ended stays ended, with the same reason, whatever happens
// later.
func TestContextNeverUnends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		late := newContext(parent, time.Second)
		time.Sleep(time.Second)
		ended(t, late, context.DeadlineExceeded)
		cancel()
		synctest.Wait()
		late.Extend(time.Now().Add(time.Hour))
		ended(t, late, context.DeadlineExceeded)

		over := newContext(t.Context(), time.Second)
		done := over.Done()
		over.End()
		over.Extend(time.Now().Add(time.Hour))
		if over.Done() != done {
			t.Error("Done has changed its channel")
		}
		time.Sleep(2 * time.Second) // past its deadline
		ended(t, over, context.Canceled)
	})
}

func TestContextExtend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Later: the old deadline passes without effect.
		c := newContext(t.Context(), time.Second)
		done := c.Done()
		c.Extend(time.Now().Add(time.Minute))
		if at, _ := c.Deadline(); time.Until(at) != time.Minute {
			t.Errorf("deadline in %v", time.Until(at))
		}
		time.Sleep(time.Minute - time.Nanosecond)
		goesOn(t, c)
		time.Sleep(time.Nanosecond)
		<-done
		ended(t, c, context.DeadlineExceeded)

		// To none: only the parent bounds it.
		parent, cancel := context.WithCancel(t.Context())
		c = newContext(parent, time.Second) // without a state so far
		c.Extend(time.Time{})
		if at, ok := c.Deadline(); ok {
			t.Errorf("deadline %v", at)
		}
		time.Sleep(time.Hour)
		goesOn(t, c)
		cancel()
		synctest.Wait()
		ended(t, c, context.Canceled)

		// Earlier, even past.
		c = newContext(t.Context(), time.Hour)
		c.Extend(time.Now().Add(-time.Second))
		synctest.Wait()
		ended(t, c, context.DeadlineExceeded)
	})
}

// A child context of the standard library follows without a goroutine, and its
// hook is removed when the child is cancelled first.
func TestContextChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the caller has given up")
		parent, cancelParent := context.WithCancelCause(t.Context())
		c := newContext(parent, time.Minute)
		before := runtime.NumGoroutine()
		var children []context.Context
		for range 10 {
			child, cancel := context.WithCancel(c)
			defer cancel()
			children = append(children, child)
		}
		grandchild, cancel := context.WithTimeout(children[0], time.Hour)
		defer cancel()
		synctest.Wait()
		// Goroutines of earlier tests may end meanwhile, but none may start.
		if n := runtime.NumGoroutine() - before; n > 0 {
			t.Errorf("%d goroutines for ten children", n)
		}
		gone, cancelGone := context.WithCancel(c)
		cancelGone()
		ended(t, gone, context.Canceled)
		if n := hooks(c); n != 10 {
			t.Errorf("it keeps %d hooks, want the 10 that are left", n)
		}
		for _, child := range append(children, grandchild) {
			goesOn(t, child)
		}

		cancelParent(why)
		synctest.Wait()
		for _, child := range append(children, grandchild) {
			ended(t, child, context.Canceled)
			if cause := context.Cause(child); cause != why {
				t.Errorf("a child's cause is %v", cause)
			}
		}

		born, cancel := context.WithCancel(c) // c has ended
		defer cancel()
		synctest.Wait()
		ended(t, born, context.Canceled)
	})
}

func TestContextAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContext(t.Context(), time.Second)
		ran := make(chan string, 3)
		c.AfterFunc(func() { ran <- "runs" })
		stop := c.AfterFunc(func() { ran <- "was stopped" })
		if !stop() || stop() {
			t.Error("stop must report true once")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		late := c.AfterFunc(func() { ran <- "came late" })
		synctest.Wait()
		if late() {
			t.Error("a function that already runs cannot be stopped")
		}
		close(ran)
		var got []string
		for s := range ran {
			got = append(got, s)
		}
		if fmt.Sprint(got) != "[runs came late]" {
			t.Errorf("ran: %v", got)
		}
	})
}

// A Context inside a Context, as for a client inside a policy.
func TestContextInsideContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := newContext(t.Context(), time.Second)
		inner := newContext(outer, time.Minute)
		goesOn(t, inner)
		time.Sleep(time.Second)
		synctest.Wait()
		ended(t, inner, context.DeadlineExceeded)
		ended(t, outer, context.DeadlineExceeded)
	})
}

// A Context below one that only has values added follows it as if they were next to
// each other; below one that can be cancelled by itself it does not.
func TestFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type name struct{}
		outer := newContext(t.Context(), time.Minute)
		valued := context.WithValue(outer, name{}, 1)
		own, cancel := context.WithCancel(valued)
		defer cancel()
		if From(outer) != outer || From(valued) != outer || From(own) != nil || From(t.Context()) != nil {
			t.Errorf("the Contexts are %v, %v, %v, %v", From(outer), From(valued), From(own), From(t.Context()))
		}
		inner, gone := newContext(valued, time.Hour), newContext(valued, time.Hour)
		goesOn(t, inner)
		goesOn(t, gone)
		gone.End()
		if n := hooks(outer); n != 1 {
			t.Errorf("it keeps %d hooks, want that of inner alone", n)
		}
		outer.End()
		ended(t, inner, context.Canceled) // at once
		born := newContext(valued, 0)
		ended(t, born, context.Canceled)
	})
}

// Functions of OnEnd run in order, in the goroutine that ends the Context.
func TestContextOnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContext(t.Context(), 0)
		var h [5]Hook
		var order []int
		for i := range h {
			if !c.OnEnd(&h[i], func() { order = append(order, i) }) {
				t.Error("the Context has not ended")
			}
		}
		for _, i := range []int{0, 4, 2} { // the first, the last, one between
			if !c.Remove(&h[i]) || c.Remove(&h[i]) {
				t.Error("Remove must report true once")
			}
		}
		if !c.OnEnd(&h[0], func() { order = append(order, 5) }) {
			t.Error("a removed Hook cannot be used again")
		}
		c.End()
		if fmt.Sprint(order) != "[1 3 5]" {
			t.Errorf("ran %v", order)
		}
		if c.Remove(&h[1]) || c.OnEnd(&h[2], func() { t.Error("runs after the end") }) {
			t.Error("the Context has ended")
		}
	})
}

// A Context uses the World of its parent: the clock, the timer and the way to run
// functions.
func TestContextUsesTheWorldOfItsParent(t *testing.T) {
	f := &fake{now: time.Unix(1_000_000, 0)}
	parent := world.With(context.Background(), world.From(f))
	ran := 0
	c, unwatched := new(Context), new(Context)
	c.Init(parent, f.now.Add(time.Second))
	unwatched.Init(parent, f.now.Add(time.Second))
	c.AfterFunc(func() { ran++ })
	goesOn(t, c)
	if unwatched.Err() != nil || f.after != time.Second {
		t.Errorf("Err is %v, the timer is set to %v", unwatched.Err(), f.after)
	}
	f.now = f.now.Add(time.Second)
	f.fire()
	ended(t, c, context.DeadlineExceeded)
	ended(t, unwatched, context.DeadlineExceeded)
	c.AfterFunc(func() { ran++ })
	if ran != 2 {
		t.Errorf("%d functions ran, want 2", ran)
	}

	own, cancel := context.WithCancel(parent)
	defer cancel()
	defer func() {
		if r := recover(); r != "lazyctx: a *context.cancelCtx ends outside of virtual time: use a Context" {
			t.Errorf("panic: %v", r)
		}
	}()
	foreign := new(Context)
	foreign.Init(own, time.Time{})
	foreign.Done()
}

// fake is a World with a clock and a timer that the test moves.
type fake struct {
	world.Source
	now   time.Time
	after time.Duration
	fire  func()
}

func (f *fake) Now() time.Time { return f.now }
func (f *fake) IsReal() bool   { return false }
func (f *fake) Go(run func())  { run() }
func (f *fake) AfterFunc(d time.Duration, run func()) world.Timer {
	f.after, f.fire = d, run
	return time.NewTimer(0)
}

func TestContextValueAndName(t *testing.T) {
	type name struct{}
	c := newContext(context.WithValue(t.Context(), name{}, "parent's"), 0)
	if got := c.Value(name{}); got != "parent's" {
		t.Errorf("value %v", got)
	}
	if c.String() != "holdfast attempt" {
		t.Errorf("named %q", c)
	}
}

// For the race detector: all methods at once, in real time.
func TestContextFromManyGoroutines(t *testing.T) {
	for range 300 {
		parent, cancel := context.WithCancel(context.Background())
		c := newContext(parent, 100*time.Microsecond)
		var wg sync.WaitGroup
		for _, f := range []func(){
			func() { <-c.Done() },
			func() { c.Err() },
			func() { c.Deadline() },
			func() { c.Extend(time.Now().Add(200 * time.Microsecond)) },
			func() { c.AfterFunc(func() {})() },
			func() { child, cancel := context.WithCancel(c); <-child.Done(); cancel() },
			func() { inner := newContext(c, time.Minute); <-inner.Done() },
			cancel,
			c.End,
		} {
			wg.Go(f)
		}
		wg.Wait()
		first := c.Err()
		if first == nil || c.Err() != first {
			t.Fatalf("ended with %v, then with %v", first, c.Err())
		}
	}
}

// A Context costs one allocation, itself, if no code waits for its end.
func TestContextAllocates(t *testing.T) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	deadline := time.Now().Add(time.Hour)
	var c *Context
	if n := testing.AllocsPerRun(100, func() {
		c = new(Context)
		kept = c
		c.Init(parent, deadline)
		if c.Err() != nil {
			t.Error("ended")
		}
		c.End()
	}); n != 1 {
		t.Errorf("%v allocations, want the Context and nothing else", n)
	}
}

// kept makes its value escape.
var kept any

// A watched Context has no timer, and Expire ends it as its deadline would.
func TestContextWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in Watch
		c := new(Context)
		c.InitWatched(t.Context(), time.Now().Add(time.Second), &in)
		done := c.Done()
		if at, ok := c.Deadline(); !ok || time.Until(at) != time.Second {
			t.Errorf("deadline %v %v", at, ok)
		}
		c.Extend(time.Now().Add(time.Minute))
		time.Sleep(2 * time.Second)
		goesOn(t, c)
		c.Expire()
		<-done
		ended(t, c, context.DeadlineExceeded)

		c = newContext(t.Context(), time.Second)
		<-c.Done()
		ended(t, c, context.DeadlineExceeded)
		c.Expire()
		ended(t, c, context.DeadlineExceeded)
	})
}

// A Context ends at once with the Context above it, and its hook there is removed
// when it ends first. One whose parent has ended before has ended too.
func TestContextFollowsAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer := newContext(t.Context(), time.Minute)
		gone, stays := newContext(outer, 0), newContext(outer, time.Hour)
		goesOn(t, gone)
		goesOn(t, stays)
		gone.End()
		gone.End()
		if n := hooks(outer); n != 1 {
			t.Errorf("it keeps %d hooks, want the one that is left", n)
		}
		outer.Expire()
		ended(t, stays, context.DeadlineExceeded)
		ended(t, gone, context.Canceled)
		born := newContext(outer, 0)
		born.Done()
		synctest.Wait()
		ended(t, born, context.DeadlineExceeded)
	})
}

// The sizes are those of size classes: one byte more is an allocation of the next.
func TestSizes(t *testing.T) {
	if n, m := unsafe.Sizeof(Context{}), unsafe.Sizeof(Watch{}); n > 48 || m > 144 {
		t.Errorf("a Context has %d bytes, its state %d; want at most 48 and 144", n, m)
	}
}

// notes counts the notes of the end of a Context.
type notes struct{ n int }

func (e *notes) ContextEnded(world.World) { e.n++ }

func TestNotify(t *testing.T) {
	var c Context
	c.Init(context.Background(), time.Time{})
	var a, b, d notes
	for _, e := range []*notes{&a, &b, &d} {
		if !c.Notify(e) {
			t.Error("it has not ended")
		}
	}
	if !c.Forget(&b) || c.Forget(&b) || c.Forget(new(notes)) {
		t.Error("want b forgotten, once, and nothing else")
	}
	c.End()
	c.End()
	if a.n != 1 || b.n != 0 || d.n != 1 {
		t.Errorf("notes %d, %d, %d, want 1, 0, 1", a.n, b.n, d.n)
	}
	if c.Notify(&b) || b.n != 0 {
		t.Error("a Context that has ended took a note")
	}
	if c.Forget(&a) {
		t.Error("a note that was given is taken back")
	}
}
