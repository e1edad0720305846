package rivals

import (
	"context"
	"log"
	"net/http"
	"sync/atomic"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// retryable is go-retryablehttp. Its log is on by default. Its hook CheckRetry
// excludes calls that are not repeatable from the retries.
type retryable struct{ client *retryablehttp.Client }

// once marks the context of a call that is not repeatable.
type once struct{}

func newRetryable(s Settings) (conformance.Client, error) {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}
	c.RetryMax = s.Terms.Retries
	c.RetryWaitMin, c.RetryWaitMax = s.Terms.Base, s.Terms.Max
	c.Logger = nil
	if s.Log != nil {
		c.Logger = log.New(s.Log, "", log.LstdFlags)
	}
	var attempts atomic.Int64
	c.RequestLogHook = func(retryablehttp.Logger, *http.Request, int) { attempts.Add(1) }
	c.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if ctx.Value(once{}) != nil {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return sender{retryable{c}, s.Terms, c.HTTPClient.CloseIdleConnections, attempts.Load}, nil
}

func newRetryableSilent(s Settings) (conformance.Client, error) {
	s.Log = nil
	return newRetryable(s)
}

func (r retryable) Send(plain *http.Request, repeatable bool) (*http.Response, error) {
	if !repeatable {
		plain = plain.WithContext(context.WithValue(plain.Context(), once{}, true))
	}
	req, err := retryablehttp.FromRequest(plain)
	if err != nil {
		return nil, err
	}
	return r.client.Do(req)
}
