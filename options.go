package holdfast

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

// Option supplies a dependency such as a logger, an observer or a transport. A
// constructor reports an option that it has no use for as a problem. An option of nil is
// no option.
type Option func(*options)

type options struct {
	observer    Observer // made of the three below by validation.options; nil for none
	observers   observers
	logger      *slog.Logger
	retryLevel  *slog.Level // nil for DEBUG
	instruments instruments
	metrics     []Metrics
	transport   http.RoundTripper
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	tls         *tls.Config // nil for the defaults
}

// WithObserver adds an observer. Each observer receives every event. It does not
// replace the logger of WithLogger.
func WithObserver(o Observer) Option {
	return func(all *options) {
		if o != nil {
			all.observers = append(all.observers, o)
		}
	}
}

// WithLogger logs to l. A breaker that opens and the calls that it rejects are at
// WARN, a breaker that recovers is at INFO, and the rest is at DEBUG. Default: no log.
func WithLogger(l *slog.Logger) Option {
	return func(all *options) { all.logger = l }
}

// WithRetryLevel sets the level of the message "retrying". Default DEBUG. It needs
// WithLogger.
func WithRetryLevel(l slog.Level) Option {
	return func(all *options) { all.retryLevel = &l }
}

// WithTransport makes a client send through rt instead of a transport of its own: a
// fake in a test, or a shared transport. Timeouts.Connect and Pool do not apply to rt,
// and Close does not close it. For a private certificate authority or a client
// certificate, use WithTLSConfig, which changes nothing else.
func WithTransport(rt http.RoundTripper) Option {
	return func(all *options) { all.transport = rt }
}

// WithDialContext makes a client open its connections with dial. It cannot be used
// beside WithTransport. In a testing/synctest bubble, a fault server's Dial serves
// the whole client from memory; without WithDialContext a client cannot connect there.
func WithDialContext(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(all *options) { all.dial = dial }
}

// WithTLSConfig makes a client's TLS connections with cfg: RootCAs for a private
// certificate authority, Certificates or GetClientCertificate for a service that asks
// for a client certificate. New copies cfg. HTTP/2 stays on, whatever cfg.NextProtos
// is. It cannot be used beside WithTransport.
func WithTLSConfig(cfg *tls.Config) Option {
	return func(all *options) { all.tls = cfg }
}

// The constructors that take options.
const (
	forBreaker = iota
	forPolicy
	forClient
)

// options applies opts, and adds a problem for each option that constructor does not
// use.
func (v *validation) options(opts []Option, constructor int) *options {
	all := new(options)
	for _, o := range opts {
		o(all)
	}
	unused := func(option string, is bool, why string) {
		if is {
			v.problems = append(v.problems, fmt.Errorf("holdfast: %s is set %s", option, why))
		}
	}
	const elsewhere = "although only a client opens connections: leave it out"
	unused("WithTransport", all.transport != nil && constructor != forClient, elsewhere)
	unused("WithDialContext", all.dial != nil && constructor != forClient, elsewhere)
	unused("WithTLSConfig", all.tls != nil && constructor != forClient, elsewhere)
	if all.transport != nil && constructor == forClient {
		const beside = "beside WithTransport, which opens connections itself: set one of them"
		unused("WithDialContext", all.dial != nil, beside)
		unused("WithTLSConfig", all.tls != nil, beside)
	}
	unused("WithInstrument", all.instruments != nil && constructor == forBreaker, "although a breaker makes no attempt: leave it out")
	level := slog.LevelDebug
	if all.retryLevel != nil {
		level = *all.retryLevel
		unused("WithRetryLevel", constructor == forBreaker, "although a breaker has no retries: leave it out")
		unused("WithRetryLevel", constructor != forBreaker && all.logger == nil, "without a logger: add WithLogger")
	}
	if all.logger != nil {
		all.observers = append(all.observers, &log{logger: all.logger, retryLevel: level})
	}
	switch len(all.observers) {
	case 0:
	case 1:
		all.observer = all.observers[0]
	default:
		all.observer = all.observers
	}
	return all
}
