package holdfast_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Requirement B13.
func TestFallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(
			rule("/down", "", fault.Fault{Status: 503}), rule("/missing", "", fault.Fault{Status: 404}),
			rule("/throttled", "", fault.Fault{Status: 429, RetryAfter: time.Hour}),
			rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/lost", "", fault.Fault{Reset: fault.BeforeAnswer}),
		), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Minute, HalfOpenMaxCalls: 1},
		})
		ask := func(path string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				out, err := holdfast.Get[echo](ctx, c, path)
				return out.Path, err
			}
		}
		second := func(context.Context) (string, error) { return "second", nil }
		down := func(context.Context) (string, error) { return "", errDown }

		for path, want := range map[string]string{"/fine": "/fine", "/throttled": "second"} {
			out, err := holdfast.Fallback(t.Context(), ask(path), second)
			if out != want || err != nil {
				t.Errorf("%s: %q, %v", path, out, err)
			}
		}
		// An answer that declines the request is an answer.
		_, err := holdfast.Fallback(t.Context(), ask("/missing"), second)
		is(t, err, holdfast.ErrNotFound)
		// So is that of the second function, and the error has both.
		_, err = holdfast.Fallback(t.Context(), ask("/down"), down, second)
		is(t, err, errDown, holdfast.ErrUnavailable)
		// No function is called after the caller's cancellation.
		ctx, cancel := context.WithCancel(t.Context())
		_, err = holdfast.Fallback(ctx, func(ctx context.Context) (string, error) {
			cancel()
			return ask("/down")(ctx)
		}, second)
		is(t, err, holdfast.ErrCanceled)

		// Nor after its deadline, which the call may notice as a timeout or as a lost connection.
		_, _ = c.Get(t.Context(), "/fine") // resets the breaker
		for range 10 {                     // the call and the context end at the same time, in any order
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			_, err = holdfast.Fallback(ctx, ask("/hang"), second)
			is(t, err, holdfast.ErrTimeout)
			cancel()
			_, _ = c.Get(t.Context(), "/fine")
		}
		ctx, cancel = context.WithCancel(t.Context())
		_, err = holdfast.Fallback(ctx, func(ctx context.Context) (string, error) {
			defer cancel()
			return ask("/lost")(ctx)
		}, second)
		is(t, err, holdfast.ErrConnection)
		_, _ = c.Get(t.Context(), "/fine")

		// The second function is called for a saturated client.
		bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off})
		permit, _ := bulkhead.TryAcquire()
		full := policy(t, holdfast.PolicyConfig{Bulkhead: bulkhead})
		out, err := holdfast.Fallback(t.Context(), func(ctx context.Context) (string, error) {
			return holdfast.Do(ctx, full, ask("/fine"))
		}, second)
		if out != "second" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		permit.Release()

		// An open breaker sends nothing to the primary. The primary gets its calls back
		// as soon as its breaker admits them.
		for range 2 {
			_, _ = holdfast.Fallback(t.Context(), ask("/down"), second)
		}
		equal(t, "state", c.Breaker().State(), holdfast.Open)
		sent := len(s.Record())
		out, err = holdfast.Fallback(t.Context(), ask("/fine"), second)
		if out != "second" || err != nil || len(s.Record()) != sent {
			t.Errorf("%q, %v", out, err)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		if out, _ = holdfast.Fallback(t.Context(), ask("/fine"), second); out != "second" {
			t.Errorf("a nanosecond before the breaker admits a probe: %q", out)
		}
		time.Sleep(time.Nanosecond)
		if out, err = holdfast.Fallback(t.Context(), ask("/fine"), second); out != "/fine" {
			t.Errorf("%q, %v", out, err)
		}
	})
}
