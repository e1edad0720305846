package wire

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One timer serves all phases. A later deadline does not move it, and is found when it
// fires.
func TestDeadlines(t *testing.T) {
	start := func(t *testing.T, deadline time.Duration) (*RoundTrip, func() time.Duration) {
		roundTrip, began := new(RoundTrip), time.Now()
		var at time.Time
		if deadline > 0 {
			at = began.Add(deadline)
		}
		ctx := &attempt{Context: t.Context()}
		roundTrip.Start(ctx, began, at, &Limits{Connect: 2 * time.Second, Write: 3 * time.Second, Read: 5 * time.Second})
		return roundTrip, func() time.Duration { <-roundTrip.Done(); return time.Since(began) }
	}
	expect := func(t *testing.T, roundTrip *RoundTrip, phase Phase, limit, after time.Duration) {
		t.Helper()
		if p, l, a, ok := roundTrip.Expired(); !ok || p != phase || l != limit || a != after {
			t.Errorf("%v, limit %v, after %v, %v; want %v, %v, %v", p, l, a, ok, phase, limit, after)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		roundTrip, ended := start(t, 0)
		for range 10 { // each chunk is in time
			roundTrip.set(dueWrite)
			time.Sleep(2 * time.Second)
			roundTrip.clear(dueWrite)
		}
		if timer := roundTrip.timer; timer == nil {
			t.Error("no timer")
		}
		roundTrip.set(dueHeaders)
		if at := ended(); at != 25*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, roundTrip, PhaseRead, 5*time.Second, 5*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // an earlier deadline moves the timer
		roundTrip, ended := start(t, time.Minute)
		roundTrip.set(dueConnect)
		if at := ended(); at != 2*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, roundTrip, PhaseConnect, 2*time.Second, 2*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // of two at the same time, the attempt's counts
		roundTrip, ended := start(t, 5*time.Second)
		if roundTrip.set(dueHeaders); roundTrip.due[dueHeaders].Load() != 0 {
			t.Error("the clock was looked at for a limit that the attempt's comes before")
		}
		ended()
		expect(t, roundTrip, PhaseAttempt, 0, 5*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // a hook that is called after the headers sets nothing
		roundTrip, ended := start(t, 10*time.Second)
		roundTrip.answer.Store(answerBegun)
		roundTrip.set(dueWrite)
		roundTrip.set(dueHeaders)
		if at := ended(); at != 10*time.Second {
			t.Errorf("ended after %v", at)
		}
		expect(t, roundTrip, PhaseAttempt, 0, 10*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // nothing is left after the end
		roundTrip, _ := start(t, 10*time.Second)
		roundTrip.set(dueWrite)
		roundTrip.End()
		roundTrip.set(dueChunk)
		time.Sleep(time.Hour)
		if _, _, _, ok := roundTrip.Expired(); ok || roundTrip.Err() != context.Canceled {
			t.Error("it expired after its end")
		}
	})
	synctest.Test(t, func(t *testing.T) { // a live body outlives the attempt
		roundTrip, ended := start(t, 10*time.Second)
		roundTrip.Extend(time.Time{})
		time.Sleep(time.Hour)
		roundTrip.set(dueChunk)
		ended()
		expect(t, roundTrip, PhaseRead, 5*time.Second, 5*time.Second)
	})
}

// A timed Read of a body costs one look at the clock.
func BenchmarkBodyRead(b *testing.B) {
	roundTrip := new(RoundTrip)
	roundTrip.Start(&attempt{Context: context.Background()}, time.Now(), time.Now().Add(time.Hour), &Limits{Read: time.Minute})
	defer roundTrip.End()
	body := io.NopCloser(strings.NewReader(""))
	p := make([]byte, 1)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			body.Read(p)
		}
	})
	b.Run("timed", func(b *testing.B) {
		timed := &responseBody{ReadCloser: body, deadlines: &roundTrip.deadlines}
		for b.Loop() {
			timed.Read(p)
		}
	})
}
