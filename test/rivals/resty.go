package rivals

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"resty.dev/v3"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// throughResty is resty, which retries idempotent methods, and other methods if a
// request allows it.
type throughResty struct {
	client *resty.Client
	made   *atomic.Int64 // attempts, by the requests' own counters
}

func newResty(s Settings) (conformance.Client, error) {
	// The timeout is the http.Client's, because a context with a deadline turns
	// resty's own timeout off. Unlimited reads make an attempt read the body. By
	// default, resty retries only errors with a true Temporary method.
	c := resty.NewWithClient(&http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}).
		SetResponseBodyUnlimitedReads(true).
		AddRetryConditions(resty.RetryConditionStatus5XX, resty.RetryConditionStatusTooManyRequests, worthRepeating).
		SetRetryCount(s.Terms.Retries).SetRetryWaitTime(s.Terms.Base).SetRetryMaxWaitTime(s.Terms.Max).
		SetResponseBodyLimit(int64(s.Terms.Answer))
	if s.Log != nil {
		c.SetLogger(lines{s.Log})
	}
	if s.Threshold > 0 {
		c.SetCircuitBreaker(resty.NewCircuitBreakerCount(uint64(s.Threshold), 3, s.OpenFor))
	}
	return throughResty{c, new(atomic.Int64)}, nil
}

func worthRepeating(_ *resty.Response, err error) bool {
	var cert *tls.CertificateVerificationError
	return err != nil && !errors.As(err, &cert) && !errors.Is(err, resty.ErrReadExceedsThresholdLimit)
}

func (r throughResty) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	req := r.client.R().SetContext(ctx)
	req.Header = call.Header.Clone()
	if call.Key != "" {
		req.SetHeader("Idempotency-Key", call.Key).SetRetryAllowNonIdempotent(true)
	}
	if call.Body != nil {
		req.SetBody(call.Body)
	}
	resp, err := req.Execute(call.Method, call.URL)
	r.made.Add(int64(req.Attempt))
	if err != nil {
		return conformance.Answer{Err: err}
	}
	return conformance.Answer{Status: resp.StatusCode(), Body: resp.Bytes()}
}

func (r throughResty) Attempts() (int64, bool) { return r.made.Load(), true }

func (r throughResty) Close() {
	_ = r.client.Close()
	r.client.Client().CloseIdleConnections()
}

// lines is a logger for resty.
type lines struct{ w io.Writer }

func (l lines) Errorf(format string, v ...any) { fmt.Fprintf(l.w, "ERROR "+format+"\n", v...) }
func (l lines) Warnf(format string, v ...any)  { fmt.Fprintf(l.w, "WARN "+format+"\n", v...) }
func (l lines) Debugf(format string, v ...any) { fmt.Fprintf(l.w, "DEBUG "+format+"\n", v...) }
