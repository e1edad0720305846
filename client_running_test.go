package holdfast_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Requirement A1: Close ends at once, Shutdown waits.
func TestCloseAndShutdown(t *testing.T) {
	hanging := plan(rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/503", "", fault.Fault{Status: 503}),
		rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 5 * time.Second}}))
	for _, path := range []string{"/hang", "/503"} { // on the wire, and between two attempts
		t.Run("Close"+path, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, hanging, holdfast.Config{})
				ended := make(chan error, 1)
				go func() {
					_, err := c.Get(t.Context(), path)
					ended <- err
				}()
				time.Sleep(time.Second / 2)
				start := time.Now()
				c.Close()
				err := <-ended
				is(t, err, holdfast.ErrClosed)
				isNot(t, err, holdfast.ErrTimeout, holdfast.ErrCanceled)
				equal(t, "time taken", time.Since(start), 0)
				equal(t, "failures", c.Breaker().Stats().FailureCount, map[string]int{"/503": 1}[path])
				_, err = c.Get(t.Context(), "/x")
				is(t, err, holdfast.ErrClosed)
				c.Close()
			})
		})
	}
	t.Run("Shutdown", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, hanging, holdfast.Config{})
			ended := make(chan error, 1)
			go func() {
				_, err := c.Get(t.Context(), "/slow")
				ended <- err
			}()
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := c.Shutdown(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "holdfast: echo: shutdown has left calls running (1): context deadline exceeded" {
				t.Errorf("error is %v", err)
			}
			_, err = c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrClosed)
			if err := c.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("a running call: %v", err)
			}
			if err := c.Shutdown(t.Context()); err != nil { // nothing is left to wait for
				t.Error(err)
			}
		})
	})
}

// Close ends a call at every event, also with the caller's own transport, which only the
// context can end.
func TestCloseAtEveryEvent(t *testing.T) {
	for at, requests := range map[holdfast.EventKind]int{
		holdfast.EventStarted: 0, holdfast.EventPermitAcquired: 0, holdfast.EventAttempt: 0,
		holdfast.EventAttemptDone: 1, holdfast.EventRetrying: 1, holdfast.EventSucceeded: 2,
	} {
		t.Run(at.String(), func(t *testing.T) {
			var c *holdfast.Client
			closer := holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
				if e.Kind == at {
					c.Close()
				}
			})
			made := 0
			c, err := holdfast.New(holdfast.Config{
				BaseURL:  "http://service.test",
				Retry:    holdfast.Retry{BaseDelay: time.Millisecond},
				Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
			}, holdfast.WithObserver(closer), holdfast.WithTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
				if err := req.Context().Err(); err != nil {
					return nil, err
				}
				if made++; made == 1 {
					return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
				}
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			})))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Get(t.Context(), "/x")
			equal(t, "requests", made, requests)
			if requests == 2 {
				equal(t, "error", err, nil)
			} else {
				is(t, err, holdfast.ErrClosed)
			}
			equal(t, "in flight", c.Stats().InFlight, 0)
		})
	}
	t.Run("hangs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, err := holdfast.New(holdfast.Config{BaseURL: "http://service.test"},
				holdfast.WithTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
					<-req.Context().Done()
					return nil, req.Context().Err()
				})))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			time.AfterFunc(time.Second, func() { c.Close() })
			_, err = c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrClosed)
			equal(t, "time taken", time.Since(start), time.Second)
		})
	})
}
