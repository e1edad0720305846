package holdfast_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// everyCall has each way to make a call and to read its answer.
var everyCall = map[string]func(ctx context.Context, c *holdfast.Client) error{
	"Get": func(ctx context.Context, c *holdfast.Client) error {
		_, err := c.Get(ctx, "/x")
		return err
	},
	"Do": func(ctx context.Context, c *holdfast.Client) error {
		return doAndRead(ctx, c.Do)
	},
	"SDK": func(ctx context.Context, c *holdfast.Client) error {
		sdk := c.HTTPClient()
		return doAndRead(ctx, func(r *http.Request, _ ...holdfast.CallOption) (*http.Response, error) { return sdk.Do(r) })
	},
	"Stream": func(ctx context.Context, c *holdfast.Client) error {
		s, err := c.Stream(ctx, http.MethodPost, "/x", nil)
		if err != nil {
			return err
		}
		defer s.Close()
		for _, err := range s.Lines() {
			if err != nil {
				return err
			}
		}
		return nil
	},
}

func doAndRead(ctx context.Context, do func(*http.Request, ...holdfast.CallOption) (*http.Response, error)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/x", nil)
	if err != nil {
		return err
	}
	resp, err := do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// through is a client of a RoundTripper, without retries.
func through(t *testing.T, cfg holdfast.Config, rt roundTrip) *holdfast.Client {
	t.Helper()
	cfg.BaseURL, cfg.Retry.MaxRetries = "http://a.test", holdfast.Off
	c, err := holdfast.New(cfg, holdfast.WithTransport(rt))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// oddBody is a body whose Read is a function.
type oddBody struct {
	read   func([]byte) (int, error)
	closed int
}

func (b *oddBody) Read(p []byte) (int, error) { return b.read(p) }
func (b *oddBody) Close() error               { b.closed++; return nil }

// No answer has a status below 100, whatever a RoundTripper says.
func TestStatusBelow100(t *testing.T) {
	for _, status := range []int{-200, 0, 1, 20, 99} {
		for how, call := range everyCall {
			b := &oddBody{read: func([]byte) (int, error) { return 0, io.EOF }}
			c := through(t, holdfast.Config{}, func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: b, Request: r}, nil
			})
			err := call(t.Context(), c)
			is(t, err, holdfast.ErrConnection)
			equal(t, how+": the class", attempts(t, err)[0].Class, holdfast.ClassLost)
			equal(t, how+": the status", attempts(t, err)[0].Status, 0)
			equal(t, how+": body closed", b.closed, 1)
			equal(t, how+": in flight", c.Stats().InFlight, 0)
		}
	}
}

// A RoundTripper that returns an answer and an error has failed, and the answer is closed.
func TestAnswerWithAnError(t *testing.T) {
	for how, call := range everyCall {
		b := &oddBody{read: func([]byte) (int, error) { return 0, io.EOF }}
		c := through(t, holdfast.Config{}, func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: b, Request: r}, errDown
		})
		is(t, call(t.Context(), c), holdfast.ErrConnection, errDown)
		equal(t, how+": body closed", b.closed, 1)
		equal(t, how+": in flight", c.Stats().InFlight, 0)
	}
}

// A body that reads nothing for ever has failed.
func TestBodyWithoutProgress(t *testing.T) {
	for how, call := range everyCall {
		for _, status := range []int{200, 400, 429, 500} {
			c := through(t, holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: holdfast.Off}}, func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: &oddBody{read: func([]byte) (int, error) { return 0, nil }}, ContentLength: -1, Request: r}, nil
			})
			err := call(t.Context(), c)
			if err == nil || status == 200 && !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("%s, %d: %v", how, status, err)
			}
			equal(t, how+": in flight", c.Stats().InFlight, 0)
		}
	}
}

// The fiveSeconds end a body that reads nothing, slowly.
func TestSlowBodyWithoutProgress(t *testing.T) {
	for name, tt := range fiveSeconds {
		bubble(t, func(t *testing.T) {
			for _, how := range []string{"Get", "Stream"} {
				c := through(t, holdfast.Config{Timeouts: tt.timeouts}, func(r *http.Request) (*http.Response, error) {
					b := &oddBody{read: func([]byte) (int, error) { time.Sleep(time.Second); return 0, nil }}
					return &http.Response{StatusCode: 200, Body: b, ContentLength: -1, Request: r}, nil
				})
				ctx, cancel := tt.context(t.Context())
				began := time.Now()
				err := everyCall[how](ctx, c)
				is(t, err, tt.kind)
				if took := time.Since(began); took > 6*time.Second {
					t.Errorf("%s, %s: it took %v: %v", name, how, took, err)
				}
				cancel()
			}
		})
	}
}

// fiveSeconds are the limits that can end a call, each after five seconds.
var fiveSeconds = map[string]struct {
	timeouts holdfast.Timeouts
	context  func(context.Context) (context.Context, context.CancelFunc)
	kind     error
}{
	"attempt": {holdfast.Timeouts{Attempt: 5 * time.Second}, context.WithCancel, holdfast.ErrTimeout},
	"total":   {holdfast.Timeouts{Attempt: holdfast.Off, Total: 5 * time.Second}, context.WithCancel, holdfast.ErrTimeout},
	"deadline": {holdfast.Timeouts{Attempt: holdfast.Off}, func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, 5*time.Second)
	}, holdfast.ErrTimeout},
	"cancel": {holdfast.Timeouts{Attempt: holdfast.Off}, func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(5*time.Second, cancel)
		return ctx, cancel
	}, holdfast.ErrCanceled},
}

// Every limit ends a call if Authorize blocks. Nothing was sent, and the service's breaker
// does not count it.
func TestAuthorizeThatBlocks(t *testing.T) {
	for name, tt := range fiveSeconds {
		for _, late := range []bool{false, true} { // the first time, or after a 401
			bubble(t, func(t *testing.T) {
				for how, call := range everyCall {
					release, asked, sent := make(chan struct{}), 0, 0
					cfg := holdfast.Config{Timeouts: tt.timeouts, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Authorize: func(r *http.Request) error {
						if asked++; asked > 1 || !late {
							<-release
							r.Header.Set("X-Late", "1") // it still has its request
						}
						return nil
					}}
					c := through(t, cfg, func(r *http.Request) (*http.Response, error) {
						sent++
						return &http.Response{StatusCode: 401, Body: http.NoBody, Request: r}, nil
					})
					ctx, cancel := tt.context(t.Context())
					began := time.Now()
					err := call(ctx, c)
					equal(t, name+", "+how+": time", time.Since(began), 5*time.Second)
					if !late {
						is(t, err, tt.kind)
						equal(t, name+", "+how+": sent", attempts(t, err)[0].Sent, false)
						equal(t, name+", "+how+": failures", c.Breaker().Stats().FailureCount, 0)
					} else if how != "SDK" {
						is(t, err, holdfast.ErrAuthentication)
					}
					equal(t, name+", "+how+": requests", sent, map[bool]int{true: 1}[late])
					equal(t, name+", "+how+": in flight", c.Stats().InFlight, 0)
					cancel()
					close(release)
				}
			})
		}
	}
}

// A panic of Authorize, or its Goexit, is that of the goroutine of the call.
func TestAuthorizeThatPanics(t *testing.T) {
	for how, authorize := range map[string]func(){"panic": func() { panic(errDown) }, "Goexit": runtime.Goexit} {
		c := through(t, holdfast.Config{Authorize: func(*http.Request) error { authorize(); return nil }}, nil)
		var got any
		returned, done := false, make(chan struct{})
		go func() {
			defer close(done)
			defer func() { got = recover() }()
			_, _ = c.Get(context.Background(), "/x")
			returned = true
		}()
		<-done
		if returned || got != map[string]any{"panic": errDown}[how] {
			t.Errorf("%s: returned %v, panicked with %v", how, returned, got)
		}
		equal(t, how+": in flight", c.Stats().InFlight, 0)
	}
}
