package rivals

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// newFailsafe is failsafe-go as its README shows it: its retry policy for HTTP
// around its timeout.
func newFailsafe(s Settings) (conformance.Client, error) {
	retries := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(s.Terms.Retries).WithBackoff(s.Terms.Base, s.Terms.Max).Build()
	t := newTransport(s)
	sends := &counting{RoundTripper: t}
	rt := failsafehttp.NewRoundTripper(sends, append([]failsafe.Policy[*http.Response]{retries}, inner(s)...)...)
	c := &http.Client{Transport: rt}
	return sender{httpClients{c, c}, s.Terms, t.CloseIdleConnections, sends.n.Load}, nil
}

// newFailsafeTuned is failsafe-go as well as its settings allow:
//   - An attempt reads the body, so that a body that breaks off is retried and the
//     connection is kept.
//   - Errors that would occur again and calls that are not repeatable are not
//     retried, and an open breaker ends the retries.
//   - A Retry-After beyond the terms is ignored.
//   - Redirects, which would send credentials along, are not followed.
func newFailsafeTuned(s Settings) (conformance.Client, error) {
	var cert *tls.CertificateVerificationError
	retries := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(s.Terms.Retries).WithBackoff(s.Terms.Base, s.Terms.Max). // no jitter: it would shorten a Retry-After
		WithDelayFunc(func(e failsafe.ExecutionAttempt[*http.Response]) time.Duration {
			if asked := failsafehttp.DelayFunc(e); asked <= s.Terms.RetryAfter {
				return asked
			}
			return -1 // the backoff of WithBackoff
		}).
		AbortIf(func(_ *http.Response, err error) bool {
			return errors.Is(err, errTooLarge) || errors.Is(err, circuitbreaker.ErrOpen) || errors.As(err, &cert)
		}).
		ReturnLastFailure().Build()
	t := newTransport(s)
	sends := &counting{RoundTripper: wholeBodies{t, s.Terms}}
	policies := inner(s)
	repeating := failsafehttp.NewRoundTripper(sends, append([]failsafe.Policy[*http.Response]{retries}, policies...)...)
	single := failsafehttp.NewRoundTripper(sends, policies...)
	return sender{httpClients{
		&http.Client{CheckRedirect: noRedirects, Transport: repeating},
		&http.Client{CheckRedirect: noRedirects, Transport: single},
	}, s.Terms, t.CloseIdleConnections, sends.n.Load}, nil
}

// inner returns the policies inside the retries.
func inner(s Settings) []failsafe.Policy[*http.Response] {
	var policies []failsafe.Policy[*http.Response]
	if s.Threshold > 0 {
		policies = append(policies, circuitbreaker.NewBuilder[*http.Response]().
			HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
			WithFailureThreshold(uint(s.Threshold)).WithDelay(s.OpenFor).WithSuccessThreshold(3).Build())
	}
	if s.Bulkhead > 0 {
		policies = append(policies, bulkhead.NewBuilder[*http.Response](uint(s.Bulkhead)).WithMaxWaitTime(time.Minute).Build())
	}
	return append(policies, timeout.New[*http.Response](s.Terms.Attempt))
}

// counting is a transport that counts the attempts of the policies around it.
type counting struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(req)
}

// wholeBodies is a transport that reads each answer before it returns it.
type wholeBodies struct {
	next  http.RoundTripper
	terms conformance.Terms
}

func (w wholeBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readBody(resp, w.terms)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
