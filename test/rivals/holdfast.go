package rivals

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

// client is holdfast.Client with its defaults, to the terms.
type client struct {
	*holdfast.Client
}

func newHoldfast(s Settings) (conformance.Client, error) {
	return newClient(HoldfastConfig(s), s)
}

// newSDKTransport is holdfast's client under code that makes its own requests and
// reads the answers itself, as an SDK does. Its attempts end at the headers. Total
// bounds the body: here it is the sum of all attempts and waits of the terms.
func newSDKTransport(s Settings) (conformance.Client, error) {
	cfg := HoldfastConfig(s)
	retries := time.Duration(s.Terms.Retries)
	cfg.Timeouts.Total = (retries+1)*s.Terms.Attempt + retries*s.Terms.Max
	c, err := newClient(cfg, s)
	if err != nil {
		return nil, err
	}
	sdk := c.HTTPClient(holdfast.RepeatPOST())
	return sender{httpClients{sdk, sdk}, s.Terms, c.Close, c.told}, nil
}

func newClient(cfg holdfast.Config, s Settings) (client, error) {
	c, err := holdfast.New(cfg, HoldfastOptions(s)...)
	return client{c}, err
}

// Holdfast returns an adapter over a holdfast.Client with any config and options.
func Holdfast(cfg holdfast.Config, opts ...holdfast.Option) (conformance.Client, error) {
	c, err := holdfast.New(cfg, opts...)
	if err != nil {
		return nil, err
	}
	return client{c}, nil
}

// HoldfastConfig returns holdfast's config for the settings.
func HoldfastConfig(s Settings) holdfast.Config {
	cfg := holdfast.Config{
		Name:     "service",
		BaseURL:  s.BaseURL,
		Timeouts: holdfast.Timeouts{Attempt: s.Terms.Attempt},
		Retry: holdfast.Retry{
			MaxRetries: s.Terms.Retries, BaseDelay: s.Terms.Base, MaxDelay: s.Terms.Max,
			MaxRetryAfter: s.Terms.RetryAfter,
		},
		Pool:             holdfast.Pool{MaxAge: s.Terms.ConnAge},
		Breaker:          holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		MaxResponseBytes: int64(s.Terms.Answer),
	}
	if s.Proxy != nil {
		cfg.Proxy = s.Proxy.String()
	}
	if s.Terms.Retries == 0 {
		cfg.Retry.MaxRetries = holdfast.Off
	}
	if s.Threshold > 0 {
		cfg.Breaker = holdfast.BreakerConfig{FailureThreshold: s.Threshold, OpenTimeout: s.OpenFor, HalfOpenMaxCalls: s.Probes, CountAttempts: s.CountAttempts}
	}
	return cfg
}

// HoldfastOptions returns holdfast's options for the settings: the authority to
// trust, the log, and the way to the service.
func HoldfastOptions(s Settings) []holdfast.Option {
	var opts []holdfast.Option
	if s.Log != nil {
		opts = append(opts, holdfast.WithLogger(slog.New(slog.NewTextHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	}
	if s.Dial != nil {
		opts = append(opts, holdfast.WithDialContext(s.Dial))
	}
	if s.Roots != nil {
		opts = append(opts, holdfast.WithTLSConfig(&tls.Config{RootCAs: s.Roots}))
	}
	return opts
}

func (c client) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	opts := make([]holdfast.CallOption, 0, len(call.Header)+1)
	for name, values := range call.Header {
		opts = append(opts, holdfast.WithHeader(name, values[0]))
	}
	if call.Key != "" {
		opts = append(opts, holdfast.WithIdempotencyKey(call.Key))
	}
	var resp *holdfast.Response
	var err error
	switch call.Method {
	case http.MethodPost:
		resp, err = c.Post(ctx, call.Path, call.Body, opts...)
	case http.MethodPut:
		resp, err = c.Put(ctx, call.Path, call.Body, opts...)
	default:
		resp, err = c.Get(ctx, call.Path, opts...)
	}
	if err != nil {
		if status, ok := errors.AsType[*holdfast.StatusError](err); ok && status.Status < 500 {
			return conformance.Answer{Status: status.Status, Body: status.Body}
		}
		return conformance.Answer{Err: err}
	}
	return conformance.Answer{Status: resp.Status, Body: resp.Body}
}

func (c client) Close() {
	_ = c.Client.Close()
}

func (c client) told() int64             { return int64(c.Stats().Attempts) }
func (c client) Attempts() (int64, bool) { return c.told(), true }
