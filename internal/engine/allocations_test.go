package engine

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The common case allocates nothing.
func TestAllocations(t *testing.T) {
	b := NewBreaker(breaker.Config{Threshold: 3, OpenFor: time.Second, Probes: 1})
	h := NewBulkhead(bulkhead.Config{Permits: 1, Queue: 1})
	var c Cooldown
	for name, f := range map[string]func(){
		"a closed breaker": func() {
			ticket, ok := b.Load().Admit()
			if !ok || !b.Load().Confirms(ticket) || !b.Load().NoOp(ticket, outcome.Success) {
				t.Error("the snapshot does not answer")
			}
		},
		"a failure and a success": func() {
			ticket, _ := b.Load().Admit()
			b.Done(time.Time{}, ticket, outcome.Transient)
			b.Done(time.Time{}, ticket, outcome.Success)
		},
		"a free permit": func() {
			if !h.TryAcquire() {
				t.Error("none")
			}
			h.Release()
		},
		"no cooldown": func() {
			if c.Requested() {
				t.Error("requested")
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
