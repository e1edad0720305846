package contenders

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// throughFailsafe is an http.Client over failsafe-go's RoundTripper.
type throughFailsafe struct {
	repeating, single *http.Client // single, for calls that are not repeatable; nil: no difference is made
	terms             conformance.Terms
	transport         *http.Transport
}

// newFailsafe is failsafe-go as its README has it: its retry policy for HTTP
// around its timeout.
func newFailsafe(s Settings) (conformance.Client, error) {
	retries := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(s.Terms.Retries).WithBackoff(s.Terms.Base, s.Terms.Max).Build()
	t := newTransport(s)
	rt := failsafehttp.NewRoundTripper(t, append([]failsafe.Policy[*http.Response]{retries}, inner(s)...)...)
	return throughFailsafe{repeating: &http.Client{Transport: rt}, terms: s.Terms, transport: t}, nil
}

// newFailsafeTuned is failsafe-go as well as we can tune it: the body is read
// within the attempt, so that a cut one is repeated and connections live; what
// fails again is not repeated, nor is what is not repeatable; an open breaker ends
// the retries; a longer pause than the terms allow is not waited for; redirects,
// which would take credentials along, are not followed.
func newFailsafeTuned(s Settings) (conformance.Client, error) {
	var cert *tls.CertificateVerificationError
	retries := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(s.Terms.Retries).WithBackoff(s.Terms.Base, s.Terms.Max). // its jitter would shorten what Retry-After asks for
		WithDelayFunc(func(e failsafe.ExecutionAttempt[*http.Response]) time.Duration {
			if asked := failsafehttp.DelayFunc(e); asked <= s.Terms.RetryAfter {
				return asked
			}
			return -1 // its own backoff
		}).
		AbortIf(func(_ *http.Response, err error) bool {
			return errors.Is(err, errTooLarge) || errors.Is(err, circuitbreaker.ErrOpen) || errors.As(err, &cert)
		}).
		ReturnLastFailure().Build()
	t := newTransport(s)
	whole := wholeBodies{t, s.Terms}
	policies := inner(s)
	return throughFailsafe{
		repeating: &http.Client{CheckRedirect: noRedirects, Transport: failsafehttp.NewRoundTripper(whole, append([]failsafe.Policy[*http.Response]{retries}, policies...)...)},
		single:    &http.Client{CheckRedirect: noRedirects, Transport: failsafehttp.NewRoundTripper(whole, policies...)},
		terms:     s.Terms, transport: t,
	}, nil
}

// inner are the policies of each attempt.
func inner(s Settings) []failsafe.Policy[*http.Response] {
	var policies []failsafe.Policy[*http.Response]
	if s.Threshold > 0 {
		policies = append(policies, circuitbreaker.NewBuilder[*http.Response]().
			HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
			WithFailureThreshold(uint(s.Threshold)).WithDelay(s.OpenFor).WithSuccessThreshold(3).Build())
	}
	return append(policies, timeout.New[*http.Response](s.Terms.Attempt))
}

func (f throughFailsafe) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	req, err := call.Request(ctx)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	client := f.repeating
	if f.single != nil && !call.Repeatable() {
		client = f.single
	}
	resp, err := client.Do(req)
	return read(resp, err, f.terms)
}

func (f throughFailsafe) Close() { f.transport.CloseIdleConnections() }

// wholeBodies reads each answer before it hands it on.
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
