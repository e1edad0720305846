package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// logger writes to buf the same text in every run: times are relative to now, and ids are
// numbered in the order of their appearance.
func logger(buf *bytes.Buffer, level slog.Level) *slog.Logger {
	began, ids := time.Now(), map[string]string{}
	var mu sync.Mutex
	return slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, "retry_at":
			return slog.String(a.Key, "+"+a.Value.Time().Sub(began).String())
		case "request_id", "key":
			mu.Lock()
			defer mu.Unlock()
			id := a.Value.String()
			if ids[id] == "" {
				ids[id] = fmt.Sprintf("op-%d", len(ids)+1)
			}
			return slog.String(a.Key, ids[id])
		}
		return a
	}}))
}

var update = flag.Bool("update", false, "write testdata anew")

// Requirements A11 and B12: the whole log of one outage. After an intended change:
//
//	go test . -run TestLogOfAnOutage -update
func TestLogOfAnOutage(t *testing.T) {
	var buf bytes.Buffer
	bubble(t, func(t *testing.T) {
		logs := holdfast.WithLogger(logger(&buf, slog.LevelDebug))
		c, _ := service(t, plan(
			rule("/embeddings", "2-4", fault.Fault{Status: 504}),
			rule("/files/2", "", fault.Fault{Cut: &fault.Cut{After: 5, Of: fault.Body}}),
			rule("/embeddings", "5", fault.Fault{Status: 429, RetryAfter: 2 * time.Second}),
		), holdfast.Config{
			Name: "mixedbread", Retry: holdfast.Retry{MaxRetries: 1}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 5 * time.Second, HalfOpenMaxCalls: 1},
		}, logs, holdfast.WithRetryLevel(slog.LevelInfo))
		ctx := t.Context()
		call := func() { _, _ = c.Get(ctx, "/embeddings?key=s3cret") }

		// One call reads its answer for a while, and the next one waits for the permit.
		file := func(path string) *http.Response {
			req, _ := http.NewRequestWithContext(ctx, "GET", path+"?key=s3cret", nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		resp := file("/files/1")
		go call()
		time.Sleep(2 * time.Second)
		resp.Body.Close()
		time.Sleep(time.Second)

		call() // fails twice, and opens the breaker
		for _, pause := range []time.Duration{0, 0, time.Second} {
			time.Sleep(pause)
			call() // rejected; at most one a second is logged
		}
		time.Sleep(6 * time.Second)
		call() // the probe fails
		time.Sleep(6 * time.Second)
		call() // the next one is throttled, which is no verdict
		call() // the next one waits for the cooldown, and closes the breaker

		resp = file("/files/2")
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("it did not break off")
		}
		resp.Body.Close()

		_, _ = holdfast.Do(ctx, policy(t, holdfast.PolicyConfig{Name: "query"}, logs), (&script{ends: []error{nil}}).call)
	})
	got := buf.String()
	// The end of a cooldown is random.
	if i := strings.Index(got, `msg="cooling down"`); i >= 0 {
		got = got[:i] + regexp.MustCompile(`(time|delay|after|duration)=\S+`).ReplaceAllString(got[i:], "$1=…")
	}
	const golden = "testdata/outage.log"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wants, gots := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(wants), len(gots)) {
		w, g := "nothing", "nothing"
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(gots) {
			g = gots[i]
		}
		if w != g {
			t.Fatalf("line %d is\n%s\nwant\n%s", i+1, g, w)
		}
	}
	// Every event is in the log, except those that are never logged, or have a test of
	// their own.
	for kind := holdfast.EventStarted; kind.String() != "invalid"; kind++ {
		fine := kind == holdfast.EventAttempt || kind == holdfast.EventAttemptDone || kind == holdfast.EventProbe || kind == holdfast.EventAnswersHeld ||
			kind == holdfast.EventNestedRetries || kind == holdfast.EventRepeatedByID || kind == holdfast.EventAnswerDropped || kind == holdfast.EventAnswerEnded
		if logged := regexp.MustCompile(` msg="?` + kind.String() + `"? `).MatchString(got); logged == fine {
			t.Errorf("%q is logged: %v", kind, logged)
		}
	}
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

// costly is an error that counts the calls of Error.
type costly struct{ asked *int }

func (c costly) Error() string {
	*c.asked++
	return "costly"
}

// Nothing is formatted for a level that is off: not for a success, a failure, a repeat or a
// recovery.
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
  1  overloaded   503 after 41ms                             new connection      waited 1s of at most 1s
  2  timeout      attempt timeout of 2s (2s)                 reused connection   waited 2s of at most 2s
  3  throttled    429 after 0s, asks for 30s (retry-after)   new connection      stopped: a wait of 30s does not fit into the 4.96s that are left
rate limited after 3 attempts in 5.04s`
		he, ok := err.(*holdfast.Error)
		if !ok {
			t.Fatal(err)
		}
		equal(t, "explanation", he.Explain(), want)
		equal(t, "error", he.Error(), "holdfast: POST /embeddings: rate limited after 3 attempts in 5.04s: 429 Too Many Requests (a wait of 30s does not fit into the 4.96s that are left)")
	})
	t.Run("an answer that broke off", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, plan(rule("", "", fault.Fault{Cut: &fault.Cut{After: 10}})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
			_, err := c.Get(t.Context(), "/x")
			equal(t, "of a call", strings.Split(err.(*holdfast.Error).Explain(), "\n")[1],
				"  1  lost   200, but the answer broke off after 10 bytes: unexpected EOF (0s)   stopped: no retries left")
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
				"  1  lost   200, but the answer broke off: unexpected EOF (0s)   stopped: the answer had begun")
		})
	})
	t.Run("waits for permits", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, plan(
				rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 1200 * time.Millisecond}}),
				rule("/x", "1", fault.Fault{Status: 503}),
				rule("/x", "2", fault.Fault{Status: 429, Header: map[string]string{"X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "6s"}}),
			), holdfast.Config{
				Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}, Timeouts: holdfast.Timeouts{Acquire: 2 * time.Second},
				Retry: holdfast.Retry{MaxRetries: 1},
			})
			slow := func(n int) {
				for range n {
					go func() { _, _ = c.Get(t.Context(), "/slow") }()
				}
				synctest.Wait()
			}
			slow(1)
			failed := make(chan error)
			go func() { failed <- get(t.Context(), c, "/x") }()
			time.Sleep(2 * time.Second) // /x has a permit at 1.2s, and waits until 2.2s
			slow(1)                     // until 3.2s
			e := (<-failed).(*holdfast.Error)
			equal(t, "explanation", strings.Join(strings.Split(e.Explain(), "\n")[1:3], "\n"),
				"  1  waited 1.2s for a permit   overloaded   503 after 0s                                           reused connection   waited 1s of at most 1s\n"+
					"  2  waited 1s for a permit     throttled    429 after 0s, asks for 6s (x-ratelimit-reset-tokens)   reused connection   stopped: no retries left")
			equal(t, "the waits for permits", e.Queued, 2200*time.Millisecond)

			slow(1)
			time.Sleep(time.Second)
			slow(2)
			e = get(t.Context(), c, "/y").(*holdfast.Error)
			equal(t, "without a permit", strings.Split(e.Explain(), "\n")[1], "  nothing was sent: no permit came free (waited 2s for a permit)")
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			e = get(ctx, c, "/y").(*holdfast.Error)
			equal(t, "without the time for one", strings.Split(e.Explain(), "\n")[1], "  nothing was sent: the caller's context ended (waited 100ms for a permit)")
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
