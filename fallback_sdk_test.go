package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// statusError is an SDK's error for an answer: it knows nothing of holdfast.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("sdk: the API returned %d", int(e)) }

// askSDK calls a service as an SDK does, and hides every error of holdfast.
func askSDK(ctx context.Context, hc *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return "", hidden(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", hidden(err)
	case resp.StatusCode >= 400:
		return "", statusError(resp.StatusCode)
	}
	return string(body), nil
}

// Fallback knows how a call of an SDK ended, whatever the SDK makes of it.
func TestFallbackAfterAnSDK(t *testing.T) {
	bubble(t, func(t *testing.T) {
		insufficient := `{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}`
		c, s := service(t, plan(
			rule("/500", "", fault.Fault{Status: 500}), rule("/503", "", fault.Fault{Status: 503}),
			rule("/429", "", fault.Fault{Status: 429}), rule("/quota", "", fault.Fault{Status: 429, Body: insufficient}),
			rule("/401", "", fault.Fault{Status: 401}), rule("/404", "", fault.Fault{Status: 404}),
			rule("/422", "", fault.Fault{Status: 422}), rule("/501", "", fault.Fault{Status: 501}),
			rule("/hang", "", fault.Fault{Hang: fault.BeforeAnswer}), rule("/lost", "", fault.Fault{Reset: fault.BeforeAnswer}),
			rule("/cut", "", fault.Fault{Cut: &fault.Cut{After: 5}}),
		), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Millisecond}, Timeouts: holdfast.Timeouts{Attempt: time.Second},
			Breaker: holdfast.BreakerConfig{FailureThreshold: 100},
		})
		for path, want := range map[string]bool{
			"/500": true, "/503": true, "/429": true, "/quota": true, "/401": true, "/hang": true, "/lost": true, "/cut": true,
			"/404": false, "/422": false, "/501": false,
		} {
			equal(t, path+" goes on", goesOn(t, c.HTTPClient(), s.URL()+path), want)
			equal(t, path+" goes on, with plain errors", goesOn(t, c.HTTPClient(holdfast.PlainErrors()), s.URL()+path), want)
		}
		equal(t, "a request that is not sent goes on", goesOn(t, c.HTTPClient(), "http://other.example.com/"), false)
		impatient := c.HTTPClient()
		impatient.Timeout = time.Millisecond
		equal(t, "http.Client.Timeout goes on", goesOn(t, impatient, s.URL()+"/hang"), true)

		for c.Breaker().State() != holdfast.Open {
			_, _ = askSDK(t.Context(), c.HTTPClient(), s.URL()+"/500")
		}
		equal(t, "an open breaker goes on", goesOn(t, c.HTTPClient(), s.URL()+"/404"), true)
		c.Close()
		equal(t, "a closed client goes on", goesOn(t, c.HTTPClient(), s.URL()+"/404"), false)
	})
}

// goesOn reports whether Fallback goes on to a second service after the call of an SDK.
func goesOn(t *testing.T, hc *http.Client, url string) (called bool) {
	t.Helper()
	_, err := holdfast.Fallback(t.Context(),
		func(ctx context.Context) (string, error) { return askSDK(ctx, hc, url) },
		func(context.Context) (string, error) { called = true; return "second", nil })
	if _, ok := errors.AsType[*holdfast.Error](err); ok || called == (err != nil) {
		t.Errorf("%s: %v, the second function called: %v", url, err, called)
	}
	return called
}

// The calls of a client are noted, too, for a function that hides their errors.
func TestFallbackAfterHiddenCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("/503", "", fault.Fault{Status: 503})), holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1000},
		})
		calls := map[string]func(ctx context.Context, path string) error{
			"Get": func(ctx context.Context, path string) error { return get(ctx, c, path) },
			"Stream": func(ctx context.Context, path string) error {
				_, err := c.Stream(ctx, http.MethodGet, path, nil)
				return err
			},
			"Do": func(ctx context.Context, path string) error {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
				_, err := c.Do(req)
				return err
			},
			"Policy": func(ctx context.Context, path string) error {
				return holdfast.Run(ctx, policy(t, holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}), func(ctx context.Context) error {
					return hidden(get(ctx, c, path))
				})
			},
		}
		check := func(what string, want bool, paths ...string) {
			t.Helper()
			for name, call := range calls {
				called := false
				_, _ = holdfast.Fallback(t.Context(), func(ctx context.Context) (int, error) {
					var err error
					for _, path := range paths {
						err = call(ctx, path)
					}
					return 0, hidden(err)
				}, func(context.Context) (int, error) { called = true; return 0, nil })
				equal(t, name+": "+what+" goes on", called, want)
			}
		}
		check("a 503", true, "/503")
		check("a mistake", false, "../x")
		check("a mistake after a 503", false, "/503", "../x")
		check("a 503 after a mistake", true, "../x", "/503")

		// A function that knows better than the class says so.
		out, err := holdfast.Fallback(t.Context(), func(ctx context.Context) (string, error) {
			return "", fmt.Errorf("%w: %v", holdfast.ErrUnavailable, get(ctx, c, "../x"))
		}, func(context.Context) (string, error) { return "second", nil })
		if out != "second" || err != nil {
			t.Errorf("%q, %v", out, err)
		}

		for c.Breaker().State() != holdfast.Open {
			_ = get(t.Context(), c, "/503")
		}
		check("an open breaker", true, "/fine")
	})
}

// What ended a call decides, not the failure of the attempt before it.
func TestFallbackAfterTheEndOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, row := range map[string]struct {
			end  func(*holdfast.Client, context.CancelFunc)
			want bool
		}{
			"a cancellation by the function": {func(_ *holdfast.Client, cancel context.CancelFunc) { cancel() }, false},
			"the end of the client":          {func(c *holdfast.Client, _ context.CancelFunc) { c.Close() }, false},
			"the end of the retries":         {func(*holdfast.Client, context.CancelFunc) {}, true},
		} {
			c, _ := service(t, plan(rule("", "", fault.Fault{Status: 503})), holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: time.Minute}})
			called := false
			_, err := holdfast.Fallback(t.Context(), func(ctx context.Context) (int, error) {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				stop := time.AfterFunc(time.Second, func() { row.end(c, cancel) }) // in the wait
				defer stop.Stop()
				return 0, get(ctx, c, "/x")
			}, func(context.Context) (int, error) { called = true; return 0, nil })
			equal(t, what+" goes on", called, row.want)
			if !row.want {
				equal(t, what+": attempts", len(attempts(t, err)), 1)
			}
		}
	})
}

// A Router's own errors are noted, too.
func TestFallbackAfterARouter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := faultserver.Start(t, plan(), faultserver.InMemory())
		r, err := holdfast.NewRouter(holdfast.RouterConfig{Default: &holdfast.Config{}, MaxHosts: 1}, holdfast.WithDialContext(s.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL(), nil)
		resp, err := r.RoundTrip(req) // its client is in use until the body is closed
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "too many hosts go on", goesOn(t, r.HTTPClient(), "http://other.example.com/"), true)
		equal(t, "a URL without host goes on", goesOn(t, r.HTTPClient(), "http:///x"), false)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	})
}

// A function that makes several calls at once is judged by the last that failed, and each
// function by its own calls.
func TestFallbackJudgesEachFunctionByItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(
			rule("/503", "", fault.Fault{Status: 503}), rule("/404", "", fault.Fault{Status: 404}),
		), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		ask := func(path string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) { return askSDK(ctx, c.HTTPClient(), s.URL()+path) }
		}
		atOnce := func(paths ...string) func(context.Context) (string, error) { // each ends a second after the one before it
			return func(ctx context.Context) (string, error) {
				var all sync.WaitGroup
				for i, path := range paths {
					all.Go(func() {
						time.Sleep(time.Duration(i) * time.Second)
						_, _ = ask(path)(ctx)
					})
				}
				all.Wait()
				return "", errDown
			}
		}
		alone := func(context.Context) (string, error) { return "", errDown }
		third := func(context.Context) (string, error) { return "third", nil }
		for _, row := range []struct {
			what  string
			first func(context.Context) (string, error)
			next  func(context.Context) (string, error)
			want  string
		}{
			{"several, the last that failed was declined", atOnce("/503", "/404", "/fine"), third, ""},
			{"several, the last that failed is down", atOnce("/404", "/503", "/fine"), third, "third"},
			{"a function of which no call is known", ask("/503"), alone, ""},
			{"an answer of the second", ask("/503"), ask("/404"), ""},
			{"two that are down", ask("/503"), ask("/503"), "third"},
		} {
			out, err := holdfast.Fallback(t.Context(), row.first, row.next, third)
			if out != row.want || (err == nil) != (row.want != "") {
				t.Errorf("%s: %q, %v", row.what, out, err)
			}
			_, _ = c.Get(t.Context(), "/fine") // resets the breaker
		}

		// A Fallback in a Fallback tells the outer one.
		inner := func(last string) func(context.Context) (string, error) {
			return func(ctx context.Context) (string, error) {
				return holdfast.Fallback(ctx, ask("/503"), ask(last))
			}
		}
		out, _ := holdfast.Fallback(t.Context(), inner("/503"), third)
		equal(t, "after two that are down", out, "third")
		out, err := holdfast.Fallback(t.Context(), inner("/404"), third)
		if out != "" || !errors.Is(err, statusError(503)) || !errors.Is(err, statusError(404)) {
			t.Errorf("after an answer: %q, %v", out, err)
		}
	})
}

// The end of the context between two functions is in the error.
func TestFallbackTellsWhyItStopped(t *testing.T) {
	reason := errors.New("the user left")
	down := func(context.Context) (int, error) { return 0, holdfast.ErrConnection }
	never := func(context.Context) (int, error) { t.Error("called"); return 0, nil }

	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := holdfast.Fallback(ctx, down, func(context.Context) (int, error) {
		cancel(reason)
		return 0, fmt.Errorf("second: %w", holdfast.ErrUnavailable)
	}, never)
	equal(t, "error", fmt.Sprint(err), "holdfast: connection failed\nsecond: holdfast: service unavailable\nholdfast: no other service was called: the user left")
	is(t, err, reason, holdfast.ErrConnection, holdfast.ErrUnavailable)

	// Not if the error has it, or if there is no other service anyway.
	_, err = holdfast.Fallback(ctx, down)
	equal(t, "error of one function", err, holdfast.ErrConnection)
	_, err = holdfast.Fallback(ctx, func(context.Context) (int, error) { return 0, errors.Join(reason, holdfast.ErrTimeout) }, never)
	equal(t, "error with the reason", fmt.Sprint(err), "the user left\nholdfast: timed out")
}
