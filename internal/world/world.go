// Package world is the seam between the rules and the machine they run on: time,
// chance and waiting.
package world

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"time"
)

// World is time, chance and waiting.
type World interface {
	Now() time.Time
	Since(t time.Time) time.Duration
	Chance() float64 // in [0, 1)
	Random(p []byte)
	Parker() Parker
	AfterFunc(d time.Duration, f func()) Timer
}

// Woken is why a Park ended.
type Woken uint8

const (
	ByWake Woken = iota
	ByTime
	ByContext
)

// Parker is one place to wait.
type Parker interface {
	Park(ctx context.Context, until time.Time) Woken
	Wake()
}

// Timer is a second line of execution that has not begun.
type Timer interface {
	Stop() bool
	Reset(d time.Duration) bool
}

type real struct{}

// Real is the world of production.
func Real() World { return real{} }

func (real) Now() time.Time                            { return time.Now() }
func (real) Since(t time.Time) time.Duration           { return time.Since(t) }
func (real) Chance() float64                           { return rand.Float64() }
func (real) Random(p []byte)                           { _, _ = crand.Read(p) }
func (real) Parker() Parker                            { return make(parker, 1) }
func (real) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

type parker chan struct{}

func (p parker) Wake() {
	select {
	case p <- struct{}{}:
	default:
	}
}

func (p parker) Park(ctx context.Context, until time.Time) Woken {
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-p:
		return ByWake
	case <-timeout:
		return ByTime
	case <-ctx.Done():
		return ByContext
	}
}
