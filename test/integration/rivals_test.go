package integration

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	"resty.dev/v3"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// A hundred calls, each answered at its third attempt: of 300 attempts 200 are a
// 503 with a body, and what becomes of that body decides whether the next attempt
// finds its connection. Each client repeats as its documentation says, at once. The
// figures of the others are printed and not asserted:
//
//	GOWORK=off go test -run TestConnectionsBesideTheRivals -v .
func TestConnectionsBesideTheRivals(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, url string) func() error
	}{
		{"holdfast", callByHoldfast},
		{"a loop that closes the body", func(t *testing.T, url string) func() error { return callByLoop(t, url, false) }},
		{"a loop that reads and closes it", func(t *testing.T, url string) func() error { return callByLoop(t, url, true) }},
		{"go-retryablehttp", callByRetryable},
		{"failsafehttp", callByFailsafe},
		{"resty v3", callByResty},
	} {
		for _, size := range []int{2 << 10, 100 << 10} {
			s := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{
				Statuses: slices.Repeat([]int{503, 503, 200}, 100), Body: strings.Repeat("x", size),
			}}}})
			call := c.make(t, s.URL())
			failed := 0
			for range 100 {
				if err := call(); err != nil {
					failed++
				}
			}
			attempts, connections := len(s.Record()), s.Connections()
			t.Logf("%-32s %3d kB: %d attempts, %3d connections, %d of 100 calls failed", c.name, size>>10, attempts, connections, failed)
			// One; but a busy machine may not drain within its 50 ms. The exact number is
			// the test TestRefusalsKeepTheirConnection's, in virtual time.
			if c.name == "holdfast" && (attempts != 300 || connections > 5 || failed != 0) {
				t.Errorf("%d attempts over %d connections, %d failed", attempts, connections, failed)
			}
		}
	}
}

func callByHoldfast(t *testing.T, url string) func() error {
	c, err := holdfast.New(holdfast.Config{BaseURL: url, Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func() error {
		_, err := c.Get(t.Context(), "/x")
		return err
	}
}

// bare is net/http's client with a transport of its own.
func bare(t *testing.T) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// finish does with an answer what each caller does who wants no more of it.
func finish(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func callByLoop(t *testing.T, url string, reads bool) func() error {
	c := bare(t)
	return func() error {
		for range 4 {
			resp, err := c.Get(url + "/x")
			switch {
			case err != nil:
				return err
			case resp.StatusCode < 500:
				return finish(resp, nil)
			case reads:
				_ = finish(resp, nil)
			default:
				_ = resp.Body.Close()
			}
		}
		return errors.New("given up")
	}
}

func callByRetryable(t *testing.T, url string) func() error {
	c := retryablehttp.NewClient()
	c.HTTPClient, c.Logger = bare(t), nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 3, time.Nanosecond, time.Nanosecond
	return func() error { return finish(c.Get(url + "/x")) }
}

func callByFailsafe(t *testing.T, url string) func() error {
	c := bare(t)
	c.Transport = failsafehttp.NewRoundTripper(c.Transport, failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(3).Build())
	return func() error { return finish(c.Get(url + "/x")) }
}

func callByResty(t *testing.T, url string) func() error {
	c := resty.NewWithClient(bare(t)).SetRetryCount(3).SetRetryWaitTime(time.Nanosecond).SetRetryMaxWaitTime(time.Nanosecond).
		AddRetryConditions(func(resp *resty.Response, err error) bool { return err != nil || resp.StatusCode() >= 500 })
	t.Cleanup(func() { c.Close() })
	return func() error {
		resp, err := c.R().Get(url + "/x")
		if err == nil && resp.IsStatusFailure() {
			return errors.New("given up")
		}
		return err
	}
}
