package holdfast_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Each failed operation has its reason, in the error and in the event.
func TestReasons(t *testing.T) {
	down := plan(
		rule("/down", "", fault.Fault{Status: 503}), rule("/gone", "", fault.Fault{Status: 404}),
		rule("/no", "", fault.Fault{Status: 503, Header: map[string]string{"X-Should-Retry": "false"}}),
		rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/limit", "", fault.Fault{Status: 429, Header: map[string]string{"Retry-After": "300"}}),
		rule("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}),
		rule("/quota", "", fault.Fault{Status: 429, Body: `{"error":{"code":"insufficient_quota"}}`}),
	)
	const limit = 10 * time.Second
	quiet := holdfast.Retry{Jitter: holdfast.NoJitter}
	within := func(d time.Duration, path string) func(context.Context, *holdfast.Client) error {
		return func(ctx context.Context, c *holdfast.Client) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return get(ctx, c, path)
		}
	}
	path := func(path string) func(context.Context, *holdfast.Client) error {
		return func(ctx context.Context, c *holdfast.Client) error { return get(ctx, c, path) }
	}
	for name, c := range map[string]struct {
		cfg  holdfast.Config
		call func(context.Context, *holdfast.Client) error
		want holdfast.Reason
	}{
		"declined":        {holdfast.Config{}, path("/gone"), holdfast.ReasonNotRetried},
		"quota":           {holdfast.Config{}, path("/quota"), holdfast.ReasonNotRetried},
		"Retry.On":        {holdfast.Config{Retry: holdfast.Retry{On: func(error) bool { return false }}}, path("/down"), holdfast.ReasonNotRetried},
		"x-should-retry":  {holdfast.Config{}, path("/no"), holdfast.ReasonServiceForbids},
		"exhausted":       {holdfast.Config{}, path("/down"), holdfast.ReasonExhausted},
		"no time":         {holdfast.Config{Retry: quiet}, within(1100*time.Millisecond, "/down"), holdfast.ReasonNoTime},
		"Retry-After":     {holdfast.Config{}, path("/limit"), holdfast.ReasonWaitTooLong},
		"deadline":        {holdfast.Config{}, within(time.Second, "/hang"), holdfast.ReasonDeadline},
		"deadline before": {holdfast.Config{}, within(0, "/hang"), holdfast.ReasonDeadline},
		"total":           {holdfast.Config{Timeouts: holdfast.Timeouts{Total: time.Second}}, path("/hang"), holdfast.ReasonDeadline},
		"POST": {holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: limit}, Retry: holdfast.Retry{Repeat: holdfast.RepeatSafe}}, func(ctx context.Context, c *holdfast.Client) error {
			_, err := c.Post(ctx, "/hang", nil)
			return err
		}, holdfast.ReasonNotRepeatable},
		"cooldown": {holdfast.Config{}, func(ctx context.Context, c *holdfast.Client) error {
			_ = get(ctx, c, "/limit")
			return get(ctx, c, "/limit")
		}, holdfast.ReasonCooldown},
		"breaker": {holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, func(ctx context.Context, c *holdfast.Client) error {
			_ = get(ctx, c, "/down")
			return get(ctx, c, "/down")
		}, holdfast.ReasonBreaker},
		"probe": {holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute}}, func(ctx context.Context, c *holdfast.Client) error {
			_ = get(ctx, c, "/down")
			synctest.Wait()
			time.Sleep(time.Minute)
			return get(ctx, c, "/down")
		}, holdfast.ReasonProbe},
		"bulkhead": {holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off}}, func(ctx context.Context, c *holdfast.Client) error {
			req, _ := http.NewRequestWithContext(ctx, "GET", "/x", nil)
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			return get(ctx, c, "/x")
		}, holdfast.ReasonBulkhead},
		"canceled": {holdfast.Config{}, func(ctx context.Context, c *holdfast.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return get(ctx, c, "/hang")
		}, holdfast.ReasonCanceled},
		"closed": {holdfast.Config{}, func(ctx context.Context, c *holdfast.Client) error {
			time.AfterFunc(time.Second, func() { c.Close() })
			return get(ctx, c, "/hang")
		}, holdfast.ReasonClosed},
		"closed before": {holdfast.Config{}, func(ctx context.Context, c *holdfast.Client) error {
			c.Close()
			return get(ctx, c, "/hang")
		}, holdfast.ReasonClosed},
		"broke off": {holdfast.Config{}, func(ctx context.Context, c *holdfast.Client) error {
			req, _ := http.NewRequestWithContext(ctx, "GET", "/cut", nil)
			resp, err := c.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			for err == nil {
				_, err = resp.Body.Read(make([]byte, 100))
			}
			return err
		}, holdfast.ReasonAnswerBegun},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				seen, events := new(recorder), 0
				client, _ := service(t, down, c.cfg, holdfast.WithObserver(seen))
				err := c.call(t.Context(), client)
				var e *holdfast.Error
				if !errors.As(err, &e) {
					t.Fatalf("no Error: %v", err)
				}
				if e.Reason != c.want {
					t.Errorf("reason %q (%s), want %q", e.Reason, e.Stopped, c.want)
				}
				for _, seen := range seen.events {
					if seen.Err == e {
						events++
						equal(t, "reason in the event", seen.Reason, c.want)
					}
				}
				equal(t, "events with the error", events, 1)
			})
		})
	}
}

// The early rejection, which no observer sees, and the zero Reason.
func TestReasonOfAnEarlyRejection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{Status: 500})), holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_ = get(t.Context(), c, "/x")
		var e *holdfast.Error
		if err := get(t.Context(), c, "/x"); !errors.As(err, &e) || e.Reason != holdfast.ReasonBreaker {
			t.Errorf("%v: reason %v", err, e.Reason)
		}
	})
	equal(t, "the zero reason", holdfast.ReasonNone.String(), "")
	equal(t, "a reason that is none", holdfast.Reason(99).String(), "")
	equal(t, "a code", strings.Contains(holdfast.ReasonExhausted.String(), " "), false)
}
