package wire

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One timer serves all phases: a deadline that is later than what it is set to
// does not touch it, and is found when it fires.
func TestClock(t *testing.T) {
	start := func(t *testing.T, deadline time.Duration) (*Trip, func() time.Duration) {
		trip, began := new(Trip), time.Now()
		var at time.Time
		if deadline > 0 {
			at = began.Add(deadline)
		}
		ctx := &attempt{Context: t.Context()}
		trip.Start(ctx, began, at, &Limits{Connect: 2 * time.Second, Write: 3 * time.Second, Read: 5 * time.Second})
		return trip, func() time.Duration { <-trip.Done(); return time.Since(began) }
	}
	expect := func(t *testing.T, trip *Trip, phase Phase, limit, after time.Duration) {
		t.Helper()
		if p, l, a, ok := trip.Expired(); !ok || p != phase || l != limit || a != after {
			t.Errorf("%v, limit %v, after %v, %v; want %v, %v, %v", p, l, a, ok, phase, limit, after)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		trip, ended := start(t, 0)
		for range 10 { // each chunk is in time
			trip.set(writing)
			time.Sleep(2 * time.Second)
			trip.clear(writing)
		}
		if timer := trip.timer; timer == nil {
			t.Error("no timer")
		}
		trip.set(waiting)
		if at := ended(); at != 25*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, trip, Read, 5*time.Second, 5*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // an earlier deadline moves the timer
		trip, ended := start(t, time.Minute)
		trip.set(connecting)
		if at := ended(); at != 2*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, trip, Connect, 2*time.Second, 2*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // of two at the same time, the attempt's
		trip, ended := start(t, 5*time.Second)
		if trip.set(waiting); trip.due[waiting].Load() != 0 {
			t.Error("the clock was looked at for a limit that the attempt's comes before")
		}
		ended()
		expect(t, trip, Whole, 0, 5*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // hooks that come late do not count
		trip, ended := start(t, 10*time.Second)
		trip.answered.Store(true)
		trip.set(writing)
		trip.set(waiting)
		if at := ended(); at != 10*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, trip, Whole, 0, 10*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // nothing is left after the end
		trip, _ := start(t, 10*time.Second)
		trip.set(writing)
		trip.End()
		trip.set(reading)
		time.Sleep(time.Hour)
		if _, _, _, ok := trip.Expired(); ok || trip.Err() != context.Canceled {
			t.Error("it expired after its end")
		}
	})
	synctest.Test(t, func(t *testing.T) { // a live body outlives the attempt
		trip, ended := start(t, 10*time.Second)
		trip.Extend(time.Time{})
		time.Sleep(time.Hour)
		trip.set(reading)
		ended()
		expect(t, trip, Read, 5*time.Second, 5*time.Second)
	})
}

// What a Read of a body costs: the clock is read once.
func BenchmarkBodyRead(b *testing.B) {
	trip := new(Trip)
	trip.Start(&attempt{Context: context.Background()}, time.Now(), time.Now().Add(time.Hour), &Limits{Read: time.Minute})
	defer trip.End()
	body := io.NopCloser(strings.NewReader(""))
	p := make([]byte, 1)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			body.Read(p)
		}
	})
	b.Run("timed", func(b *testing.B) {
		timed := &responseBody{body, &trip.clock}
		for b.Loop() {
			timed.Read(p)
		}
	})
}
