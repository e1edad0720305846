package otelholdfast_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/trace"
)

// In an outage each attempt has a span below its operation, with its number, and the service
// gets the trace context of each.
func TestOutage(t *testing.T) {
	outage := []fault.Rule{rule("/users/1", "1", fault.Fault{Status: 503}), rule("/users/1", "2", fault.Fault{Hang: fault.BeforeAnswer})}
	bubbled(t, outage, holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Retry: holdfast.Retry{BaseDelay: time.Second}}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		ctx := otelholdfast.WithRoute(t.Context(), "/users/{id}")
		if _, err := c.Get(ctx, "/users/1"); err != nil {
			t.Fatal(err)
		}
		c.expect(t,
			`internal holdfast.call attempts=3 breaker.state=closed outcome=success url.template=/users/{id} waited=3`,
			`  client GET /users/{id} Error(overloaded) attempt.type=original error.type=overloaded http.response.status_code=503 url.template=/users/{id} +holdfast.first_byte`,
			`  client GET /users/{id} Error(timeout: attempt timeout of 5s) attempt.type=retry error.type=timeout http.request.resend_count=1 url.template=/users/{id}`,
			`  client GET /users/{id} attempt.type=retry http.request.resend_count=2 http.response.status_code=200 url.template=/users/{id} +holdfast.first_byte`,
		)
		c.expectParents(t, "1 2 3")
	})
}

// A call that a rule rejects has a span, though nothing was sent.
func TestRejections(t *testing.T) {
	down := []fault.Rule{rule("/down", "", fault.Fault{Status: 500})}
	bubbled(t, down, holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		_, _ = c.Get(t.Context(), "/down")
		if _, err := c.Get(t.Context(), "/x"); !errors.Is(err, holdfast.ErrCircuitOpen) {
			t.Fatal(err)
		}
		lines := c.lines()
		if got, want := lines[len(lines)-1], `internal holdfast.call Error(breaker: circuit breaker open: rejecting request) attempts=0 breaker.state=open error.type=breaker outcome=rejected stopped=breaker waited=0`; got != want {
			t.Errorf("the last span is\n%s\nwant\n%s", got, want)
		}
	})
	asks := []fault.Rule{rule("/x", "", fault.Fault{Status: 429, RetryAfter: time.Hour})}
	bubbled(t, asks, holdfast.Config{}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		_, _ = c.Get(t.Context(), "/x")
		if _, err := c.Get(t.Context(), "/x"); !errors.Is(err, holdfast.ErrCoolingDown) {
			t.Fatal(err)
		}
		c.expect(t,
			`internal holdfast.call Error(throttled) attempts=1 breaker.state=closed error.type=throttled outcome=failed stopped=wait_too_long waited=0`,
			`  client GET Error(throttled) attempt.type=original error.type=throttled http.response.status_code=429 +holdfast.first_byte`,
			`internal holdfast.call Error(cooldown: cooling down: the service asked to be left alone) attempts=0 breaker.state=closed error.type=cooldown outcome=rejected stopped=cooldown waited=0`,
		)
	})
}

// The wait for a cooldown is a part of the call, and of no attempt.
func TestCooldown(t *testing.T) {
	asks := []fault.Rule{rule("/x", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second})}
	cfg := holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}
	bubbled(t, asks, cfg, otelholdfast.Options{}, func(t *testing.T, c traced) {
		_, _ = c.Get(t.Context(), "/x")
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.spans.Ended() {
			for _, a := range s.Attributes() {
				if a.Key == "holdfast.waited" && a.Value.AsFloat64() >= 10 {
					return
				}
			}
		}
		t.Errorf("no call has waited for ten seconds: %q", c.lines())
	})
}

// Limits and the caller's cancellation. The caller's own end is no error of the span.
func TestTimeoutAndCancellation(t *testing.T) {
	hangs := []fault.Rule{rule("/x", "", fault.Fault{Hang: fault.BeforeAnswer})}
	cfg := holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second}, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}
	bubbled(t, hangs, cfg, otelholdfast.Options{}, func(t *testing.T, c traced) {
		_, _ = c.Get(t.Context(), "/x")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, _ = c.Get(ctx, "/x")
		c.expect(t,
			`internal holdfast.call Error(timeout: attempt timeout of 2s) attempts=1 breaker.state=closed error.type=timeout outcome=failed stopped=exhausted waited=0`,
			`  client GET Error(timeout: attempt timeout of 2s) attempt.type=original error.type=timeout`,
			`internal holdfast.call attempts=1 breaker.state=closed error.type=canceled outcome=canceled stopped=canceled waited=0`,
			`  client GET attempt.type=original error.type=canceled`,
		)
	})
}

// The spans of an answer that the caller reads end with it, and have its end.
func TestStreams(t *testing.T) {
	cut := []fault.Rule{rule("/events", "2", fault.Fault{Cut: &fault.Cut{After: 20}}), rule("/events", "", fault.Fault{Drip: &fault.Drip{Bytes: 15, Every: time.Second}})}
	bubbled(t, cut, holdfast.Config{}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		for range 3 {
			s, err := c.Stream(t.Context(), "POST", "/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for range s.Events() {
				if n++; n == 3 && len(c.spans.Ended()) == 4 {
					break
				}
			}
		}
		c.expect(t,
			`internal holdfast.call answer=complete attempts=1 breaker.state=closed outcome=success waited=0`,
			`  client POST answer=complete attempt.type=original http.response.status_code=200 +holdfast.first_byte +holdfast.first_event`,
			`internal holdfast.call Error(lost) answer=cut attempts=1 breaker.state=closed error.type=lost outcome=success waited=0`,
			`  client POST Error(lost) answer=cut attempt.type=original error.type=lost http.response.status_code=200 +holdfast.first_byte +holdfast.first_event`,
			`internal holdfast.call answer=left attempts=1 breaker.state=closed outcome=success waited=0`,
			`  client POST answer=left attempt.type=original http.response.status_code=200 +holdfast.first_byte +holdfast.first_event`,
		)
		first := c.spans.Ended()[0]
		if took := first.EndTime().Sub(first.StartTime()); took < 4*time.Second {
			t.Errorf("the span of a stream of five seconds took %v", took)
		}
	})
}

// A redirect is a part of its attempt: the trace context goes along, and not to another origin.
func TestRedirect(t *testing.T) {
	to := func(path, target string) fault.Rule {
		return rule(path, "", fault.Fault{Status: 307, Header: map[string]string{"Location": target}})
	}
	hops := []fault.Rule{to("/x", "/y"), to("/y", "http://other.test/z")}
	bubbled(t, hops, holdfast.Config{MaxRedirects: 3}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		c.expect(t,
			`internal holdfast.call attempts=1 breaker.state=closed outcome=success waited=0`,
			`  client GET attempt.type=original http.response.status_code=200 +holdfast.first_byte +holdfast.first_byte +holdfast.first_byte`,
		)
		c.expectParents(t, "1 1 -1")
	})
}

// A policy has spans of kind INTERNAL, and the function's own spans are below its attempt.
func TestPolicy(t *testing.T) {
	bubbled(t, nil, holdfast.Config{}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		i := otelholdfast.New(otelholdfast.Options{TracerProvider: c.provider})
		p := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "orders", Retry: holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter}}, holdfast.WithInstrument(i))
		err := holdfast.Run(t.Context(), p, func(ctx context.Context) error {
			_, span := c.provider.Tracer("").Start(ctx, "query")
			defer span.End()
			return errors.New("password=secret is wrong")
		})
		if err == nil {
			t.Fatal("no error")
		}
		c.expect(t,
			`internal holdfast.call Error(failed) attempts=2 breaker.state=off error.type=_OTHER outcome=failed stopped=exhausted waited=0.5`,
			`  internal holdfast.attempt Error(failed) attempt.type=original error.type=_OTHER`,
			`  internal query`,
			`  internal holdfast.attempt Error(failed) attempt.type=retry error.type=_OTHER http.request.resend_count=1`,
			`  internal query`,
		)
		func() {
			defer func() { _ = recover() }()
			_ = holdfast.Run(t.Context(), p, func(context.Context) error { panic("oh") })
		}()
	})
}

// A call that is not sampled has no spans, not even below a call that is. The service gets the
// trace context of the caller.
func TestNotSampled(t *testing.T) {
	down := []fault.Rule{rule("/x", "1", fault.Fault{Status: 503})}
	bubbled(t, down, holdfast.Config{}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		p := holdfast.MustPolicy(holdfast.PolicyConfig{}, holdfast.WithInstrument(c.instrument))
		var unsampled trace.SpanContext
		if err := holdfast.Run(t.Context(), p, func(ctx context.Context) error {
			unsampled = trace.SpanContextFromContext(ctx).WithTraceFlags(0).WithSpanID(trace.SpanID{1})
			_, err := c.Get(trace.ContextWithSpanContext(ctx, unsampled), "/x")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		c.expect(t,
			`internal holdfast.call attempts=1 breaker.state=off outcome=success waited=0`,
			`  internal holdfast.attempt attempt.type=original`,
		)
		for _, a := range c.server.Record() {
			if want := "00-" + unsampled.TraceID().String() + "-0100000000000000-00"; a.Traceparent != want {
				t.Errorf("the service got %q, want %q", a.Traceparent, want)
			}
		}
	})
}

// An SDK's answers: a declining one that is repeated, and the last one, which the SDK reads. A
// policy around the client shares the Instrument.
func TestSDKTransport(t *testing.T) {
	down := []fault.Rule{rule("/x", "1", fault.Fault{Status: 503})}
	bubbled(t, down, holdfast.Config{Retry: holdfast.Retry{BaseDelay: time.Second}}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		resp, err := c.HTTPClient().Get(c.server.URL() + "/x")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		c.expect(t,
			`internal holdfast.call answer=complete attempts=2 breaker.state=closed outcome=success waited=1`,
			`  client GET Error(overloaded) answer=complete attempt.type=original error.type=overloaded http.response.status_code=503 +holdfast.first_byte`,
			`  client GET answer=complete attempt.type=retry http.request.resend_count=1 http.response.status_code=200 +holdfast.first_byte`,
		)
		for _, s := range c.spans.Ended()[1:] {
			if took := s.EndTime().Sub(s.StartTime()); took < time.Minute {
				t.Errorf("%s took %v: it ended before its answer", s.Name(), took)
			}
		}
		c.expectParents(t, "1 2")
	})
}

// Below WithoutAttemptSpans a tracing transport makes the spans, and Annotate adds what it does
// not know.
func TestAnnotate(t *testing.T) {
	down := []fault.Rule{rule("/x", "1", fault.Fault{Status: 503})}
	bubbled(t, down, holdfast.Config{}, otelholdfast.Options{}, func(t *testing.T, c traced) {
		rt := spanning{c, otelholdfast.Annotate(&http.Transport{DialContext: c.server.Dial, DisableKeepAlives: true})}
		i := otelholdfast.New(otelholdfast.Options{TracerProvider: c.provider, WithoutAttemptSpans: true})
		client, err := holdfast.New(holdfast.Config{BaseURL: c.server.URL()}, holdfast.WithTransport(rt), holdfast.WithInstrument(i))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		lines := c.lines()
		lines[0] = "" // its wait has jitter
		if got, want := lines[1]+lines[2], `  client HTTP GET attempt.type=original  client HTTP GET attempt.type=retry http.request.resend_count=1`; got != want {
			t.Errorf("the spans of the transport are %q, want %q", got, want)
		}
	})
}

// spanning is a tracing transport.
type spanning struct {
	c traced
	http.RoundTripper
}

func (s spanning) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := s.c.provider.Tracer("").Start(req.Context(), "HTTP GET", trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	return s.RoundTripper.RoundTrip(req.WithContext(ctx))
}
