package holdfast_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// waysToRead are the ways to read an answer as far as it goes.
var waysToRead = map[string]func(t *testing.T, c *holdfast.Client, base string){
	"Do": func(t *testing.T, c *holdfast.Client, base string) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/lines", nil)
		if resp, err := c.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	},
	"SDK transport": func(t *testing.T, c *holdfast.Client, base string) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", base+"/lines", nil)
		if resp, err := c.HTTPClient().Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	},
	"lines": func(t *testing.T, c *holdfast.Client, _ string) {
		if s, err := c.Stream(t.Context(), "POST", "/lines", "work"); err == nil {
			_, _ = readNumbers(s, "/lines")
		}
	},
	"events": func(t *testing.T, c *holdfast.Client, _ string) {
		if s, err := c.Stream(t.Context(), "POST", "/events", "work"); err == nil {
			_, _ = readNumbers(s, "/events")
		}
	},
}

// An answer that begins well and breaks off is a failure: as many in a row as the
// threshold open the breaker, with one caller and with many.
func TestBreakerSeesAnswersThatBreakOff(t *testing.T) {
	cut := fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2}}
	for name, read := range waysToRead {
		for _, callers := range []int{1, 20} {
			t.Run(name+map[int]string{1: ", one caller", 20: ", many callers"}[callers], func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c, server := streamService(t, plan(rule("", "", cut)), holdfast.Config{})
					for served := 0; served < 15; served += callers {
						equal(t, "breaker before", c.Breaker().State(), holdfast.Closed)
						var wg sync.WaitGroup
						for range callers {
							wg.Go(func() { read(t, c, server.URL()) })
						}
						wg.Wait()
					}
					equal(t, "breaker", c.Breaker().State(), holdfast.Open)
					before := c.Breaker().Stats().Rejected
					read(t, c, server.URL())
					equal(t, "rejected", c.Breaker().Stats().Rejected, before+1)
				})
			})
		}
	}
}

// A good end forgets the failures before it: that of the service, and of a caller that has
// read enough. A beginning alone does not, and nor does a caller that leaves.
func TestGoodEndForgetsFailures(t *testing.T) {
	get := func(t *testing.T, c *holdfast.Client) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/lines", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	stream := func(t *testing.T, c *holdfast.Client) *holdfast.Stream {
		s, err := c.Stream(t.Context(), "POST", "/events", "work")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name     string
		call     func(t *testing.T, c *holdfast.Client)
		failures int
	}{
		{"Do, read to the end", func(t *testing.T, c *holdfast.Client) {
			resp := get(t, c)
			equal(t, "failures at the headers", c.Breaker().Stats().FailureCount, 1)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}, 0},
		{"Do, read in part", func(t *testing.T, c *holdfast.Client) {
			resp := get(t, c)
			_, _ = resp.Body.Read(make([]byte, 3))
			_ = resp.Body.Close()
		}, 0},
		{"a stream, read to the end", func(t *testing.T, c *holdfast.Client) {
			s := stream(t, c)
			equal(t, "failures at the first event", c.Breaker().Stats().FailureCount, 1)
			_, _ = readNumbers(s, "/events")
		}, 0},
		{"a stream, read in part", func(t *testing.T, c *holdfast.Client) {
			for range stream(t, c).Events() {
				break
			}
		}, 0},
		{"a stream that ends without its mark", func(t *testing.T, c *holdfast.Client) {
			for range holdfast.DecodeEvents[any](stream(t, c), "[DONE]") {
			}
		}, 2},
		{"a stream whose mark a caller does not await", func(t *testing.T, c *holdfast.Client) {
			for range holdfast.DecodeEvents[any](stream(t, c), "[DONE]") {
				break
			}
		}, 0},
		{"a stream that ends with its mark", func(t *testing.T, c *holdfast.Client) {
			for range holdfast.DecodeEvents[any](stream(t, c), `{"n":4}`) {
			}
		}, 0},
		{"an answer without a body", func(t *testing.T, c *holdfast.Client) {
			req, _ := http.NewRequestWithContext(t.Context(), "HEAD", "/lines", nil)
			if _, err := c.Do(req); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := streamService(t, plan(rule("", "1", fault.Fault{Status: 500})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
				_, _ = c.Get(t.Context(), "/lines")
				equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
				tt.call(t, c)
				equal(t, "failures after the call", c.Breaker().Stats().FailureCount, tt.failures)
			})
		})
	}
}

// A probe whose answer breaks off opens the breaker again, and counts as a failure if the
// beginnings of the probes have closed it.
func TestProbeBreaksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cut := fault.Fault{Cut: &fault.Cut{Of: fault.Chunks, After: 2}}
		c, _ := streamService(t, plan(rule("", "1", fault.Fault{Status: 500}), rule("", "2-4", cut)), holdfast.Config{
			Retry:   holdfast.Retry{MaxRetries: holdfast.Off},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 10 * time.Second, HalfOpenMaxCalls: 2},
		})
		_, _ = c.Get(t.Context(), "/lines")
		equal(t, "after a failure", c.Breaker().State(), holdfast.Open)
		time.Sleep(10 * time.Second)
		first, next := startStream(t, t.Context(), c, "/lines")
		equal(t, "while the first probe's stream goes on", c.Breaker().State(), holdfast.HalfOpen)
		_, _ = next()
		_, err := next()
		is(t, err, holdfast.ErrConnection)
		equal(t, "after it broke off", c.Breaker().State(), holdfast.Open)
		_ = first.Close()

		time.Sleep(10 * time.Second)
		_, next = startStream(t, t.Context(), c, "/lines")
		_, other := startStream(t, t.Context(), c, "/lines")
		equal(t, "after two beginnings", c.Breaker().State(), holdfast.Closed)
		_, _ = next()
		_, err = next()
		is(t, err, holdfast.ErrConnection)
		equal(t, "after the first of them broke off", c.Breaker().State(), holdfast.Open)
		_, _ = other()
		_, err = other()
		is(t, err, holdfast.ErrConnection)
		equal(t, "after the second", c.Breaker().Stats().FailureCount, 1)
	})
}

// A probe expires by its attempt's limit, though its caller would wait for a day: a function
// that ignores its context cannot keep other calls out for longer.
func TestProbeExpiresByItsAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 10 * time.Second, HalfOpenMaxCalls: 1})
		p := holdfast.MustPolicy(holdfast.PolicyConfig{
			AttemptTimeout: 5 * time.Second, Breaker: b, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_ = holdfast.Run(ctx, p, func(context.Context) error { return errDown })
		time.Sleep(10 * time.Second)
		go func() {
			_ = holdfast.Run(ctx, p, func(context.Context) error {
				time.Sleep(48 * time.Hour)
				return nil
			})
		}()
		synctest.Wait()
		works := func(context.Context) error { return nil }
		is(t, holdfast.Run(ctx, p, works), holdfast.ErrCircuitOpen)
		time.Sleep(15 * time.Second) // the attempt's limit and the open timeout
		equal(t, "error", holdfast.Run(ctx, p, works), nil)
		equal(t, "breaker", b.State(), holdfast.Closed)
		time.Sleep(48 * time.Hour) // until the function has returned
	})
}
