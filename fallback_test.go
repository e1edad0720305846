package holdfast_test

import (
	"context"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Row B13, "Graceful Degradation Pattern".
func TestFallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(
			rule("/503", "", fault.Fault{Status: 503}), rule("/404", "", fault.Fault{Status: 404}),
			rule("/429", "", fault.Fault{Status: 429, RetryAfter: time.Hour}),
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
		spare := func(context.Context) (string, error) { return "spare", nil }
		down := func(context.Context) (string, error) { return "", errDown }

		for path, want := range map[string]string{"/fine": "/fine", "/429": "spare"} {
			out, err := holdfast.Fallback(t.Context(), ask(path), spare)
			if out != want || err != nil {
				t.Errorf("%s: %q, %v", path, out, err)
			}
		}
		// A refusal is an answer.
		_, err := holdfast.Fallback(t.Context(), ask("/404"), spare)
		is(t, err, holdfast.ErrNotFound)
		// So is what the spare says, and neither error is lost.
		_, err = holdfast.Fallback(t.Context(), ask("/503"), down, spare)
		is(t, err, errDown, holdfast.ErrUnavailable)
		// Nothing is tried once the caller is gone.
		ctx, cancel := context.WithCancel(t.Context())
		_, err = holdfast.Fallback(ctx, func(ctx context.Context) (string, error) {
			cancel()
			return ask("/503")(ctx)
		}, spare)
		is(t, err, holdfast.ErrCanceled)

		// Whatever it came to: a deadline is a timeout, and a lost connection is one.
		_, _ = c.Get(t.Context(), "/fine") // so that the breaker forgets
		for range 10 {                     // call and context end together, the one or the other first
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			_, err = holdfast.Fallback(ctx, ask("/hang"), spare)
			is(t, err, holdfast.ErrTimeout)
			cancel()
			_, _ = c.Get(t.Context(), "/fine")
		}
		ctx, cancel = context.WithCancel(t.Context())
		_, err = holdfast.Fallback(ctx, func(ctx context.Context) (string, error) {
			defer cancel()
			return ask("/lost")(ctx)
		}, spare)
		is(t, err, holdfast.ErrConnection)
		_, _ = c.Get(t.Context(), "/fine")

		// A client that is saturated is no reason to fail.
		bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off})
		permit, _ := bulkhead.TryAcquire()
		full := policy(t, holdfast.PolicyConfig{Bulkhead: bulkhead})
		out, err := holdfast.Fallback(t.Context(), func(ctx context.Context) (string, error) {
			return holdfast.Do(ctx, full, ask("/fine"))
		}, spare)
		if out != "spare" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		permit.Release()

		// An open breaker costs the primary nothing, and the primary has its calls
		// back as soon as its breaker lets them through.
		for range 2 {
			_, _ = holdfast.Fallback(t.Context(), ask("/503"), spare)
		}
		equal(t, "state", c.Breaker().State(), holdfast.Open)
		sent := len(s.Record())
		out, err = holdfast.Fallback(t.Context(), ask("/fine"), spare)
		if out != "spare" || err != nil || len(s.Record()) != sent {
			t.Errorf("%q, %v", out, err)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		if out, _ = holdfast.Fallback(t.Context(), ask("/fine"), spare); out != "spare" {
			t.Errorf("a nanosecond before the breaker allows: %q", out)
		}
		time.Sleep(time.Nanosecond)
		if out, err = holdfast.Fallback(t.Context(), ask("/fine"), spare); out != "/fine" {
			t.Errorf("%q, %v", out, err)
		}
	})
}
