package main

import (
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

// Every operation of a lane is done on any number of CPUs, and GOMAXPROCS is
// restored.
func TestLaneDoesAllItsOperations(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for _, procs := range []int{1, 2} {
		var done atomic.Int64
		for _, callers := range []int{0, 1, 7} {
			done.Store(0)
			l := &lane{op: func(n int) error { done.Add(int64(n)); return nil }, load: load{procs, callers}, n: 1001}
			if _, err := l.measure(); err != nil || done.Load() != 1001 {
				t.Errorf("%d CPUs, %d callers: %d operations, %v; want 1001", procs, callers, done.Load(), err)
			}
		}
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("GOMAXPROCS is %d after measuring, was %d", now, before)
	}
}

func TestLaneReportsTheError(t *testing.T) {
	broken := errors.New("broken")
	for _, procs := range []int{1, 2} {
		if _, err := newLane(func(int) error { return broken }, load{procs: procs}); !errors.Is(err, broken) {
			t.Errorf("%d CPUs: %v", procs, err)
		}
	}
}

func TestCountMemoryIsExact(t *testing.T) {
	var sink *[64]byte
	op := func(n int) error {
		for range n {
			sink = new([64]byte)
		}
		return nil
	}
	bytes, allocs, err := countMemory(op, load{procs: 1})
	if err != nil || bytes != 64 || allocs != 1 {
		t.Errorf("%v B, %v allocs, %v; want 64, 1 (last %p)", bytes, allocs, err, sink)
	}
	if bytes, allocs, err := countMemory(func(int) error { return nil }, load{procs: 1}); err != nil || bytes != 0 || allocs != 0 {
		t.Errorf("nothing: %v B, %v allocs, %v", bytes, allocs, err)
	}
}

// The bars of allocations are also tests, since they do not depend on the
// machine.
func TestAllocationBars(t *testing.T) {
	for _, r := range append(slices.Clone(races), httpRaces...) {
		do := nothing
		if r.work != nil {
			do = r.work()
		}
		allocs := func(c contender) float64 {
			_, allocs, err := countMemory(c.rig(do), r.load)
			if err != nil {
				t.Errorf("%s: %s: %v", r.name, c.name, err)
			}
			return allocs
		}
		if r.maxAllocs != nil {
			if n := allocs(r.lead); n > *r.maxAllocs {
				t.Errorf("%s: %v allocations, bar %v", r.name, n, *r.maxAllocs)
			}
		}
		for _, e := range r.others {
			if e.moreAllocs == nil || e.elsewhere != nil {
				continue
			}
			judged, other := allocs(r.lead), allocs(e.contender)
			if r.toLead {
				judged, other = other, judged
			}
			// 0.1 for other goroutines of the process.
			if judged-other > *e.moreAllocs+0.1 {
				t.Errorf("%s: %s: %v allocations to %v, bar %v more", r.name, e.name, judged, other, *e.moreAllocs)
			}
		}
	}
}
