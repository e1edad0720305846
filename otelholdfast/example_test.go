package otelholdfast_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
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

// Spans are grouped by the template of their paths, and not by the ids in them.
func ExampleWithRoute() {
	service, _ := faultserver.New(fault.Plan{})
	defer service.Close()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	client, err := holdfast.New(holdfast.Config{BaseURL: service.URL()},
		holdfast.WithInstrument(otelholdfast.New(otelholdfast.Options{TracerProvider: provider})))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	_, _ = client.Get(context.Background(), "/v1/users/42")
	_, _ = client.Get(otelholdfast.WithRoute(context.Background(), "/v1/users/{id}"), "/v1/users/42")
	fmt.Println(spans.Ended()[0].Name())
	fmt.Println(spans.Ended()[2].Name())
	// Output:
	// GET
	// GET /v1/users/{id}
}

// tracing is a transport that makes spans, as that of otelhttp does.
type tracing struct {
	http.RoundTripper
	trace.Tracer
}

func (t tracing) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := t.Start(req.Context(), "HTTP "+req.Method)
	defer span.End()
	return t.RoundTripper.RoundTrip(req.WithContext(ctx))
}

// The transport makes the spans of the attempts, and Annotate adds which attempt each one is.
func ExampleAnnotate() {
	service, _ := faultserver.New(fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Status: 503}}}})
	defer service.Close()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))

	client, err := holdfast.New(
		holdfast.Config{BaseURL: service.URL(), Retry: holdfast.Retry{BaseDelay: time.Millisecond}},
		holdfast.WithTransport(tracing{otelholdfast.Annotate(http.DefaultTransport), provider.Tracer("")}),
		holdfast.WithInstrument(otelholdfast.New(otelholdfast.Options{TracerProvider: provider, WithoutAttemptSpans: true})))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	_, _ = client.Get(context.Background(), "/")
	for _, span := range spans.Ended()[:2] {
		fmt.Println(span.Name(), span.Attributes()[0].Key, span.Attributes()[0].Value.String())
	}
	// Output:
	// HTTP GET holdfast.attempt.type original
	// HTTP GET http.request.resend_count 1
}
