package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// TestStory tells a story in virtual time: calls that take 8 ms each, fail in
// the outage, and are told no by a breaker whose changes are written here.
func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := demo{script: newScript(usualLength), due: schedule(1, usualLength)}
		var out bytes.Buffer
		s := newShow(&out, term.Terminal{}, d)
		begin := time.Now()
		s.begin(begin, nil)
		go func() {
			for _, c := range []change{
				{at: 6150 * ms, to: holdfast.Open, failures: 15},
				{at: 6650 * ms, to: holdfast.HalfOpen},
				{at: 6660 * ms, to: holdfast.Open, failures: 16},
				{at: 9000 * ms, to: holdfast.HalfOpen},
				{at: 9010 * ms, to: holdfast.Open, failures: 17},
				{at: 9510 * ms, to: holdfast.HalfOpen},
				{at: 9520 * ms, to: holdfast.Open, failures: 18},
				{at: 10020 * ms, to: holdfast.HalfOpen},
				{at: 10277 * ms, to: holdfast.Closed},
			} {
				time.Sleep(time.Until(begin.Add(c.at)))
				s.changes <- c
			}
		}()
		_, err := drive(t.Context(), begin, d, &s.tally, func(_ context.Context, _ string, c *call) ending {
			time.Sleep(8 * ms)
			switch {
			case c.phase == 1 && c.due < 3100*ms:
				s.tally.phases[1].retries.Add(1)
			case c.phase == 2:
				return refused
			}
			return answered
		})
		if err != nil {
			t.Fatal(err)
		}
		s.end("0 requests sent inside the window")
		want := `   0.0 s  healthy     answers in 8 ms                                   every call answered
   3.0 s  flaky       one answer in five is a 503                       81 retries, every call answered
   6.0 s  outage      resets, half of them after the work was done
   6.2 s              circuit breaker opened after 15 failed calls; next probe in 500 ms
   6.7 s              probe failed; open again
   9.5 s              and 2 more times
  10.0 s  recovery    the service is back, at twice its usual latency
  10.3 s              circuit breaker closed after 3 probes, 277 ms after recovery
  12.0 s  throttled   429, Retry-After 1 s                              0 requests sent inside the window
  15.0 s  done
`
		if got := out.String(); got != want {
			t.Errorf("it told\n%s\nwant\n%s", got, want)
		}
	})
}

// TestStoryOnATerminal has a live line between the finished ones, which are the
// same.
func TestStoryOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := demo{script: newScript(3 * time.Second), due: schedule(1, 3*time.Second)}
		var out bytes.Buffer
		s := newShow(&out, term.Terminal{Live: true, Width: 60}, d)
		s.texts = false
		breaker := holdfast.MustBreaker(holdfast.BreakerConfig{})
		begin := time.Now()
		s.begin(begin, breaker)
		if _, err := drive(t.Context(), begin, d, &s.tally, func(context.Context, string, *call) ending {
			time.Sleep(8 * ms)
			return answered
		}); err != nil {
			t.Fatal(err)
		}
		s.end("")
		var finished []string
		live := 0
		for line := range strings.Lines(out.String()) {
			parts := strings.Split(line, "\r\x1b[K")
			for _, part := range parts[:len(parts)-1] {
				if part == "" {
					continue
				}
				live++
				if !strings.Contains(part, " calls/s · ") || len([]rune(part)) >= 60 {
					t.Errorf("live line %q, want the calls a second in less than 60 columns", part)
				}
			}
			finished = append(finished, parts[len(parts)-1])
		}
		if live < 25 || live > 35 {
			t.Errorf("%d live lines in 3 s, want 30 or so", live)
		}
		want := `   0.0 s  healthy     every call answered
   0.6 s  flaky       every call answered
   1.2 s  outage      every call answered
   2.0 s  recovery    every call answered
   2.4 s  throttled   every call answered
   3.0 s  done
`
		if got := strings.Join(finished, ""); got != want {
			t.Errorf("it told\n%s\nwant\n%s", got, want)
		}
	})
}

// TestDriveBoundsWhatIsOutstanding: calls that never end fill the room, and
// those that come later fail at once.
func TestDriveBoundsWhatIsOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := demo{script: newScript(3 * time.Second), due: schedule(1, 3*time.Second)}
		release := make(chan struct{})
		time.AfterFunc(10*time.Second, func() { close(release) })
		var all tally
		calls, err := drive(t.Context(), time.Now(), d, &all, func(context.Context, string, *call) ending {
			<-release
			return answered
		})
		if err != nil {
			t.Fatal(err)
		}
		ends := map[ending]int{}
		for i := range calls {
			c := &calls[i]
			ends[c.ending]++
			if c.ending == crowded && (c.ended != c.began || c.ended < c.due) {
				t.Fatalf("call %d was due at %v and failed from %v to %v, want at once", i, c.due, c.began, c.ended)
			}
		}
		if ends[answered] != mostOutstanding || ends[crowded] != 2400-mostOutstanding {
			t.Errorf("%v, want %d answered and the rest crowded", ends, mostOutstanding)
		}
		if n := all.outstanding.Load(); n != 0 {
			t.Errorf("%d outstanding at the end, want 0", n)
		}
	})
}

// TestDriveStartsOnTime: an open loop does not wait for anyone.
func TestDriveStartsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := demo{script: newScript(3 * time.Second), due: schedule(1, 3*time.Second)}
		var all tally
		calls, err := drive(t.Context(), time.Now(), d, &all, func(context.Context, string, *call) ending {
			time.Sleep(time.Second)
			return failed
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			if c := &calls[i]; c.began != c.due || c.ended != c.due+time.Second {
				t.Fatalf("call %d was due at %v and went from %v to %v", i, c.due, c.began, c.ended)
			}
		}
	})
}

func TestDriveStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := demo{script: newScript(3 * time.Second), due: schedule(1, 3*time.Second)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var all tally
		began := time.Now()
		calls, err := drive(ctx, began, d, &all, func(ctx context.Context, _ string, _ *call) ending {
			<-ctx.Done()
			return failed
		})
		if err != context.Canceled || calls != nil {
			t.Errorf("%d calls, %v; want none, Canceled", len(calls), err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v, want 1 s", took)
		}
		if n := all.outstanding.Load(); n != 0 {
			t.Errorf("%d calls are still running", n)
		}
	})
}
