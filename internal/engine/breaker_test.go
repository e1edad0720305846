package engine

import (
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// For the race detector, in real time: at the end the snapshot and the machine
// agree.
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
				if !b.Load().NoOp(ticket, o) {
					b.Done(time.Now(), ticket, o)
				}
				b.Stats(time.Now())
			}
		})
	}
	wg.Wait()
	if b.Load() != b.machine.Snapshot() {
		t.Errorf("the snapshot is %x, the machine's %x", b.Load(), b.machine.Snapshot())
	}
	if s := b.Stats(time.Now()); s.Probing != 0 {
		t.Errorf("%d probes are out at the end", s.Probing)
	}
}
