package holdfast_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// A caller can leave in three ways and in every phase of its call. Each time the call ends
// at once, its error tells that the caller has left, and neither the breaker nor the next
// caller hears of it.
func TestCallerLeaves(t *testing.T) {
	type leaving struct {
		name string
		call func(c *http.Client, req *http.Request, after time.Duration) (*http.Response, error)
		is   func(error) bool
	}
	ways := []leaving{
		{"the context", func(c *http.Client, req *http.Request, after time.Duration) (*http.Response, error) {
			ctx, cancel := context.WithCancel(req.Context())
			time.AfterFunc(after, cancel)
			return c.Do(req.WithContext(ctx))
		}, func(err error) bool {
			return errors.Is(err, holdfast.ErrCanceled) && errors.Is(err, context.Canceled)
		}},
		{"Request.Cancel", func(c *http.Client, req *http.Request, after time.Duration) (*http.Response, error) {
			gone := make(chan struct{})
			time.AfterFunc(after, func() { close(gone) })
			//lint:ignore SA1019 SDKs still use it
			req.Cancel = gone
			return c.Do(req)
		}, func(err error) bool {
			return errors.Is(err, holdfast.ErrCanceled) && errors.Is(err, context.Canceled)
		}},
		{"http.Client.Timeout", func(c *http.Client, req *http.Request, after time.Duration) (*http.Response, error) {
			with := *c
			with.Timeout = after
			return with.Do(req)
		}, os.IsTimeout},
	}
	slowDial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	phases := []struct {
		name  string
		fault fault.Fault
		opts  []holdfast.Option
		until func(t *testing.T, c *holdfast.Client, base string) // the call meets the phase
	}{
		{"permit", fault.Fault{Healthy: true}, nil, func(t *testing.T, c *holdfast.Client, base string) {
			resp, err := c.HTTPClient().Get(base + "/held")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
		}},
		{"cooldown", fault.Fault{Healthy: true}, nil, func(t *testing.T, c *holdfast.Client, _ string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, _ = c.Get(ctx, "/throttled/a")
			_, _ = c.Get(ctx, "/throttled/b") // so it concerns every path
		}},
		{"backoff", fault.Fault{Status: 503}, nil, nil},
		{"dial", fault.Fault{Healthy: true}, []holdfast.Option{holdfast.WithDialContext(slowDial)}, nil},
		{"headers", fault.Fault{Hang: fault.BeforeAnswer}, nil, nil},
		{"body", fault.Fault{Hang: fault.AfterHeaders}, nil, nil},
		{"the middle of a body", fault.Fault{Stall: &fault.Stall{After: 3}}, nil, nil},
	}
	for _, way := range ways {
		for _, phase := range phases {
			failures := 0
			switch {
			case way.name == "http.Client.Timeout" && (phase.name == "backoff" || phase.name == "cooldown"):
				continue // no wait begins that ends after the deadline
			case phase.name == "backoff":
				failures = 1 // the answer before it
			}
			t.Run(way.name+"/"+phase.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c, s := service(t, plan(
						rule("/throttled/*", "", fault.Fault{Status: 429, RetryAfter: time.Minute}), rule("/held", "", fault.Fault{Hang: fault.AfterHeaders}),
						rule("/x", "", phase.fault),
					), holdfast.Config{
						Retry:    holdfast.Retry{BaseDelay: time.Hour, MaxDelay: time.Hour, MaxRetryAfter: time.Minute},
						Timeouts: holdfast.Timeouts{Acquire: time.Hour, Connect: time.Hour, Attempt: 2 * time.Hour},
						Breaker:  holdfast.BreakerConfig{FailureThreshold: 2}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
					}, phase.opts...)
					if phase.until != nil {
						phase.until(t, c, s.URL())
					}
					start, free := time.Now(), c.Stats().InFlight
					req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/x", nil)
					resp, err := way.call(c.HTTPClient(), req, time.Second)
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					if !way.is(err) {
						t.Errorf("%v", err)
					}
					equal(t, "time taken", time.Since(start), time.Second)
					equal(t, "failures", c.Breaker().Stats().FailureCount, failures)
					synctest.Wait()
					equal(t, "in flight", c.Stats().InFlight, free)
				})
			})
		}
	}
}

// A request that its caller gave up before it began is not sent.
func TestCallerHasLeftBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(), holdfast.Config{})
		gone := make(chan struct{})
		close(gone)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/x", nil)
		//lint:ignore SA1019 SDKs still use it
		req.Cancel = gone
		_, err := c.Do(req)
		is(t, err, holdfast.ErrCanceled)
		equal(t, "requests", len(s.Record()), 0)
	})
}

// The caller's deadline may pass while an answer arrives. That is no failure of the service,
// which answers; a body of which nothing arrives is one.
func TestDeadlineWithinAnAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    fault.Fault
		failures int
	}{
		"a part has arrived":  {fault.Fault{Stall: &fault.Stall{After: 3}}, 0},
		"nothing has arrived": {fault.Fault{Hang: fault.AfterHeaders}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(rule("", "", tt.fault)), holdfast.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, "GET", s.URL()+"/x", nil)
				resp, err := c.HTTPClient().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				is(t, err, holdfast.ErrTimeout, context.DeadlineExceeded)
				equal(t, "failures", c.Breaker().Stats().FailureCount, tt.failures)
				equal(t, "broke off", c.Stats().BrokeOff, uint64(tt.failures))
			})
		})
	}
}

// A limit that ends the retries hides no failure before it: both are in the error.
func TestDeadlineAndTheFailureBefore(t *testing.T) {
	for name, second := range map[string]fault.Fault{
		"in the next attempt": {Hang: fault.BeforeAnswer},
		"in the backoff":      {Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 503}), rule("", "2-", second)), holdfast.Config{
					Retry: holdfast.Retry{BaseDelay: time.Second, MaxDelay: time.Second, Jitter: holdfast.NoJitter},
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "in the next attempt" {
					ctx, cancel = context.WithTimeout(ctx, 1500*time.Millisecond)
					defer cancel()
				} else {
					time.AfterFunc(1500*time.Millisecond, cancel)
				}
				_, err := c.Get(ctx, "/x")
				var declined *holdfast.StatusError
				if !errors.As(err, &declined) || declined.Status != 503 {
					t.Errorf("the answer is not in the chain of %v", err)
				}
				want := "holdfast: GET /x: timed out after 2 attempts in 1.5s: deadline passed (before that: 503 Service Unavailable)"
				if name == "in the backoff" {
					want = "holdfast: GET /x: canceled by the caller after 2 attempts in 1.5s: context canceled (before that: 503 Service Unavailable)"
				}
				equal(t, "error", err.Error(), want)
			})
		})
	}
}
