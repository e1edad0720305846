package otelholdfast

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

type routeKey struct{}

// WithRoute names the template of the path that the calls with the context have, such as
// /v1/users/{id}: their attempts are then "GET /v1/users/{id}", in the place of "GET". A
// template has no ids, since a tracing system groups spans by their names.
func WithRoute(ctx context.Context, template string) context.Context {
	return context.WithValue(ctx, routeKey{}, bounded(template, 256))
}

func routeOf(ctx context.Context) string {
	route, _ := ctx.Value(routeKey{}).(string)
	return route
}

// Annotate returns a transport that adds the attributes of an attempt to the span of its
// request, and then sends it through rt. Put it below a transport that makes spans, and set
// Options.WithoutAttemptSpans:
//
//	holdfast.WithTransport(otelhttp.NewTransport(otelholdfast.Annotate(http.DefaultTransport)))
func Annotate(rt http.RoundTripper) http.RoundTripper { return annotating{rt} }

// annotated is the key of the attempt of a request.
type annotated struct{}

type annotating struct{ http.RoundTripper }

func (t annotating) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if a, ok := ctx.Value(annotated{}).(*attempt); ok {
		if span := trace.SpanFromContext(ctx); span.IsRecording() && span != a.of.span {
			span.SetAttributes(a.attributes(nil)...)
		}
	}
	return t.RoundTripper.RoundTrip(req)
}

// CloseIdleConnections closes those of the transport below, if it can.
func (t annotating) CloseIdleConnections() {
	if rt, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		rt.CloseIdleConnections()
	}
}
