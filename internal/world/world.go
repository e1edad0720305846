// Package world is the seam between the rules and the machine that they run on:
// time, chance and waiting.
//
// In production it is the clock, the random numbers of the system, and goroutines.
// In a simulation it is virtual time, seeded chance and coroutines; see
// internal/virtual. The same code runs in both.
package world

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// World is a source of time, chance and waiting. The zero World is the real one. A
// World is one pointer, so that the real one costs a comparison and no allocation.
type World struct{ source *boxed }

type boxed struct{ Source }

// Source implements a World other than the real one.
type Source interface {
	Now() time.Time
	Chance() float64
	Random() [16]byte
	Parker() Parker
	AfterFunc(d time.Duration, f func()) Timer
	Go(f func())
	// IsReal: the time is that of the system, so that code that waits for it
	// otherwise, as net/http does, may be used.
	IsReal() bool
}

// Timer is the timer of AfterFunc, with the methods of time.Timer.
type Timer interface {
	Stop() bool
	Reset(d time.Duration) bool
}

// From makes a World of a Source.
func From(s Source) World { return World{&boxed{s}} }

// IsReal reports whether the time of w is that of the system.
func (w World) IsReal() bool { return w.source == nil || w.source.IsReal() }

// Now is the current time.
func (w World) Now() time.Time {
	if w.source == nil {
		return time.Now()
	}
	return w.source.Now()
}

// Since is the time since t. It is cheaper than Now.
func (w World) Since(t time.Time) time.Duration {
	if w.source == nil {
		return time.Since(t)
	}
	return w.source.Now().Sub(t)
}

// Until is the time until t. It is cheaper than Now.
func (w World) Until(t time.Time) time.Duration { return -w.Since(t) }

// Chance is a random number in [0, 1).
func (w World) Chance() float64 {
	if w.source == nil {
		return rand.Float64()
	}
	return w.source.Chance()
}

// Random returns random bytes that are fit for ids: in the real World they cannot be
// predicted, and do not repeat in copies of a running system.
func (w World) Random() (b [16]byte) {
	if w.source != nil {
		return w.source.Random()
	}
	_, _ = crand.Read(b[:]) // crypto/rand documents that it never fails
	return b
}

// Noise returns random bytes that can be predicted, for ids that no other system sees.
// It is cheaper than Random.
func (w World) Noise() (b [16]byte) {
	if w.source != nil {
		return w.source.Random()
	}
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return b
}

// Parker gives the caller a place to wait, to be freed after the wait.
func (w World) Parker() Parker {
	if w.source == nil {
		return newParker()
	}
	return w.source.Parker()
}

// Sleep waits until t or the end of ctx, and reports which: ByTime or ByContext.
func (w World) Sleep(ctx context.Context, t time.Time) Woken {
	if w.source == nil {
		return wait(nil, ctx.Done(), t)
	}
	p := w.source.Parker()
	defer p.Free()
	return p.Park(ctx, t)
}

// AfterFunc runs f after d. f must not wait; it can start code that does with Go.
func (w World) AfterFunc(d time.Duration, f func()) Timer {
	if w.source == nil {
		return time.AfterFunc(d, f)
	}
	return w.source.AfterFunc(d, f)
}

// Go runs f concurrently. f may wait.
func (w World) Go(f func()) {
	if w.source == nil {
		go f()
		return
	}
	w.source.Go(f)
}

// Each runs f(0) to f(n-1) concurrently, and waits until all of them have ended.
func (w World) Each(n int, f func(i int)) {
	if n <= 0 {
		return
	}
	all := w.Parker()
	defer all.Free()
	var left atomic.Int64
	left.Store(int64(n))
	for i := range n {
		w.Go(func() {
			defer func() { // through runtime.Goexit, too
				if left.Add(-1) == 0 {
					all.Wake()
				}
			}()
			f(i)
		})
	}
	all.Park(context.Background(), time.Time{})
}

// named is set by the first call of With. Until then every context is of the real
// World, and Of need not search it.
var named atomic.Bool

// of is a context of a World.
type of struct {
	context.Context
	world World
}

// key is the key of the nearest World.
type key struct{}

func (c *of) Value(k any) any {
	if _, ok := k.(key); ok {
		return c.world
	}
	return c.Context.Value(k)
}

// With gives a context of the World w.
func With(ctx context.Context, w World) context.Context {
	named.Store(true)
	return &of{ctx, w}
}

// Of gives the World of a context: that of the nearest With, else the real one.
func Of(ctx context.Context) World {
	if !named.Load() {
		return World{}
	}
	w, _ := ctx.Value(key{}).(World)
	return w
}
