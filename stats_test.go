package holdfast_test

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// The statistics in design document B, to the letter ("Circuit Breaker Statistics" and
// "Client Statistics").
const (
	pythonBreakerStats = `{
    'state': 'closed',
    'failure_count': 2,
    'success_count': 0,
    'last_failure': '2024-01-15T10:23:45.123456'
}`
	pythonClientStats = `{
    'base_url': 'https://api.mixedbread.com/v1',
    'default_timeout': 60.0,
    'max_connections': 50,
    'max_keepalive_connections': 20,
    'max_retries': 3,
    'retry_base_delay': 1.0,
    'retry_max_delay': 10.0,
    'circuit_breaker_state': 'closed',
    'circuit_breaker_threshold': 10
}`
)

// asMap returns v as decoded from its JSON.
func asMap(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// fromPython reads a dict in the syntax of Python.
func fromPython(t *testing.T, dict string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(strings.ReplaceAll(dict, "'", `"`)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Requirement B11: a client with the settings of the document's example has the same
// statistics, key by key and value by value.
func TestClientStatsHaveTheKeys(t *testing.T) {
	c, err := holdfast.New(holdfast.Config{
		BaseURL: "https://api.mixedbread.com/v1", Breaker: holdfast.BreakerConfig{FailureThreshold: 10},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := asMap(t, c.Stats())
	for key, want := range fromPython(t, pythonClientStats) {
		equal(t, key, got[key], want)
	}
}

// Requirement B11, for the breaker: the same values except the time.
func TestBreakerStatsHaveTheKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{})
		for range 2 {
			_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		}
		got := asMap(t, b.Stats())
		for key, want := range fromPython(t, pythonBreakerStats) {
			if key == "last_failure" { // Python's has no zone
				want = time.Now().Format(time.RFC3339Nano)
			}
			equal(t, key, got[key], want)
		}
	})
}

// All statistics of a client are in its JSON, with names in one style.
func TestClientStatsKeys(t *testing.T) {
	got := asMap(t, holdfast.ClientStats{})
	snake := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	for key := range got {
		if !snake.MatchString(key) {
			t.Errorf("the key %q is not in snake case", key)
		}
	}
	for _, key := range []string{
		"name", "operations", "succeeded", "failed", "attempts", "retries", "timeouts", "throttled", "rejected",
		"pool_timeouts", "waits", "waited", "cooldowns", "broke_off", "in_flight", "queued", "latency", "attempt_latency", "last_minute",
	} {
		if _, ok := got[key]; !ok {
			t.Errorf("there is no %q", key)
		}
	}
	for key := range got["last_minute"].(map[string]any) {
		if _, ok := got[key]; !ok {
			t.Errorf("only the last minute has %q", key)
		}
	}
	if _, ok := got["last_minute"].(map[string]any)["waited"]; !ok {
		t.Error("the last minute has no wait")
	}
	for key := range asMap(t, holdfast.Latency{}) {
		if !strings.Contains("count sum p50 p90 p95 p99", key) {
			t.Errorf("a latency has %q", key)
		}
	}
}

// Every event changes its count, and no other.
func TestClientStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("/once", "1", fault.Fault{Status: 503}),
			rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}),
			rule("/429", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second}),
			rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 6 * time.Second}}),
			rule("/down", "", fault.Fault{Status: 500}),
		), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: 1}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 2}, Timeouts: holdfast.Timeouts{Attempt: 8 * time.Second},
		})
		ctx := t.Context()
		want := holdfast.ClientStats{MaxPermits: 1}
		now := func(what string) {
			t.Helper()
			got := c.Stats()
			got.Latency, got.AttemptLatency = holdfast.Latency{}, holdfast.Latency{}
			equal(t, what+", in the last minute", got.LastMinute.Counts, got.Counts)
			got.LastMinute = holdfast.Recent{}
			want.Operations = want.Succeeded + want.Failed
			want.Name, want.BaseURL, want.DefaultTimeout = got.Name, got.BaseURL, got.DefaultTimeout
			want.MaxConns, want.MaxIdleConns, want.MaxRetries = got.MaxConns, got.MaxIdleConns, got.MaxRetries
			want.BaseDelay, want.MaxDelay = got.BaseDelay, got.MaxDelay
			want.BreakerState, want.BreakerThreshold = c.Breaker().State().String(), got.BreakerThreshold
			equal(t, what, got, want)
		}
		now("a client that did nothing")

		_, _ = c.Get(ctx, "/once")
		want.Succeeded, want.Attempts, want.Retries = 1, 2, 1
		now("after a retry")

		_, _ = c.Get(ctx, "/hang", holdfast.WithAttemptTimeout(time.Second))
		want.Failed, want.Attempts, want.Retries, want.Timeouts = 1, 4, 2, 2
		now("after two timeouts")

		_, _ = c.Get(ctx, "/429", holdfast.WithNoRepeat()) // declined, so it is repeated all the same
		want.Succeeded, want.Attempts, want.Retries, want.Throttled, want.Cooldowns = 2, 6, 3, 1, 0
		now("after a 429")

		go func() { _, _ = c.Get(ctx, "/slow") }()
		time.Sleep(time.Second / 2)
		go func() { _, _ = c.Get(ctx, "/fine") }() // gives up after 5s
		time.Sleep(2 * time.Second)
		go func() { _, _ = c.Get(ctx, "/fine") }() // gets the permit after 3.5s
		time.Sleep(time.Second / 2)
		want.InFlight, want.Queued, want.Permits = 3, 2, 1
		now("with one call on the wire and two in the queue")
		time.Sleep(5 * time.Second)
		want.InFlight, want.Queued, want.Permits, want.Succeeded, want.Attempts = 0, 0, 0, 4, 8
		want.Failed, want.PoolTimeouts, want.Waits, want.Waited = 2, 1, 1, 3500*time.Millisecond
		now("after they have ended")

		for range 3 {
			_, _ = c.Get(ctx, "/down")
		}
		want.Failed, want.Attempts, want.Retries, want.Rejected = 5, 12, 5, 1
		now("after two failures and a rejection")
		equal(t, "state", c.Stats().BreakerState, "open")
	})
}

// A call that meets a cooldown is counted, with or without time to wait for its end.
func TestClientStatsOfACooldown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second})),
			holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_, _ = c.Get(t.Context(), "/x")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Get(short, "/x")
		is(t, err, holdfast.ErrRateLimited)
		_, err = c.Get(t.Context(), "/x")
		s := c.Stats()
		if err != nil || s.Cooldowns != 2 || s.Throttled != 1 || s.Attempts != 2 {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// The latencies of operations and of attempts. A rejected call has none.
func TestLatency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("/8ms", "", fault.Fault{Latency: &fault.Latency{Fixed: 8 * time.Millisecond}}),
			rule("/2s", "", fault.Fault{Status: 503, Latency: &fault.Latency{Fixed: 2 * time.Second}}),
		), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Second}, Breaker: holdfast.BreakerConfig{FailureThreshold: 3},
		})
		equal(t, "of nothing", c.Stats().Latency, holdfast.Latency{})
		for range 97 {
			_, _ = c.Get(t.Context(), "/8ms")
		}
		for range 3 { // each 2s, 1s of backoff, and 2s
			_, _ = c.Get(t.Context(), "/2s")
		}
		for range 1000 {
			_, err := c.Get(t.Context(), "/8ms")
			is(t, err, holdfast.ErrCircuitOpen)
		}
		within := func(what string, got, exact time.Duration) {
			t.Helper()
			if got <= exact || got > exact+exact/8 {
				t.Errorf("%s is %v, exactly it is %v", what, got, exact)
			}
		}
		s := c.Stats()
		equal(t, "operations", s.Latency.Count, 100)
		within("the middle one", s.Latency.P50, 8*time.Millisecond)
		within("the 90th", s.Latency.P90, 8*time.Millisecond)
		within("the 99th", s.Latency.P99, 5*time.Second)
		equal(t, "attempts", s.AttemptLatency.Count, 103)
		within("the middle one", s.AttemptLatency.P50, 8*time.Millisecond)
		within("the 99 in 100", s.AttemptLatency.P99, 2*time.Second)

		got := asMap(t, s)["latency"].(map[string]any)
		equal(t, "count", got["count"], any(100.0))
		equal(t, "p99 in seconds", got["p99"], any(s.Latency.P99.Seconds()))
	})
}

// LastMinute has the calls of the last 60 to 80 seconds, also after a time without calls.
func TestLastMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 2 * time.Second}})), holdfast.Config{})
		begin := time.Now()
		at := func(second int, path string, operations uint64, p99 time.Duration) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(time.Duration(second) * time.Second)))
			if path != "" {
				_, _ = c.Get(t.Context(), path)
			}
			s := c.Stats().LastMinute
			if s.Operations != operations || s.Latency.Count != operations || s.AttemptLatency.Count != operations || s.Latency.P99 < p99 || s.Latency.P99 > p99*9/8+time.Millisecond {
				t.Errorf("at %d s: %d operations, %+v, want %d of %v", second, s.Operations, s.Latency, operations, p99)
			}
		}
		at(0, "", 0, 0)
		at(1, "/slow", 1, 2*time.Second)
		at(4, "/", 2, 2*time.Second)
		at(30, "/", 3, 2*time.Second)
		at(59, "/", 4, 2*time.Second)
		at(89, "/", 3, 0) // at 30, 59 and now
		at(119, "/", 3, 0)
		at(140, "", 2, 0)
		at(198, "", 1, 0) // at most 80 s ago
		at(200, "", 0, 0)
		at(1000, "", 0, 0)
		at(1001, "/slow", 1, 2*time.Second)
		at(1050, "", 1, 2*time.Second)
		at(1100, "", 0, 0)
		equal(t, "operations in all", c.Stats().Operations, 7)
	})
}

// Two latencies make one.
func TestAddedLatencies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		of := func(d time.Duration, calls int) holdfast.Latency {
			c, _ := service(t, plan(rule("", "", fault.Fault{Latency: &fault.Latency{Fixed: d}})), holdfast.Config{})
			for range calls {
				_, _ = c.Get(t.Context(), "/")
			}
			return c.Stats().Latency
		}
		fast, slow, none := of(10*time.Millisecond, 90), of(time.Second, 10), holdfast.Latency{}
		both := fast.Add(slow)
		equal(t, "count", both.Count, 100)
		equal(t, "half of them", both.P50, fast.P50)
		equal(t, "95 of them", both.P95, slow.P95)
		equal(t, "sum", both.Sum, fast.Sum+slow.Sum)
		if want := 10900 * time.Millisecond; both.Sum < want*15/16 || both.Sum > want*17/16 {
			t.Errorf("sum %v, want %v", both.Sum, want)
		}
		equal(t, "within 20 ms", both.Within(20*time.Millisecond), 90)
		equal(t, "within 10 s", both.Within(10*time.Second), 100)
		equal(t, "of nothing", none.Within(time.Hour), 0)
		equal(t, "with nothing", fast.Add(none).Count+none.Add(fast).Count, 180)
		equal(t, "and of the first still", fast.Count, 90)
	})
}

// The wait for a permit is a part of the operation's duration, and of no attempt's.
func TestLatencyHasTheWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{Latency: &fault.Latency{Fixed: time.Second}})),
			holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}})
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { _, _ = c.Get(t.Context(), "/") })
		}
		both.Wait()
		s := c.Stats()
		equal(t, "succeeded", s.Succeeded, 2)
		if longest := s.Latency.P99; longest <= 2*time.Second || longest > 2250*time.Millisecond {
			t.Errorf("the call that waited took %v, want 2s", longest)
		}
		if longest := s.AttemptLatency.P99; longest <= time.Second || longest > 1125*time.Millisecond {
			t.Errorf("its attempt took %v, want 1s", longest)
		}
	})
}
