package cooldown

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const almostOne = 1 - 1.0/(1<<53)

// B4c: one 429 with Retry-After delays the other attempts to that origin for
// that time, and they start at random over a tenth of it.
func TestTimeline(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	var c Cooldown
	until := func(now, u, want float64) { // want 0: may send at once
		t.Helper()
		got, wait := c.Until(at(now), u)
		if wait != (want != 0) || wait && got.Sub(at(want)).Abs() > time.Microsecond {
			t.Errorf("at %vs with chance %v: %v %v, want %vs", now, u, got, wait, want)
		}
	}
	until(0, 0.5, 0) // no cooldown yet
	if !c.End().IsZero() {
		t.Errorf("ends at %v", c.End())
	}
	c.Request(at(0), 0)
	c.Request(at(0), -time.Second)
	until(0, 0.5, 0)
	if !c.End().IsZero() {
		t.Errorf("a request for no time, until %v", c.End())
	}

	c.Request(at(0), 20*time.Second)
	until(1, 0, 20) // never before the end
	until(1, 0.5, 21)
	until(1, almostOne, 22) // a tenth of twenty seconds
	until(19.999, 0, 20)
	until(20, 0.5, 0) // over: new callers may send

	c.Request(at(5), 30*time.Second)
	c.Request(at(6), 10*time.Second) // shorter: the longer one stands
	until(7, 0, 35)
	until(7, 0.5, 36.5)
	c.Request(at(10), 40*time.Second)
	until(11, 0, 50)
	if !c.End().Equal(at(50)) {
		t.Errorf("ends at %v", c.End())
	}

	// The clock stands still: so does the answer.
	until(11, 0.5, 52)
	until(11, 0.5, 52)
	// It runs backwards: the end stays, and an earlier end does not shorten it.
	c.Request(at(-3600), 20*time.Second)
	until(-3600, 0, 50)
	until(60, 0, 0)
}
