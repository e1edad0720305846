package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/virtual"
	"github.com/holdfast-go/holdfast/internal/world"
)

// request records that a service asked for a wait.
func request(c *Cooldown, now time.Time, d time.Duration) {
	c.Request(now, 0, cooldown.Told{For: d}, cooldown.Pass{})
}

func TestCooldown(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	c := NewCooldown(7 * time.Minute)
	ask := func(after, u float64) (time.Duration, bool) {
		_, wait, ok := c.Ask(now.Add(time.Duration(after*float64(time.Second))), 0, u)
		return wait.Until.Sub(now), ok
	}
	if c.Requested() {
		t.Error("requested at the beginning")
	}
	if request(c, now, 0); c.Requested() {
		t.Error("a request for nothing counts")
	}
	if request(c, now, 10*time.Second); !c.Requested() {
		t.Error("the request does not count")
	}
	if until, ok := ask(0, 0.5); ok || until != 10*time.Second+500*time.Millisecond {
		t.Errorf("until %v %v", until, ok)
	}
	if _, ok := ask(10, 0.5); !ok || !c.Requested() {
		t.Error("no start at the end, or it is over before all may start")
	}
	if _, ok := ask(20, 0.5); !ok || c.Requested() {
		t.Error("requested, although a look has found it over")
	}
	if request(c, now.Add(time.Minute), 0); c.Requested() {
		t.Error("a request for nothing counts after a cooldown")
	}
	if request(c, now.Add(time.Minute), time.Second); !c.Requested() {
		t.Error("the second request does not count")
	}
	if _, ok := ask(60, 0); ok || !c.Requested() {
		t.Error("a look ends a cooldown that is not over")
	}
	if c.Blocks(now.Add(3*time.Minute), 0, cooldown.Pass{}) || c.Requested() {
		t.Error("a last look has not found it over")
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			request(c, now, time.Duration(i)*time.Minute)
			c.Requested()
			pass, _, _ := c.Ask(now, 0, 0)
			c.Blocks(now, 0, pass)
			c.End(now, pass, true)
		})
	}
	wg.Wait()
	if until, _ := ask(0, 0); until != 7*time.Minute {
		t.Errorf("until %v, want the end of the longest", until)
	}
}

// interrupted is a World in which other goroutines run after a look at the clock.
type interrupted struct {
	*virtual.World
	others func()
}

func (i *interrupted) Now() time.Time {
	now := i.World.Now()
	i.others()
	return now
}

// An attempt starts neither in a cooldown that others request during the last look at
// the clock, nor in one that they find over by a later look.
func TestCooldownChangesDuringTheLastLook(t *testing.T) {
	w := &interrupted{World: virtual.New(1)}
	ctx := world.With(context.Background(), world.From(w))
	now := w.World.Now()
	for name, before := range map[string]bool{"requested": false, "found over": true} {
		e := &Engine{Cooldown: new(Cooldown)}
		if before {
			request(e.Cooldown, now, time.Second)
		}
		w.others = func() {
			if before {
				e.Cooldown.Ask(now.Add(2*time.Second), 0, 0)
			} else {
				request(e.Cooldown, now, time.Second)
			}
		}
		o := new(Operation)
		o.Begin(ctx, e, new(Rules), succeeding{o: o})
		if !o.CoolingDown() || e.Cooldown.Requested() == before {
			t.Errorf("%s: an attempt may start", name)
		}
	}
}

// asked is the work of an operation with one attempt.
type asked struct {
	succeeding
	attempt func(*Attempt)
	tooLong *time.Time
}

func (a asked) Try(n int) *Attempt {
	made := new(Attempt)
	a.o.Start(made, n, a.o.Caller, nil)
	a.attempt(made)
	return made
}

func (a asked) CooldownTooLong(until time.Time) { *a.tooLong = until }
func (asked) Abandoned(*Attempt)                {}
func (asked) Rejected(error)                    {}
func (asked) Saturated(bool)                    {}
func (asked) Waiting(time.Time)                 {}

// However an operation ends that had a pass, it gives the pass back: the next one starts.
func TestPassesComeBack(t *testing.T) {
	conclude := func(o outcome.Outcome) func(*Attempt) {
		return func(a *Attempt) { a.Conclude(judge.Meaning{Outcome: o}, nil) }
	}
	for name, attempt := range map[string]func(*Attempt){
		"success":   conclude(outcome.Success),
		"declined":  conclude(outcome.Permanent),
		"failed":    conclude(outcome.Transient),
		"panics":    func(*Attempt) { panic("planned") },
		"no permit": nil,
	} {
		w := virtual.New(1)
		e, r := &Engine{Cooldown: new(Cooldown)}, &Rules{Waiters: 1, Retry: retry.Config{MaxRetryAfter: time.Minute}}
		w.Go(func() {
			request(e.Cooldown, w.Now(), 10*time.Second)
			w.World().Sleep(w.Background(), w.Now().Add(10*time.Second))
			run := func(ctx context.Context, attempt func(*Attempt)) (d retry.Decision, tooLong time.Time) {
				defer func() { _ = recover() }()
				o := new(Operation)
				o.Begin(ctx, e, r, asked{succeeding{o: o}, attempt, &tooLong})
				return o.Run(), tooLong
			}
			ctx, cancel := context.WithCancel(w.Background())
			if attempt == nil {
				cancel()
			}
			run(ctx, attempt)
			cancel()
			began := w.Now()
			d, _ := run(w.Background(), conclude(outcome.Success))
			if d.Why != retry.Answered || !w.Now().Equal(began) {
				t.Errorf("%s: the next one %v after %v", name, d.Why, w.Now().Sub(began))
			}
		})
		if err := w.Run(); err != nil {
			t.Error(err)
		}
	}
}

// A cooldown that is longer than an operation may wait rejects it at once.
func TestLongCooldown(t *testing.T) {
	w := virtual.New(1)
	e, r := &Engine{Cooldown: new(Cooldown)}, &Rules{Waiters: 1, Retry: retry.Config{MaxRetryAfter: time.Minute}}
	w.Go(func() {
		request(e.Cooldown, w.Now(), time.Hour)
		began := w.Now()
		var tooLong time.Time
		o := new(Operation)
		o.Begin(w.Background(), e, r, asked{succeeding{o: o}, nil, &tooLong})
		if d := o.Run(); d.Why != retry.CoolingDown || !tooLong.Equal(began.Add(time.Hour)) || !w.Now().Equal(began) {
			t.Errorf("%v until %v after %v", d.Why, tooLong, w.Now().Sub(began))
		}
	})
	if err := w.Run(); err != nil {
		t.Error(err)
	}
}
