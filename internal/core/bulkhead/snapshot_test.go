package bulkhead

import (
	"math"
	"testing"
)

func TestSnapshot(t *testing.T) {
	const permits = 2
	var s Snapshot
	acquire := func(want bool) {
		t.Helper()
		next, ok := s.Acquire(permits)
		if ok != want {
			t.Fatalf("acquired %v of %v", ok, s)
		}
		if ok {
			s = next
		}
	}
	acquire(true)
	acquire(true)
	acquire(false) // two permits, both in use
	if s.InUse() != 2 || !s.Uncontended() {
		t.Errorf("%d in use, uncontended %v", s.InUse(), s.Uncontended())
	}
	s = s.WithWaiters()
	if s.InUse() != 2 || s.Uncontended() {
		t.Errorf("%d in use, uncontended %v, but with waiters", s.InUse(), s.Uncontended())
	}
	if _, free := s.Grant(permits, true); free {
		t.Error("granted, but no permit is free")
	}
	s--            // one is released
	acquire(false) // it is for the first waiter
	more, free := s.Grant(permits, false)
	if !free || more.InUse() != 2 || more.Uncontended() {
		t.Errorf("granted %v: %d in use, and another waits (%v)", free, more.InUse(), !more.Uncontended())
	}
	if s, free = s.Grant(permits, true); !free || s.InUse() != 2 || !s.Uncontended() {
		t.Errorf("granted %v: %d in use, and no other waits (%v)", free, s.InUse(), s.Uncontended())
	}
	if s = s.WithWaiters().WithoutWaiters(); !s.Uncontended() {
		t.Error("the last waiter left, but the snapshot is contended")
	}
}

// More permits were released than acquired, with and without waiters.
func TestOverReleased(t *testing.T) {
	for _, s := range []Snapshot{0, Snapshot(0).WithWaiters()} {
		if s.OverReleased() {
			t.Errorf("%x is over-released", s)
		}
		if s--; !s.OverReleased() || s.Uncontended() {
			t.Errorf("%x: over-released %v, uncontended %v", s, s.OverReleased(), s.Uncontended())
		}
	}
	const full Snapshot = math.MaxInt32 // the largest int of 32 bits
	if s := full.WithWaiters(); !full.Uncontended() || s.OverReleased() || s.InUse() != math.MaxInt32 {
		t.Errorf("the greatest number of permits: uncontended %v, over-released %v, %d in use", full.Uncontended(), s.OverReleased(), s.InUse())
	}
	if s := full + 1; !s.OverReleased() || s.Uncontended() {
		t.Errorf("one more: over-released %v, uncontended %v", s.OverReleased(), s.Uncontended())
	}
}
