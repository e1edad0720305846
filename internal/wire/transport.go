// Package wire is one HTTP attempt over net/http: the connections it goes over,
// the bodies it sends, drains and bounds, and what its failures and answers
// mean to the rules above.
package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// maxResponseHeader bounds the headers of an answer.
const maxResponseHeader = 1 << 20

// TransportConfig is what a client's own transport needs to know. Zero is none,
// for each of the limits.
type TransportConfig struct {
	Connect      time.Duration // to open a connection, and again for its TLS handshake
	MaxConns     int
	MaxIdleConns int // zero keeps none
	IdleExpiry   time.Duration
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials the network
	TLS          *tls.Config                                                       // which is copied; nil for the defaults
}

// Transport is a client's own: net/http's, of which it knows how many connections
// there are.
type Transport struct {
	*http.Transport
	lot lot
}

// NewTransport returns a transport with HTTP/2, and with the proxies of the
// environment: a Transport made by hand has neither unless told.
func NewTransport(cfg TransportConfig) *Transport {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	own := &Transport{lot: lot{max: cfg.MaxConns, turn: make(chan struct{}, 1), freed: make(chan struct{}, 1)}}
	own.Transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// The Transport goes on dialling after the request that wanted the
		// connection has ended, so the limit has to be inside the dial.
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			// The request that wants the connection has a clock of its own, which
			// may see to it that nobody waits for this dial any more.
			trip, _ := ctx.Value(tripKey{}).(*Trip)
			if !own.lot.enter() {
				return nil, errFull
			}
			search := trip.dialling()
			var limit time.Time
			if cfg.Connect > 0 {
				limit = time.Now().Add(cfg.Connect)
				limited, cancel := context.WithDeadline(ctx, limit)
				defer cancel()
				ctx = limited
			}
			conn, err := dial(ctx, network, addr)
			if err != nil {
				own.lot.leave()
			}
			switch {
			case err == nil:
				trip.connecting(search)
				return own.lot.hold(conn), nil
			// A socket keeps the deadline itself, and may find it passed before the
			// context does.
			case !limit.IsZero() && !time.Now().Before(limit):
				return nil, &connectTimeout{err}
			}
			return nil, err
		},
		TLSClientConfig:        cfg.TLS.Clone(),
		TLSHandshakeTimeout:    cfg.Connect,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        cfg.MaxConns,
		MaxIdleConns:           cfg.MaxIdleConns,
		MaxIdleConnsPerHost:    cfg.MaxIdleConns,
		DisableKeepAlives:      cfg.MaxIdleConns == 0,
		IdleConnTimeout:        cfg.IdleExpiry,
		MaxResponseHeaderBytes: maxResponseHeader,
		ExpectContinueTimeout:  time.Second, // as http.DefaultTransport
		// A connection that answers no PING is dead, and would be used for ever.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	own.greetHTTP2()
	return own
}

// netHTTP is net/http's transport if rt is one, and else nil.
func netHTTP(rt http.RoundTripper) *http.Transport {
	switch rt := rt.(type) {
	case *Transport:
		return rt.Transport
	case *http.Transport:
		return rt
	}
	return nil
}

// greetHTTP2 puts greet between the handshake of a connection and what HTTP/2 writes
// first. The hooks of a request do not tell which connection a handshake was of, and
// two may be under way for the same request.
func (t *Transport) greetHTTP2() {
	t.CloseIdleConnections() // there are none: it makes net/http set up its HTTP/2
	if next := t.TLSNextProto["h2"]; next != nil {
		t.TLSNextProto["h2"] = func(authority string, conn *tls.Conn) http.RoundTripper {
			if count := countedBelow(conn); count != nil {
				count.greet()
			}
			return next(authority, conn)
		}
	}
}

// Close closes every connection, in use or not. net/http closes those that are
// idle, and over HTTP/2 one is not until its last stream has been put away, a
// while after the call that had it has ended.
func (t *Transport) Close() {
	t.CloseIdleConnections()
	t.lot.clear()
}
