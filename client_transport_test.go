package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// send makes a request through hc as an SDK does, and reads the whole answer.
func send(t *testing.T, hc *http.Client, method, target string, header http.Header) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(`{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := hc.Do(req)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(body), err
}

// one is a bulkhead with one permit: a call that keeps it stops the next call.
var one = holdfast.BulkheadConfig{MaxConcurrent: 1}

// After the retries, every answer is returned as the service sent it.
func TestTransportAnswers(t *testing.T) {
	for _, c := range []struct {
		status   int
		attempts int
		failures int // of the breaker
	}{
		{200, 1, 0}, {204, 1, 0}, {304, 1, 0},
		{302, 1, 0}, {400, 1, 0}, {401, 1, 0}, {404, 1, 0},
		{408, 4, 1}, {429, 4, 0}, {500, 4, 1}, {503, 4, 1},
	} {
		for _, length := range []int{0, 9, 64 << 10, 64<<10 + 1, 100 << 10, 1 << 20} {
			if length > 9 && (c.status == 204 || c.status == 304) {
				continue
			}
			t.Run(fmt.Sprint(c.status, "/", length), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					want := strings.Repeat("x", length)
					f := fault.Fault{Status: c.status, Body: want, Header: map[string]string{"X-Said": "so", "Location": "http://elsewhere.test/"}}
					if c.status == 204 || c.status == 304 {
						f.Body, want = "", ""
					} else if length == 0 {
						want = http.StatusText(c.status) // the plan's own
					}
					client, s := service(t, plan(rule("", "", f)), holdfast.Config{Bulkhead: one})
					hc := client.HTTPClient()
					for range 2 { // the permit is free for the second
						s.Begin()
						resp, got, err := send(t, hc, "PUT", s.URL()+"/x", nil)
						if err != nil {
							t.Fatal(err)
						}
						equal(t, "status", resp.StatusCode, c.status)
						equal(t, "header", resp.Header.Get("X-Said"), "so")
						equal(t, "method of the request", resp.Request.Method, "PUT")
						if strings.TrimSpace(got) != want {
							t.Errorf("the body has %d bytes, want %d", len(got), len(want))
						}
						equal(t, "attempts", len(s.Record()), c.attempts)
					}
					equal(t, "failures", client.Breaker().Stats().FailureCount, 2*c.failures)
					equal(t, "in flight", client.Stats().InFlight, 0)
					equal(t, "attempts counted", client.Stats().Attempts, uint64(2*c.attempts))
					if length <= 100<<10 {
						equal(t, "connections", s.Connections(), 1)
					}
				})
			})
		}
	}
}

// Every method is repeated if the request never left or was declined. POST is also repeated
// with the caller's key or RepeatPOST.
func TestTransportRepeats(t *testing.T) {
	declined := fault.Fault{Status: 503, RetryAfter: time.Second}
	key := http.Header{"Idempotency-Key": {"k"}}
	leave := []holdfast.TransportOption{holdfast.RepeatPOST()}
	for _, c := range []struct {
		name   string
		method string
		header http.Header
		opts   []holdfast.TransportOption
		repeat holdfast.Repeat
		fault  fault.Fault
		want   int
	}{
		{"a POST may have been done", "POST", nil, nil, 0, fault.Fault{Status: 500}, 1},
		{"by a service that broke off, too", "POST", nil, nil, 0, fault.Fault{Reset: fault.BeforeAnswer}, 1},
		{"a PATCH likewise", "PATCH", nil, nil, 0, fault.Fault{Status: 503}, 1},
		{"a PUT may be done again", "PUT", nil, nil, 0, fault.Fault{Status: 500}, 4},
		{"a DELETE likewise", "DELETE", nil, nil, 0, fault.Fault{Reset: fault.BeforeAnswer}, 4},
		{"503 with Retry-After declines", "POST", nil, nil, 0, declined, 4},
		{"429 declines", "POST", nil, nil, 0, fault.Fault{Status: 429}, 4},
		{"a key", "POST", key, nil, 0, fault.Fault{Status: 500}, 4},
		{"its other name", "POST", http.Header{"X-Idempotency-Key": {"k"}}, nil, 0, fault.Fault{Reset: fault.BeforeAnswer}, 4},
		{"the configured id, given by the caller", "POST", http.Header{"X-Request-Id": {"k"}}, nil, 0, fault.Fault{Status: 500}, 4},
		{"leave", "POST", nil, leave, 0, fault.Fault{Status: 500}, 4},
		{"leave after a lost connection", "PATCH", nil, leave, 0, fault.Fault{Reset: fault.BeforeAnswer}, 4},
		{"RepeatSafe: a key does not count", "POST", key, nil, holdfast.RepeatSafe, fault.Fault{Status: 500}, 1},
		{"RepeatSafe: leave does", "POST", nil, leave, holdfast.RepeatSafe, fault.Fault{Status: 500}, 4},
		{"RepeatNever: nothing does", "POST", key, leave, holdfast.RepeatNever, fault.Fault{Status: 500}, 1},
		{"RepeatNever: declined is repeated", "POST", nil, nil, holdfast.RepeatNever, declined, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, s := service(t, plan(rule("", "", c.fault)), holdfast.Config{Bulkhead: one, Retry: holdfast.Retry{Repeat: c.repeat}})
				_, _, err := send(t, client.HTTPClient(c.opts...), c.method, s.URL()+"/x", c.header)
				if c.fault.Status == 0 {
					is(t, err, holdfast.ErrConnection)
				} else if err != nil {
					t.Fatal(err)
				}
				equal(t, "attempts", len(s.Record()), c.want)
				ids := map[string]bool{}
				for _, a := range s.Record() {
					ids[a.RequestID] = true
					equal(t, "bytes sent", a.Bytes, len(`{"n":1}`))
				}
				equal(t, "ids", len(ids), 1)
				equal(t, "in flight", client.Stats().InFlight, 0)
			})
		})
	}
	t.Run("a request that never left is", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := fault.Plan{Connections: []fault.ConnRule{{When: fault.Window{Until: 2 * time.Second}, Fault: fault.ConnFault{Refuse: true}}}}
			client, s := service(t, p, holdfast.Config{})
			resp, _, err := send(t, client.HTTPClient(), "POST", s.URL()+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, 200)
			equal(t, "attempts", client.Stats().Attempts, 3)
		})
	})
}

// A rejection is found in the error of http.Client.
func TestTransportOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, s := service(t, plan(rule("", "", fault.Fault{Status: 503, Body: "down"})), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Bulkhead: one,
		})
		hc := client.HTTPClient(holdfast.RepeatPOST())
		if _, body, err := send(t, hc, "POST", s.URL()+"/x", nil); err != nil || body != "down" {
			t.Fatal(body, err)
		}
		_, _, err := send(t, hc, "POST", s.URL()+"/x", nil)
		var rejected *holdfast.RejectedError
		var wrapped *url.Error
		if !errors.As(err, &wrapped) || !errors.As(err, &rejected) {
			t.Fatalf("%T: %v", err, err)
		}
		is(t, err, holdfast.ErrCircuitOpen)
		equal(t, "time until RetryAt", time.Until(rejected.RetryAt), time.Minute)
		equal(t, "attempts", len(s.Record()), 1)
	})
}

// A declining answer is returned if the retry after it is not made.
func TestTransportKeepsTheLastAnswer(t *testing.T) {
	busy := fault.Fault{Status: 503, Body: "try later", Header: map[string]string{"X-Said": "so"}}
	down := rule("/down", "", fault.Fault{Status: 500})
	twoFailures := holdfast.BreakerConfig{FailureThreshold: 2}
	t.Run("the breaker opens meanwhile", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("/x", "", busy), down), holdfast.Config{Breaker: twoFailures, Bulkhead: one, Retry: holdfast.Retry{BaseDelay: 10 * time.Second}})
			go func() { // the permit is free during the backoff
				time.Sleep(time.Second)
				for range 2 {
					_, _ = client.Post(t.Context(), "/down", nil, holdfast.WithNoRepeat())
				}
			}()
			resp, body, err := send(t, client.HTTPClient(), "PUT", s.URL()+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, 503)
			equal(t, "header", resp.Header.Get("X-Said"), "so")
			equal(t, "body", body, "try later")
			equal(t, "attempts", len(s.Record()), 3)
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("no permit", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("/x", "", busy), rule("/slow", "", fault.Fault{Hang: fault.AfterHeaders})), holdfast.Config{Bulkhead: one})
			hc := client.HTTPClient()
			go func() {
				time.Sleep(time.Second / 2)
				req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/slow", nil)
				resp, err := hc.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(20 * time.Second)
				resp.Body.Close()
			}()
			resp, body, err := send(t, hc, "PUT", s.URL()+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "status", resp.StatusCode, 503)
			equal(t, "body", body, "try later")
			time.Sleep(time.Minute)
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("not if the retry was made", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := plan(rule("/x", "1", busy), rule("/x", "2", fault.Fault{Reset: fault.BeforeAnswer}))
			client, s := service(t, p, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1}})
			_, _, err := send(t, client.HTTPClient(), "PUT", s.URL()+"/x", nil)
			is(t, err, holdfast.ErrConnection)
			equal(t, "attempts of the error", len(attempts(t, err)), 2)
			var before *holdfast.StatusError // of the first
			if !errors.As(attempts(t, err)[0].Err, &before) || string(before.Body) != "try later" {
				t.Errorf("the first: %v", attempts(t, err)[0].Err)
			}
		})
	})
	t.Run("not after a cancellation", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("/x", "", busy)), holdfast.Config{Bulkhead: one})
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("gone")
			time.AfterFunc(time.Second/2, func() { cancel(gone) })
			req, _ := http.NewRequestWithContext(ctx, "GET", s.URL()+"/x", nil)
			_, err := client.HTTPClient().Do(req)
			is(t, err, holdfast.ErrCanceled, context.Canceled, gone)
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("not a part of the answer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			long := busy
			long.Body = strings.Repeat("x", 1<<20)
			client, s := service(t, plan(rule("/x", "", long), down), holdfast.Config{Breaker: twoFailures, Retry: holdfast.Retry{BaseDelay: 10 * time.Second}})
			go func() {
				time.Sleep(time.Second)
				for range 2 {
					_, _ = client.Post(t.Context(), "/down", nil, holdfast.WithNoRepeat())
				}
			}()
			_, _, err := send(t, client.HTTPClient(), "PUT", s.URL()+"/x", nil)
			is(t, err, holdfast.ErrUnavailable)
			var status *holdfast.StatusError
			if !errors.As(err, &status) || len(status.Body) < 60<<10 || len(status.Body) > 64<<10 {
				t.Errorf("%v", err)
			}
		})
	})
}

// Read and Total bound the body of an answer, and Attempt does not. The breaker counts a
// failure of the body once.
func TestTransportBodies(t *testing.T) {
	slow := fault.Fault{Drip: &fault.Drip{Bytes: 1, Every: 20 * time.Second}}
	limits := holdfast.Timeouts{Attempt: time.Second, Read: 30 * time.Second}
	t.Run("an answer of minutes", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("", "", slow)), holdfast.Config{Timeouts: limits, Bulkhead: one})
			start := time.Now()
			_, body, err := send(t, client.HTTPClient(), "POST", s.URL()+"/x", nil)
			if err != nil || !strings.HasSuffix(body, "}") {
				t.Errorf("%q, %v", body, err)
			}
			if took := time.Since(start); took < 10*time.Minute {
				t.Errorf("it took %v", took)
			}
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("read timeout", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("", "", fault.Fault{Stall: &fault.Stall{After: 3}})), holdfast.Config{Timeouts: limits, Bulkhead: one})
			_, body, err := send(t, client.HTTPClient(), "POST", s.URL()+"/x", nil)
			var limit *holdfast.TimeoutError
			if !errors.As(err, &limit) || limit.Phase != "read" {
				t.Errorf("%v", err)
			}
			equal(t, "received", len(body), 3)
			equal(t, "failures", client.Breaker().Stats().FailureCount, 1)
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("read again after it failed", func(t *testing.T) {
		for name, f := range map[string]fault.Fault{
			"a stall": {Stall: &fault.Stall{After: 3}}, "a cut": {Cut: &fault.Cut{After: 3}},
		} {
			bubble(t, func(t *testing.T) {
				client, s := service(t, plan(rule("", "", f)), holdfast.Config{Timeouts: limits, Bulkhead: one})
				resp, err := client.HTTPClient().Get(s.URL() + "/x")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, first := io.ReadAll(resp.Body)
				if _, again := resp.Body.Read(make([]byte, 1)); first == nil || again != first {
					t.Errorf("%s: first %v, then %v", name, first, again)
				}
				equal(t, "failures", client.Breaker().Stats().FailureCount, 1)
				equal(t, "broke off", client.Stats().BrokeOff, 1)
			})
		}
	})
	t.Run("a declining answer that breaks off", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			declines := faultserver.Backend(func(faultserver.Request) faultserver.Answer {
				return faultserver.Answer{Status: 500, Body: []byte("it is not well")}
			})
			s := faultserver.Start(t, plan(rule("", "", fault.Fault{Cut: &fault.Cut{After: 5}})), faultserver.InMemory(), declines)
			client, err := holdfast.New(holdfast.Config{BaseURL: s.URL(), Bulkhead: one}, holdfast.WithDialContext(s.Dial))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, body, err := send(t, client.HTTPClient(), "PUT", s.URL()+"/x", nil)
			equal(t, "error", err, io.ErrUnexpectedEOF)
			equal(t, "received", body, "it is")
			equal(t, "broke off", client.Stats().BrokeOff, 1)
			equal(t, "failures", client.Breaker().Stats().FailureCount, 1)
			equal(t, "in flight", client.Stats().InFlight, 0)
		})
	})
	t.Run("empty and never closed", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			client, s := service(t, plan(rule("", "", fault.Fault{Status: 204})), holdfast.Config{Bulkhead: one})
			for range 3 {
				if _, err := client.HTTPClient().Get(s.URL() + "/x"); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

// The contract of an http.RoundTripper.
func TestTransportContract(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, s := service(t, plan(rule("/down", "", fault.Fault{Status: 503})), holdfast.Config{
			Header: http.Header{"Authorization": {"Bearer ours"}, "X-Team": {"blue"}}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
		})
		rt := client.Transport()
		post := func(target string) (*http.Response, *once, error) {
			body := &once{Reader: strings.NewReader("twelve bytes")}
			req, err := http.NewRequestWithContext(t.Context(), "POST", target, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer theirs")
			before, was := req.Clone(t.Context()), *req.URL
			resp, err := rt.RoundTrip(req)
			if !reflect.DeepEqual(req.Header, before.Header) || *req.URL != was || req.Body != body {
				t.Errorf("the request was modified: %v", req)
			}
			equal(t, "closed", body.closed, 1)
			if resp != nil {
				equal(t, "the answer's request", resp.Request, req)
				resp.Body.Close()
			}
			return resp, body, err
		}
		if _, _, err := post(s.URL() + "/x"); err != nil {
			t.Error(err)
		}
		if _, _, err := post(s.URL() + "/down"); err != nil { // opens the breaker
			t.Error(err)
		}
		_, _, err := post(s.URL() + "/x")
		is(t, err, holdfast.ErrCircuitOpen)
		_, _, err = post("http://elsewhere.test/x")
		is(t, err, holdfast.ErrInvalidRequest)
		for _, want := range []string{"http://elsewhere.test", s.URL()} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not name %s", err, want)
			}
		}
		client.Close()
		_, _, err = post(s.URL() + "/x")
		is(t, err, holdfast.ErrClosed)
	})
}

// The SDK's headers stay, and the client adds the headers that it does not set.
func TestTransportHeaders(t *testing.T) {
	var got http.Header
	fake := roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.Header.Clone()
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	client, err := holdfast.New(holdfast.Config{
		BaseURL: "https://Api.Example.com/v1", Header: http.Header{"Authorization": {"Bearer ours"}, "X-Team": {"blue"}},
	}, holdfast.WithTransport(fake))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, target := range []string{
		"https://api.example.com/v1/x", "https://api.example.com:443/elsewhere", "HTTPS://API.example.com/v1", // as SDKs build them
	} {
		if _, _, err := send(t, client.HTTPClient(), "POST", target, http.Header{"Authorization": {"Bearer theirs"}}); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		equal(t, "the SDK's", got.Get("Authorization"), "Bearer theirs")
		equal(t, "the client's", got.Get("X-Team"), "blue")
	}
	for _, target := range []string{
		"http://api.example.com/v1", "https://api.example.com:8443/v1", "https://api.example.com.evil.test/v1", "https://example.com/v1",
	} {
		got = nil
		_, _, err := send(t, client.HTTPClient(), "POST", target, nil)
		is(t, err, holdfast.ErrInvalidRequest)
		if got != nil {
			t.Errorf("%s was sent", target)
		}
	}
}

// After a panic in the caller's code, the permit and the connection are free.
func TestTransportPanic(t *testing.T) {
	for name, opts := range map[string]struct {
		status int
		event  holdfast.EventKind
	}{"a declining answer": {503, holdfast.EventAttemptDone}, "the end": {503, holdfast.EventFailed}, "an answer": {200, holdfast.EventAttemptDone}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				shaky := true
				watch := holdfast.ObserverFunc(func(_ context.Context, e holdfast.Event) {
					if shaky && e.Kind == opts.event {
						panic("shaky")
					}
				})
				client, s := service(t, plan(rule("", "", fault.Fault{Statuses: []int{opts.status, opts.status}})), holdfast.Config{
					Bulkhead: one, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
				}, holdfast.WithObserver(watch))
				func() {
					defer func() {
						if recover() == nil {
							t.Error("no panic")
						}
					}()
					_, _, _ = send(t, client.HTTPClient(), "GET", s.URL()+"/x", nil)
				}()
				synctest.Wait()
				equal(t, "in flight", client.Stats().InFlight, 0)
				shaky = false
				if _, _, err := send(t, client.HTTPClient(), "GET", s.URL()+"/x", nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The same after a panic of Retry.On for a declining answer.
func TestTransportPanicOfRetryOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, s := service(t, plan(rule("", "1", fault.Fault{Status: 503})), holdfast.Config{
			Bulkhead: one, Retry: holdfast.Retry{On: func(error) bool { panic("shaky") }},
		})
		func() {
			defer func() { equal(t, "the panic", recover(), any("shaky")) }()
			req, _ := http.NewRequest("GET", s.URL()+"/x", nil) // its context does not end, which would hide a leak
			_, _ = client.HTTPClient().Do(req)
		}()
		equal(t, "in flight", client.Stats().InFlight, 0)
		if _, _, err := send(t, client.HTTPClient(), "GET", s.URL()+"/x", nil); err != nil {
			t.Error(err)
		}
	})
}

// exits is a body whose Read ends the goroutine.
type exits struct{ io.Reader }

func (exits) Read([]byte) (int, error) { runtime.Goexit(); return 0, nil }

// So does a Goexit while the answer before the last one is read.
func TestTransportGoexit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fake := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: http.Header{}, Body: io.NopCloser(exits{}), Request: r}, nil
		})
		client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Bulkhead: one}, holdfast.WithTransport(fake))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		var calls sync.WaitGroup
		for range 2 { // the second one needs the permit of the first
			calls.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x.test/", nil)
				resp, err := client.HTTPClient().Do(req)
				t.Errorf("%v, %v", resp, err)
			})
		}
		calls.Wait()
		equal(t, "in flight", client.Stats().InFlight, 0)
	})
}

// An answer that declines a request while it is still being sent is the last one if the
// request's body can be read only once: the end of the attempt may end the answer too.
func TestTransportEarlyAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := 0
		fake := roundTrip(func(r *http.Request) (*http.Response, error) {
			sent++
			go io.Copy(io.Discard, r.Body)
			synctest.Wait()
			return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("not now")), Request: r}, nil
		})
		client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Bulkhead: one}, holdfast.WithTransport(fake))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		reader, writer := io.Pipe()
		go func() {
			_, _ = writer.Write([]byte("a beginning"))
		}()
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "http://x.test/", reader)
		resp, err := client.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 503 || string(body) != "not now" || err != nil {
			t.Errorf("%d %q, %v", resp.StatusCode, body, err)
		}
		equal(t, "attempts", sent, 1)
		equal(t, "in flight", client.Stats().InFlight, 0)
	})
}
