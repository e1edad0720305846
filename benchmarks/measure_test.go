package main

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
)

// Every operation of a lane is done, however many CPUs share it, and the
// process has its own number of CPUs back afterwards.
func TestLaneDoesAllItsOperations(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for _, procs := range []int{1, 2} {
		var done atomic.Int64
		l := &lane{op: func(n int) error { done.Add(int64(n)); return nil }, procs: procs, n: 10 * grains}
		if _, err := l.measure(); err != nil || done.Load() != 10*grains {
			t.Errorf("%d CPUs: %d operations, %v; want %d", procs, done.Load(), err, 10*grains)
		}
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("GOMAXPROCS is %d after measuring, was %d", now, before)
	}
}

func TestLaneReportsTheError(t *testing.T) {
	broken := errors.New("broken")
	for _, procs := range []int{1, 2} {
		if _, err := newLane(func(int) error { return broken }, procs); err != broken {
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
	bytes, allocs, err := countMemory(op)
	if err != nil || bytes != 64 || allocs != 1 {
		t.Errorf("%v B, %v allocs, %v; want 64, 1 (last %p)", bytes, allocs, err, sink)
	}
	if bytes, allocs, err := countMemory(func(int) error { return nil }); err != nil || bytes != 0 || allocs != 0 {
		t.Errorf("nothing: %v B, %v allocs, %v", bytes, allocs, err)
	}
}

// What the bars say of allocations is asserted here too: it does not depend on
// the machine.
func TestAllocationBars(t *testing.T) {
	for _, r := range races {
		if r.maxAllocs == nil {
			continue
		}
		if _, allocs, err := countMemory(r.holdfast.rig(nothing)); err != nil || allocs > *r.maxAllocs {
			t.Errorf("%s: %v allocations, bar %v, %v", r.name, allocs, *r.maxAllocs, err)
		}
	}
}
