package holdfast

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
)

// Option is what is no setting: a part that a program hands in. An option that a
// constructor has no use for is ignored by it.
type Option func(*options)

type options struct {
	observers  observers
	logger     *slog.Logger
	retryLevel slog.Level
	transport  http.RoundTripper
	dial       func(ctx context.Context, network, addr string) (net.Conn, error)
	tls        *tls.Config // nil for the defaults
}

// WithObserver adds an observer. Each sees every event; the logger of WithLogger
// is one more of them.
func WithObserver(o Observer) Option {
	return func(all *options) { all.observers = append(all.observers, o) }
}

// WithLogger logs to l: a breaker that opens at WARN, one that recovers at INFO,
// all else at DEBUG. Without it holdfast is silent.
func WithLogger(l *slog.Logger) Option {
	return func(all *options) { all.logger = l }
}

// WithRetryLevel sets the level of "retrying", DEBUG unless told otherwise. Some
// want to see retries at INFO.
func WithRetryLevel(l slog.Level) Option {
	return func(all *options) { all.retryLevel = l }
}

// WithTransport makes a client send through rt instead of its own transport:
// a fake in a test, or one that is shared. Timeouts.Connect and Pool are then
// rt's own business, and Close does not close it. For a private authority or a
// client certificate use WithTLSConfig, which leaves everything else as it is.
func WithTransport(rt http.RoundTripper) Option {
	return func(all *options) { all.transport = rt }
}

// WithDialContext makes a client open its connections with dial. In a
// testing/synctest bubble, a fault server's Dial serves the whole client from
// memory.
func WithDialContext(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(all *options) { all.dial = dial }
}

// WithTLSConfig makes a client's TLS connections with cfg: RootCAs for a private
// authority, Certificates or GetClientCertificate for a service that wants to
// know its clients. New takes a copy. HTTP/2 stays on, whatever NextProtos says.
// With WithTransport it has no effect, since TLS is then that transport's.
func WithTLSConfig(cfg *tls.Config) Option {
	return func(all *options) { all.tls = cfg }
}

func collect(opts []Option) options {
	all := options{retryLevel: slog.LevelDebug}
	for _, o := range opts {
		o(&all)
	}
	return all
}

// observer is the one that everything is told to, nil if nobody listens.
func (o *options) observer() Observer {
	all := o.observers
	if o.logger != nil {
		all = append(all, newLog(o.logger, o.retryLevel))
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}
