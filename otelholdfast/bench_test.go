package otelholdfast_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// An instrumented client, in the order of what it costs.
type instrumentedClient struct {
	name string
	ctx  context.Context
	i    holdfast.Instrument
}

var instrumented = func() []instrumentedClient {
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	always := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	w3c := propagation.TraceContext{}
	unsampled, _ := never.Tracer("").Start(context.Background(), "handler")
	return []instrumentedClient{
		{"off", context.Background(), nil},
		{"an instrument that does nothing", context.Background(), nothing{}},
		{"sampled out below a span of the program", unsampled, otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c})},
		{"sampled out by the sampler", context.Background(), otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c})},
		{"sampled out, with metrics", unsampled, otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c, MeterProvider: meter})},
		{"traced", context.Background(), otelholdfast.New(otelholdfast.Options{TracerProvider: always, Propagator: w3c})},
	}
}()

func (c instrumentedClient) client(tb testing.TB) *holdfast.Client {
	tb.Helper()
	rt := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Header: http.Header{}, Body: http.NoBody}, nil
	})
	client, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test"}, holdfast.WithTransport(rt), holdfast.WithInstrument(c.i))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// BenchmarkCall measures a call without an instrument, and what the traces and metrics add.
func BenchmarkCall(b *testing.B) {
	for _, c := range instrumented {
		b.Run(c.name, func(b *testing.B) {
			client := c.client(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Get(c.ctx, "/v1/users/42"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A trace that is sampled out costs the header that is sent, which is a string and a slice, and
// what the SDK's sampler costs if it is asked.
func TestAllocations(t *testing.T) {
	costs := map[string]float64{}
	for _, c := range instrumented {
		client := c.client(t)
		call := func() { _, _ = client.Get(c.ctx, "/v1/users/42") }
		costs[c.name] = testing.AllocsPerRun(500, call)
		for range 3 { // the garbage collector may empty a pool meanwhile
			costs[c.name] = min(costs[c.name], testing.AllocsPerRun(500, call))
		}
	}
	for name, most := range map[string]float64{"an instrument that does nothing": 0, "sampled out below a span of the program": 2, "sampled out by the sampler": 5} {
		if over := costs[name] - costs["off"]; over > most {
			t.Errorf("%s: %v allocations over the call, at most %v", name, over, most)
		}
	}
}

// nothing is an Instrument that does nothing.
type nothing struct{}

func (nothing) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return ctx, nil
}

func (nothing) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return ctx, nil
}

// BenchmarkInstrument measures the Instrument without the client and the network.
func BenchmarkInstrument(b *testing.B) {
	target, _ := url.Parse("http://api.test/v1/users/42")
	op := holdfast.Operation{Name: "api", Method: "GET", Path: target.Path, URL: target}
	for _, c := range instrumented[2:] {
		b.Run(c.name, func(b *testing.B) {
			header := http.Header{}
			b.ReportAllocs()
			for b.Loop() {
				clear(header)
				ctx, end := c.i.StartOperation(c.ctx, op)
				_, endAttempt := c.i.StartAttempt(ctx, holdfast.AttemptStart{Operation: op, Number: 1, Of: 4, Header: header})
				if endAttempt != nil {
					endAttempt(holdfast.Event{Kind: holdfast.EventAttemptDone, Attempt: 1, Outcome: holdfast.Success, Status: 200})
				}
				if end != nil {
					end(holdfast.Event{Kind: holdfast.EventSucceeded, Attempt: 1, Outcome: holdfast.Success, Breaker: holdfast.StateClosed})
				}
			}
		})
	}
}
