package contenders

import (
	"context"
	"log"
	"net/http"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// retryable is go-retryablehttp. Its log is on unless switched off. What it may
// repeat is a hook of its own: here, what its user knows to be repeatable.
type retryable struct {
	client *retryablehttp.Client
	terms  conformance.Terms
}

type repeatableKey struct{}

func newRetryable(s Settings) (conformance.Client, error) {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}
	c.RetryMax = s.Terms.Retries
	c.RetryWaitMin, c.RetryWaitMax = s.Terms.Base, s.Terms.Max
	c.Logger = nil
	if s.Log != nil {
		c.Logger = log.New(s.Log, "", log.LstdFlags)
	}
	c.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if ctx.Value(repeatableKey{}) == false {
			return false, err
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return retryable{c, s.Terms}, nil
}

func newRetryableSilent(s Settings) (conformance.Client, error) {
	s.Log = nil
	return newRetryable(s)
}

func (r retryable) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	plain, err := call.Request(context.WithValue(ctx, repeatableKey{}, call.Repeatable()))
	if err != nil {
		return conformance.Answer{Err: err}
	}
	req, err := retryablehttp.FromRequest(plain)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	resp, err := r.client.Do(req)
	return read(resp, err, r.terms)
}

func (r retryable) Close() { r.client.HTTPClient.CloseIdleConnections() }
