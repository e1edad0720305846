package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/faultserver"
)

// A seed determines the schedule: the same calls at the same times. Another
// seed has another phase of the outage.
func TestSchedule(t *testing.T) {
	s := newSchedule(7)
	if !reflect.DeepEqual(s, newSchedule(7)) {
		t.Error("the same seed gives another schedule")
	}
	if other := newSchedule(8); s.begin == other.begin {
		t.Error("another seed gives the same phase")
	}
	if s.begin < healthy || s.begin >= healthy+openFor || s.over-s.begin != failure {
		t.Errorf("the outage is from %s to %s", s.begin, s.over)
	}
	posted, last := 0, time.Duration(0)
	for _, c := range s.calls {
		if c.at < last {
			t.Fatalf("a call at %s is due before that at %s", c.at, last)
		}
		last = c.at
		if c.isPost {
			posted++
		}
	}
	if n := float64(len(s.calls)) / last.Seconds(); n < 0.9*rate || n > 1.1*rate {
		t.Errorf("%.0f arrivals a second, want about %d", n, rate)
	}
	if share := float64(posted) / float64(len(s.calls)); share < 0.15 || share > 0.25 {
		t.Errorf("%.2f of the calls are POSTs", share)
	}
	if err := s.plan().Validate(); err != nil {
		t.Error(err)
	}
}

// The figures of invented calls: rejected in the outage after 3 attempts each,
// and for 100 ms after its end.
func TestSum(t *testing.T) {
	s := schedule{begin: time.Second, over: 2 * time.Second}
	var calls []ended
	var record []faultserver.Attempt
	for at := time.Duration(0); at < 3*time.Second; at += 5 * time.Millisecond {
		c := ended{due: at, took: 2 * time.Millisecond, ok: true}
		record = append(record, faultserver.Attempt{At: at})
		if at >= s.begin && at < s.over {
			c.ok, c.took = false, time.Millisecond+at/1000
			record = append(record, faultserver.Attempt{At: at}, faultserver.Attempt{At: at})
		}
		if at >= s.over && at < s.over+100*time.Millisecond {
			c.ok = false
		}
		calls = append(calls, c)
	}
	f := s.sum(calls, record)
	want := figures{Attempts: 3, P50: 2.5, P99: 2.99, Back: 100}
	if f != want {
		t.Errorf("%+v, want %+v", f, want)
	}

	for i := range calls {
		calls[i].ok = calls[i].due < s.begin // and never again
	}
	if f := s.sum(calls, record); f.Back != millis(recovery) {
		t.Errorf("never back, and %v ms", f.Back)
	}
}
