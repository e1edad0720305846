package demo

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

// In virtual time, calls take 8 ms, fail in the outage, and are rejected by a breaker
// with these changes.
func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := comparison{script: newScript(usualLength), due: arrivals(1, usualLength)}
		var out bytes.Buffer
		s := newTimeline(&out, term.Terminal{}, d)
		begin := time.Now()
		s.begin(begin, nil)
		go func() {
			for _, c := range []stateChange{
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
		_, err := generateLoad(t.Context(), begin, d, &s.tally, func(_ context.Context, _ string, c *call) result {
			time.Sleep(8 * ms)
			switch {
			case c.phase == 1 && c.due < 3100*ms:
				s.tally.phases[1].retries.Add(1)
			case c.phase == 2:
				return rejected
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
			t.Errorf("it wrote\n%s\nwant\n%s", got, want)
		}
	})
}

// On a terminal there are live lines between the same finished lines.
func TestTimelineOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := comparison{script: newScript(3 * time.Second), due: arrivals(1, 3*time.Second)}
		var out bytes.Buffer
		s := newTimeline(&out, term.Terminal{Live: true, Width: 60}, d)
		s.descriptions = false
		breaker := holdfast.MustBreaker(holdfast.BreakerConfig{})
		begin := time.Now()
		s.begin(begin, breaker)
		if _, err := generateLoad(t.Context(), begin, d, &s.tally, func(context.Context, string, *call) result {
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
			t.Errorf("it wrote\n%s\nwant\n%s", got, want)
		}
	})
}
