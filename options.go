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
// constructor reports an option that it has no use for as a problem.
type Option func(*options)

type options struct {
	observers   observers
	instruments instruments
	logger      *slog.Logger
	retryLevel  *slog.Level // nil for DEBUG
	transport   http.RoundTripper
	dial        func(ctx context.Context, network, addr string) (net.Conn, error)
	tls         *tls.Config // nil for the defaults
}

// WithObserver adds an observer. Each observer receives every event; the logger of
// WithLogger is one more of them.
func WithObserver(o Observer) Option {
	return func(all *options) { all.observers = append(all.observers, o) }
}

// WithLogger logs to l: a breaker that opens and calls that it rejects at WARN, a
// breaker that recovers at INFO, all else at DEBUG. Default: no log.
func WithLogger(l *slog.Logger) Option {
	return func(all *options) { all.logger = l }
}

// WithRetryLevel sets the level of the message "retrying". Default DEBUG. It needs
// WithLogger.
func WithRetryLevel(l slog.Level) Option {
	return func(all *options) { all.retryLevel = &l }
}

// WithTransport makes a client send through rt instead of a transport of its own:
// a fake in a test, or a transport that is shared. Timeouts.Connect and Pool do not
// apply to rt, and Close does not close it. For a private authority or a client
// certificate use WithTLSConfig, which leaves all else as it is.
func WithTransport(rt http.RoundTripper) Option {
	return func(all *options) { all.transport = rt }
}

// WithDialContext makes a client open its connections with dial. It cannot be used
// beside WithTransport. In a testing/synctest bubble, a fault server's Dial serves
// the whole client from memory.
func WithDialContext(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(all *options) { all.dial = dial }
}

// WithTLSConfig makes a client's TLS connections with cfg: RootCAs for a private
// authority, Certificates or GetClientCertificate for a service that asks for a
// client certificate. New takes a copy. HTTP/2 stays on, whatever NextProtos
// contains. It cannot be used beside WithTransport.
func WithTLSConfig(cfg *tls.Config) Option {
	return func(all *options) { all.tls = cfg }
}

// The constructors that take options.
const (
	forBreaker = iota
	forPolicy
	forClient
)

// collect applies opts, and adds a problem for each that has no use in constructor.
func (c *check) collect(opts []Option, constructor int) *options {
	all := new(options)
	for _, o := range opts {
		o(all)
	}
	useless := func(option string, is bool, why string) {
		if is {
			c.problems = append(c.problems, fmt.Errorf("holdfast: %s is set %s", option, why))
		}
	}
	const elsewhere = "although only a client opens connections: leave it out"
	useless("WithTransport", all.transport != nil && constructor != forClient, elsewhere)
	useless("WithDialContext", all.dial != nil && constructor != forClient, elsewhere)
	useless("WithTLSConfig", all.tls != nil && constructor != forClient, elsewhere)
	if all.transport != nil && constructor == forClient {
		const beside = "beside WithTransport, which opens connections itself: set one of them"
		useless("WithDialContext", all.dial != nil, beside)
		useless("WithTLSConfig", all.tls != nil, beside)
	}
	useless("WithInstrument", all.instruments != nil && constructor == forBreaker, "although a breaker makes no attempt: leave it out")
	if all.retryLevel != nil {
		useless("WithRetryLevel", constructor == forBreaker, "although a breaker has no retries: leave it out")
		useless("WithRetryLevel", constructor != forBreaker && all.logger == nil, "without a logger: add WithLogger")
	}
	return all
}

// observer is the one observer that is told of everything, nil if there is none.
func (o *options) observer() Observer {
	all := o.observers
	if o.logger != nil {
		level := slog.LevelDebug
		if o.retryLevel != nil {
			level = *o.retryLevel
		}
		all = append(all, &log{logger: o.logger, retryLevel: level})
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}
