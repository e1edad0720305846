package holdfast_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// serve starts a fault server with these rules, for an example.
func serve(rules ...fault.Rule) *faultserver.Server {
	s, err := faultserver.New(fault.Plan{Rules: rules})
	if err != nil {
		panic(err)
	}
	return s
}

// fastClient returns a client with very short waits.
func fastClient(s *faultserver.Server, opts ...holdfast.Option) *holdfast.Client {
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL(), Retry: holdfast.Retry{BaseDelay: time.Millisecond}}, opts...)
	if err != nil {
		panic(err)
	}
	return c
}

var ctx = context.Background()

// The service fails twice, and the call succeeds.
func Example() {
	service := serve(fault.Rule{Nth: "1-2", Fault: fault.Fault{Status: 503}})
	defer service.Close()

	client, err := holdfast.New(holdfast.Config{
		Name:    "echo",
		BaseURL: service.URL(),
		Retry:   holdfast.Retry{BaseDelay: 10 * time.Millisecond},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	out, err := holdfast.Post[struct{ Path string }](ctx, client, "/embeddings", map[string]string{"input": "text"})
	fmt.Println(out.Path, err)
	fmt.Println(client.Stats().Attempts, "attempts")
	// Output:
	// /embeddings <nil>
	// 3 attempts
}

func ExampleNew_problems() {
	_, err := holdfast.New(holdfast.Config{
		BaseURL: "localhost:11434",
		Retry:   holdfast.Retry{BaseDelay: -5 * time.Second},
	})
	fmt.Println(err)
	// Output:
	// holdfast: Config.BaseURL is "localhost:11434": has no scheme; did you mean "http://localhost:11434"?
	// holdfast: Config.Retry.BaseDelay is -5s: must be positive, zero for 1s, or Off
}

func ExampleConfig_Validate() {
	err := holdfast.Config{BaseURL: "https://api.example.com/v1", Pool: holdfast.Pool{MaxConns: -2}}.Validate()
	fmt.Println(err)
	// Output: holdfast: Config.Pool.MaxConns is -2: must be positive, zero for 50, or Off
}

func ExampleClient_Get() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	resp, err := client.Get(ctx, "/health", holdfast.WithAttemptTimeout(5*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"), resp.Attempts)
	// Output: 200 application/json 1
}

func ExampleClient_Post() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	resp, err := client.Post(ctx, "/payments", map[string]int{"cents": 100},
		holdfast.WithIdempotencyKey("order-7"), holdfast.WithHeader("X-Team", "shop"))
	fmt.Println(resp.Status, resp.RequestID, err)
	// Output: 200 order-7 <nil>
}

func ExampleClient_Put() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	resp, err := client.Put(ctx, "/documents/1", []byte("as it is"))
	fmt.Println(resp.Status, err)
	// Output: 200 <nil>
}

func ExampleClient_Patch() {
	service := serve(fault.Rule{Fault: fault.Fault{Status: 422}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, err := client.Patch(ctx, "/documents/1", map[string]string{"title": ""})
	fmt.Println(errors.Is(err, holdfast.ErrInvalidRequest))
	// Output: true
}

func ExampleClient_Delete() {
	service := serve(fault.Rule{Fault: fault.Fault{Status: 404}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, err := client.Delete(ctx, "/documents/1")
	fmt.Println(errors.Is(err, holdfast.ErrNotFound))
	// Output: true
}

// A body that the caller reads: for downloads, and for answers that are too large for memory.
func ExampleClient_Do() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "/upload", strings.NewReader("a file"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close() // until then the call keeps its permit
	n, err := io.Copy(io.Discard, resp.Body)
	fmt.Println(resp.StatusCode, n > 0, err)
	// Output: 200 true <nil>
}

func ExampleClient_Healthy() {
	service := serve(fault.Rule{Match: fault.Match{Path: "/sick"}, Fault: fault.Fault{Status: 503}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	fmt.Println(client.Healthy(ctx, "/health", holdfast.WithAttemptTimeout(5*time.Second)))
	fmt.Println(errors.Is(client.Healthy(ctx, "/sick"), holdfast.ErrUnavailable))
	// Output:
	// <nil>
	// true
}

func ExampleClient_Shutdown() {
	service := serve()
	defer service.Close()
	client := fastClient(service)

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fmt.Println(client.Shutdown(ctx)) // waits for running calls
	_, err := client.Get(ctx, "/x")
	fmt.Println(errors.Is(err, holdfast.ErrClosed))
	// Output:
	// <nil>
	// true
}

func ExampleClient_Stats() {
	service := serve(fault.Rule{Nth: "1", Fault: fault.Fault{Status: 500}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, _ = client.Get(ctx, "/x")
	s := client.Stats()
	fmt.Println(s.Succeeded, s.Failed, s.Attempts, s.Retries, s.BreakerState)
	// Output: 1 0 2 1 closed
}

// The latency of two clients of one service, as a histogram of two steps.
func ExampleLatency_Add() {
	service := serve()
	defer service.Close()
	first, second := fastClient(service), fastClient(service)
	defer first.Close()
	defer second.Close()

	_, _ = first.Get(ctx, "/x")
	_, _ = second.Get(ctx, "/x")
	both := first.Stats().Latency.Add(second.Stats().Latency)
	fmt.Println(both.Count, both.Within(time.Nanosecond), both.Within(time.Minute))
	// Output: 2 0 2
}

func ExampleLatency_Within() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, _ = client.Get(ctx, "/x")
	fmt.Println(client.Stats().LastMinute.Latency.Within(10*time.Second), "call within ten seconds")
	// Output: 1 call within ten seconds
}

func ExampleCall() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	type answer struct{ Method, Path string }
	out, err := holdfast.Call[answer](ctx, client, http.MethodPut, "/things/1", map[string]bool{"on": true})
	fmt.Println(out.Method, out.Path, err)
	// Output: PUT /things/1 <nil>
}

func ExampleGet() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	out, err := holdfast.Get[map[string]any](ctx, client, "/things/1")
	fmt.Println(out["path"], err)
	// Output: /things/1 <nil>
}

func ExamplePost() {
	service := serve()
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, err := holdfast.Post[[]string](ctx, client, "/things", 1) // the answer is an object
	fmt.Println(errors.Is(err, holdfast.ErrDecode))
	// Output: true
}

// The kinds of errors, and the type *StatusError.
func ExampleError() {
	service := serve(fault.Rule{Fault: fault.Fault{Status: 403, Body: "no"}})
	defer service.Close()
	client := fastClient(service)
	defer client.Close()

	_, err := client.Get(ctx, "/secrets")
	switch {
	case errors.Is(err, holdfast.ErrCircuitOpen):
		fmt.Println("nothing was sent; come back later")
	case errors.Is(err, holdfast.ErrPoolTimeout):
		fmt.Println("this client is saturated")
	case errors.Is(err, holdfast.ErrAuthentication):
		fmt.Println("not authorized")
	case errors.Is(err, holdfast.ErrConnection):
		fmt.Println("still failing after the last attempt")
	}
	var answer *holdfast.StatusError
	if errors.As(err, &answer) {
		fmt.Println(answer.Status, string(answer.Body))
	}
	// Output:
	// not authorized
	// 403 no
}

func ExampleError_Explain() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name:  "save",
		Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off},
	})
	_, err := holdfast.Do(ctx, policy, func(context.Context) (int, error) { return 0, errors.New("disk full") })
	var e *holdfast.Error
	if errors.As(err, &e) {
		fmt.Println(strings.Contains(e.Explain(), "stopped: no retries left"))
	}
	// Output: true
}

// A policy for one method of an SDK, made once.
func ExampleDo() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name:           "bedrock.invoke_model",
		AttemptTimeout: 10 * time.Second,
		Retry: holdfast.Retry{
			MaxRetries: 3, BaseDelay: time.Millisecond, MaxDelay: 30 * time.Second,
			On: holdfast.Any(holdfast.Is(context.DeadlineExceeded), holdfast.Is(io.ErrUnexpectedEOF)),
		},
	})
	calls := 0
	out, err := holdfast.Do(ctx, policy, func(ctx context.Context) (string, error) {
		if calls++; calls < 3 {
			return "", io.ErrUnexpectedEOF
		}
		return "generated", nil
	})
	fmt.Println(out, err, calls)
	// Output: generated <nil> 3
}

func ExampleWrap() {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{Retry: holdfast.Retry{BaseDelay: time.Millisecond}})
	lookup := holdfast.Wrap(policy, func(ctx context.Context, name string) (int, error) { return len(name), nil })
	n, err := lookup(ctx, "holdfast")
	fmt.Println(n, err)
	// Output: 8 <nil>
}

// Classify returns the outcome of an error, if a filter is not enough.
func ExampleNewPolicy_classify() {
	errQuota, errTypo := errors.New("quota"), errors.New("typo")
	policy, err := holdfast.NewPolicy(holdfast.PolicyConfig{
		Name:  "query",
		Retry: holdfast.Retry{BaseDelay: time.Millisecond},
		Classify: func(err error) holdfast.Outcome {
			if errors.Is(err, errQuota) {
				return holdfast.Throttled
			}
			return holdfast.Permanent
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = holdfast.Do(ctx, policy, func(context.Context) (int, error) { return 0, errTypo })
	fmt.Println(errors.Is(err, errTypo), errors.Is(err, holdfast.ErrStatus))
	// Output: true true
}

func ExampleBreaker_Do() {
	breaker := holdfast.MustBreaker(holdfast.BreakerConfig{Name: "db", FailureThreshold: 2})
	failing := func(context.Context) error { return errors.New("down") }
	for range 2 {
		_ = breaker.Do(ctx, failing)
	}
	err := breaker.Do(ctx, failing) // it is not called
	fmt.Println(err)
	var rejected *holdfast.RejectedError
	if errors.As(err, &rejected) {
		fmt.Println("come back in", time.Until(rejected.RetryAt).Round(time.Minute))
	}
	// Output:
	// holdfast: circuit breaker open: rejecting request
	// come back in 1m0s
}

// For a call that does not fit into a function.
func ExampleBreaker_Acquire() {
	breaker, err := holdfast.NewBreaker(holdfast.BreakerConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := breaker.Acquire()
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict := holdfast.Unknown // for a panic
	defer func() { permit.Done(verdict) }()

	verdict = holdfast.Success
	fmt.Println(breaker.State(), permit.Probe())
	// Output: closed false
}

func ExampleBulkhead_Do() {
	bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off})
	err := bulkhead.Do(ctx, func(ctx context.Context) error {
		return bulkhead.Do(ctx, func(context.Context) error { return nil }) // there is one permit, and no queue
	})
	fmt.Println(errors.Is(err, holdfast.ErrPoolTimeout), bulkhead.InUse())
	// Output: true 0
}

func ExampleBulkhead_Acquire() {
	bulkhead, err := holdfast.NewBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := bulkhead.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()
	_, ok := bulkhead.TryAcquire()
	fmt.Println(ok, bulkhead.InUse())
	// Output: true 2
}

// One shared client for each service.
func ExampleRegistry_Open() {
	var providers holdfast.Registry // or holdfast.DefaultRegistry
	cfg := holdfast.Config{BaseURL: "https://api.example.com/v1"}
	one, err := providers.Open("embeddings", cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer providers.Shutdown(ctx)

	same, _ := providers.Open("embeddings", cfg)
	fmt.Println(one == same, providers.Names())

	cfg.Retry.MaxRetries = 7
	_, err = providers.Open("embeddings", cfg)
	fmt.Println(errors.Is(err, holdfast.ErrConfigConflict))
	// Output:
	// true [embeddings]
	// true
}

func ExampleBatch() {
	texts := []string{"a", "bb", "ccc", "too long"}
	got, err := holdfast.Batch(ctx, texts, holdfast.BatchOptions{ChunkSize: 2}, func(_ context.Context, chunk []string) ([]int, error) {
		lengths := make([]int, len(chunk))
		for i, text := range chunk {
			if len(text) > 3 {
				return nil, errors.New("a text is too long")
			}
			lengths[i] = len(text)
		}
		return lengths, nil
	})
	fmt.Println(got.Out[:2], err)
	for _, m := range got.Missing {
		fmt.Println("missing:", texts[m.From:m.To])
	}
	// Output:
	// [1 2] holdfast: batch: 2 of 4 items are missing: a text is too long
	// missing: [ccc too long]
}

func ExampleWithObserver() {
	service := serve(fault.Rule{Nth: "1", Fault: fault.Fault{Status: 503}})
	defer service.Close()
	client := fastClient(service, holdfast.WithObserver(holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
		switch e.Kind {
		case holdfast.EventRetrying:
			fmt.Println(e.Kind, e.Attempt, "of", e.Of, "failed with", e.Err)
		case holdfast.EventSucceeded:
			fmt.Println(e.Kind, "after", e.Attempt, "attempts")
		}
	})))
	defer client.Close()
	_, _ = client.Get(ctx, "/x")
	// Output:
	// retrying 1 of 4 failed with 503 Service Unavailable
	// operation succeeded after 2 attempts
}

func ExampleWithLogger() {
	withoutTime := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	breaker := holdfast.MustBreaker(holdfast.BreakerConfig{Name: "db", FailureThreshold: 1},
		holdfast.WithLogger(slog.New(slog.NewTextHandler(os.Stdout, withoutTime))))
	_ = breaker.Do(ctx, func(context.Context) error { return errors.New("down") })
	// Output: level=WARN msg="circuit breaker opened" client=db failures=1 open_for=1m0s
}

// A service with a certificate of a private authority.
func ExampleWithTLSConfig() {
	service, err := faultserver.New(fault.Plan{}, faultserver.TLS())
	if err != nil {
		panic(err)
	}
	defer service.Close()

	authority := x509.NewCertPool()
	authority.AddCert(service.Certificate())
	client := fastClient(service, holdfast.WithTLSConfig(&tls.Config{RootCAs: authority}))
	defer client.Close()

	resp, err := client.Get(ctx, "/health")
	fmt.Println(resp.Status, err)
	// Output: 200 <nil>
}
