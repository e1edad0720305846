package holdfast_test

// The tests of section "Testing" of design document B, under its names.
//
//	reset_http_client_factory                   TestResetHTTPClientFactory
//	test_provider_request_retry                 TestProviderRequestRetry
//	test_circuit_breaker_opens_on_threshold     TestCircuitBreakerOpensOnThreshold
//	test_circuit_breaker_half_open_recovery     TestCircuitBreakerHalfOpenRecovery
//	test_retry_decorator_success_on_retry       TestRetryDecoratorSuccessOnRetry
//	test_retry_decorator_exhausts_retries       TestRetryDecoratorExhaustsRetries
//	test_retry_decorator_ignores_other_exceptions
//	                                            TestRetryDecoratorIgnoresOtherExceptions

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// fixture is a testing.TB for Registry.Reset that can end within a test.
type fixture struct{ after []func() }

func (f *fixture) Helper()          {}
func (f *fixture) Cleanup(g func()) { f.after = append(f.after, g) }

// "Resetting Factory State": tests do not share breakers.
func TestResetHTTPClientFactory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := faultserver.Start(t, plan(rule("/down", "", fault.Fault{Status: 503})), faultserver.InMemory())
		for range 2 { // two tests in turn
			var f fixture
			holdfast.DefaultRegistry.Reset(&f)
			c, err := holdfast.DefaultRegistry.Open("test", holdfast.Config{
				BaseURL: s.URL(), Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
			}, holdfast.WithDialContext(s.Dial))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "state before", c.Breaker().State(), holdfast.Closed)
			_, _ = c.Get(t.Context(), "/down")
			equal(t, "state after", c.Breaker().State(), holdfast.Open)
			for _, end := range f.after {
				end()
			}
			equal(t, "clients after Reset", len(holdfast.DefaultRegistry.Names()), 0)
		}
	})
}

// "Mocking HttpClient": the provider retries transient failures.
func TestProviderRequestRetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1", fault.Fault{Reset: fault.BeforeAnswer})), holdfast.Config{})
		out, err := holdfast.Post[echo](t.Context(), c, "/embeddings", map[string]any{"input": []string{"test"}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "path", out.Path, "/embeddings")
		equal(t, "body bytes", out.BodyBytes, len(`{"input":["test"]}`))
		all := s.Record()
		if len(all) != 2 {
			t.Fatalf("%d attempts, want 2", len(all))
		}
		// Requirement A4: one id for each operation, a UUIDv4.
		id := all[0].RequestID
		equal(t, "id of the second attempt", all[1].RequestID, id)
		equal(t, "id in the answer", out.RequestID, id)
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Errorf("%q is no UUIDv4", id)
		}
		equal(t, "backoff", all[1].At-all[0].At, time.Second)
	})
}

// "Testing Circuit Breaker".
func TestCircuitBreakerOpensOnThreshold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 3, OpenTimeout: time.Minute, HalfOpenMaxCalls: 1})
		fail := func() {
			t.Helper()
			p, err := b.Acquire()
			if err != nil {
				t.Fatal(err)
			}
			p.Done(holdfast.Transient)
		}
		equal(t, "state", b.State(), holdfast.Closed)
		fail()
		fail()
		equal(t, "state after two failures", b.State(), holdfast.Closed)
		fail()
		equal(t, "state after three", b.State(), holdfast.Open)

		_, err := b.Acquire()
		is(t, err, holdfast.ErrCircuitOpen)
		var rejected *holdfast.RejectedError
		if !errors.As(err, &rejected) || time.Until(rejected.RetryAt) != time.Minute {
			t.Errorf("the rejection is %+v", rejected)
		}
		equal(t, "its text", err.Error(), "holdfast: circuit breaker open: rejecting request")
	})
}

// "Testing Circuit Breaker".
func TestCircuitBreakerHalfOpenRecovery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := breakerOf(t, holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: 100 * time.Millisecond, HalfOpenMaxCalls: 1})
		_ = b.Do(t.Context(), func(context.Context) error { return errDown })
		equal(t, "state", b.State(), holdfast.Open)
		time.Sleep(200 * time.Millisecond)
		equal(t, "state once the timeout has passed", b.State(), holdfast.HalfOpen)
		if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		equal(t, "state after a successful probe", b.State(), holdfast.Closed)
	})
}

// "Testing @with_retry Decorator".
func TestRetryDecoratorSuccessOnRetry(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		f := &script{ends: []error{errDown, nil}}
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 2, On: holdfast.Is(errDown)}}, opts...)
		out, err := holdfast.Do(t.Context(), p, f.call)
		if out != 2 || err != nil {
			t.Errorf("Do gives %d, %v", out, err)
		}
		equal(t, "number of calls", len(f.calls), 2)
	})
}

// "Testing @with_retry Decorator".
func TestRetryDecoratorExhaustsRetries(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		f := &script{ends: []error{errDown}}
		p := policy(t, holdfast.PolicyConfig{Name: "op", Retry: noJitter}, opts...)
		out, err := holdfast.Do(t.Context(), p, f.call)
		is(t, err, errDown)
		isNot(t, err, holdfast.ErrConnection, holdfast.ErrTimeout) // nothing classified it
		equal(t, "the last result", out, 4)

		// 500ms, doubled: "delay = min(base * 2 ** attempt, max)".
		waits := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}
		all := attempts(t, err)
		if len(all) != 4 {
			t.Fatalf("%d attempts, want 4", len(all))
		}
		for i, want := range waits {
			equal(t, "a wait", f.calls[i+1].Sub(f.calls[i]), want)
			equal(t, "the wait in the error", all[i].Wait, want)
			equal(t, "its upper end", all[i].MaxWait, want)
		}
		equal(t, "the wait after the last attempt", all[3].Wait, 0)
	})
}

// "Testing @with_retry Decorator".
func TestRetryDecoratorIgnoresOtherExceptions(t *testing.T) {
	everyPath(t, func(t *testing.T, opts ...holdfast.Option) {
		other := errors.New("not retryable")
		f := &script{ends: []error{other}}
		p := policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{On: holdfast.Is(errDown)}}, opts...)
		_, err := holdfast.Do(t.Context(), p, f.call)
		is(t, err, other)
		equal(t, "number of calls", len(f.calls), 1)
		equal(t, "outcome", attempts(t, err)[0].Outcome, holdfast.Permanent)
	})
}
