package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// An answer that its caller does not read or close gives its permit back when the context of
// its operation ends, in whatever way. Reading it then is an error.
func TestUnclosedAnswers(t *testing.T) {
	type end struct {
		name string
		cfg  holdfast.Config
		ctx  func(context.Context) (context.Context, func()) // and what ends it
	}
	ends := []end{
		{"cancel", holdfast.Config{}, func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancel(ctx)
			return ctx, cancel
		}},
		{"deadline", holdfast.Config{}, func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			return ctx, func() { <-ctx.Done(); cancel() }
		}},
		{"Total", holdfast.Config{Timeouts: holdfast.Timeouts{Total: 10 * time.Second}}, func(ctx context.Context) (context.Context, func()) {
			return ctx, func() {
				synctest.Wait()
				time.Sleep(20 * time.Second)
			}
		}},
		{"Close", holdfast.Config{}, nil},
	}
	// An answer of a megabyte that arrives slowly, or not to its end.
	slow := fault.Fault{Drip: &fault.Drip{Bytes: 20, Every: time.Second / 10}}
	open := map[string]func(ctx context.Context, c *holdfast.Client, url string) (any, error){
		"Do": func(ctx context.Context, c *holdfast.Client, url string) (any, error) {
			req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			return c.Do(req)
		},
		"SDK": func(ctx context.Context, c *holdfast.Client, url string) (any, error) {
			req, _ := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader("x"))
			return c.HTTPClient().Do(req)
		},
		"Stream": func(ctx context.Context, c *holdfast.Client, _ string) (any, error) {
			return c.Stream(ctx, "GET", "/x", nil)
		},
	}
	for _, end := range ends {
		for how, open := range open {
			t.Run(fmt.Sprint(end.name, "/", how), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					end.cfg.Bulkhead = holdfast.BulkheadConfig{MaxConcurrent: 5, MaxStreams: 5}
					c, s := serving(t, replying("text/plain", strings.Repeat("all that there is\n", 1000)), plan(rule("", "", slow)), end.cfg)
					ctx, stop := context.Context(t.Context()), func() { c.Close() }
					if end.ctx != nil {
						ctx, stop = end.ctx(ctx)
					}
					var answers []any
					for range 5 {
						answer, err := open(ctx, c, s.URL()+"/x")
						if err != nil {
							t.Fatal(err)
						}
						answers = append(answers, answer)
					}
					if c.Stats().InFlight != 5 {
						t.Errorf("%d in flight before the end", c.Stats().InFlight)
					}
					stop()
					synctest.Wait()
					equal(t, "permits in use", c.Stats().Permits+c.Stats().Streams, 0)
					equal(t, "in flight", c.Stats().InFlight, 0)
					equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
					if err := c.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					for _, answer := range answers {
						readsBadly(t, answer)
					}
				})
			})
		}
	}
}

// readsBadly checks that an answer whose context has ended is an error, not a short answer.
func readsBadly(t *testing.T, answer any) {
	t.Helper()
	switch a := answer.(type) {
	case *http.Response:
		if _, err := readAll(a, nil); err == nil {
			t.Error("an answer that was cut reads well")
		}
	case *holdfast.Stream:
		var last error
		for _, err := range a.Lines() {
			last = err
		}
		if last == nil {
			t.Error("a stream that was cut reads well")
		}
		var e *holdfast.Error
		if !errors.As(last, &e) {
			t.Errorf("%v", last)
		}
	}
}
