package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
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

// An answer that its caller has dropped, and that no context ends, is found by the collector:
// it gives its permit and its connection back, is counted, and is told once.
func TestDroppedAnswers(t *testing.T) {
	for how, drop := range map[string]func(c *holdfast.Client, url string) error{
		"Do": func(c *holdfast.Client, url string) error {
			req, _ := http.NewRequest("GET", url, nil)
			_, err := c.Do(req)
			return err
		},
		"chunked": func(c *holdfast.Client, url string) error {
			req, _ := http.NewRequest("GET", url+"?chunked", nil)
			_, err := c.Do(req)
			return err
		},
		"SDK": func(c *holdfast.Client, url string) error {
			_, err := c.HTTPClient().Get(url)
			return err
		},
		"classified": func(c *holdfast.Client, url string) error {
			req, _ := http.NewRequest("GET", url, nil)
			_, err := c.Do(req, holdfast.WithClassify(func(*holdfast.Answer) holdfast.Verdict { return holdfast.Verdict{} }))
			return err
		},
		"Stream": func(c *holdfast.Client, _ string) error {
			_, err := c.Stream(context.Background(), "GET", "/", nil)
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			var closed atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != "chunked" {
					w.Header().Set("Content-Length", "1000000")
				}
				_, _ = io.WriteString(w, strings.Repeat("all that there is\n", 5000))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				closed.Add(1)
			}))
			s.Start()
			defer s.Close()
			var seen recorder
			c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 20, MaxStreams: 20}}, holdfast.WithObserver(&seen))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for range 20 {
				if err := drop(c, s.URL+"/"); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the collector", func() string {
				runtime.GC()
				if dropped, closed := c.Stats().Dropped, closed.Load(); dropped != 20 || closed != 20 {
					return fmt.Sprintf("%d dropped, %d connections closed", dropped, closed)
				}
				return ""
			})
			equal(t, "permits", c.Stats().Permits+c.Stats().Streams, 0)
			equal(t, "in flight", c.Stats().InFlight, 0)
			told := seen.all(holdfast.EventAnswerDropped)
			if len(told) != 1 || told[0].RequestID == "" || told[0].Path != "/" {
				t.Errorf("%+v", told)
			}
		})
	}
}

// An answer that is read, or closed, was not dropped. It has its trailer.
func TestAnswersThatAreNotDropped(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "all")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "3")
		w.Header().Set(http.TrailerPrefix+"X-More", "4")
	}))
	defer s.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 20 {
		req, _ := http.NewRequest("GET", "/", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if out, err := readAll(resp, nil); out != "all" || err != nil || resp.Trailer.Get("X-Sum") != "3" || resp.Trailer.Get("X-More") != "4" {
				t.Errorf("%q, %v, %v", out, err, resp.Trailer)
			}
		}
		resp.Body.Close()
	}
	for range 3 {
		runtime.GC()
	}
	equal(t, "dropped", c.Stats().Dropped, 0)
	equal(t, "in flight", c.Stats().InFlight, 0)
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
