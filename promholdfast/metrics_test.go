package promholdfast_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/promholdfast"
)

// An outage, as Prometheus sees it: at the start every series is 0, and then each tells its
// part.
func TestOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{})
		down := fault.Fault{Status: 503}
		c := serving(t, faultserver.Echo, plan(
			rule("/once", "1", down), rule("/down", "1-4", down), rule("/limited", "1", fault.Fault{Status: 429, RetryAfter: 2 * time.Second}),
			rule("/gone", "", fault.Fault{Status: 404}), rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}),
			rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 3 * time.Second}}),
		), holdfast.Config{
			Name: "api", Breaker: holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: 10 * time.Second, HalfOpenMaxCalls: 1},
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 1},
		}, p.option())

		p.expect(
			`holdfast_call_duration_seconds_count{client="api",outcome="success"} 0`,
			`holdfast_call_duration_seconds_count{client="api",outcome="rejected"} 0`,
			`holdfast_attempt_duration_seconds_count{attempt_type="original",class="none",client="api"} 0`,
			`holdfast_attempts_total{attempt_type="retry",class="overloaded",client="api"} 0`,
			`holdfast_time_to_first_event_seconds_count{client="api"} 0`,
			`holdfast_retry_delay_seconds_count{client="api"} 0`,
			`holdfast_retries_stopped_total{client="api",reason="exhausted"} 0`,
			`holdfast_rejections_total{client="api",rule="breaker"} 0`,
			`holdfast_breaker_state{client="api",state="closed"} 1`,
			`holdfast_breaker_state{client="api",state="open"} 0`,
			`holdfast_breaker_transitions_total{client="api",from="closed",to="open"} 0`,
			`holdfast_concurrency_in_use{client="api"} 0`,
			`holdfast_concurrency_limit{client="api"} 1`,
			`holdfast_concurrency_queued{client="api"} 0`,
			`holdfast_wait_seconds_count{client="api",for="permit"} 0`,
			`holdfast_wait_seconds_count{client="api",for="cooldown"} 0`,
			`holdfast_streams_open{client="api"} 0`,
			`holdfast_streams_total{client="api",end="cut"} 0`,
			fmt.Sprintf(`holdfast_build_info{goversion="%s",version="(devel)"} 1`, runtime.Version()),
		)
		p.lacks("holdfast_scope")

		get := func(path string) { _, _ = c.Get(t.Context(), path) }
		get("/x")
		get("/once")
		p.expect(
			`holdfast_call_duration_seconds_count{client="api",outcome="success"} 2`,
			`holdfast_call_duration_seconds_bucket{client="api",outcome="success",le="0.001"} 1`,
			`holdfast_call_duration_seconds_bucket{client="api",outcome="success",le="0.5"} 1`,
			`holdfast_call_duration_seconds_bucket{client="api",outcome="success",le="1"} 2`,
			`holdfast_call_duration_seconds_sum{client="api",outcome="success"} 1`,
			`holdfast_attempts_total{attempt_type="original",class="none",client="api"} 1`,
			`holdfast_attempts_total{attempt_type="original",class="overloaded",client="api"} 1`,
			`holdfast_attempts_total{attempt_type="retry",class="none",client="api"} 1`,
			`holdfast_attempt_duration_seconds_count{attempt_type="retry",class="none",client="api"} 1`,
			`holdfast_retry_delay_seconds_sum{client="api"} 1`,
		)
		p.lacks(`holdfast_attempt_duration_seconds_count{attempt_type="retry",class="lost"`)

		get("/limited") // the retry of it waits for two seconds, and so does the cooldown
		p.expect(
			`holdfast_attempts_total{attempt_type="original",class="throttled",client="api"} 1`,
			`holdfast_retry_delay_seconds_count{client="api"} 2`,
			`holdfast_retry_delay_seconds_bucket{client="api",le="2.5"} 2`,
		)
		get("/gone")
		p.expect(
			`holdfast_retries_stopped_total{client="api",reason="not_retried"} 1`,
			`holdfast_call_duration_seconds_count{client="api",outcome="failed"} 1`,
		)

		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() { _, _ = c.Get(ctx, "/hang") })
		synctest.Wait()
		calls.Go(func() { get("/x") })
		synctest.Wait()
		get("/x") // the queue is full
		p.expect(
			`holdfast_concurrency_in_use{client="api"} 1`,
			`holdfast_concurrency_queued{client="api"} 1`,
			`holdfast_rejections_total{client="api",rule="bulkhead"} 1`,
			`holdfast_call_duration_seconds_count{client="api",outcome="rejected"} 1`,
		)
		time.Sleep(2 * time.Second)
		cancel()
		calls.Wait()
		p.expect(
			`holdfast_wait_seconds_count{client="api",for="permit"} 1`,
			`holdfast_wait_seconds_sum{client="api",for="permit"} 2`,
			`holdfast_call_duration_seconds_count{client="api",outcome="canceled"} 1`,
			`holdfast_retries_stopped_total{client="api",reason="canceled"} 1`,
			`holdfast_attempts_total{attempt_type="original",class="canceled",client="api"} 1`,
			`holdfast_concurrency_in_use{client="api"} 0`,
		)

		get("/down")
		get("/down")
		get("/down") // rejected
		p.expect(
			`holdfast_retries_stopped_total{client="api",reason="exhausted"} 2`,
			`holdfast_rejections_total{client="api",rule="breaker"} 1`,
			`holdfast_breaker_state{client="api",state="closed"} 0`,
			`holdfast_breaker_state{client="api",state="open"} 1`,
			`holdfast_breaker_transitions_total{client="api",from="closed",to="open"} 1`,
		)
		time.Sleep(10 * time.Second)
		p.expect(`holdfast_breaker_state{client="api",state="half_open"} 1`)
		get("/down") // well again
		p.expect(
			`holdfast_breaker_state{client="api",state="closed"} 1`,
			`holdfast_breaker_state{client="api",state="half_open"} 0`,
			`holdfast_breaker_transitions_total{client="api",from="open",to="half_open"} 1`,
			`holdfast_breaker_transitions_total{client="api",from="half_open",to="closed"} 1`,
		)

		// Every call and every attempt is in the histograms once.
		stats := c.Stats()
		sum := func(family string) (n uint64) {
			for _, m := range p.family(family).Metric {
				n += m.GetHistogram().GetSampleCount()
			}
			return n
		}
		if n := sum("holdfast_call_duration_seconds"); n != stats.Operations {
			t.Errorf("%d calls, and Stats has %d", n, stats.Operations)
		}
		if n := sum("holdfast_attempt_duration_seconds"); n != stats.Attempts {
			t.Errorf("%d attempts, and Stats has %d", n, stats.Attempts)
		}

		c.Close()
		p.expect(`holdfast_rejections_total{client="api",rule="breaker"} 1`) // once more
		p.lacks(`client="api"`)
	})
}

// A cooldown: a call waits, and another cannot wait that long.
func TestCooldown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{})
		c := serving(t, faultserver.Echo, plan(rule("/x", "1", fault.Fault{Status: 429, RetryAfter: 4 * time.Second})),
			holdfast.Config{Name: "api", Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, p.option())
		_, _ = c.Get(t.Context(), "/x")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = c.Get(ctx, "/x")
		_, err := c.Get(t.Context(), "/x")
		if err != nil {
			t.Fatal(err)
		}
		p.expect(
			`holdfast_rejections_total{client="api",rule="cooldown"} 1`,
			`holdfast_wait_seconds_count{client="api",for="cooldown"} 1`,
			`holdfast_wait_seconds_bucket{client="api",for="cooldown",le="2.5"} 0`,
			`holdfast_wait_seconds_bucket{client="api",for="cooldown",le="10"} 1`,
		)
	})
}

// numbers streams five lines.
func numbers(faultserver.Request) faultserver.Answer {
	return faultserver.Answer{Status: 200, ContentType: "application/x-ndjson", Body: []byte("1\n2\n3\n4\n5\n"), Chunks: []int{2, 2, 2, 2, 2}}
}

// Streams by their ends.
func TestStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{})
		c := serving(t, numbers, plan(
			rule("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}), rule("/stall", "", fault.Fault{Stall: &fault.Stall{After: 4, For: time.Hour}}),
		), holdfast.Config{Name: "api", Timeouts: holdfast.Timeouts{Read: 5 * time.Second}}, p.option())
		for _, path := range []string{"/x", "/cut", "/stall", "/left"} {
			s, err := c.Stream(t.Context(), "GET", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/x" {
				p.expect(`holdfast_streams_open{client="api"} 1`)
			}
			for range s.Lines() {
				if path == "/left" {
					break
				}
			}
		}
		p.expect(
			`holdfast_streams_open{client="api"} 0`,
			`holdfast_streams_total{client="api",end="complete"} 1`,
			`holdfast_streams_total{client="api",end="cut"} 1`,
			`holdfast_streams_total{client="api",end="stalled"} 1`,
			`holdfast_streams_total{client="api",end="left"} 1`,
			`holdfast_time_to_first_event_seconds_count{client="api"} 4`,
			`holdfast_retries_stopped_total{client="api",reason="answer_begun"} 2`,
		)
	})
}

// A policy with a bulkhead and a breaker, and a breaker that is used alone.
func TestPolicyAndBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{})
		shared := holdfast.MustBreaker(holdfast.BreakerConfig{Name: "database", FailureThreshold: 2}, p.option())
		alone := holdfast.MustBreaker(holdfast.BreakerConfig{Name: "mail", FailureThreshold: 1}, p.option())
		policy := holdfast.MustPolicy(holdfast.PolicyConfig{
			Name: "orders", Breaker: shared, Bulkhead: holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 7}),
			Retry: holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter},
		}, p.option())
		plain := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "plain"}, p.option())

		_ = holdfast.Run(t.Context(), policy, func(context.Context) error {
			time.Sleep(time.Second)
			p.expect(`holdfast_concurrency_in_use{client="orders"} 1`)
			return nil
		})
		for range 3 {
			_ = holdfast.Run(t.Context(), policy, func(context.Context) error { return errDown })
			_ = alone.Do(t.Context(), func(context.Context) error { return errDown })
		}
		_ = holdfast.Run(t.Context(), plain, func(context.Context) error { return nil })
		p.expect(
			`holdfast_call_duration_seconds_sum{client="orders",outcome="success"} 1`,
			`holdfast_attempts_total{attempt_type="original",class="unclassified",client="orders"} 2`,
			`holdfast_attempts_total{attempt_type="retry",class="unclassified",client="orders"} 2`,
			`holdfast_concurrency_limit{client="orders"} 7`,
			`holdfast_concurrency_in_use{client="orders"} 0`,
			`holdfast_breaker_state{client="orders",state="open"} 1`,
			`holdfast_rejections_total{client="orders",rule="breaker"} 1`,
			`holdfast_breaker_state{client="database",state="open"} 1`,
			`holdfast_breaker_transitions_total{client="database",from="closed",to="open"} 1`,
			`holdfast_rejections_total{client="database",rule="breaker"} 0`,
			`holdfast_rejections_total{client="mail",rule="breaker"} 2`,
			`holdfast_call_duration_seconds_count{client="plain",outcome="success"} 1`,
		)
		for _, part := range []string{
			`holdfast_call_duration_seconds_count{client="mail"`, `rejections_total{client="mail",rule="bulkhead"`, `transitions_total{client="orders"`,
			`state{client="plain"`, `limit{client="plain"`, `streams_total{client="orders"`, `first_event_seconds_count{client="orders"`,
		} {
			p.lacks(part)
		}
		runtime.KeepAlive(policy)
		runtime.KeepAlive(plain)
	})
}

// Two clients of one name share their series, and the gauges are summed up.
func TestOneNameTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{})
		cfg := holdfast.Config{Name: "api", Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 3}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}
		a := serving(t, faultserver.Echo, plan(), cfg, p.option())
		b := serving(t, faultserver.Echo, plan(rule("", "", fault.Fault{Status: 500})), cfg, p.option())
		_, _ = a.Get(t.Context(), "/x")
		_, _ = b.Get(t.Context(), "/x")
		p.expect(
			`holdfast_concurrency_limit{client="api"} 6`,
			`holdfast_breaker_state{client="api",state="closed"} 1`,
			`holdfast_breaker_state{client="api",state="open"} 1`,
			`holdfast_call_duration_seconds_count{client="api",outcome="success"} 1`,
			`holdfast_call_duration_seconds_count{client="api",outcome="failed"} 1`,
		)
		b.Close()
		_, _ = b.Get(t.Context(), "/x") // fails
		p.expect(`holdfast_concurrency_limit{client="api"} 3`, `holdfast_breaker_state{client="api",state="open"} 0`,
			`holdfast_call_duration_seconds_count{client="api",outcome="failed"} 2`)
	})
}

// 10,000 names make 200 values of the label, and one for the others. Names that are free
// again are used again.
func TestCardinality(t *testing.T) {
	p := newPage(t, promholdfast.Options{})
	names := func() map[string]bool {
		found := map[string]bool{}
		for _, m := range p.family("holdfast_call_duration_seconds").Metric {
			for _, l := range m.Label {
				if l.GetName() == "client" {
					found[l.GetValue()] = true
				}
			}
		}
		return found
	}
	var all []*holdfast.Policy
	for i := range 10_000 {
		policy := holdfast.MustPolicy(holdfast.PolicyConfig{Name: fmt.Sprint("tenant-", i), Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, p.option())
		_ = holdfast.Run(t.Context(), policy, func(context.Context) error { return nil })
		all = append(all, policy)
	}
	if found := names(); len(found) != 201 || !found[promholdfast.Other] || !found["tenant-199"] {
		t.Errorf("%d names", len(found))
	}
	p.expect(`holdfast_call_duration_seconds_count{client="_other",outcome="success"} 9800`)
	if lines := strings.Count(p.scrape(false), "\n"); lines > 201*250 {
		t.Errorf("%d lines", lines)
	}
	runtime.KeepAlive(all)
	all = nil
	runtime.GC()
	runtime.GC()
	names() // the last time
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "later"}, p.option())
	if found := names(); len(found) != 1 || !found["later"] {
		t.Errorf("after they were dropped: %d names", len(found))
	}
	runtime.KeepAlive(policy)
}

// Clients that are closed make room also if nothing is scraped.
func TestCardinalityWithoutScrapes(t *testing.T) {
	p := newPage(t, promholdfast.Options{})
	for i := range 1000 {
		c, err := holdfast.New(holdfast.Config{Name: fmt.Sprint("tenant-", i), BaseURL: "http://127.0.0.1:1"}, p.option())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	p.expect(`holdfast_streams_total{client="tenant-999",end="cut"} 0`)
	p.lacks(promholdfast.Other)
}

// Names that no label may have.
func TestNames(t *testing.T) {
	p := newPage(t, promholdfast.Options{})
	var keep []*holdfast.Policy
	for _, name := range []string{"a\xff", strings.Repeat("é", 100), "a\"\n\\b", promholdfast.Other} {
		keep = append(keep, holdfast.MustPolicy(holdfast.PolicyConfig{Name: name}, p.option()))
	}
	p.expect(
		`holdfast_retry_delay_seconds_count{client="a`+"\uFFFD"+`"} 0`,
		`holdfast_retry_delay_seconds_count{client="`+strings.Repeat("é", 64)+`"} 0`,
		`holdfast_retry_delay_seconds_count{client="a\"\n\\b"} 0`,
		`holdfast_retry_delay_seconds_count{client="_other"} 0`,
	)
	runtime.KeepAlive(keep)
}

// Scopes have series if they are asked for, and no more than that.
func TestScopes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{Scopes: 2})
		c := serving(t, faultserver.Echo, plan(rule("/b", "", fault.Fault{Status: 500})), holdfast.Config{
			Name: "api", Scope: func(r *http.Request) string { return r.URL.Path }, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
		}, p.option())
		for _, path := range []string{"/b", "/b", "/z"} {
			_, _ = c.Get(t.Context(), path)
		}
		p.expect(
			`holdfast_scope_breaker_state{client="api",scope="/b",state="open"} 1`,
			`holdfast_scope_rejections_total{client="api",scope="/b"} 1`,
			`holdfast_scope_breaker_state{client="api",scope="/z",state="closed"} 1`,
			`holdfast_breaker_transitions_total{client="api",from="closed",to="open"} 1`,
			`holdfast_rejections_total{client="api",rule="breaker"} 1`,
		)
		for i := range 1000 {
			_, _ = c.Get(t.Context(), fmt.Sprint("/a", i))
		}
		p.expect(`holdfast_scope_breaker_state{client="api",scope="_other",state="closed"} 1`, `holdfast_scope_rejections_total{client="api",scope="/b"} 1`)
		if n := strings.Count(p.lines("holdfast_scope_rejections_total{"), "\n") + 1; n != 2 { // the client has forgotten /z
			t.Errorf("%d scopes", n)
		}
	})
}

// Exemplars are in OpenMetrics, in the bucket of their call, and one a second.
func TestExemplars(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type trace struct{}
		asked := 0
		p := newPage(t, promholdfast.Options{Exemplar: func(ctx context.Context) prometheus.Labels {
			asked++
			if id, ok := ctx.Value(trace{}).(string); ok {
				return prometheus.Labels{"trace_id": id}
			}
			return nil
		}})
		policy := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "orders"}, p.option())
		call := func(id string, takes time.Duration) {
			_ = holdfast.Run(context.WithValue(t.Context(), trace{}, id), policy, func(context.Context) error { time.Sleep(takes); return nil })
		}
		call("first", 0)
		call("second", 0) // too early
		if asked != 1 {
			t.Errorf("asked for %d exemplars, want 1", asked)
		}
		time.Sleep(time.Second)
		call(strings.Repeat("x", 200), 0) // too long
		call("slow", 2*time.Minute)
		text := p.scrape(true)
		for _, want := range []string{
			`holdfast_call_duration_seconds_bucket{client="orders",outcome="success",le="0.001"} 3 # {trace_id="first"} 0.0`,
			`holdfast_call_duration_seconds_bucket{client="orders",outcome="success",le="+Inf"} 4 # {trace_id="slow"} 120.0`,
			`holdfast_attempt_duration_seconds_bucket{attempt_type="original",class="none",client="orders",le="0.001"} 3 # {trace_id="first"} 0.0`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if strings.Contains(text, "xxx") || strings.Contains(text, `"second"`) {
			t.Error("an exemplar that is not allowed")
		}
		_ = holdfast.Run(context.Background(), policy, func(context.Context) error { time.Sleep(time.Second); return nil })
		runtime.KeepAlive(policy)
	})
}

// The native histogram has each duration in the bucket that has it by definition, and the
// classic one beside it.
func TestNativeHistogram(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPage(t, promholdfast.Options{Buckets: []float64{0.25, 1}})
		policy := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "orders"}, p.option())
		took := []time.Duration{
			0, time.Nanosecond, 950 * time.Nanosecond, time.Microsecond, 250 * time.Millisecond, 250*time.Millisecond + 1, 260 * time.Millisecond, 300 * time.Millisecond,
			999 * time.Millisecond, time.Second, time.Second + 1, 90 * time.Second, 100 * time.Hour,
		}
		want := map[int]int64{}
		var sum float64
		zero := uint64(0)
		for _, d := range took {
			_ = holdfast.Run(t.Context(), policy, func(context.Context) error { time.Sleep(d); return nil })
			sum += d.Seconds()
			if i := int(math.Ceil(math.Log2(d.Seconds()) * 8)); d.Seconds() <= math.Exp2(-20) {
				zero++
			} else {
				want[min(i, 17*8)]++
			}
		}
		h := p.family("holdfast_call_duration_seconds").Metric[3].GetHistogram() // of success
		if h.GetSchema() != 3 || h.GetZeroCount() != zero || h.GetSampleCount() != uint64(len(took)) || math.Abs(h.GetSampleSum()-sum) > 1e-6 {
			t.Errorf("schema %d, %d in the zero bucket, %d in all, sum %v", h.GetSchema(), h.GetZeroCount(), h.GetSampleCount(), h.GetSampleSum())
		}
		got, index, at, n := map[int]int64{}, 0, 0, int64(0)
		for _, span := range h.PositiveSpan {
			index += int(span.GetOffset())
			for range span.GetLength() {
				if n += h.PositiveDelta[at]; n != 0 {
					got[index] = n
				}
				index++
				at++
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || at != len(h.PositiveDelta) {
			t.Errorf("buckets %v, want %v", got, want)
		}
		p.expect(
			`holdfast_call_duration_seconds_bucket{client="orders",outcome="success",le="0.25"} 5`,
			`holdfast_call_duration_seconds_bucket{client="orders",outcome="success",le="1"} 10`,
			`holdfast_call_duration_seconds_bucket{client="orders",outcome="success",le="+Inf"} 13`,
		)
		runtime.KeepAlive(policy)
	})
}

// No credential gets out: not by an address, a header, a body, an error or an exemplar's
// context.
func TestNoSecretGetsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const canary = "canary-4f1b"
		p := newPage(t, promholdfast.Options{Scopes: 10})
		c := serving(t, func(faultserver.Request) faultserver.Answer {
			return faultserver.Answer{Status: 401, Body: []byte(canary)}
		}, plan(), holdfast.Config{
			Name: "api", Header: http.Header{"Authorization": {"Bearer " + canary}, "X-Key": {canary}}, Scope: holdfast.ScopeHeader("X-Key"),
		}, p.option())
		_, _ = c.Post(t.Context(), "/x?key="+canary, canary, holdfast.WithHeader("X-Key", canary), holdfast.WithIdempotencyKey(canary))
		for _, openMetrics := range []bool{false, true} {
			text := p.scrape(openMetrics)
			if !strings.Contains(text, `class="credential"`) {
				t.Fatal("the call is not in the page")
			}
			if strings.Contains(text, canary) {
				t.Error("the page shows a credential")
			}
		}
	})
}

// A Registry, over real sockets, scraped while it works.
func TestRegistryOverSockets(t *testing.T) {
	m := promholdfast.New(promholdfast.Options{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	scrapes := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer scrapes.Close()
	scrape := func() string {
		resp, err := http.Get(scrapes.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.Status, err)
		}
		return string(body)
	}
	s := faultserver.Start(t, plan(rule("", "1-5", fault.Fault{Status: 503})))
	var clients holdfast.Registry
	clients.Reset(t)
	clients.Use(holdfast.WithMetrics(m))
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			c, err := clients.Open("api", holdfast.Config{BaseURL: s.URL(), Retry: holdfast.Retry{BaseDelay: time.Millisecond}, Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off}})
			if err != nil {
				t.Error(err)
				return
			}
			for range 50 {
				_, _ = c.Get(t.Context(), "/x")
			}
		})
	}
	calls.Go(func() {
		for range 20 {
			scrape()
		}
	})
	calls.Wait()
	if text := scrape(); !strings.Contains(text, "\nholdfast_call_duration_seconds_count{client=\"api\",outcome=\"success\"} 400\n") {
		t.Errorf("the page is\n%s", text)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

// A Router has the client of each origin in the page.
func TestRouter(t *testing.T) {
	p := newPage(t, promholdfast.Options{})
	s := faultserver.Start(t, plan())
	router, err := holdfast.NewRouter(holdfast.RouterConfig{Default: &holdfast.Config{Name: "sdk"}}, p.option())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := router.HTTPClient().Get(s.URL() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	name := router.Stats()[s.URL()].Name
	p.expect(fmt.Sprintf(`holdfast_call_duration_seconds_count{client="%s",outcome="success"} 1`, name))
	router.Close()
	p.scrape(false)
	p.lacks(`client="`)
}

// Options that are out of bounds.
func TestOptions(t *testing.T) {
	for want, o := range map[string]promholdfast.Options{
		"promholdfast: Options.Buckets[0] is 0: must be positive, at most 131072, and larger than the one before it":   {Buckets: []float64{0}},
		"promholdfast: Options.Buckets[1] is 1: must be positive, at most 131072, and larger than the one before it":   {Buckets: []float64{1, 1}},
		"promholdfast: Options.Buckets[0] is NaN: must be positive, at most 131072, and larger than the one before it": {Buckets: []float64{math.NaN()}},
		"promholdfast: Options.Scopes is -1: must be zero or positive":                                                 {Scopes: -1},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("%v, want %s", got, want)
				}
			}()
			promholdfast.New(o)
		}()
	}
}
