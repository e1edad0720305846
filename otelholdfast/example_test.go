package otelholdfast_test

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// The first attempt fails, and the second one succeeds. A program gives its own TracerProvider, or
// sets otel's global one.
func Example() {
	service, _ := faultserver.New(fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Status: 503}}}})
	defer service.Close()
	spans := tracetest.NewSpanRecorder() // in the place of an exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))

	client, err := holdfast.New(
		holdfast.Config{Name: "users", BaseURL: service.URL(), Retry: holdfast.Retry{BaseDelay: time.Millisecond}},
		holdfast.WithInstrument(otelholdfast.New(otelholdfast.Options{
			TracerProvider: provider, Propagator: propagation.TraceContext{},
		})))
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx := otelholdfast.WithRoute(context.Background(), "/v1/users/{id}")
	if _, err := client.Get(ctx, "/v1/users/42"); err != nil {
		panic(err)
	}
	for _, span := range spans.Ended() {
		fmt.Println(span.SpanKind(), span.Name(), span.Status().Code)
	}
	// Output:
	// client GET /v1/users/{id} Error
	// client GET /v1/users/{id} Unset
	// internal holdfast.call Unset
}
