package holdfast_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

const done = "data: [DONE]\n\n"

// chat is a service that streams five numbers, as NDJSON at /lines and as events at
// /events, each in a chunk of 8 or 15 bytes. The body of the request is the key of its
// work.
func chat(r faultserver.Request) faultserver.Answer {
	a := faultserver.Answer{Status: 200, Operation: string(r.Body)}
	format := ""
	switch r.Path {
	case "/lines":
		a.ContentType, format = "application/x-ndjson", "{\"n\":%d}\n"
	case "/events":
		a.ContentType, format = "text/event-stream; charset=utf-8", "data: {\"n\":%d}\n\n"
	case "/done": // as OpenAI ends its streams
		a = chat(faultserver.Request{Path: "/events"})
		a.Body, a.Chunks = append(a.Body, done...), append(a.Chunks, len(done))
		return a
	case "/none":
		a.ContentType = "text/event-stream"
		return a
	default:
		return faultserver.Echo(r)
	}
	for n := range 5 {
		line := fmt.Sprintf(format, n)
		a.Body, a.Chunks = append(a.Body, line...), append(a.Chunks, len(line))
	}
	return a
}

// streamService is service with a server that streams.
func streamService(t *testing.T, plan fault.Plan, cfg holdfast.Config, opts ...holdfast.Option) (*holdfast.Client, *faultserver.Server) {
	t.Helper()
	return serving(t, chat, plan, cfg, opts...)
}

// linesAndEvents runs a test with lines and with events. each is the size of one of the five
// chunks in bytes.
func linesAndEvents(t *testing.T, f func(t *testing.T, path string, each int)) {
	for path, each := range map[string]int{"/lines": 8, "/events": 15} {
		t.Run(path, func(t *testing.T) { bubble(t, func(t *testing.T) { f(t, path, each) }) })
	}
}

// readNumbers returns the numbers of a stream, and the error that ends it.
func readNumbers(s *holdfast.Stream, path string) (got string, err error) {
	numbers := holdfast.DecodeLines[struct{ N int }](s)
	if path == "/events" {
		numbers = holdfast.DecodeEvents[struct{ N int }](s, "")
	}
	for v, err := range numbers {
		if err != nil {
			return got, err
		}
		got += fmt.Sprint(v.N)
	}
	return got, nil
}

func TestStream(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		c, server := streamService(t, plan(), holdfast.Config{RequestIDHeader: "X-Request-ID"})
		s, err := c.Stream(t.Context(), "POST", path, "work", holdfast.WithHeader("X-Request-ID", "mine"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status", s.Status, 200)
		equal(t, "protocol", s.Proto, "HTTP/1.1")
		equal(t, "id", s.RequestID, "mine")
		equal(t, "attempts", s.Attempts, 1)
		if kind := s.Header.Get("Content-Type"); kind == "" {
			t.Error("no headers")
		}
		got, err := readNumbers(s, path)
		equal(t, "numbers", got, "01234")
		equal(t, "error", err, nil)
		equal(t, "in flight", c.Stats().InFlight, 0)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Error(err)
		}
		equal(t, "connections", server.Connections(), 1)
		equal(t, "effects", server.Effects(), faultserver.Effects{Done: 2})
	})
}

// A failure before the first event is repeated like any attempt.
func TestStreamIsRepeatedUntilItsFirstEvent(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"status":         {Status: 503},
		"reset":          {Reset: fault.BeforeAnswer},
		"hangs":          {Hang: fault.BeforeAnswer},
		"no body":        {Hang: fault.AfterHeaders},
		"head cut":       {Cut: &fault.Cut{Of: fault.Head, After: 20}},
		"cut at once":    {Cut: &fault.Cut{After: 0}},
		"cut in a line":  {Cut: &fault.Cut{After: 7}},
		"reset in it":    {Cut: &fault.Cut{After: 7, By: fault.RST}},
		"no chunk":       {Cut: &fault.Cut{Of: fault.Chunks, After: 0}},
		"stalls in it":   {Stall: &fault.Stall{After: 7}},
		"switched":       {H1: fault.SwitchingProtocols},
		"damaged header": {H1: fault.HeaderMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			linesAndEvents(t, func(t *testing.T, path string, each int) {
				c, server := streamService(t, plan(rule(path, "1-2", f)), holdfast.Config{
					Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
				})
				s, err := c.Stream(t.Context(), "POST", path, "work")
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "attempts", s.Attempts, 3)
				got, err := readNumbers(s, path)
				equal(t, "numbers", got, "01234")
				equal(t, "error", err, nil)
				equal(t, "requests", len(server.Record()), 3)
				equal(t, "duplicates", server.Effects().Duplicates, 0) // the repeats have the same id
				equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
			})
		})
	}
}

func TestStreamFailsBeforeItsFirstEvent(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		c, _ := streamService(t, plan(
			rule(path, "1", fault.Fault{Status: 404}),
			rule(path, "2", fault.Fault{Redirect: fault.RedirectElsewhere}),
			rule(path, "3-6", fault.Fault{Cut: &fault.Cut{After: 7}}),
			rule(path, "7", fault.Fault{Hang: fault.AfterHeaders}),
		), holdfast.Config{})
		open := func(opts ...holdfast.CallOption) error {
			t.Helper()
			s, err := c.Stream(t.Context(), "POST", path, "work", opts...)
			if s != nil {
				t.Error("a stream and an error")
			}
			equal(t, "in flight", c.Stats().InFlight, 0)
			return err
		}
		is(t, open(), holdfast.ErrNotFound)
		is(t, open(), holdfast.ErrStatus)
		err := open()
		is(t, err, holdfast.ErrConnection, io.ErrUnexpectedEOF)
		equal(t, "attempts", len(attempts(t, err)), 4)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
		if want := "the answer broke off after 7 bytes: unexpected EOF"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
		start := time.Now()
		err = open(holdfast.WithNoRepeat(), holdfast.WithAttemptTimeout(3*time.Second))
		phase(t, err, "attempt", 3*time.Second, 3*time.Second)
		took(t, start, 3*time.Second)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 2)

		_, err = c.Stream(t.Context(), "POST", "//evil", nil)
		is(t, err, holdfast.ErrInvalidRequest)
		_, err = c.Stream(t.Context(), "POST", path, strings.NewReader("x"))
		is(t, err, holdfast.ErrInvalidRequest)
		_, err = c.Stream(t.Context(), "POST", path, nil, holdfast.WithAttemptTimeout(-7))
		is(t, err, holdfast.ErrInvalidRequest)
	})
}

// A later failure is not repeated, and the error has the part that arrived.
func TestStreamBreaksOff(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		for _, tt := range []struct {
			name  string
			fault func(n int) fault.Fault // after n bytes
			kind  error
			takes time.Duration
		}{
			{"a FIN", func(n int) fault.Fault { return fault.Fault{Cut: &fault.Cut{After: n}} }, io.ErrUnexpectedEOF, 0},
			{"a RST", func(n int) fault.Fault { return fault.Fault{Cut: &fault.Cut{After: n, By: fault.RST}} }, holdfast.ErrConnection, 0},
			{"read", func(n int) fault.Fault { return fault.Fault{Stall: &fault.Stall{After: n}} }, holdfast.ErrTimeout, 5 * time.Second},
		} {
			for _, rest := range []int{0, 5} {
				c, server := streamService(t, plan(rule(path, "", tt.fault(3*each+rest))), holdfast.Config{
					Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
				})
				start := time.Now()
				s, err := c.Stream(t.Context(), "POST", path, "work")
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
				got, err := readNumbers(s, path)
				took(t, start, tt.takes)
				equal(t, "numbers", got, "012")
				is(t, err, holdfast.ErrConnection, tt.kind)
				var broken *holdfast.StreamError
				if !errors.As(err, &broken) {
					t.Fatalf("%s: %v has no *StreamError", tt.name, err)
				}
				equal(t, "events", broken.Events, 3)
				equal(t, "bytes", broken.Bytes, int64(3*each+rest))
				equal(t, "partial", string(broken.Partial), map[string]string{"/lines": `{"n":`, "/events": "data:"}[path][:rest])
				equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
				equal(t, "requests", len(server.Record()), 1)
				equal(t, "in flight", c.Stats().InFlight, 0)
				equal(t, "attempts", len(attempts(t, err)), 1)
				if want := fmt.Sprintf("(after 3 events, %d bytes)", 3*each+rest); !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), `"n"`) {
					t.Errorf("%q does not contain %q", err, want)
				}
				// A second loop yields the same error.
				for range 2 {
					_, again := readNumbers(s, path)
					equal(t, "the error again", again, err)
				}
				equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
			}
		}
	})
}
