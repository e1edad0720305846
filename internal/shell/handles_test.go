package shell

import (
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Without a bubble, for the race detector: when all is over, the word and the
// machine agree.
func TestBreakerFromManyGoroutines(t *testing.T) {
	b := NewBreaker(breaker.Config{Threshold: 3, OpenFor: 10 * time.Microsecond, Probes: 2})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 1000 {
				ticket, ok := b.Load().Admit()
				if !ok {
					ticket, _, _, ok = b.Allow(time.Now(), time.Second)
				}
				if ok && !b.Load().Confirms(ticket) {
					ticket, _, _, ok = b.Confirm(time.Now(), ticket, time.Second)
				}
				if !ok {
					continue
				}
				o := outcome.Outcome((i + n) % 6)
				if n%7 == 0 {
					b.Note(time.Now(), ticket, o)
				}
				if !b.Load().Quiet(ticket, o) {
					b.Done(time.Now(), ticket, o)
				}
				b.Snapshot(time.Now())
			}
		})
	}
	wg.Wait()
	if b.Load() != b.machine.Word() {
		t.Errorf("the word is %x, the machine's %x", b.Load(), b.machine.Word())
	}
	if s := b.Snapshot(time.Now()); s.Probing != 0 {
		t.Errorf("%d permits are out, and everybody is done", s.Probing)
	}
}

func TestPause(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var p Pause
	if p.Asked() {
		t.Error("nobody has asked")
	}
	p.Ask(now, 0)
	if p.Asked() {
		t.Error("to ask for nothing is not to ask")
	}
	p.Ask(now, 10*time.Second)
	if !p.Asked() {
		t.Error("it has asked")
	}
	if at, silent := p.Until(now, 0.5); !silent || !at.Equal(now.Add(10*time.Second+500*time.Millisecond)) {
		t.Errorf("until %v %v", at, silent)
	}
	if at, silent := p.Until(now.Add(10*time.Second), 0.5); silent {
		t.Errorf("over, but silent until %v", at)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p.Ask(now, time.Duration(i)*time.Minute)
			p.Asked()
			p.Until(now, 0)
		})
	}
	wg.Wait()
	if at, _ := p.Until(now, 0); !at.Equal(now.Add(7 * time.Minute)) {
		t.Errorf("until %v, want the longest that was asked for", at)
	}
}

// The quiet paths cost no memory.
func TestQuietPathsDoNotAllocate(t *testing.T) {
	b := NewBreaker(breaker.Config{Threshold: 3, OpenFor: time.Second, Probes: 1})
	slots := NewBulkhead(bulkhead.Config{Slots: 1, Queue: 1})
	var p Pause
	for name, f := range map[string]func(){
		"a closed breaker": func() {
			ticket, ok := b.Load().Admit()
			if !ok || !b.Load().Confirms(ticket) || !b.Load().Quiet(ticket, outcome.Success) {
				t.Error("not quiet")
			}
		},
		"a failure and a success": func() {
			ticket, _ := b.Load().Admit()
			b.Done(time.Time{}, ticket, outcome.Transient)
			b.Done(time.Time{}, ticket, outcome.Success)
		},
		"a free slot": func() {
			if !slots.TryTake() {
				t.Error("none")
			}
			slots.Give()
		},
		"no silence": func() {
			if p.Asked() {
				t.Error("asked")
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	now := time.Unix(1_000_000, 0)
	ticket, _ := b.Load().Admit()
	for range 3 {
		b.Note(now, ticket, outcome.Transient)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, open := b.Load().Open(); !open {
			t.Error("not open")
		}
		if _, _, _, ok := b.Allow(now, 0); ok {
			t.Error("admitted")
		}
	}); n != 0 {
		t.Errorf("an open breaker: %v allocations", n)
	}
}
