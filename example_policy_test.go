package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Repeat errors with this type in their chain.
func ExampleAs() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Millisecond, On: holdfast.As[*net.OpError]()},
	})
	for _, err := range []error{
		fmt.Errorf("saving: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}),
		errors.New("the name is taken"),
	} {
		calls := 0
		_, _ = holdfast.Do(ctx, policy, func(context.Context) (int, error) {
			calls++
			return 0, err
		})
		fmt.Println(calls, err)
	}
	// Output:
	// 2 saving: dial: refused
	// 1 the name is taken
}

// One of several filters has to match.
func ExampleAny() {
	on := holdfast.Any(holdfast.Is(io.ErrUnexpectedEOF), holdfast.As[net.Error]())
	fmt.Println(on(io.ErrUnexpectedEOF), on(context.DeadlineExceeded), on(errors.New("typo")))
	// Output: true true false
}

// A client repeats the failures that it repeats by default, and a 404: the service shows new
// entries only after a moment.
func ExampleDefaultRetryOn() {
	service := serve(fault.Rule{Nth: "1", Fault: fault.Fault{Status: 503}}, fault.Rule{Nth: "2", Fault: fault.Fault{Status: 404}})
	defer service.Close()
	client, err := holdfast.New(holdfast.Config{
		BaseURL: service.URL(),
		Retry: holdfast.Retry{
			BaseDelay: time.Millisecond,
			On:        holdfast.Any(holdfast.DefaultRetryOn, holdfast.Is(holdfast.ErrNotFound)),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = client.Get(ctx, "/stored")
	fmt.Println(err, client.Stats().Attempts)
	// Output: <nil> 3
}

// A limit for each attempt: it ends the function's context.
func ExamplePolicyConfig_attemptTimeout() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name: "query", AttemptTimeout: 10 * time.Millisecond,
		Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Millisecond},
	})
	calls := 0
	rows, err := holdfast.Do(ctx, policy, func(ctx context.Context) (string, error) {
		if calls++; calls == 1 {
			<-ctx.Done() // a query that hangs
			return "", ctx.Err()
		}
		return "three rows", nil
	})
	fmt.Println(rows, err, calls)
	// Output: three rows <nil> 2
}

// Off switches off a setting; zero means its default.
func ExamplePolicyConfig_off() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
	calls := 0
	_, _ = holdfast.Do(ctx, policy, func(context.Context) (int, error) {
		calls++
		return 0, io.ErrUnexpectedEOF
	})
	fmt.Println(calls)
	// Output: 1
}

// An Unknown error is not repeated and not counted: it shows nothing about the service.
func ExamplePolicyConfig_unknown() {
	errBusy, errBug := errors.New("busy"), errors.New("bug on this side")
	breaker := holdfast.MustBreaker(holdfast.BreakerConfig{})
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Breaker: breaker,
		Retry:   holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off},
		Classify: func(err error) holdfast.Outcome {
			if errors.Is(err, errBusy) {
				return holdfast.Transient
			}
			return holdfast.Unknown
		},
	})
	for _, err := range []error{errBusy, errBug} {
		calls := 0
		_, _ = holdfast.Do(ctx, policy, func(context.Context) (int, error) {
			calls++
			return 0, err
		})
		fmt.Println(err, "calls:", calls, "failures:", breaker.Stats().FailureCount)
	}
	// Output:
	// busy calls: 2 failures: 1
	// bug on this side calls: 1 failures: 1
}

// One breaker and one bulkhead for all calls of a service, with different results.
func ExamplePolicyConfig_shared() {
	database := holdfast.PolicyConfig{
		Retry:    holdfast.Retry{MaxRetries: holdfast.Off},
		Breaker:  holdfast.MustBreaker(holdfast.BreakerConfig{Name: "db", FailureThreshold: 1}),
		Bulkhead: holdfast.MustBulkhead(holdfast.BulkheadConfig{Name: "db", MaxConcurrent: 8}),
	}
	database.Name = "users.count"
	count := holdfast.MustPolicy(database)
	database.Name = "users.find"
	find := holdfast.MustPolicy(database)

	_, err := holdfast.Do(ctx, count, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))
	_, err = holdfast.Do(ctx, find, func(context.Context) (string, error) { return "ann", nil })
	fmt.Println(err)
	// Output:
	// true
	// holdfast: users.find: circuit breaker open: rejecting request
}

// A breaker that counts each attempt opens in the middle of an operation. The operation ends
// with the error of its last attempt.
func ExampleBreakerConfig_countAttempts() {
	breaker := holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 2, CountAttempts: true})
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{Breaker: breaker, Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	_, err := holdfast.Do(ctx, policy, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })
	var e *holdfast.Error
	errors.As(err, &e)
	fmt.Println(len(e.Attempts), "attempts;", breaker.State())
	// Output: 2 attempts; open
}

// Do not nest policies: their attempts multiply.
func ExampleDo_nested() {
	twice := holdfast.MustPolicy(holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 2, BaseDelay: holdfast.Off}})
	calls := 0
	_, _ = holdfast.Do(ctx, twice, func(ctx context.Context) (int, error) {
		return holdfast.Do(ctx, twice, func(context.Context) (int, error) {
			calls++
			return 0, io.ErrUnexpectedEOF
		})
	})
	fmt.Println(calls)
	// Output: 9
}

// The statistics of all clients, for a page or a log line.
func ExampleRegistry_Stats() {
	var providers holdfast.Registry
	defer providers.Shutdown(ctx)
	for _, name := range []string{"mixedbread", "ollama"} {
		if _, err := providers.Open(name, holdfast.Config{BaseURL: "https://" + name + ".example.com"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	for name, s := range providers.Stats() { // json.Marshal takes it, too
		fmt.Println(name, s.BreakerState, s.Operations, "operations, of which 99 in 100 took at most", s.Latency.P99)
	}
	// Unordered output:
	// mixedbread closed 0 operations, of which 99 in 100 took at most 0s
	// ollama closed 0 operations, of which 99 in 100 took at most 0s
}

// Run is for functions that return no value.
func ExampleRun() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{Name: "ping", Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	tries := 0
	err := holdfast.Run(ctx, policy, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	fmt.Println(tries, err)
	fmt.Println(policy.Stats().Retries, "retries")
	// Output:
	// 3 <nil>
	// 2 retries
}

// Code is the kind of an error in the canonical words of gRPC.
func ExampleError_Code() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		AttemptTimeout: time.Millisecond, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
	})
	err := holdfast.Run(ctx, policy, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	var e *holdfast.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code())
	}
	// Output: deadline_exceeded
}

// A registry has the statistics of all policies.
func ExampleRegistry_OpenPolicy() {
	registry := new(holdfast.Registry)
	orders, err := registry.OpenPolicy("orders", holdfast.PolicyConfig{})
	if err != nil {
		panic(err)
	}
	_ = holdfast.Run(ctx, orders, func(context.Context) error { return nil })
	fmt.Println(registry.PolicyStats()["orders"].Succeeded)
	// Output: 1
}
