// Package otelholdfast makes traces and metrics of OpenTelemetry of the calls of holdfast. An
// operation is a span, and so is each of its attempts:
//
//	client, err := holdfast.New(cfg, holdfast.WithInstrument(otelholdfast.New(otelholdfast.Options{})))
//
// docs/traces.md lists the spans, the attributes and the metrics.
package otelholdfast

import (
	"context"
	"sync"

	"github.com/holdfast-go/holdfast"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Options are the settings of an Instrument. The zero Options trace with otel's globals, and
// measure nothing.
type Options struct {
	// TracerProvider makes the spans. Default otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
	// Propagator writes the trace context into the headers of each attempt. Default
	// otel.GetTextMapPropagator(), which writes nothing until the program sets it.
	Propagator propagation.TextMapPropagator
	// MeterProvider makes the metrics. Default none.
	MeterProvider metric.MeterProvider
	// ShownQuery are the names of the parameters of a query of which url.full shows the
	// values. Default none: every value is shown as REDACTED.
	ShownQuery []string
	// WithoutAttemptSpans makes no span for an attempt, because the transport makes one for
	// each request: that of otelhttp, for example. See Annotate.
	WithoutAttemptSpans bool
}

// Instrument makes spans and metrics. Pass it to holdfast.WithInstrument. Any number of
// clients, policies and routers may share it.
type Instrument struct {
	tracer          trace.Tracer
	propagator      propagation.TextMapPropagator
	shown           map[string]bool
	noAttemptSpans  bool
	metrics         *metrics // nil for none
	mu              sync.RWMutex
	optionsOfClient map[string][]trace.SpanStartOption
}

var _ holdfast.AnswerInstrument = (*Instrument)(nil)

const scope = "github.com/holdfast-go/holdfast/otelholdfast"

// New returns an Instrument. A metric that the MeterProvider declines is reported to
// otel's error handler, and is not measured.
func New(o Options) *Instrument {
	i := &Instrument{
		propagator: o.Propagator, shown: map[string]bool{}, noAttemptSpans: o.WithoutAttemptSpans,
		optionsOfClient: map[string][]trace.SpanStartOption{},
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	i.tracer = o.TracerProvider.Tracer(scope)
	if i.propagator == nil {
		i.propagator = otel.GetTextMapPropagator()
	}
	for _, name := range o.ShownQuery {
		i.shown[name] = true
	}
	if o.MeterProvider != nil {
		i.metrics = newMetrics(o.MeterProvider)
	}
	return i
}

// StartOperation starts the span holdfast.call.
func (i *Instrument) StartOperation(ctx context.Context, op holdfast.Operation) (context.Context, func(holdfast.Event)) {
	parent := trace.SpanFromContext(ctx)
	span := parent
	within := ctx
	if sc := parent.SpanContext(); parent.IsRecording() || sc.IsSampled() || sc.IsRemote() || !sc.IsValid() {
		within, span = i.tracer.Start(ctx, "holdfast.call", i.startOptions(op.Name)...)
	} // else the sampler has decided for the trace in this process already
	if !span.IsRecording() && i.metrics == nil {
		if i.callOf(ctx) == nil {
			return within, nil
		}
		return &call{Context: within, of: i, span: span, hides: true}, nil
	}
	c := &call{Context: within, of: i, span: span, client: op.Name}
	if span.IsRecording() {
		c.describe(op, routeOf(ctx))
	}
	return c, c.end
}

// StartAttempt starts the span of an attempt, and writes the trace context into its headers.
func (i *Instrument) StartAttempt(ctx context.Context, at holdfast.AttemptStart) (_ context.Context, end func(holdfast.Event)) {
	c := i.callOf(ctx)
	if c == nil || c.hides {
		i.inject(ctx, at)
		return ctx, nil
	}
	c.retry = at.Number > 1
	if !c.span.IsRecording() {
		i.inject(ctx, at)
		return ctx, c.measure
	}
	if i.noAttemptSpans {
		i.inject(ctx, at)
		return &attempt{Context: ctx, of: c, span: c.span, number: at.Number}, c.measure
	}
	a := i.startAttempt(ctx, c, at)
	i.inject(a.Context, at)
	return a, a.end
}

// EndAnswer ends the spans of an answer that the caller has read.
func (i *Instrument) EndAnswer(ctx context.Context, e holdfast.Event) {
	c := i.callOf(ctx)
	if c == nil || c.hides {
		return
	}
	ending := endingOf(e)
	if i.metrics != nil && e.Stream {
		i.metrics.streamEnded(ctx, c.client, ending)
	}
	if a := i.attemptOf(ctx); a != nil && a.of == c && a.unread {
		a.unread = false
		endAnswer(a.span, e, ending)
	}
	if c.unread {
		c.unread = false
		endAnswer(c.span, e, ending)
	}
}

func (i *Instrument) inject(ctx context.Context, at holdfast.AttemptStart) {
	if at.Header != nil {
		i.propagator.Inject(ctx, carrier{propagation.HeaderCarrier(at.Header)})
	}
}

// carrier is a HeaderCarrier that does not make the usual names anew each time.
type carrier struct{ propagation.HeaderCarrier }

func (c carrier) Set(key, value string) {
	switch key {
	case "traceparent":
		c.HeaderCarrier["Traceparent"] = []string{value}
	case "tracestate":
		c.HeaderCarrier["Tracestate"] = []string{value}
	case "baggage":
		c.HeaderCarrier["Baggage"] = []string{value}
	default:
		c.HeaderCarrier.Set(key, value)
	}
}

// maxClients bounds the names of clients that are remembered, and that metrics show.
const maxClients = 200

// startOptions are those of a client's calls, made once.
func (i *Instrument) startOptions(client string) []trace.SpanStartOption {
	i.mu.RLock()
	options, ok := i.optionsOfClient[client]
	i.mu.RUnlock()
	if ok {
		return options
	}
	options = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(attribute.String("holdfast.client", client)),
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.optionsOfClient) < maxClients {
		i.optionsOfClient[client] = options
	}
	return options
}
