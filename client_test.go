package holdfast_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// echo is the answer of the fault server without a fault.
type echo struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	RequestID string `json:"request_id"`
	BodyBytes int    `json:"body_bytes"`
}

func TestMethods(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(), holdfast.Config{})
		ctx := t.Context()
		for method, call := range map[string]func() (*holdfast.Response, error){
			"GET":    func() (*holdfast.Response, error) { return c.Get(ctx, "/a?b=c") },
			"POST":   func() (*holdfast.Response, error) { return c.Post(ctx, "/a", map[string]int{"n": 1}) },
			"PUT":    func() (*holdfast.Response, error) { return c.Put(ctx, "/a", []byte("raw")) },
			"PATCH":  func() (*holdfast.Response, error) { return c.Patch(ctx, "/a", json.RawMessage(`{}`)) },
			"DELETE": func() (*holdfast.Response, error) { return c.Delete(ctx, "/a") },
		} {
			resp, err := call()
			if err != nil {
				t.Fatal(err)
			}
			var got echo
			if err := resp.Decode(&got); err != nil {
				t.Fatal(err)
			}
			equal(t, "method", got.Method, method)
			equal(t, "status", resp.Status, 200)
			equal(t, "attempts", resp.Attempts, 1)
			equal(t, "request id", got.RequestID, resp.RequestID)
		}
		got, err := holdfast.Get[echo](ctx, c, "sub/path")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "path", got.Path, "/sub/path")
		// Requirement A2: one call after the other needs one connection.
		equal(t, "connections", s.Connections(), 1)
	})
}

// The table of errors, requirement A9.
func TestErrorKinds(t *testing.T) {
	all := []error{
		holdfast.ErrConnection, holdfast.ErrTimeout, holdfast.ErrServerTimeout, holdfast.ErrServer, holdfast.ErrUnavailable,
		holdfast.ErrStatus, holdfast.ErrAuthentication, holdfast.ErrNotFound, holdfast.ErrInvalidRequest, holdfast.ErrRateLimited,
	}
	for status, kinds := range map[int][]error{
		301: {holdfast.ErrStatus}, 400: {holdfast.ErrStatus, holdfast.ErrInvalidRequest},
		401: {holdfast.ErrStatus, holdfast.ErrAuthentication}, 403: {holdfast.ErrStatus, holdfast.ErrAuthentication},
		404: {holdfast.ErrStatus, holdfast.ErrNotFound}, 408: {holdfast.ErrConnection, holdfast.ErrServerTimeout},
		409: {holdfast.ErrStatus}, 422: {holdfast.ErrStatus, holdfast.ErrInvalidRequest},
		429: {holdfast.ErrStatus, holdfast.ErrRateLimited}, 500: {holdfast.ErrConnection, holdfast.ErrServer},
		501: {holdfast.ErrConnection, holdfast.ErrServer}, 502: {holdfast.ErrConnection, holdfast.ErrServer, holdfast.ErrUnavailable},
		503: {holdfast.ErrConnection, holdfast.ErrServer, holdfast.ErrUnavailable},
		504: {holdfast.ErrConnection, holdfast.ErrServer, holdfast.ErrUnavailable},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(rule("", "", fault.Fault{Status: status, Body: "why"})), holdfast.Config{
					Retry: holdfast.Retry{MaxRetries: 1},
				})
				_, err := c.Get(t.Context(), "/x")
				for _, kind := range all {
					want := false
					for _, k := range kinds {
						want = want || k == kind
					}
					equal(t, fmt.Sprintf("is %q", kind), errors.Is(err, kind), want)
				}
				var answer *holdfast.StatusError
				if !errors.As(err, &answer) {
					t.Fatal(err)
				}
				equal(t, "status", answer.Status, status)
				equal(t, "body", string(answer.Body), "why")
				repeated := (errors.Is(err, holdfast.ErrConnection) || status == 429) && status != 501 // which fails again
				equal(t, "repeated", len(s.Record()) == 2, repeated)
				equal(t, "attempts of the error", len(attempts(t, err)), len(s.Record()))
				var netErr net.Error
				equal(t, "is a net.Error", errors.As(err, &netErr), true)
				equal(t, "timeout", netErr.Timeout(), false)
				equal(t, "connections", s.Connections(), 1) // declining answers are drained
			})
		})
	}
}

func TestNotModifiedIsAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{Status: 304})), holdfast.Config{})
		resp, err := c.Get(t.Context(), "/x")
		if err != nil || resp.Status != 304 {
			t.Errorf("%v, %v", resp, err)
		}
	})
}

func TestHangingService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{Hang: fault.BeforeAnswer})), holdfast.Config{
			Timeouts: holdfast.Timeouts{Attempt: 4 * time.Second}, Retry: holdfast.Retry{MaxRetries: 1},
		})
		start := time.Now()
		_, err := c.Get(t.Context(), "/slow")
		is(t, err, holdfast.ErrTimeout, holdfast.ErrConnection, context.DeadlineExceeded)
		equal(t, "time taken", time.Since(start), 4*time.Second+time.Second+4*time.Second)
		equal(t, "the error", err.Error(), "holdfast: GET /slow: timed out after 2 attempts in 9s: attempt timeout of 4s")

		// A limit of the call, and no limit.
		start = time.Now()
		_, err = c.Get(t.Context(), "/slow", holdfast.WithAttemptTimeout(time.Second))
		is(t, err, holdfast.ErrTimeout)
		equal(t, "time taken", time.Since(start), 3*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start = time.Now()
		_, err = c.Get(ctx, "/slow", holdfast.WithAttemptTimeout(holdfast.Off))
		is(t, err, holdfast.ErrTimeout)
		equal(t, "time taken", time.Since(start), time.Hour)
		equal(t, "attempts", len(s.Record()), 5)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 3)
	})
}

func TestTotalBoundsAClientsCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/503", "", fault.Fault{Status: 503})), holdfast.Config{
			Timeouts: holdfast.Timeouts{Total: 2500 * time.Millisecond},
		})
		start := time.Now()
		_, err := c.Get(t.Context(), "/hang")
		is(t, err, holdfast.ErrTimeout)
		equal(t, "time taken", time.Since(start), 2500*time.Millisecond)
		equal(t, "the error", err.Error(), "holdfast: GET /hang: timed out after 1 attempt in 2.5s: total timeout of 2.5s")
		_, err = c.Get(t.Context(), "/503")
		is(t, err, holdfast.ErrUnavailable)
		var e *holdfast.Error
		errors.As(err, &e)
		equal(t, "reason", e.Stopped, "a wait of 2s does not fit into the 1.5s that are left")
	})
}

// Each reason to stop has its own text.
func TestStopped(t *testing.T) {
	none := func(error) bool { return false }
	for name, tc := range map[string]struct {
		fault   fault.Fault
		cfg     holdfast.Config
		stopped string
	}{
		"the limit of the call has passed":     {fault.Fault{Hang: fault.BeforeAnswer}, holdfast.Config{Timeouts: holdfast.Timeouts{Total: time.Second}}, "no time is left"},
		"Retry.On does not match a 503":        {fault.Fault{Status: 503}, holdfast.Config{Retry: holdfast.Retry{On: none}}, "not worth repeating"},
		"Retry.On does not match a timeout":    {fault.Fault{Hang: fault.BeforeAnswer}, holdfast.Config{Retry: holdfast.Retry{On: none}}, "not worth repeating"},
		"the service sent x-should-retry":      {fault.Fault{Status: 503, Header: map[string]string{"X-Should-Retry": "false"}}, holdfast.Config{}, "the service forbids a retry: x-should-retry: false"},
		"Retry.Repeat forbids another attempt": {fault.Fault{Status: 503}, holdfast.Config{Retry: holdfast.Retry{Repeat: holdfast.RepeatNever}}, "this request must not be repeated"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, plan(rule("/x", "", tc.fault)), tc.cfg)
				_, err := c.Get(t.Context(), "/x")
				equal(t, "number of attempts", len(attempts(t, err)), 1)
				var e *holdfast.Error
				errors.As(err, &e)
				equal(t, "reason", e.Stopped, tc.stopped)
			})
		})
	}
	for name, tc := range map[string]struct {
		kind    error
		end     func(*holdfast.Client, context.CancelFunc)
		stopped string
	}{
		"the caller": {holdfast.ErrCanceled, func(_ *holdfast.Client, cancel context.CancelFunc) { cancel() }, "the caller's context ended"},
		"Close":      {holdfast.ErrClosed, func(c *holdfast.Client, _ context.CancelFunc) { c.Close() }, "the client was closed"},
	} {
		t.Run("waiting for a permit, ended by "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, plan(rule("/x", "", fault.Fault{Hang: fault.BeforeAnswer})), holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}})
				go c.Get(context.Background(), "/x")
				time.Sleep(time.Second)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(500*time.Millisecond, func() { tc.end(c, cancel) })
				_, err := c.Get(ctx, "/x")
				is(t, err, tc.kind)
				var e *holdfast.Error
				errors.As(err, &e)
				equal(t, "reason", e.Stopped, tc.stopped)
			})
		})
	}
}

// A body that breaks off within the attempt is a failed attempt.
func TestCutBody(t *testing.T) {
	for _, end := range []fault.End{fault.FIN, fault.RST} {
		t.Run(string(end), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(rule("", "1", fault.Fault{Cut: &fault.Cut{After: 10, By: end}})), holdfast.Config{})
				if _, err := holdfast.Get[echo](t.Context(), c, "/x"); err != nil {
					t.Fatal(err)
				}
				equal(t, "attempts", len(s.Record()), 2)
			})
		})
	}
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{Cut: &fault.Cut{After: 10}})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_, err := c.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrConnection, io.ErrUnexpectedEOF)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
	})
}

func TestMaxResponseBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(), holdfast.Config{MaxResponseBytes: 20})
		_, err := c.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrBodyTooLarge)
		isNot(t, err, holdfast.ErrConnection)
		equal(t, "attempts", len(s.Record()), 1)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
	})
}

func TestDecode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(), holdfast.Config{})
		resp, err := c.Get(t.Context(), "/x")
		if err != nil {
			t.Fatal(err)
		}
		is(t, resp.Decode(new([]int)), holdfast.ErrDecode)
	})
}

func TestDecodeErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{Healthy: true})), holdfast.Config{})
		_, err := holdfast.Get[[]int](t.Context(), c, "/x")
		is(t, err, holdfast.ErrDecode)
		var syntax *json.UnmarshalTypeError
		equal(t, "is json's error", errors.As(err, &syntax), true)
		equal(t, "attempts", len(s.Record()), 1)
	})
}

// Requirements X1 and B4c.
func TestRetryAfter(t *testing.T) {
	t.Run("longer than MaxDelay is obeyed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: 20 * time.Second})), holdfast.Config{})
			if _, err := c.Get(t.Context(), "/x"); err != nil {
				t.Fatal(err)
			}
			all := s.Record()
			if d := all[1].At - all[0].At; d < 20*time.Second || d > 22*time.Second {
				t.Errorf("was sent again after %v", d)
			}
		})
	})
	t.Run("longer than MaxRetryAfter ends the call", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: time.Hour})), holdfast.Config{})
			start := time.Now()
			_, err := c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrRateLimited)
			equal(t, "time taken", time.Since(start), 0)
			var e *holdfast.Error
			errors.As(err, &e)
			equal(t, "reason", e.Stopped, "the service asked for 1h0m0s, more than the 1m0s that are allowed")
			equal(t, "asked", e.Attempts[0].RetryAfter, time.Hour)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		})
	})
	t.Run("delays all calls", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			seen := new(recorder)
			c, s := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second})), holdfast.Config{},
				holdfast.WithObserver(seen))
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if _, err := c.Get(t.Context(), "/x"); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Millisecond)
			}
			// A call that cannot wait so long fails at once.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := c.Get(ctx, "/x")
			is(t, err, holdfast.ErrRateLimited)
			var rejected *holdfast.RejectedError
			equal(t, "has a time", errors.As(err, &rejected), true)
			equal(t, "time taken", time.Since(start), 0)
			equal(t, "attempts", len(attempts(t, err)), 0)
			wg.Wait()

			all := s.Record()
			equal(t, "attempts", len(all), 51)
			last := all[0].At
			for _, a := range all[1:] {
				if d := a.At - all[0].At; d < 10*time.Second || d > 11*time.Second {
					t.Errorf("sent after %v", d)
				}
				last = max(last, a.At)
			}
			// They do not start all at once.
			if last-all[0].At < 10*time.Second+500*time.Millisecond {
				t.Errorf("all were sent again within %v", last-all[0].At-10*time.Second)
			}
			equal(t, "calls that waited", len(seen.all(holdfast.EventCoolingDown)), 49)
		})
	})
	for queue, most := range map[int]int{5: 5, holdfast.Off: 0} {
		t.Run(fmt.Sprintf("delays at most MaxQueue calls: %d", queue), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second})), holdfast.Config{
					Bulkhead: holdfast.BulkheadConfig{MaxQueue: queue},
				})
				var wg sync.WaitGroup
				var rejected atomic.Int32
				for range 20 {
					wg.Go(func() {
						if _, err := c.Get(t.Context(), "/x"); errors.Is(err, holdfast.ErrRateLimited) {
							rejected.Add(1)
						} else if err != nil {
							t.Error(err)
						}
					})
					time.Sleep(time.Millisecond)
				}
				wg.Wait()
				equal(t, "rejected at once", int(rejected.Load()), 19-most) // the first call retries
			})
		})
	}
	t.Run("of a 503 is a failure with a wait", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := service(t, plan(rule("", "1", fault.Fault{Status: 503, RetryAfter: 20 * time.Second})), holdfast.Config{})
			if _, err := c.Post(t.Context(), "/x", nil, holdfast.WithNoRepeat()); err != nil {
				t.Fatal(err) // it was declined, so it may be sent again
			}
			if d := s.Record()[1].At; d < 20*time.Second {
				t.Errorf("was sent again after %v", d)
			}
		})
	})
}

// Requirement X2: the requests that may be sent again.
func TestRepeat(t *testing.T) {
	lost := fault.Fault{Reset: fault.BeforeAnswer, Commit: true}
	for _, c := range []struct {
		repeat       holdfast.Repeat
		method       string
		fault        fault.Fault
		opts         []holdfast.CallOption
		wantAttempts int
	}{
		{holdfast.RepeatKeyed, "POST", lost, nil, 2},
		{holdfast.RepeatKeyed, "PATCH", lost, nil, 2},
		{holdfast.RepeatKeyed, "POST", lost, []holdfast.CallOption{holdfast.WithNoRepeat()}, 1},
		{holdfast.RepeatSafe, "POST", lost, nil, 1},
		{holdfast.RepeatSafe, "PUT", lost, nil, 2},
		{holdfast.RepeatSafe, "GET", lost, nil, 2},
		{holdfast.RepeatNever, "GET", lost, nil, 1},
		{holdfast.RepeatNever, "POST", fault.Fault{Status: 429, RetryAfter: time.Second}, nil, 2}, // declined: not done
		{holdfast.RepeatSafe, "POST", fault.Fault{Status: 500}, nil, 1},
		{holdfast.RepeatKeyed, "POST", fault.Fault{Status: 500, Header: map[string]string{"X-Should-Retry": "false"}}, nil, 1},
	} {
		t.Run(fmt.Sprint(c.repeat, c.method, c.fault.Status, c.wantAttempts), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, s := service(t, plan(rule("", "1", c.fault)), holdfast.Config{Retry: holdfast.Retry{Repeat: c.repeat}})
				_, err := holdfast.Call[echo](t.Context(), client, c.method, "/x", nil, c.opts...)
				equal(t, "attempts", len(s.Record()), c.wantAttempts)
				equal(t, "succeeded", err == nil, c.wantAttempts == 2)
				equal(t, "effects done twice", s.Effects().Duplicates, 0)
			})
		})
	}
	t.Run("a request that never left may be sent again", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			dials := 0
			s := faultserver.Start(t, plan(), faultserver.InMemory())
			c, err := holdfast.New(holdfast.Config{BaseURL: s.URL(), Retry: holdfast.Retry{Repeat: holdfast.RepeatNever}},
				holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
					if dials++; dials < 3 {
						return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
					}
					return s.Dial(ctx, network, addr)
				}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			resp, err := c.Post(t.Context(), "/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "attempts", resp.Attempts, 3)
			equal(t, "that arrived", len(s.Record()), 1)
		})
	})
}

func TestConnectTimeoutAndLastingFailures(t *testing.T) {
	for _, c := range []struct {
		name     string
		dial     func(ctx context.Context) error
		attempts int
		text     string
		kind     error
	}{
		{"no answer", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 2, "connect timeout of 3s", holdfast.ErrTimeout},
		{"no such host", func(context.Context) error { return &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true} }, 1, "no such host", holdfast.ErrConnection},
		{"a resolver that is down", func(context.Context) error { return &net.DNSError{Err: "server misbehaving", IsTemporary: true} }, 2, "server misbehaving", holdfast.ErrConnection},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, err := holdfast.New(holdfast.Config{
					BaseURL: "http://x.test", Retry: holdfast.Retry{MaxRetries: 1}, Timeouts: holdfast.Timeouts{Connect: 3 * time.Second},
				}, holdfast.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, c.dial(ctx) }))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				_, err = client.Get(t.Context(), "/")
				is(t, err, c.kind, holdfast.ErrConnection)
				equal(t, "attempts", len(attempts(t, err)), c.attempts)
				if !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %q does not contain %q", err, c.text)
				}
				equal(t, "failures", client.Breaker().Stats().FailureCount, 1) // counted, requirement A5b
			})
		})
	}
}

func TestHeadersAndIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []http.Header
		tokens := 0
		c, err := holdfast.New(holdfast.Config{
			BaseURL: "http://x.test/v1/", IdempotencyKey: true, RequestIDHeader: "X-Op",
			Header: http.Header{"x-team": {"infra"}, "Accept": {"text/plain"}},
			Authorize: func(r *http.Request) error {
				tokens++
				r.Header.Set("Authorization", fmt.Sprint("Bearer ", tokens))
				return nil
			},
		}, holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.Header)
			status := 503
			if len(got)%2 == 0 {
				status = 200
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Post(t.Context(), "/x", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), "/x", holdfast.WithHeader("X-Op", "mine"), holdfast.WithIdempotencyKey("key"), holdfast.WithHeader("x-team", "web")); err != nil {
			t.Fatal(err)
		}
		for i, want := range []map[string]string{
			{"X-Team": "infra", "Authorization": "Bearer 1", "Content-Type": "application/json", "Accept": "text/plain"},
			{"X-Team": "infra", "Authorization": "Bearer 2"},
			{"X-Team": "web", "X-Op": "mine", "Idempotency-Key": "key", "Content-Type": ""},
			{"X-Op": "mine", "Authorization": "Bearer 4"},
		} {
			for name, value := range want {
				equal(t, fmt.Sprint("attempt ", i+1, ": ", name), got[i].Get(name), value)
			}
		}
		equal(t, "the key", got[0].Get("Idempotency-Key"), got[0].Get("X-Op"))
		equal(t, "the second attempt's id", got[1].Get("X-Op"), got[0].Get("X-Op"))
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Authorize changes the request of one attempt, its URL included. The next attempt's request
// and the caller's do not change.
func TestAuthorizeChangesOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		c, err := holdfast.New(holdfast.Config{
			BaseURL: "http://x.test/v1",
			Authorize: func(r *http.Request) error {
				q := r.URL.Query()
				q.Add("sig", fmt.Sprint(len(got)))
				r.URL.RawQuery = q.Encode()
				return nil
			},
		}, holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.URL.String())
			return &http.Response{StatusCode: 503 - 303*(1-len(got)%2), Header: http.Header{}, Body: http.NoBody}, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), "/x?k=v"); err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x.test/v1/y", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "addresses", strings.Join(got, " "),
			"http://x.test/v1/x?k=v&sig=0 http://x.test/v1/x?k=v&sig=1 http://x.test/v1/y?sig=2 http://x.test/v1/y?sig=3")
		equal(t, "the caller's", req.URL.String(), "http://x.test/v1/y")
	})
}

func TestAuthorizeFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		noToken := errors.New("no token")
		c, s := service(t, plan(), holdfast.Config{Authorize: func(*http.Request) error { return noToken }})
		_, err := c.Get(t.Context(), "/x")
		is(t, err, noToken)
		isNot(t, err, holdfast.ErrConnection)
		equal(t, "sent", len(s.Record()), 0)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
	})
}

// A call that cannot be made fails before anything is sent.
func TestInvalidCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(), holdfast.Config{})
		ctx := t.Context()
		foreign, _ := http.NewRequestWithContext(ctx, "GET", "http://elsewhere.test/x?key=s3cret", nil)
		for name, call := range map[string]func() error{
			"another host":      func() error { _, err := c.Get(ctx, "//evil.test/x"); return err },
			"an address":        func() error { _, err := c.Get(ctx, "http://evil.test/x"); return err },
			"upwards":           func() error { _, err := c.Get(ctx, "/a/../../b"); return err },
			"upwards, encoded":  func() error { _, err := c.Get(ctx, "/a/%2e%2e/b?key=s3cret"); return err },
			"no path":           func() error { _, err := c.Get(ctx, "/a%zz?key=s3cret"); return err },
			"a reader":          func() error { _, err := c.Post(ctx, "/x", strings.NewReader("x")); return err },
			"not for JSON":      func() error { _, err := c.Post(ctx, "/x", func() {}); return err },
			"a header":          func() error { _, err := c.Get(ctx, "/x", holdfast.WithHeader("X", "s3cret\r\nEvil: 1")); return err },
			"a header's name":   func() error { _, err := c.Get(ctx, "/x", holdfast.WithHeader("X Y", "s3cret")); return err },
			"a key":             func() error { _, err := c.Get(ctx, "/x", holdfast.WithIdempotencyKey("a\nb")); return err },
			"a limit":           func() error { _, err := c.Get(ctx, "/x", holdfast.WithAttemptTimeout(-7)); return err },
			"a foreign request": func() error { _, err := c.Do(foreign); return err },
		} {
			err := call()
			if err == nil {
				t.Errorf("%s: has no error", name)
				continue
			}
			is(t, err, holdfast.ErrInvalidRequest)
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: the error shows a secret: %v", name, err)
			}
		}
		equal(t, "sent", len(s.Record()), 0)
	})
}

func TestRetryOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/404", "1", fault.Fault{Status: 404}), rule("/500", "1", fault.Fault{Status: 500})), holdfast.Config{
			Retry: holdfast.Retry{On: holdfast.Is(holdfast.ErrNotFound)},
		})
		if _, err := c.Get(t.Context(), "/404"); err != nil {
			t.Error(err)
		}
		_, err := c.Get(t.Context(), "/500")
		is(t, err, holdfast.ErrServer)
		equal(t, "attempts", len(s.Record()), 3)
	})
}

func TestBreakerOfAClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/503", "", fault.Fault{Status: 503}), rule("/404", "", fault.Fault{Status: 404})), holdfast.Config{
			Breaker: holdfast.BreakerConfig{FailureThreshold: 2, HalfOpenMaxCalls: 1}, Retry: holdfast.Retry{MaxRetries: 1},
		})
		for range 10 { // requirement A7: a 4xx does not affect the breaker
			_, _ = c.Get(t.Context(), "/404")
		}
		for range 2 {
			_, err := c.Get(t.Context(), "/503")
			is(t, err, holdfast.ErrUnavailable)
		}
		sent := len(s.Record())
		_, err := c.Get(t.Context(), "/fine")
		is(t, err, holdfast.ErrCircuitOpen)
		equal(t, "sent", len(s.Record()), sent)
		equal(t, "rejected", c.Stats().Rejected, 1)
		time.Sleep(time.Minute)
		// A service that answers 404 is up.
		_, err = c.Get(t.Context(), "/404")
		is(t, err, holdfast.ErrNotFound)
		equal(t, "state", c.Breaker().State(), holdfast.Closed)
	})
}

func TestPartsThatAreOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{Status: 503})), holdfast.Config{
			Breaker:  holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
			Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: holdfast.Off},
			Retry:    holdfast.Retry{MaxRetries: holdfast.Off},
			Timeouts: holdfast.Timeouts{Connect: holdfast.Off, Attempt: holdfast.Off, Acquire: holdfast.Off},
		})
		for range 30 {
			_, err := c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrUnavailable)
		}
		equal(t, "attempts", len(s.Record()), 30)
		equal(t, "state", c.Stats().BreakerState, "off")
		if c.Breaker() != nil {
			t.Error("there is a breaker")
		}
	})
}
