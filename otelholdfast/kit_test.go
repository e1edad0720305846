package otelholdfast_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// traced is a client of a fault server in memory, and the spans of its calls.
type traced struct {
	*holdfast.Client
	server     *faultserver.Server
	instrument *otelholdfast.Instrument
	spans      *tracetest.SpanRecorder
	provider   *sdktrace.TracerProvider
}

// bubbled runs f in a bubble with a client that has no jitter.
func bubbled(t *testing.T, plan []fault.Rule, cfg holdfast.Config, o otelholdfast.Options, f func(t *testing.T, c traced)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := traced{spans: tracetest.NewSpanRecorder(), server: faultserver.Start(t, fault.Plan{Rules: plan}, faultserver.InMemory(), faultserver.Backend(numbers))}
		c.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c.spans))
		o.TracerProvider, o.Propagator = c.provider, propagation.TraceContext{}
		cfg.BaseURL, cfg.Name = c.server.URL(), cmp.Or(cfg.Name, "api")
		cfg.Retry.Jitter = holdfast.NoJitter
		c.instrument = otelholdfast.New(o)
		client, err := holdfast.New(cfg, holdfast.WithDialContext(c.server.Dial), holdfast.WithInstrument(c.instrument))
		if err != nil {
			t.Fatal(err)
		}
		c.Client = client
		f(t, c)
		synctest.Wait()
		_ = client.Close()
		_ = c.server.Close()
		time.Sleep(time.Second) // of the bubble: the last timers end
		if open := len(c.spans.Started()) - len(c.spans.Ended()); open != 0 {
			t.Errorf("%d spans have not ended", open)
		}
	})
}

// numbers answers /events with five events, and all else with an echo.
func numbers(r faultserver.Request) faultserver.Answer {
	if r.Path != "/events" {
		return faultserver.Echo(r)
	}
	a := faultserver.Answer{Status: 200, ContentType: "text/event-stream"}
	for n := range 5 {
		event := fmt.Sprintf("data: {\"n\":%d}\n\n", n)
		a.Body, a.Chunks = append(a.Body, event...), append(a.Chunks, len(event))
	}
	return a
}

func rule(path, nth string, f fault.Fault) fault.Rule {
	return fault.Rule{Match: fault.Match{Path: path}, Nth: nth, Fault: f}
}

// expect compares the ended spans, in the order of their starts, with lines: the kind, the name, the
// status, the attributes without those of the network, and the events. Two more spaces stand
// before a span with a parent here.
func (c traced) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := strings.Join(c.lines(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the spans are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func (c traced) lines() (lines []string) {
	ended := c.spans.Ended()
	here := map[trace.SpanID]bool{}
	for _, s := range c.spans.Started() {
		here[s.SpanContext().SpanID()] = true
		i := slices.IndexFunc(ended, func(e sdktrace.ReadOnlySpan) bool { return e.SpanContext().Equal(s.SpanContext()) })
		if i < 0 {
			lines = append(lines, "not ended: "+s.Name())
			continue
		}
		lines = append(lines, indent(here[s.Parent().SpanID()])+line(ended[i]))
	}
	return lines
}

func indent(below bool) string {
	if below {
		return "  "
	}
	return ""
}

// network are attributes that every attempt of a test has.
var network = []attribute.Key{"server.address", "server.port", "network.peer.address", "network.peer.port", "url.full", "network.protocol.version", "http.request.method", "holdfast.client"}

func line(s sdktrace.ReadOnlySpan) string {
	parts := []string{s.SpanKind().String(), s.Name()}
	if code := s.Status().Code; code != codes.Unset {
		parts = append(parts, fmt.Sprintf("%v(%s)", code, s.Status().Description))
	}
	var attrs []string
	for _, a := range s.Attributes() {
		if !slices.Contains(network, a.Key) {
			attrs = append(attrs, strings.TrimPrefix(string(a.Key), "holdfast.")+"="+a.Value.String())
		}
	}
	slices.Sort(attrs)
	parts = append(parts, attrs...)
	for _, e := range s.Events() {
		parts = append(parts, "+"+e.Name)
	}
	return strings.Join(parts, " ")
}

// parents are the trace contexts that arrived at the server, as indices of the spans that they
// name, in the order of their starts.
func (c traced) parents() (all []string) {
	for _, a := range c.server.Record() {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": a.Traceparent})
		i := slices.IndexFunc(c.spans.Started(), func(s sdktrace.ReadWriteSpan) bool {
			return s.SpanContext().SpanID() == trace.SpanContextFromContext(ctx).SpanID()
		})
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func (c traced) expectParents(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(c.parents(), " "); got != want {
		t.Errorf("the trace contexts that arrived are those of spans %s, want %s", got, want)
	}
}
