package engine

import (
	"sync"
	"testing"
)

// The engine in virtual time: 200,000 operations of 2,000 callers. The rules hold
// at every step, and the same seed gives the same events, to the nanosecond.
func TestOperationsInVirtualTime(t *testing.T) {
	most := 200_000
	if underRace {
		most = 20_000
	}
	few := most / 10
	var wg sync.WaitGroup
	run := func(seed uint64, operations int) *simulation {
		s := newSimulation(t, seed, operations)
		for range 2000 {
			s.newCaller()
		}
		wg.Go(func() {
			if err := s.w.Run(); err != nil {
				t.Error(err)
			}
			s.over(operations)
		})
		return s
	}
	a, b := run(1, most), run(1, most)
	c, d := run(1, few), run(2, few)
	wg.Wait()
	if a.hash != b.hash || a.seen != b.seen || a.w.Steps() != b.w.Steps() {
		t.Errorf("seed 1: hashes %x and %x, events %v and %v", a.hash, b.hash, a.seen, b.seen)
	}
	if c.hash == d.hash {
		t.Errorf("seeds 1 and 2: hash %x", c.hash)
	}
	for e, n := range a.seen {
		if n < most/10_000 {
			t.Errorf("seed 1: %d events of kind %d: the simulation does not cover it", n, e)
		}
	}
	t.Logf("seed 1: hash %x, %d steps, events %v, %v", a.hash, a.w.Steps(), a.seen, a.w.Now().Sub(a.start))
}
