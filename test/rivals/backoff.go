package rivals

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// assembled combines net/http, backoff and gobreaker: the retries of backoff around
// the breaker of gobreaker around one attempt. An attempt has a timeout, reads the
// whole answer, classifies it, and follows no redirect. Retry-After is parsed as in
// backoff's own example.
type assembled struct {
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[conformance.Answer]
	terms   conformance.Terms
}

func newBackoff(s Settings) (conformance.Client, error) {
	settings := gobreaker.Settings{
		MaxRequests: 3,
		Timeout:     s.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return s.Threshold > 0 && int(c.ConsecutiveFailures) >= s.Threshold },
		IsSuccessful: func(err error) bool {
			status, ok := errors.AsType[statusError](err)
			return err == nil || ok && status < 500
		},
	}
	return assembled{
		&http.Client{Transport: newTransport(s), CheckRedirect: noRedirects},
		gobreaker.NewCircuitBreaker[conformance.Answer](settings), s.Terms,
	}, nil
}

type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

func (a assembled) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier = a.terms.Base, a.terms.Max, 2
	answer, err := backoff.Retry(ctx, func() (conformance.Answer, error) {
		answer, err := a.breaker.Execute(func() (conformance.Answer, error) { return a.attempt(ctx, call) })
		if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
			return answer, backoff.Permanent(err)
		}
		return answer, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(uint(a.terms.Retries)+1))
	if status, ok := errors.AsType[statusError](err); ok {
		return conformance.Answer{Status: int(status)}
	}
	if err != nil {
		return conformance.Answer{Err: err}
	}
	return answer
}

func (a assembled) attempt(ctx context.Context, call conformance.Call) (conformance.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.terms.Attempt)
	defer cancel()
	req, err := call.Request(ctx)
	if err != nil {
		return conformance.Answer{}, backoff.Permanent(err)
	}
	resp, err := a.client.Do(req)
	answer := read(resp, err, a.terms)
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(answer.Err, errTooLarge), errors.As(answer.Err, &cert):
		return answer, backoff.Permanent(answer.Err)
	case answer.Err != nil && !call.Repeatable():
		return answer, backoff.Permanent(answer.Err)
	case answer.Err != nil:
		return answer, answer.Err
	}
	switch answer.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if seconds, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 64); err == nil {
			return answer, backoff.RetryAfter(int(seconds))
		}
		return answer, statusError(answer.Status)
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		if call.Repeatable() {
			return answer, statusError(answer.Status)
		}
	}
	if answer.Status >= 300 {
		return answer, backoff.Permanent(statusError(answer.Status))
	}
	return answer, nil
}

func (a assembled) Close() { a.client.CloseIdleConnections() }
