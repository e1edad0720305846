package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// A call that an open breaker rejects returns before it has a request. With an observer it
// takes the full path, and the result is the same.
func TestRejectedOnBothPaths(t *testing.T) {
	call := map[string]func(ctx context.Context, c *holdfast.Client) error{
		"Get": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "/x y?key=secret")
			return err
		},
		"Post with a key": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Post(ctx, "/x", "work", holdfast.WithIdempotencyKey("order-7"))
			return err
		},
		"its own id": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "/x", holdfast.WithHeader("X-Request-ID", "7"))
			return err
		},
		"Do": func(ctx context.Context, c *holdfast.Client) error {
			body := &once{Reader: strings.NewReader("work")}
			req, _ := http.NewRequestWithContext(ctx, "PUT", "/x", body)
			req.Header.Set("X-Request-Id", "8")
			_, err := c.Do(req)
			equal(t, "closed", body.closed, 1)
			return err
		},
		"Healthy": func(ctx context.Context, c *holdfast.Client) error { return c.Healthy(ctx, "/health") },
		"Stream": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Stream(ctx, "POST", "/x", nil)
			return err
		},
		"with a deadline": func(ctx context.Context, c *holdfast.Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := c.Get(ctx, "/x")
			return err
		},
		"canceled": func(ctx context.Context, c *holdfast.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err := c.Get(ctx, "/x")
			return err
		},
		"not encodable": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Post(ctx, "/x", make(chan int))
			return err
		},
		"another host": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "//elsewhere/x")
			return err
		},
		"an invalid option": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "/x", holdfast.WithAttemptTimeout(-7))
			return err
		},
		"closed": func(ctx context.Context, c *holdfast.Client) error {
			c.Close()
			_, err := c.Get(ctx, "/x")
			return err
		},
		"later": func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "/x")
			return err
		},
	}
	for name, call := range call {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				type result struct {
					err   holdfast.Error
					text  string
					stats holdfast.ClientStats
				}
				var results []result
				for _, opts := range [][]holdfast.Option{nil, {holdfast.WithObserver(&recorder{})}} {
					c, _ := service(t, plan(rule("", "", fault.Fault{Status: 500})), holdfast.Config{
						Timeouts: holdfast.Timeouts{Total: time.Minute},
						Retry:    holdfast.Retry{MaxRetries: holdfast.Off},
						Breaker:  holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 20 * time.Second},
						Header:   http.Header{"authorization": {"secret"}},
					}, opts...)
					_, err := c.Get(t.Context(), "/x")
					is(t, err, holdfast.ErrServer)
					if name == "later" { // the breaker admits a probe
						time.Sleep(20 * time.Second)
					}
					err = call(t.Context(), c)
					var e *holdfast.Error
					if !errors.As(err, &e) {
						t.Fatalf("%v", err)
					}
					r := result{err: *e, text: err.Error(), stats: c.Stats()}
					if len(e.RequestID) == 36 { // it differs each time
						r.err.RequestID = "a UUID"
					}
					for i := range r.err.Attempts {
						r.err.Attempts[i].Start, r.err.Attempts[i].Err = time.Time{}, nil
					}
					r.stats.BaseURL, r.err.Err = "", nil // the text has both
					var rejected *holdfast.RejectedError
					if errors.As(err, &rejected) {
						equal(t, "in", time.Until(rejected.RetryAt), 20*time.Second)
					}
					results = append(results, r)
				}
				if name == "Get" {
					equal(t, "rejected", results[0].stats.Rejected, 1)
				}
				if !reflect.DeepEqual(results[0], results[1]) {
					t.Errorf("without an observer\n%+v\nwith one\n%+v", results[0], results[1])
				}
			})
		})
	}
}

// A logger at WARN has the same messages of a rejection as a logger at DEBUG, with which the
// call takes the full path.
func TestRejectedIsLogged(t *testing.T) {
	var logs [2]string
	for i, level := range []slog.Level{slog.LevelWarn, slog.LevelDebug} {
		var buf bytes.Buffer
		bubble(t, func(t *testing.T) {
			c, _ := service(t, plan(rule("", "", fault.Fault{Status: 500})), holdfast.Config{
				Retry:   holdfast.Retry{MaxRetries: holdfast.Off},
				Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
			}, holdfast.WithLogger(logger(&buf, level)))
			for range 2 {
				if _, err := c.Get(t.Context(), "/x"); err == nil {
					t.Error("no error")
				}
			}
		})
		for line := range strings.Lines(buf.String()) {
			if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "level=INFO") {
				logs[i] += line
			}
		}
	}
	if logs[0] != logs[1] || !strings.Contains(logs[0], "circuit breaker open") {
		t.Errorf("at WARN\n%sat DEBUG\n%s", logs[0], logs[1])
	}
}

// A rejected call makes no request. It allocates the address, as a URL and as text, the id
// and the error.
func TestRejectedAllocations(t *testing.T) {
	c, err := holdfast.New(holdfast.Config{
		BaseURL: "http://service.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
	}, holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), "/x")
	is(t, err, io.ErrUnexpectedEOF)
	if n := testing.AllocsPerRun(100, func() { _, err = c.Get(t.Context(), "/x") }); n > 6 {
		t.Errorf("%v allocations", n)
	}
	is(t, err, holdfast.ErrCircuitOpen)
}
