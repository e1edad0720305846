package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/virtual"
	"github.com/holdfast-go/holdfast/internal/world"
)

func TestCooldown(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var c Cooldown
	if c.Requested() {
		t.Error("requested at the beginning")
	}
	c.Request(now, 0)
	if c.Requested() {
		t.Error("a request for nothing counts")
	}
	c.Request(now, 10*time.Second)
	if !c.Requested() {
		t.Error("the request does not count")
	}
	if at, active := c.Until(now, 0.5); !active || !at.Equal(now.Add(10*time.Second+500*time.Millisecond)) {
		t.Errorf("until %v %v", at, active)
	}
	if at, active := c.Until(now.Add(10*time.Second), 0.5); active {
		t.Errorf("over, but active until %v", at)
	}
	if c.Requested() {
		t.Error("requested, although a look has found it over")
	}
	if c.Request(now.Add(time.Minute), 0); c.Requested() {
		t.Error("a request for nothing counts after a cooldown")
	}
	if c.Request(now.Add(time.Minute), time.Second); !c.Requested() {
		t.Error("the second request does not count")
	}
	if _, active := c.Until(now.Add(time.Minute), 0); !active || !c.Requested() {
		t.Error("a look ends a cooldown that is not over")
	}
	c.Until(now.Add(2*time.Minute), 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c.Request(now, time.Duration(i)*time.Minute)
			c.Requested()
			c.Until(now, 0)
		})
	}
	wg.Wait()
	if at, _ := c.Until(now, 0); !at.Equal(now.Add(7 * time.Minute)) {
		t.Errorf("until %v, want the end of the longest", at)
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
			e.Cooldown.Request(now, time.Second)
		}
		w.others = func() {
			if before {
				e.Cooldown.Until(now.Add(time.Second), 0)
			} else {
				e.Cooldown.Request(now, time.Second)
			}
		}
		o := new(Operation)
		o.Begin(ctx, e, new(Rules), nil)
		if !o.CoolingDown() || e.Cooldown.Requested() == before {
			t.Errorf("%s: an attempt may start", name)
		}
	}
}
