package virtual

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The heap, the ring and cancelled events against a sorted list.
func TestEventsAgainstAList(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	type scheduled struct {
		at    int64
		order int
		event *event
	}
	var s events
	var list []scheduled
	order := 0
	next := func() *event {
		slices.SortFunc(list, func(a, b scheduled) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
		})
		if len(list) == 0 {
			return nil
		}
		e := list[0].event
		list = list[1:]
		return e
	}
	for range 20_000 {
		switch {
		case r.IntN(10) < 5 || len(list) < 300 && r.IntN(2) == 0:
			e, at := new(event), s.now+r.Int64N(50)-10
			s.push(e, at)
			order++
			list = append(list, scheduled{max(at, s.now), order, e})
		case r.IntN(10) < 6 && len(list) > 0:
			i := r.IntN(len(list))
			if !s.cancel(list[i].event) || s.cancel(list[i].event) {
				t.Fatal("cancel must report true once")
			}
			list = slices.Delete(list, i, i+1)
		case len(list) > 0:
			want := slices.MinFunc(list, func(a, b scheduled) int {
				return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
			}).at
			if r.IntN(4) == 0 && want > s.now && s.pop(want-1) != nil {
				t.Fatal("an event before its time")
			}
			if got, wanted := s.pop(1<<62), next(); got != wanted || s.now != want {
				t.Fatalf("a wrong event at %d, want that of %d", s.now, want)
			}
		}
	}
	for want := next(); want != nil; want = next() {
		if s.pop(1<<62) != want {
			t.Fatal("a wrong event at the end")
		}
	}
	if s.pop(1<<62) != nil || s.voids < 0 || s.voids > len(s.later) {
		t.Errorf("%d of %d entries are void", s.voids, len(s.later))
	}
}

// Cancelled timers do not fill the heap.
func TestEventsCompact(t *testing.T) {
	var s events
	kept := new(event)
	s.push(kept, 1000)
	for range 10_000 {
		e := new(event)
		s.push(e, 2000)
		s.cancel(e)
	}
	if len(s.later) > 200 {
		t.Errorf("%d entries for one event", len(s.later))
	}
	if s.pop(3000) != kept || s.pop(3000) != nil || s.now != 1000 {
		t.Errorf("a wrong event, at %d", s.now)
	}
}
