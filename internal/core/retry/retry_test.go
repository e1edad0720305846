package retry

import (
	"math"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

var (
	noon    = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	forever time.Time

	failed    = outcome.Result{Outcome: outcome.Transient}
	throttled = outcome.Result{Outcome: outcome.Throttled}
)

// The largest random number below 1.
const almostOne = 1 - 1.0/(1<<53)

const (
	s  = time.Second
	ms = time.Millisecond
)

// waits returns the first waits of a schedule with a constant random number.
func waits(cfg Config, u float64, n int) []time.Duration {
	cfg.Retries = n
	schedule := Start(&cfg)
	var all []time.Duration
	for range n {
		all = append(all, schedule.Next(noon, forever, failed, u).Wait)
	}
	return all
}

// The backoff before retry n is d = min(base·2ⁿ, max), here 1, 2, 4, 8, 10, 10
// seconds, and jitter spreads it.
func TestJitter(t *testing.T) {
	cfg := Config{Base: s, Max: 10 * s}
	tests := []struct {
		rule   string
		jitter Jitter
		u      float64
		want   []time.Duration
	}{
		{"A5: uniform in [0, d]", Full, 0, []time.Duration{0, 0, 0, 0, 0, 0}},
		{"A5: uniform in [0, d]", Full, 0.5, []time.Duration{500 * ms, s, 2 * s, 4 * s, 5 * s, 5 * s}},
		{"A5: uniform in [0, d]", Full, almostOne, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}},
		{"B4a: d ± 50 %, never below 0", Proportional, 0, []time.Duration{500 * ms, s, 2 * s, 4 * s, 5 * s, 5 * s}},
		{"B4a: d ± 50 %", Proportional, 0.5, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}},
		{"B4a: the wait may reach 1.5 × MaxDelay", Proportional, almostOne, []time.Duration{1500 * ms, 3 * s, 6 * s, 12 * s, 15 * s, 15 * s}},
		{"anything from Base to three times the wait before", Decorrelated, 0, []time.Duration{s, s, s, s, s, s}},
		{"anything from Base to three times the wait before", Decorrelated, 0.5, []time.Duration{2 * s, 3500 * ms, 5500 * ms, 5500 * ms, 5500 * ms, 5500 * ms}},
		{"anything from Base to three times the wait before", Decorrelated, almostOne, []time.Duration{3 * s, 9 * s, 10 * s, 10 * s, 10 * s, 10 * s}},
		{"the backoff itself", None, 0.5, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}},
	}
	for _, tt := range tests {
		cfg.Jitter = tt.jitter
		for i, got := range waits(cfg, tt.u, len(tt.want)) {
			if (got - tt.want[i]).Abs() > time.Microsecond {
				t.Errorf("%v with chance %v: wait %d is %v, want %v (%s)", tt.jitter, tt.u, i+1, got, tt.want[i], tt.rule)
			}
		}
	}
}

// No wait leaves its bounds, for any base and any number of retries: nothing
// overflows.
func TestOverflow(t *testing.T) {
	for _, cfg := range []Config{
		{Base: s, Max: 365 * 24 * time.Hour}, // the longest valid setting
		{Base: 365 * 24 * time.Hour, Max: 365 * 24 * time.Hour},
		{Base: 3, Max: math.MaxInt64 / 3}, // a shift that loses bits before it reaches the sign
		{Base: 1 << 62, Max: math.MaxInt64 / 2},
		{Base: 0, Max: s},
	} {
		for jitter := Full; jitter.Valid(); jitter++ {
			for _, u := range []float64{0, 0.5, almostOne} {
				cfg.Jitter, cfg.Retries = jitter, 100
				schedule := Start(&cfg)
				for n := range cfg.Retries {
					d := schedule.Next(noon, forever, failed, u)
					bound := cfg.Max
					if jitter == Proportional {
						bound += bound / 2
					}
					if d.Wait < 0 || d.Wait > d.Most || d.Most > bound {
						t.Fatalf("%v, %v, chance %v: wait %d is %v, at most %v", cfg, jitter, u, n+1, d.Wait, d.Most)
					}
					if n == cfg.Retries-1 && jitter == None && cfg.Base > 0 && d.Wait != cfg.Max {
						t.Fatalf("%v: after so many retries the wait is %v", cfg, d.Wait)
					}
				}
			}
		}
	}
}

// The first attempt of an operation that met a stale connection is repeated at once. It
// is a retry like any other, and the next one waits as long as a second.
// Repetitions that are free take no retry, and are bounded.
func TestFree(t *testing.T) {
	free := outcome.Result{Outcome: outcome.Transient, AtOnce: true, Free: true}
	for _, retries := range []int{0, 1} {
		cfg := Config{Retries: retries, Base: s, Max: 10 * s, Jitter: None}
		schedule := Start(&cfg)
		for n := range maxFree {
			if d := schedule.Next(noon, forever, free, 0.5); !d.Again || d.Wait != 0 {
				t.Fatalf("%d retries, the %dth: %+v", retries, n+1, d)
			}
		}
		if d := schedule.Next(noon, forever, free, 0.5); !d.Again || d.Wait != 0 { // as any that is at once
			t.Errorf("%d retries: %+v", retries, d)
		}
		if d := schedule.Next(noon, forever, free, 0.5); d.Again || d.Why != Exhausted {
			t.Errorf("%d retries, without end: %+v", retries, d)
		}
	}
	cfg := Config{Retries: 1, Base: s, Max: 10 * s, Jitter: None}
	schedule := Start(&cfg)
	if d := schedule.Next(noon, noon, free, 0.5); d.Again {
		t.Errorf("at the deadline: %+v", d)
	}
	free.NoRepeat = true
	if d := schedule.Next(noon, forever, free, 0.5); d.Why != NotRepeatable {
		t.Errorf("what must not be repeated: %+v", d)
	}
}

func TestAtOnce(t *testing.T) {
	stale := outcome.Result{Outcome: outcome.Transient, AtOnce: true}
	never := outcome.Result{Outcome: outcome.Transient, AtOnce: true, NoRepeat: true}
	cfg := Config{Retries: 3, Base: s, Max: 10 * s, Jitter: None}
	for _, c := range []struct {
		rule     string
		retries  int
		results  []outcome.Result
		deadline time.Time
		waits    []time.Duration
		why      Reason // of the last
	}{
		{"at once", 3, []outcome.Result{stale}, forever, []time.Duration{0}, Go},
		{"once", 3, []outcome.Result{stale, stale, stale, stale}, forever, []time.Duration{0, 2 * s, 4 * s}, Exhausted},
		{"also after another failure", 3, []outcome.Result{failed, stale, failed, failed}, forever, []time.Duration{s, 0, 4 * s}, Exhausted},
		{"though there are no retries", 0, []outcome.Result{stale, stale}, forever, []time.Duration{0}, Exhausted},
		{"and for nothing else", 0, []outcome.Result{stale, failed}, forever, []time.Duration{0}, Exhausted},
		{"but not beyond them", 1, []outcome.Result{failed, stale}, forever, []time.Duration{s}, Exhausted},
		{"within the time that is left", 3, []outcome.Result{stale}, noon.Add(1), []time.Duration{0}, Go},
		{"not when it is over", 3, []outcome.Result{stale}, noon, nil, NoTime},
		{"not what must not be repeated", 3, []outcome.Result{never}, forever, nil, NotRepeatable},
	} {
		cfg.Retries = c.retries
		schedule := Start(&cfg)
		for i, r := range c.results {
			d := schedule.Next(noon, c.deadline, r, 0.5)
			switch {
			case i < len(c.waits):
				if !d.Again || d.Wait != c.waits[i] || !d.At.Equal(noon.Add(d.Wait)) {
					t.Errorf("%s: after attempt %d: %+v, want a wait of %v", c.rule, i+1, d, c.waits[i])
				}
			case d.Again || d.Why != c.why:
				t.Errorf("%s: after attempt %d: %+v, want %v", c.rule, i+1, d, c.why)
			}
		}
	}
}

// Without a base there is no wait, for any number of retries.
func TestNoBase(t *testing.T) {
	for jitter := Full; jitter.Valid(); jitter++ {
		for n, wait := range waits(Config{Max: 10 * s, Jitter: jitter}, almostOne, 100) {
			if wait != 0 {
				t.Fatalf("%v: wait %d is %v", jitter, n+1, wait)
			}
		}
	}
}

// X1: Retry-After is parsed with bounds and never shortens the backoff. Up to
// MaxRetryAfter it is obeyed in full, above MaxDelay too; a longer one ends the
// operation.
func TestRetryAfter(t *testing.T) {
	cfg := Config{Retries: 9, Base: s, Max: 4 * s, MaxRetryAfter: 60 * s, Jitter: None}
	tests := []struct {
		asked      time.Duration
		u          float64
		wait, most time.Duration // of the second retry, with a backoff of 2s
	}{
		{0, 0.5, 2 * s, 2 * s},
		{500 * ms, 0.5, 2 * s, 2 * s},                // the backoff is longer
		{1900 * ms, almostOne, 2090 * ms, 2090 * ms}, // with jitter, the asked wait is longer
		{10 * s, 0, 10 * s, 11 * s},                  // the asked wait is the minimum
		{10 * s, 0.5, 10*s + 500*ms, 11 * s},         // jitter only adds, at most a tenth
		{60 * s, almostOne, 66 * s, 66 * s},          // the longest allowed, above MaxDelay
	}
	for _, tt := range tests {
		schedule := Start(&cfg)
		schedule.Next(noon, forever, failed, 0)
		d := schedule.Next(noon, forever, outcome.Result{Outcome: outcome.Throttled, RetryAfter: tt.asked}, tt.u)
		if !d.Again || (d.Wait-tt.wait).Abs() > time.Microsecond || d.Most != tt.most || !d.At.Equal(noon.Add(d.Wait)) {
			t.Errorf("asked for %v: %+v, want %v of %v", tt.asked, d, tt.wait, tt.most)
		}
	}

	asks := outcome.Result{Outcome: outcome.Throttled, RetryAfter: 60*s + 1}
	schedule := Start(&cfg)
	if d := schedule.Next(noon, forever, asks, 0.5); d != (Decision{Why: AskedTooMuch, Wait: 60*s + 1, Most: 60*s + 1}) {
		t.Errorf("asked for more than is allowed: %+v", d)
	}
	cfg.MaxRetryAfter = 0 // Off: the asked wait is ignored
	schedule = Start(&cfg)
	if d := schedule.Next(noon, forever, asks, 0.5); !d.Again || d.Wait != s {
		t.Errorf("ignored: %+v", d)
	}
}

// The limit is three times the wait before if that just fits.
func TestDecorrelatedJustFits(t *testing.T) {
	for limit, most := range map[time.Duration]time.Duration{8: 8, 9: 9, 10: 9, 11: 9} {
		cfg := Config{Retries: 1, Base: 3, Max: limit, Jitter: Decorrelated}
		schedule := Start(&cfg)
		if d := schedule.Next(noon, forever, failed, 0); d.Most != most {
			t.Errorf("three nanoseconds, then at most %d, of %d", d.Most, limit)
		}
	}
}

// An asked wait is the wait before, for Decorrelated as for others.
func TestDecorrelatedAfterAskedWait(t *testing.T) {
	cfg := Config{Retries: 2, Base: s, Max: 100 * s, MaxRetryAfter: 60 * s, Jitter: Decorrelated}
	schedule := Start(&cfg)
	schedule.Next(noon, forever, outcome.Result{Outcome: outcome.Transient, RetryAfter: 20 * s}, 0)
	if d := schedule.Next(noon, forever, failed, 0); d.Wait != s || d.Most != 60*s {
		t.Errorf("wait %v of %v, want 1s of 1m", d.Wait, d.Most)
	}
}

// Every reason of a schedule, and their precedence.
func TestReasons(t *testing.T) {
	cfg := Config{Retries: 1, Base: s, Max: s, MaxRetryAfter: 60 * s, Jitter: None}
	left := func(d time.Duration) time.Time { return noon.Add(d) }
	tests := []struct {
		what     string
		result   outcome.Result
		made     int
		deadline time.Time
		want     Decision
	}{
		{"an answer", outcome.Result{Outcome: outcome.Success}, 0, forever, Decision{Why: Answered}},
		{"an answer after the last retry", outcome.Result{Outcome: outcome.Success}, 1, forever, Decision{Why: Answered}},
		{"A5b: other 4xx are not retried", outcome.Result{Outcome: outcome.Permanent}, 0, forever, Decision{Why: NotWorthRepeating}},
		{"the caller cancelled", outcome.Result{Outcome: outcome.Canceled}, 0, forever, Decision{Why: NotWorthRepeating}},
		{"the zero outcome is not repeated", outcome.Result{}, 0, forever, Decision{Why: NotWorthRepeating}},
		{"B4b: max_retries after the first", failed, 0, forever, Decision{Again: true, At: left(s), Wait: s, Most: s}},
		{"B4c: 429 is retried", throttled, 0, forever, Decision{Again: true, At: left(s), Wait: s, Most: s}},
		{"B4b: and no more", failed, 1, forever, Decision{Why: Exhausted}},
		{"A5b, departs: NXDOMAIN fails again", outcome.Result{Outcome: outcome.Transient, NoRepeat: true}, 0, forever, Decision{Why: NotRepeatable}},
		{"exhausted before not repeatable", outcome.Result{Outcome: outcome.Transient, NoRepeat: true}, 1, forever, Decision{Why: Exhausted}},
		{"X1: a wait that cannot fit the deadline is not begun", failed, 0, left(s), Decision{Why: NoTime, Wait: s, Most: s}},
		{"one that just fits is", failed, 0, left(s + 1), Decision{Again: true, At: left(s), Wait: s, Most: s}},
		{"the deadline has passed", failed, 0, left(-s), Decision{Why: NoTime, Wait: s, Most: s}},
		{"a wait that is asked for has to fit as well", outcome.Result{Outcome: outcome.Throttled, RetryAfter: 20 * s}, 0, left(10 * s), Decision{Why: NoTime, Wait: 20 * s, Most: 22 * s}},
		{"asked too much before no time", outcome.Result{Outcome: outcome.Throttled, RetryAfter: 90 * s}, 0, left(s), Decision{Why: AskedTooMuch, Wait: 90 * s, Most: 90 * s}},
	}
	for _, tt := range tests {
		schedule := Start(&cfg)
		for range tt.made {
			schedule.Next(noon, forever, failed, 0)
		}
		if got := schedule.Next(noon, tt.deadline, tt.result, 0); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.what, got, tt.want)
		}
	}
}

// A retry that was not granted does not count for the next backoff.
func TestNotGranted(t *testing.T) {
	cfg := Config{Retries: 1, Base: s, Max: 10 * s, Jitter: None}
	schedule := Start(&cfg)
	schedule.Next(noon, noon, failed, 0)
	if d := schedule.Next(noon, forever, failed, 0); !d.Again || d.Wait != s {
		t.Errorf("after a wait that did not fit: %+v", d)
	}
}

// A clock that stands still or runs backwards does not change the length of a
// wait.
func TestClock(t *testing.T) {
	cfg := Config{Retries: 3, Base: s, Max: 10 * s, Jitter: None}
	schedule := Start(&cfg)
	for i, now := range []time.Time{noon, noon, noon.Add(-time.Hour)} {
		want := s << i
		if d := schedule.Next(now, noon.Add(time.Hour), failed, 0); !d.Again || d.Wait != want || !d.At.Equal(now.Add(want)) {
			t.Errorf("attempt %d: %+v, want a wait of %v", i+1, d, want)
		}
	}
}

func TestNames(t *testing.T) {
	for j, want := range map[Jitter]string{Full: "full", Proportional: "proportional", Decorrelated: "decorrelated", None: "none", None + 1: "invalid"} {
		if j.String() != want {
			t.Errorf("Jitter(%d) is %q, want %q", uint8(j), j, want)
		}
	}
	seen := map[string]bool{}
	for r := Go; r <= Ended; r++ {
		if name := r.String(); name == "" || name == "invalid" || seen[name] {
			t.Errorf("Reason(%d) is %q", uint8(r), name)
		} else {
			seen[name] = true
		}
	}
	if got := (Ended + 1).String(); got != "invalid" {
		t.Errorf("no reason is %q", got)
	}
}
