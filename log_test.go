package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// logger writes to buf without what changes from run to run.
func logger(buf *bytes.Buffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey:
			return slog.Attr{}
		case "request_id", "key":
			return slog.String(a.Key, "ID")
		}
		return a
	}}))
}

// Rows A11 and B12: the log of one outage, whole.
func TestLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var buf bytes.Buffer
		c, _ := service(t, plan(rule("", "1-3", fault.Fault{Status: 504}), rule("", "4", fault.Fault{Status: 429, RetryAfter: 2 * time.Second})), holdfast.Config{
			Name: "mixedbread", Retry: holdfast.Retry{MaxRetries: 1}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 5 * time.Second, HalfOpenMaxCalls: 1},
		}, holdfast.WithLogger(logger(&buf, slog.LevelDebug)), holdfast.WithRetryLevel(slog.LevelInfo))
		ctx := t.Context()
		_, _ = c.Get(ctx, "/embeddings?key=s3cret")
		for range 3 { // refused, and one of them logged
			_, _ = c.Get(ctx, "/embeddings")
		}
		time.Sleep(6 * time.Second)
		_, _ = c.Get(ctx, "/embeddings") // the probe fails
		time.Sleep(6 * time.Second)
		_, _ = c.Get(ctx, "/embeddings") // throttled: no verdict
		_, _ = c.Get(ctx, "/embeddings") // held back, and recovers
		if held := regexp.MustCompile(`msg="held back".*delay=\S+`); !held.MatchString(buf.String()) {
			t.Error("nobody was held back")
		}

		want := `
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
DEBUG "slot acquired" client=mixedbread request_id=ID remaining=0 waited=0s
INFO retrying client=mixedbread request_id=ID error="504 Gateway Timeout" delay=1s attempt=1 of=2
DEBUG "slot acquired" client=mixedbread request_id=ID remaining=0 waited=0s
WARN "circuit breaker opened" client=mixedbread failures=1 open_for=5s last_error="504 Gateway Timeout"
DEBUG "operation failed" client=mixedbread request_id=ID attempts=2 duration=1s error="holdfast: GET /embeddings: service unavailable after 2 attempts in 1s: 504 Gateway Timeout"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
WARN "circuit breaker open: rejecting request" client=mixedbread retry_at=2000-01-01T00:00:06.000Z rejected=1
DEBUG "operation failed" client=mixedbread request_id=ID attempts=0 duration=0s error="holdfast: GET /embeddings: circuit breaker open: rejecting request"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
DEBUG "operation failed" client=mixedbread request_id=ID attempts=0 duration=0s error="holdfast: GET /embeddings: circuit breaker open: rejecting request"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
DEBUG "operation failed" client=mixedbread request_id=ID attempts=0 duration=0s error="holdfast: GET /embeddings: circuit breaker open: rejecting request"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
INFO "circuit breaker half-open" client=mixedbread after=6s
DEBUG "slot acquired" client=mixedbread request_id=ID remaining=0 waited=0s
WARN "circuit breaker opened" client=mixedbread failures=2 open_for=5s last_error="504 Gateway Timeout"
DEBUG "operation failed" client=mixedbread request_id=ID attempts=1 duration=0s error="holdfast: GET /embeddings: service unavailable after 1 attempt in 0s: 504 Gateway Timeout"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
INFO "circuit breaker half-open" client=mixedbread after=6s
DEBUG "slot acquired" client=mixedbread request_id=ID remaining=0 waited=0s
DEBUG "operation failed" client=mixedbread request_id=ID attempts=1 duration=0s error="holdfast: GET /embeddings: rate limited after 1 attempt in 0s: 429 Too Many Requests"
DEBUG "idempotency key generated" client=mixedbread key=ID
DEBUG "request started" client=mixedbread request_id=ID method=GET path=/embeddings timeout=1m0s
DEBUG "held back" client=mixedbread request_id=ID delay=D
DEBUG "slot acquired" client=mixedbread request_id=ID remaining=0 waited=0s
INFO "circuit breaker closed" client=mixedbread after=D
DEBUG "operation succeeded" client=mixedbread request_id=ID attempts=1 duration=D
`
		got := buf.String()
		// The end of a silence is a matter of chance.
		if i := strings.Index(got, `msg="held back"`); i >= 0 {
			got = got[:i] + regexp.MustCompile(`(delay|after|duration)=\S+`).ReplaceAllString(got[i:], "$1=D")
		}
		got = regexp.MustCompile(`level=(\S+) msg=`).ReplaceAllString(got, "$1 ")
		if got != want[1:] {
			t.Errorf("the log is\n%s\nwant\n%s", got, want[1:])
		}
	})
}

func TestLogIsSilentWhenItsLevelIsOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var buf bytes.Buffer
		c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 503})), holdfast.Config{}, holdfast.WithLogger(logger(&buf, slog.LevelWarn)))
		if _, err := c.Get(t.Context(), "/x"); err != nil {
			t.Fatal(err)
		}
		equal(t, "log", buf.String(), "")
	})
}

// costly is an error whose text is made only for who asks.
type costly struct{ asked *int }

func (c costly) Error() string {
	*c.asked++
	return "costly"
}

// Nothing is formatted for a level that is off, neither where it goes well nor
// where it fails, is repeated and recovers.
func TestLogFormatsNothingWhenItsLevelIsOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := 0
		for level, want := range map[slog.Level]bool{slog.LevelDebug: true, slog.LevelInfo: false, slog.LevelError: false} {
			var buf bytes.Buffer
			p := policy(t, holdfast.PolicyConfig{}, holdfast.WithLogger(logger(&buf, level)))
			asked = 0
			_, err := holdfast.Do(t.Context(), p, (&script{ends: []error{costly{&asked}, costly{&asked}, nil}}).call)
			if err != nil || (asked > 0) != want || (buf.Len() > 0) != want {
				t.Errorf("%v: the error was formatted %d times for %d bytes: %v", level, asked, buf.Len(), err)
			}
		}
	})
}

// A secret may stand in the URL, in headers, in bodies, in what the service
// answers, and in a transport's own error; it never comes out.
func TestNoSecretGetsOut(t *testing.T) {
	const secret = "c4n4ry"
	for name, f := range map[string]fault.Fault{
		"refused": {Status: 401, Body: "bad key " + secret, Header: map[string]string{"X-Echo": secret}},
		"failing": {Status: 503, Body: secret}, "lost": {Reset: fault.BeforeAnswer}, "cut": {Cut: &fault.Cut{After: 5}},
		"healthy": {Healthy: true}, "throttled": {Status: 429, Body: secret, RetryAfter: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var sink bytes.Buffer
				all := holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
					// An answer is the caller's to read, in a *StatusError; nothing prints it.
					fmt.Fprintln(&sink, e.Kind, e.Name, e.RequestID, e.Method, e.Path, e.Err)
				})
				c, _ := service(t, plan(rule("", "", f)), holdfast.Config{
					Header: map[string][]string{"Authorization": {"Bearer " + secret}},
				}, holdfast.WithObserver(all), holdfast.WithLogger(logger(&sink, slog.LevelDebug)))
				_, err := c.Post(t.Context(), "/x?api_key="+secret, map[string]string{"password": secret},
					holdfast.WithHeader("X-Key", secret))
				explained := ""
				if he, ok := err.(*holdfast.Error); ok {
					explained = he.Explain() + he.Error() + fmt.Sprintf("%v", he)
				}
				stats := fmt.Sprintf("%+v %+v", c.Stats(), c.Breaker().Stats())
				for what, text := range map[string]string{"the log": sink.String(), "the error": explained, "the statistics": stats} {
					if strings.Contains(text, secret) {
						t.Errorf("%s shows the secret:\n%s", what, text)
					}
				}
				if sink.Len() == 0 {
					t.Error("nothing was logged")
				}
			})
		})
	}
	t.Run("in a setting", func(t *testing.T) {
		_, err := holdfast.New(holdfast.Config{
			BaseURL: "https://user:" + secret + "@api.test/v1", Header: map[string][]string{"X-Key": {secret + "\n"}},
		})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error is %v", err)
		}
		_, err = holdfast.New(holdfast.Config{BaseURL: "https://api.test/v1?key=" + secret})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("", "1", fault.Fault{Status: 503, Latency: &fault.Latency{Fixed: 41 * time.Millisecond}}),
			rule("", "2", fault.Fault{Hang: fault.BeforeAnswer}),
			rule("", "3", fault.Fault{Status: 429, RetryAfter: 30 * time.Second}),
		), holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := c.Post(ctx, "/embeddings?user=me", 1, holdfast.WithHeader("X-Request-ID", "6f1c2a9e-1111"))
		want := `POST http://faultserver.test/embeddings · request 6f1c2a9e · 10s allowed
  1  503 after 41ms                  new connection      waited 1s of at most 1s
  2  attempt timeout of 2s (2s)      reused connection   waited 2s of at most 2s
  3  429 after 0s, Retry-After 30s   new connection      stopped: a wait of 30s does not fit into the 4.96s that are left
rate limited after 3 attempts in 5.04s`
		he, ok := err.(*holdfast.Error)
		if !ok {
			t.Fatal(err)
		}
		equal(t, "explanation", he.Explain(), want)
		equal(t, "error", he.Error(), "holdfast: POST /embeddings: rate limited after 3 attempts in 5.04s: 429 Too Many Requests")
	})
	t.Run("an answer that broke off", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, plan(rule("", "", fault.Fault{Cut: &fault.Cut{After: 10}})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
			_, err := c.Get(t.Context(), "/x")
			equal(t, "of a call", strings.Split(err.(*holdfast.Error).Explain(), "\n")[1],
				"  1  200, but the answer broke off after 10 bytes: unexpected EOF (0s)   stopped: no retries left")
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "/x", nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			var e *holdfast.Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			equal(t, "of a body", strings.Split(e.Explain(), "\n")[1],
				"  1  200, but the answer broke off: unexpected EOF (0s)   stopped: the answer had begun")
		})
	})
	t.Run("when nothing was sent", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1})
			_ = b.Do(t.Context(), func(context.Context) error { return errDown })
			_, err := holdfast.Do(t.Context(), policy(t, holdfast.PolicyConfig{Name: "op", Breaker: b}), (&script{}).call)
			equal(t, "explanation", err.(*holdfast.Error).Explain(),
				"op\n  nothing was sent: the circuit breaker is open\ncircuit breaker open: rejecting request")
		})
	})
}
