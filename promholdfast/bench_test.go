package promholdfast_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/promholdfast"
)

// answers is a transport that costs next to nothing.
type answers int

func (status answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(status), Header: http.Header{}, Body: http.NoBody}, nil
}

// each runs f without metrics, with them, and with exemplars.
func each(b *testing.B, f func(b *testing.B, opts []holdfast.Option)) {
	for _, c := range []struct {
		name string
		opts func() []holdfast.Option
	}{
		{"off", func() []holdfast.Option { return nil }},
		{"on", func() []holdfast.Option {
			return []holdfast.Option{holdfast.WithMetrics(promholdfast.New(promholdfast.Options{}))}
		}},
		{"exemplars", func() []holdfast.Option {
			return []holdfast.Option{holdfast.WithMetrics(promholdfast.New(promholdfast.Options{Exemplar: func(context.Context) prometheus.Labels { return nil }}))}
		}},
	} {
		b.Run(c.name, func(b *testing.B) { b.ReportAllocs(); f(b, c.opts()) })
	}
}

// The cost of metrics is the difference between off and on. The bar is 150 ns and no
// allocation for a call that succeeds.
//
//	go test -run xxx -bench . -count 6 .
func BenchmarkPolicy(b *testing.B) {
	each(b, func(b *testing.B, opts []holdfast.Option) {
		p := holdfast.MustPolicy(holdfast.PolicyConfig{}, opts...)
		for b.Loop() {
			_ = holdfast.Run(context.Background(), p, func(context.Context) error { return nil })
		}
	})
}

func BenchmarkPolicyWithAttemptTimeout(b *testing.B) {
	each(b, func(b *testing.B, opts []holdfast.Option) {
		p := holdfast.MustPolicy(holdfast.PolicyConfig{AttemptTimeout: 1e9}, opts...)
		for b.Loop() {
			_ = holdfast.Run(context.Background(), p, func(context.Context) error { return nil })
		}
	})
}

func BenchmarkClient(b *testing.B) {
	each(b, func(b *testing.B, opts []holdfast.Option) {
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test"}, append(opts, holdfast.WithTransport(answers(200)))...)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		for b.Loop() {
			if _, err := c.Get(context.Background(), "/x"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A rejection is what an outage consists of.
func BenchmarkRejection(b *testing.B) {
	each(b, func(b *testing.B, opts []holdfast.Option) {
		c, err := holdfast.New(holdfast.Config{
			BaseURL: "http://api.test", Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		}, append(opts, holdfast.WithTransport(answers(500)))...)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		for b.Loop() {
			if _, err := c.Get(context.Background(), "/x"); err == nil {
				b.Fatal("no error")
			}
		}
	})
}

// BenchmarkRecord is the recorder alone.
func BenchmarkRecord(b *testing.B) {
	p := holdfast.MustPolicy(holdfast.PolicyConfig{})
	r := promholdfast.New(promholdfast.Options{}).Recorder(holdfast.Measured{Name: "orders", Policy: p})
	b.Run("success", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Succeeded(context.Background(), holdfast.Succeeded{Took: 1234567, LastTook: 1234567, Attempts: 1})
		}
	})
	b.Run("success after a retry", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Succeeded(context.Background(), holdfast.Succeeded{Took: 12345678, LastTook: 1234567, Attempts: 2})
		}
	})
	b.Run("failed attempt", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Observe(context.Background(), holdfast.Event{Kind: holdfast.EventAttemptDone, Attempt: 1, Class: holdfast.ClassServer, Duration: 1234567})
		}
	})
}

// BenchmarkScrape is a scrape of the most names.
func BenchmarkScrape(b *testing.B) {
	m := promholdfast.New(promholdfast.Options{})
	r := prometheus.NewRegistry()
	r.MustRegister(m)
	var keep []*holdfast.Policy
	for i := range 200 {
		keep = append(keep, holdfast.MustPolicy(holdfast.PolicyConfig{Name: string(rune('a'+i/26)) + string(rune('a'+i%26))}, holdfast.WithMetrics(m)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
	runtime.KeepAlive(keep)
}

// A call allocates nothing for its metrics, whether it succeeds, is repeated or is rejected.
func TestAllocations(t *testing.T) {
	m := promholdfast.New(promholdfast.Options{})
	least := func(f func()) float64 { // the collector empties pools
		n := math.Inf(1)
		for range 50 {
			n = min(n, testing.AllocsPerRun(10, f))
		}
		return n
	}
	allocs := func(status int, opts ...holdfast.Option) float64 {
		c, err := holdfast.New(holdfast.Config{
			Name: "api", BaseURL: "http://api.test", Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		}, append(opts, holdfast.WithTransport(answers(status)))...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Get(t.Context(), "/x")
		return least(func() { _, _ = c.Get(context.Background(), "/x") })
	}
	for what, status := range map[string]int{"succeeds": 200, "is rejected": 500} {
		if off, on := allocs(status), allocs(status, holdfast.WithMetrics(m)); on > off {
			t.Errorf("a call that %s has %v allocations with metrics, and %v without", what, on, off)
		}
	}
	down := errors.New("down")
	policy := func(opts ...holdfast.Option) float64 {
		p := holdfast.MustPolicy(holdfast.PolicyConfig{Retry: holdfast.Retry{BaseDelay: holdfast.Off}}, opts...)
		return least(func() {
			calls := 0
			_ = holdfast.Run(context.Background(), p, func(context.Context) error {
				if calls++; calls == 1 {
					return down
				}
				return nil
			})
		})
	}
	if off, on := policy(), policy(holdfast.WithMetrics(m)); on > off {
		t.Errorf("a call with a retry has %v allocations with metrics, and %v without", on, off)
	}
}
