// Package virtual is a world.World in virtual time, for simulations and tests.
//
// It runs any number of callers as coroutines on one goroutine. A caller runs until
// it waits; then the earliest event runs, and the time jumps to its instant. Events
// of one instant run in the order in which they were made, and chance is seeded: so
// the same program with the same seed does the same, step by step.
//
// Code in a World must wait through the World alone. A mutex is fine as long as no
// caller waits while it holds it.
package virtual

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/world"
)

// World is a virtual world. All of its methods belong to the goroutine that calls
// Run, and to the callers and events that run there.
type World struct {
	world   world.World
	context context.Context
	events  events
	seen    int64     // the instant of events that time is
	time    time.Time // as Now returns it
	random  uint64
	steps   uint64

	running *caller   // nil while an event of At or AfterFunc runs
	busy    bool      // Run or RunUntil is at work
	callers []*caller // all that have not ended
	idle    []*caller // those without a function
	parkers []*parker // free ones
}

// start is the time at which every World begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// New makes a World. Its random numbers depend on seed alone.
func New(seed uint64) *World {
	w := &World{random: seed, time: start}
	w.world = world.From(w)
	w.context = world.With(context.Background(), w.world)
	return w
}

// World is w as the code that runs in it knows it.
func (w *World) World() world.World { return w.world }

// Background is the context of w that never ends.
func (w *World) Background() context.Context { return w.context }

// Context makes a context of w that ends with parent, at the deadline (zero: none),
// or by its method End. The parent is Background or another Context, perhaps with
// values added: contexts that package context can end do so outside of virtual time.
func (w *World) Context(parent context.Context, deadline time.Time) *lazyctx.Context {
	c := new(lazyctx.Context)
	c.Init(parent, deadline)
	return c
}

// Go starts a caller: f runs once the code that runs now waits or ends.
func (w *World) Go(f func()) {
	c := w.newCaller()
	c.f = f
	w.events.push(&c.event, w.events.now)
}

// At runs f at instant t, or now if t has passed. f must not wait; it can start code
// that does with Go.
func (w *World) At(t time.Time, f func()) { w.events.push(&event{f: f}, sinceStart(t)) }

// Run runs all events. The error is a *StuckError if callers are left that wait for
// an event that never comes; they end as if they had panicked. A panic of a caller or
// of an event is one of Run, and ends the other callers too.
func (w *World) Run() error {
	w.begin()
	defer w.endAll()
	w.run(math.MaxInt64)
	if n := len(w.callers) - len(w.idle); n > 0 {
		return &StuckError{n}
	}
	return nil
}

// RunUntil runs the events up to t, and leaves the callers that wait then. Run or
// another RunUntil goes on with them.
func (w *World) RunUntil(t time.Time) {
	w.begin()
	end := sinceStart(t)
	w.run(end)
	w.events.now = max(w.events.now, end)
}

func (w *World) begin() {
	if w.busy {
		panic("virtual: Run is called by code that it runs")
	}
	w.busy = true
}

func (w *World) run(end int64) {
	defer func() { w.busy, w.running = false, nil }()
	for e := w.events.pop(end); e != nil; e = w.events.pop(end) {
		if w.steps++; e.caller != nil {
			w.resume(e.caller)
		} else {
			e.f()
		}
	}
}

// StuckError is the error of Run when callers are left.
type StuckError struct {
	Callers int
}

// Error gives the number of callers.
func (e *StuckError) Error() string {
	return fmt.Sprintf("virtual: %d callers wait for an event that never comes", e.Callers)
}

// Steps is the number of events so far: starts and wake-ups of callers, functions of
// At and AfterFunc.
func (w *World) Steps() uint64 { return w.steps }

// Now is the virtual time.
func (w *World) Now() time.Time {
	if w.seen != w.events.now {
		w.seen, w.time = w.events.now, start.Add(time.Duration(w.events.now))
	}
	return w.time
}

// IsReal is false.
func (w *World) IsReal() bool { return false }

// Chance is a number in [0, 1) that depends on the seed and on the calls before.
func (w *World) Chance() float64 { return float64(w.next()>>11) / (1 << 53) }

// Random returns bytes that depend on the seed and on the calls before.
func (w *World) Random() (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:8], w.next())
	binary.LittleEndian.PutUint64(b[8:], w.next())
	return b
}

// next is a step of SplitMix64, by Steele, Lea and Flood.
func (w *World) next() uint64 {
	w.random += 0x9e3779b97f4a7c15
	z := w.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// AfterFunc runs f after d. f must not wait; it can start code that does with Go.
func (w *World) AfterFunc(d time.Duration, f func()) world.Timer {
	t := &timer{event{f: f}, &w.events}
	t.Reset(d)
	return t
}

// timer is an event that can be stopped and set anew.
type timer struct {
	event
	events *events
}

func (t *timer) Stop() bool { return t.events.cancel(&t.event) }

func (t *timer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.events.push(&t.event, t.events.now+int64(d))
	return was
}

// sinceStart is an instant as events have it: t.Sub(start) in nanoseconds, at half of
// the cost.
func sinceStart(t time.Time) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch seconds := t.Unix() - startSeconds; {
	case seconds >= most:
		return math.MaxInt64
	case seconds <= -most:
		return math.MinInt64
	default:
		return seconds*int64(time.Second) + int64(t.Nanosecond())
	}
}

var startSeconds = start.Unix()
