package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// answerTracer is a tracer that is told of the ends of answers.
type answerTracer struct{ tracer }

func (tr *answerTracer) EndAnswer(ctx context.Context, e holdfast.Event) {
	tr.write("%v in %v: %v %v %d stream %v", e.Kind, ctx.Value(spanKey{tr.name}), e.Outcome, e.Class, e.Status, e.Stream)
}

// waiting notes which ends wait for the end of an answer.
type waiting struct{ *answerTracer }

func (w waiting) StartOperation(ctx context.Context, op holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return ctx, func(e holdfast.Event) { w.write("%v, unread %v", e.Kind, e.Unread) }
}

func (w waiting) StartAttempt(ctx context.Context, at holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return context.WithValue(ctx, spanKey{w.name}, at.Number), func(e holdfast.Event) {
		w.write("attempt %d: %d %s, unread %v, stream %v", e.Attempt, e.Status, e.Proto, e.Unread, e.Stream)
	}
}

// Each way in which an answer ends that the caller reads is told once, after the ends of the
// attempt and of the operation.
func TestEndsOfAnswers(t *testing.T) {
	const (
		live   = "attempt 1: 200 HTTP/1.1, unread true, stream false; operation succeeded, unread true; answer ended in 1: "
		stream = "attempt 1: 200 HTTP/1.1, unread true, stream true; operation succeeded, unread true; answer ended in 1: "
	)
	do := func(end func(*http.Response, context.CancelFunc)) func(*testing.T, context.Context, *holdfast.Client, string) {
		return func(t *testing.T, ctx context.Context, c *holdfast.Client, path string) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", path, nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			end(resp, cancel)
		}
	}
	streamed := func(end func(*holdfast.Stream)) func(*testing.T, context.Context, *holdfast.Client, string) {
		return func(t *testing.T, ctx context.Context, c *holdfast.Client, path string) {
			s, err := c.Stream(ctx, "POST", path, "work")
			if err != nil {
				t.Fatal(err)
			}
			end(s)
		}
	}
	broken := []fault.Rule{rule("", "", fault.Fault{Cut: &fault.Cut{After: 20}})}
	silent := []fault.Rule{rule("", "", fault.Fault{Stall: &fault.Stall{After: 20}})}
	read := func(resp *http.Response, _ context.CancelFunc) {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		_ = resp.Body.Close()
	}
	loop := func(s *holdfast.Stream) {
		for range s.Events() {
		}
		_ = s.Close()
	}
	for _, tt := range []struct {
		name, path string
		call       func(*testing.T, context.Context, *holdfast.Client, string)
		want       string
		fault      []fault.Rule
	}{
		{"read", "/echo", do(read), live + "success  200 stream false", nil},
		{"read, a stream", "/events", do(read), live + "success  200 stream true", nil},
		{"closed", "/echo", do(func(r *http.Response, _ context.CancelFunc) { _ = r.Body.Close() }), live + "canceled canceled 200 stream false", nil},
		{"cut", "/events", do(read), live + "transient lost 200 stream true", broken},
		{"stalled", "/events", do(read), live + "transient timeout 200 stream true", silent},
		{"past the deadline, and not read", "/events", do(func(*http.Response, context.CancelFunc) {
			synctest.Wait()
			time.Sleep(time.Hour)
		}),
			live + "unknown timeout 200 stream true", silent},
		{"canceled, and not read", "/events", do(func(_ *http.Response, cancel context.CancelFunc) { cancel() }), live + "canceled canceled 200 stream true", silent},
		{"Get", "/echo", func(t *testing.T, ctx context.Context, c *holdfast.Client, path string) { _ = get(ctx, c, path) },
			"attempt 1: 200 HTTP/1.1, unread false, stream false; operation succeeded, unread false", nil},
		{"no body", "/x", do(read), "attempt 1: 204 HTTP/1.1, unread false, stream false; operation succeeded, unread false",
			[]fault.Rule{rule("", "", fault.Fault{Status: 204})}},
		{"stream", "/events", streamed(loop), stream + "success  200 stream true", nil},
		{"stream that is left", "/events", streamed(func(s *holdfast.Stream) {
			for range s.Events() {
				break
			}
		}), stream + "canceled canceled 200 stream true", nil},
		{"stream that is closed", "/events", streamed(func(s *holdfast.Stream) { _ = s.Close() }), stream + "canceled canceled 200 stream true", nil},
		{"stream that is cut", "/events", streamed(loop), stream + "transient lost 200 stream true", broken},
		{"stream with its end", "/done", streamed(func(s *holdfast.Stream) {
			for range holdfast.DecodeEvents[any](s, "[DONE]") {
			}
		}), stream + "success  200 stream true", nil},
		{"stream without its end", "/events", streamed(func(s *holdfast.Stream) {
			for range holdfast.DecodeEvents[any](s, "[DONE]") {
			}
		}), stream + "transient lost 200 stream true", nil},
		{"stream without the event that ends it", "/events", streamed(func(s *holdfast.Stream) {
			s.EndsWith(func(e holdfast.ServerEvent) bool { return string(e.Data) == "[DONE]" })
			loop(s)
		}), stream + "transient lost 200 stream true", nil},
		{"stream that ends as told", "/done", streamed(func(s *holdfast.Stream) {
			s.EndsWith(func(e holdfast.ServerEvent) bool { return string(e.Data) == "[DONE]" })
			loop(s)
		}), stream + "success  200 stream true", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tr := &answerTracer{}
				c, _ := serving(t, chat, plan(tt.fault...), holdfast.Config{Timeouts: holdfast.Timeouts{Read: 5 * time.Second, Total: time.Minute}, Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
					holdfast.WithInstrument(waiting{tr}))
				tt.call(t, t.Context(), c, tt.path)
				synctest.Wait()
				equal(t, "what was told", strings.Join(tr.log, "; "), tt.want)
			})
		})
	}
}

// The SDK transport's declining answers: one that a retry follows has ended before it, and the
// last one is the caller's.
func TestEndsOfDecliningAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tr := &answerTracer{}
		c, s := service(t, plan(rule("/x", "", fault.Fault{Status: 503})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1}}, holdfast.WithInstrument(waiting{tr}))
		resp, err := c.HTTPClient().Get(s.URL() + "/x")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		equal(t, "what was told", strings.Join(tr.log, "; "), strings.Join([]string{
			"attempt 1: 503 HTTP/1.1, unread true, stream false", "answer ended in 1: success  503 stream false",
			"attempt 2: 503 HTTP/1.1, unread true, stream false", "operation failed, unread true", "answer ended in 2: success  503 stream false",
		}, "; "))
	})
}

// Without an AnswerInstrument no end waits. With two instruments only the one that wants it is
// told, in its own context. A Router passes it on for origins that are not listed.
func TestEndsOfAnswersForTwoInstruments(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plain, tr := &tracer{name: "plain "}, &answerTracer{tracer{name: "a "}}
		c, _ := service(t, plan(), holdfast.Config{}, holdfast.WithInstrument(plain), holdfast.WithInstrument(tr))
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/x", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		equal(t, "the last line", tr.log[len(tr.log)-1], "a answer ended in attempt 1: canceled canceled 200 stream false")
		equal(t, "the other's last line", plain.log[len(plain.log)-1], "plain operation succeeded after 1: false")
	})
	bubble(t, func(t *testing.T) {
		tr := &answerTracer{}
		rt := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Proto: "HTTP/2.0", Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x"))}, nil
		})
		r, err := holdfast.NewRouter(holdfast.RouterConfig{Default: &holdfast.Config{}}, holdfast.WithTransport(rt), holdfast.WithInstrument(waiting{tr}))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		resp, err := r.HTTPClient().Get("http://other.test/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		equal(t, "what was told", strings.Join(tr.log, "; "), strings.Join([]string{
			"attempt 1: 200 HTTP/2.0, unread true, stream false", "operation succeeded, unread true", "answer ended in 1: success  200 stream false",
		}, "; "))
	})
}

// An instrument knows the address, and the state of the breaker after the operation.
func TestInstrumentKnowsAddressAndBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tr := &addresses{}
		c, s := service(t, plan(rule("/down", "", fault.Fault{Status: 500})), holdfast.Config{
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		}, holdfast.WithInstrument(tr))
		_ = get(t.Context(), c, "/x?key=1")
		_ = get(t.Context(), c, "/down")
		if err := get(t.Context(), c, "/x"); !errors.Is(err, holdfast.ErrCircuitOpen) {
			t.Error(err)
		}
		p := policy(t, holdfast.PolicyConfig{}, holdfast.WithInstrument(tr))
		_ = holdfast.Run(t.Context(), p, func(context.Context) error { return nil })
		equal(t, "addresses and states", strings.Join(tr.log, "; "), strings.ReplaceAll("U/x?key=1 closed; U/down open; U/x open; <nil> off", "U", s.URL()))
	})
}

type addresses struct{ log []string }

func (a *addresses) StartOperation(ctx context.Context, op holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return ctx, func(e holdfast.Event) { a.log = append(a.log, fmt.Sprint(op.URL, " ", e.Breaker)) }
}

func (a *addresses) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return ctx, nil
}

// silentInstrument waits for no end.
type silentInstrument struct{}

func (silentInstrument) StartOperation(ctx context.Context, _ holdfast.Operation) (context.Context, func(holdfast.Event)) {
	return ctx, nil
}

func (silentInstrument) StartAttempt(ctx context.Context, _ holdfast.AttemptStart) (context.Context, func(holdfast.Event)) {
	return ctx, nil
}

func (silentInstrument) EndAnswer(context.Context, holdfast.Event) {}

// An instrument costs no allocation of the client's own, but one for an answer that the caller
// reads.
func TestAllocationsOfAnInstrument(t *testing.T) {
	cost := func(call func(*holdfast.Client), opts ...holdfast.Option) float64 {
		rt := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x"))}, nil
		})
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test"}, append(opts, holdfast.WithTransport(rt))...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return leastAllocs(func() { call(c) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	get := func(c *holdfast.Client) { _, _ = c.Get(ctx, "/x") }
	do := func(c *holdfast.Client) {
		req, _ := http.NewRequestWithContext(ctx, "GET", "/x", nil)
		if resp, err := c.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
	with := holdfast.WithInstrument(silentInstrument{})
	if over := cost(get, with) - cost(get); over > 0 {
		t.Errorf("Get costs %v allocations more with an instrument", over)
	}
	if over := cost(do, with) - cost(do); over > 1 {
		t.Errorf("Do costs %v allocations more with an instrument", over)
	}
}
