package engine

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/virtual"
)

// succeeding is the Work of an operation whose attempts succeed at once.
type succeeding struct {
	Records
	o *Operation
}

func (s succeeding) Try(n int) *Attempt {
	a := new(Attempt)
	s.o.Start(a, n, s.o.Caller, nil)
	defer a.Context.End()
	a.Conclude(judge.Meaning{Outcome: outcome.Success}, nil)
	return a
}

func (succeeding) Scope() cooldown.Scope            { return 0 }
func (succeeding) Told(*Attempt) cooldown.Told      { return cooldown.Told{} }
func (succeeding) CoolingDown(time.Time, time.Time) {}
func (succeeding) Ended(*Attempt)                   {}

// A cooldown makes operations take the long way until one of them has found it over.
func TestFastPathAfterACooldown(t *testing.T) {
	w := virtual.New(1)
	start := w.Now()
	e, r := &Engine{Cooldown: new(Cooldown)}, &Rules{Waiters: 1, Retry: retry.Config{MaxRetryAfter: time.Minute}}
	r.Fast = e.FastPath(r)
	fast := func() bool {
		var f FastPath
		ok := f.Enter(w.Background(), e, r)
		if ok {
			f.Leave(e, outcome.Success)
		}
		return ok
	}
	operation := func(ctx context.Context) {
		o := new(Operation)
		o.Begin(ctx, e, r, succeeding{o: o})
		o.Run()
	}
	w.Go(func() {
		if !fast() {
			t.Error("the long way without a cooldown")
		}
		e.Cooldown.Request(w.Now(), 0, cooldown.Told{For: time.Second}, cooldown.Pass{})
		if fast() {
			t.Error("the fast path during a cooldown")
		}
		operation(w.Background())
		if waited := w.Now().Sub(start); waited < time.Second || waited > 1100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		w.World().Sleep(w.Background(), w.Now().Add(time.Second))
		operation(w.Background())
		if !fast() {
			t.Error("the long way after a cooldown that an operation has found over")
		}
		e.Cooldown.Request(w.Now(), 0, cooldown.Told{For: time.Second}, cooldown.Pass{})
		w.World().Sleep(w.Background(), w.Now().Add(2*time.Second))
		if fast() {
			t.Error("the fast path before an operation has found the cooldown over")
		}
		if operation(w.Background()); !fast() {
			t.Error("the long way after that")
		}
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}
