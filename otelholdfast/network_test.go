package otelholdfast_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/otelholdfast"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// attributes are the values of a span's attributes with these keys, in their order.
func attributes(s sdktrace.ReadOnlySpan, keys ...attribute.Key) string {
	var got []string
	for _, key := range keys {
		value := "-"
		for _, a := range s.Attributes() {
			if a.Key == key {
				value = a.Value.String()
			}
		}
		got = append(got, value)
	}
	return strings.Join(got, " ")
}

// The address of an attempt, without what may be a credential.
func TestAddress(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	i := otelholdfast.New(otelholdfast.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), ShownQuery: []string{"page", "a b"}})
	rt := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Proto: "HTTP/2.0", Header: http.Header{}, Body: http.NoBody}, nil
	})
	for base, call := range map[string]struct{ method, path, want string }{
		"https://api.test":       {"GET", "/x?key=secret&page=2#secret", "GET - api.test 443 https://api.test/x?key=REDACTED&page=2 2"},
		"http://10.0.0.1:8080/v": {"POST", "/x%2Fy?secret&page&&a+b=1&a+b=2;secret=1", "POST - 10.0.0.1 8080 http://10.0.0.1:8080/v/x%2Fy?REDACTED&REDACTED&&a+b=1&a+b=2;REDACTED 2"},
		"http://[::1]":           {"PURGE", "/", "_OTHER PURGE ::1 80 http://[::1]/ 2"},
		"http://long.test":       {"GET", "/?page=" + strings.Repeat("x", 5000), "GET - long.test 80 http://long.test/?page=" + strings.Repeat("x", 2048-len("http://long.test/?page=")) + "… 2"},
	} {
		c, err := holdfast.New(holdfast.Config{BaseURL: base}, holdfast.WithTransport(rt), holdfast.WithInstrument(i))
		if err != nil {
			t.Fatal(err)
		}
		spans.Reset()
		req, _ := http.NewRequestWithContext(t.Context(), call.method, strings.Replace(base, "://", "://user:secret@", 1)+call.path, nil)
		if resp, err := c.HTTPClient().Do(req); err != nil || resp.StatusCode != 200 {
			t.Fatal(err)
		}
		got := attributes(spans.Ended()[0], "http.request.method", "http.request.method_original", "server.address", "server.port", "url.full", "network.protocol.version")
		if got != call.want {
			t.Errorf("%s %s is\n%s\nwant\n%s", base, call.path, got, call.want)
		}
		c.Close()
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// No credential is in a span or a metric: of a header, the query, the user, the body, an error of a
// function or of a transport, or an answer.
func TestNoSecret(t *testing.T) {
	const canary = "Kq7vXw2mSecret"
	fails := []fault.Rule{
		rule("/json", "", fault.Fault{Status: 401, Body: `{"error":{"message":"wrong key ` + canary + `"}}`, Header: map[string]string{"X-Echo": canary}}),
		rule("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}),
		rule("/redirect", "", fault.Fault{Status: 307, Header: map[string]string{"Location": "/x?token=" + canary}}),
	}
	reader := sdkmetric.NewManualReader()
	o := otelholdfast.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}
	cfg := holdfast.Config{
		Header: http.Header{"Authorization": {canary}}, MaxRedirects: 1, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		Classify: func(a *holdfast.Answer) holdfast.Verdict {
			if a.Status == 401 {
				return holdfast.Verdict{Class: holdfast.ClassCredential, Text: string(a.Body)}
			}
			return holdfast.Verdict{}
		},
	}
	bubbled(t, fails, cfg, o, func(t *testing.T, c traced) {
		for _, path := range []string{"/json", "/cut", "/redirect", "/x"} {
			_, _ = c.Post(t.Context(), path+"?api_key="+canary+"&"+canary, map[string]string{"password": canary}, holdfast.WithIdempotencyKey(canary))
			req, _ := http.NewRequestWithContext(t.Context(), canary, c.server.URL()+path, nil)
			req.Method = "GET"
			if resp, err := c.HTTPClient().Do(req); err == nil {
				resp.Body.Close()
			}
		}
		i := otelholdfast.New(otelholdfast.Options{TracerProvider: c.provider, MeterProvider: o.MeterProvider})
		p := holdfast.MustPolicy(holdfast.PolicyConfig{}, holdfast.WithInstrument(i))
		_ = holdfast.Run(t.Context(), p, func(context.Context) error { return fmt.Errorf("dial %s", canary) })
		broken, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test"}, holdfast.WithInstrument(i), holdfast.WithTransport(
			roundTripper(func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("no %s", canary) })))
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		_, _ = broken.HTTPClient().Get("http://u:" + canary + "@x.test/")

		var all strings.Builder
		for _, s := range tracetest.SpanStubsFromReadOnlySpans(c.spans.Ended()) {
			fmt.Fprintf(&all, "%+v\n", s)
		}
		var measured metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &measured); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%+v", measured)
		expectDocumented(t, c.spans.Ended(), measured)
		if n := len(c.spans.Ended()); n < 20 {
			t.Errorf("only %d spans", n)
		}
		if text := all.String(); strings.Contains(text, canary) {
			at := strings.Index(text, canary)
			t.Errorf("a secret gets out: …%s", text[max(0, at-200):at+40])
		}
	})
}

// docs/traces.md has every name of an attribute, an event and a metric that the tests have met.
func expectDocumented(t *testing.T, spans []sdktrace.ReadOnlySpan, measured metricdata.ResourceMetrics) {
	t.Helper()
	page, err := os.ReadFile("../docs/traces.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range spans {
		for _, a := range s.Attributes() {
			names[string(a.Key)] = true
		}
		for _, e := range s.Events() {
			names[e.Name] = true
		}
	}
	for _, m := range measured.ScopeMetrics[0].Metrics {
		names[m.Name] = true
	}
	if len(names) < 20 {
		t.Errorf("only %d names", len(names))
	}
	for name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/traces.md does not have %s", name)
		}
	}
}

// The metrics have the values of the calls, at most 200 names of clients, and no more.
func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	o := otelholdfast.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}
	down := []fault.Rule{rule("/down", "", fault.Fault{Status: 500}), rule("/events", "2", fault.Fault{Cut: &fault.Cut{After: 20}})}
	cfg := holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 2}, Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Second}}
	bubbled(t, down, cfg, o, func(t *testing.T, c traced) {
		for range 2 {
			s, err := c.Stream(t.Context(), "POST", "/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			for range s.Events() {
			}
		}
		_, _ = c.Get(t.Context(), "/down")
		_, _ = c.Get(t.Context(), "/x")
		got := collect(t, reader)
		for series, want := range map[string]string{
			"holdfast.call.duration client=api outcome=success":                       "2 0",
			"holdfast.call.duration client=api outcome=failed":                        "1 1",
			"holdfast.call.duration client=api outcome=rejected":                      "1 0",
			"holdfast.attempt.duration attempt_type=retry class=server client=api":    "1 0",
			"holdfast.attempt.duration attempt_type=original class=server client=api": "1 0",
			"holdfast.attempt.duration attempt_type=original class= client=api":       "2 0",
			"holdfast.attempts attempt_type=original client=api":                      "3",
			"holdfast.attempts attempt_type=retry client=api":                         "1",
			"holdfast.time_to_first_event client=api":                                 "2 0",
			"holdfast.retries_stopped client=api reason=exhausted":                    "1",
			"holdfast.retries_stopped client=api reason=breaker":                      "1",
			"holdfast.rejections client=api rule=breaker":                             "1",
			"holdfast.streams client=api end=complete":                                "1",
			"holdfast.streams client=api end=cut":                                     "1",
		} {
			if got[series] != want {
				t.Errorf("%s is %q, want %q", series, got[series], want)
			}
			delete(got, series)
		}
		if len(got) > 0 {
			t.Errorf("further series: %v", got)
		}
	})

	i := otelholdfast.New(otelholdfast.Options{MeterProvider: o.MeterProvider})
	for n := range 10_000 {
		_, end := i.StartOperation(t.Context(), holdfast.Operation{Name: fmt.Sprint("client ", n)})
		end(holdfast.Event{Kind: holdfast.EventSucceeded})
	}
	if n := len(collect(t, reader)); n > 14+202 {
		t.Errorf("%d series", n)
	}
}

// collect returns the value of each series: of a histogram its number and its sum in seconds.
func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]string {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		name := func(set attribute.Set) string {
			name := m.Name
			for _, a := range set.ToSlice() {
				name += " " + string(a.Key) + "=" + a.Value.String()
			}
			return name
		}
		switch data := m.Data.(type) {
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				got[name(p.Attributes)] = fmt.Sprintf("%d %.0f", p.Count, p.Sum)
			}
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				got[name(p.Attributes)] = fmt.Sprint(p.Value)
			}
		}
	}
	return got
}
