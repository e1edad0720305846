package promholdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/promholdfast"
)

// A program registers the metrics once, and gives the option to its clients and policies.
func Example() {
	metrics := promholdfast.New(promholdfast.Options{})
	registry := prometheus.NewRegistry() // or prometheus.MustRegister(metrics)
	registry.MustRegister(metrics)

	orders := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name: "orders", Retry: holdfast.Retry{BaseDelay: holdfast.Off},
	}, holdfast.WithMetrics(metrics))

	tries := 0
	_ = holdfast.Run(context.Background(), orders, func(context.Context) error {
		if tries++; tries == 1 {
			return errors.New("connection reset")
		}
		return nil
	})

	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "holdfast_attempts_total{") && !strings.HasSuffix(line, " 0\n") {
			fmt.Print(line)
		}
	}
	// Output:
	// holdfast_attempts_total{attempt_type="original",class="unclassified",client="orders"} 1
	// holdfast_attempts_total{attempt_type="retry",class="none",client="orders"} 1
}

// Everything that a Registry opens later has the metrics.
func ExampleNew() {
	metrics := promholdfast.New(promholdfast.Options{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)

	var clients holdfast.Registry // or holdfast.DefaultRegistry
	clients.Use(holdfast.WithMetrics(metrics))

	api, err := clients.Open("api", holdfast.Config{BaseURL: "https://api.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer api.Close()

	families, _ := registry.Gather()
	for _, f := range families {
		if f.GetName() == "holdfast_breaker_state" {
			for _, m := range f.Metric {
				fmt.Println(m.Label[0].GetValue(), m.Label[1].GetValue(), m.GetGauge().GetValue())
			}
		}
	}
	// Output:
	// api closed 1
	// api half_open 0
	// api open 0
}

// An exemplar has the trace of a call. With OpenTelemetry, the id is that of
// trace.SpanContextFromContext(ctx).
func ExampleOptions_exemplar() {
	type traceID struct{}
	metrics := promholdfast.New(promholdfast.Options{
		Exemplar: func(ctx context.Context) prometheus.Labels {
			if id, ok := ctx.Value(traceID{}).(string); ok {
				return prometheus.Labels{"trace_id": id}
			}
			return nil
		},
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	orders := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "orders"}, holdfast.WithMetrics(metrics))
	ctx := context.WithValue(context.Background(), traceID{}, "4bf92f3577b34da6")
	_ = holdfast.Run(ctx, orders, func(context.Context) error { return nil })

	page, ask := httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil)
	ask.Header.Set("Accept", "application/openmetrics-text")
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(page, ask)
	fmt.Println(strings.Count(page.Body.String(), `# {trace_id="4bf92f3577b34da6"}`), "exemplars")
	// Output: 2 exemplars
}
