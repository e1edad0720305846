package otelholdfast_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BenchmarkCall measures a call without an instrument, and what the traces and metrics add.
func BenchmarkCall(b *testing.B) {
	rt := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Header: http.Header{}, Body: http.NoBody}, nil
	})
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	unsampled, _ := never.Tracer("").Start(context.Background(), "handler")
	w3c := propagation.TraceContext{}
	for _, bb := range []struct {
		name string
		ctx  context.Context
		i    holdfast.Instrument
	}{
		{"off", context.Background(), nil},
		{"nothing", context.Background(), nothing{}},
		{"sampled out below a span of the program", unsampled, otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c})},
		{"sampled out by the sampler", context.Background(), otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c})},
		{"metrics", unsampled, otelholdfast.New(otelholdfast.Options{TracerProvider: never, Propagator: w3c,
			MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})},
		{"on", context.Background(), otelholdfast.New(otelholdfast.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample())), Propagator: w3c})},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c, err := holdfast.New(holdfast.Config{BaseURL: "http://api.test"}, holdfast.WithTransport(rt), holdfast.WithInstrument(bb.i))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(bb.ctx, "/v1/users/42"); err != nil {
					b.Fatal(err)
				}
			}
		})
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
