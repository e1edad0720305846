package otelholdfast

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// attempt is an attempt with a span, and its context. With Options.WithoutAttemptSpans the
// span is that of the call.
type attempt struct {
	context.Context // with the span
	of              *call
	span            trace.Span
	number          int
	unread          bool // the span waits for the end of an answer
}

func (a *attempt) Value(key any) any {
	if key == any((*attemptKey)(a.of.of)) || key == any(annotated{}) {
		return a
	}
	return a.Context.Value(key)
}

// attemptOf is the attempt of a context, nil for none.
func (i *Instrument) attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value((*attemptKey)(i)).(*attempt)
	return a
}

func (i *Instrument) startAttempt(ctx context.Context, c *call, at holdfast.AttemptStart) *attempt {
	a := &attempt{of: c, number: at.Number}
	kind, name := trace.SpanKindInternal, "holdfast.attempt"
	attrs := a.attributes(make([]attribute.KeyValue, 0, 10))
	if at.URL != nil {
		kind = trace.SpanKindClient
		name = spanName(at.Method)
		attrs = appendMethod(attrs, at.Method)
		attrs = appendServer(attrs, at.URL)
		attrs = append(attrs, attribute.String("url.full", i.shownURL(at.URL)))
		if route := routeOf(ctx); route != "" {
			name += " " + route
			attrs = append(attrs, attribute.String("url.template", route))
		}
	}
	a.Context, a.span = i.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	if at.URL != nil && a.span.IsRecording() {
		a.Context = httptrace.WithClientTrace(a.Context, a.hooks())
	}
	return a
}

// attributes are those of an attempt that the span of a tracing transport gets, too.
func (a *attempt) attributes(attrs []attribute.KeyValue) []attribute.KeyValue {
	if a.number > 1 {
		attrs = append(attrs, attribute.Int("http.request.resend_count", a.number-1))
	}
	return append(attrs, attribute.String("holdfast.attempt.type", a.of.attemptType()))
}

// hooks are called by net/http, and may be called after the end of the span.
func (a *attempt) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			host, port, err := net.SplitHostPort(info.Conn.RemoteAddr().String())
			if err != nil {
				return
			}
			attrs := []attribute.KeyValue{attribute.String("network.peer.address", host)}
			if n, err := strconv.Atoi(port); err == nil {
				attrs = append(attrs, attribute.Int("network.peer.port", n))
			}
			a.span.SetAttributes(attrs...)
		},
		GotFirstResponseByte: func() { a.span.AddEvent("holdfast.first_byte") },
	}
}

func (a *attempt) end(e holdfast.Event) {
	a.of.measureIn(a.Context, e)
	attrs := make([]attribute.KeyValue, 0, 3)
	if e.Status > 0 {
		attrs = append(attrs, attribute.Int("http.response.status_code", e.Status))
	}
	if version := versionOf(e.Proto); version != "" {
		attrs = append(attrs, attribute.String("network.protocol.version", version))
	}
	if e.Outcome != holdfast.Success {
		attrs = append(attrs, attribute.String("error.type", errorType(e)))
		if e.Outcome != holdfast.Canceled {
			a.span.SetStatus(codes.Error, textOf(e))
		}
	}
	a.span.SetAttributes(attrs...)
	if e.Stream {
		a.span.AddEvent("holdfast.first_event")
	}
	if a.unread = e.Unread; !a.unread {
		a.span.End()
	}
}

// spanName is the method, or HTTP for one that is not known.
func spanName(method string) string {
	if known(method) {
		return method
	}
	return "HTTP"
}

func known(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodTrace, http.MethodConnect, "QUERY":
		return true
	}
	return false
}

func appendMethod(attrs []attribute.KeyValue, method string) []attribute.KeyValue {
	if known(method) {
		return append(attrs, attribute.String("http.request.method", method))
	}
	return append(attrs, attribute.String("http.request.method", "_OTHER"), attribute.String("http.request.method_original", bounded(method, 64)))
}

// appendServer adds the name and the port of the service.
func appendServer(attrs []attribute.KeyValue, u *url.URL) []attribute.KeyValue {
	attrs = append(attrs, attribute.String("server.address", u.Hostname()))
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	return append(attrs, attribute.Int("server.port", port))
}

// versionOf is "1.1" for HTTP/1.1 and "2" for HTTP/2.0.
func versionOf(proto string) string {
	version, ok := strings.CutPrefix(proto, "HTTP/")
	if !ok {
		return ""
	}
	return bounded(strings.TrimSuffix(version, ".0"), 8)
}
