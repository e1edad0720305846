// Package wire makes one HTTP round trip over net/http. It times the phases, bounds
// connections and bodies, and knows what was sent and what has arrived. It reports
// facts: what they mean for a call is decided above it.
package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxResponseHeader bounds the headers of an answer.
const maxResponseHeader = 1 << 20

// TransportConfig configures a client's own transport. A limit that is zero is none.
type TransportConfig struct {
	Connect      time.Duration // of a dial, and again of its TLS handshake
	MaxConns     int
	MaxIdleConns int // zero keeps none
	IdleExpiry   time.Duration
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials the network
	TLS          *tls.Config                                                       // is copied; nil for the defaults
	Protocols    *http.Protocols                                                   // nil for HTTP/1.1, and HTTP/2 over TLS
}

// Transport is a client's own: net/http's, with a limit on its connections. net/http
// waits for sockets, and by the clock of the system: so the World of its requests is
// the real one, and RoundTrip.Do panics in any other.
//
// net/http cannot keep new requests from an HTTP/2 connection and let its streams live on.
// So the Transport then goes on with another http.Transport, which has an empty pool. The
// one before gets no more requests, and its connections are closed after their last.
type Transport struct {
	limiter connLimiter
	cfg     TransportConfig
	current atomic.Pointer[http.Transport]
	lost    atomic.Pointer[lost] // the last connection that has failed, until the next request
}

// lost is a connection that failed a round trip.
type lost struct {
	taken
	pool *http.Transport // that it was of
}

// NewTransport returns a transport with HTTP/2 and the proxies of the environment,
// both of which a literal http.Transport lacks.
func NewTransport(cfg TransportConfig) *Transport {
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	t := &Transport{
		cfg:     cfg,
		limiter: connLimiter{max: cfg.MaxConns, head: make(chan struct{}, 1), freed: make(chan struct{}, 1), look: make(chan struct{}, 1)},
	}
	t.current.Store(t.pool())
	return t
}

// pool returns an http.Transport without connections.
func (t *Transport) pool() *http.Transport {
	cfg := &t.cfg
	p := new(http.Transport)
	*p = http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !t.limiter.acquire() {
				return nil, errFull
			}
			r, _ := ctx.Value(roundTripKey{}).(*RoundTrip)
			if err := r.endedEarly(); err != nil {
				t.limiter.release()
				return nil, err
			}
			search := r.dialling(0)
			conn, err := dialWithin(ctx, cfg.Connect, func(ctx context.Context) (net.Conn, error) { return cfg.Dial(ctx, network, addr) })
			if err != nil {
				t.limiter.release()
				return nil, err
			}
			r.dialling(search)
			c := &trackedConn{Conn: conn, transport: t, limiter: &t.limiter, pool: p}
			c.http2.Store(onlyCleartextHTTP2(p))
			return t.limiter.track(c), nil
		},
		TLSClientConfig:        cfg.TLS.Clone(),
		Protocols:              cfg.Protocols,
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
	trackHTTP2(p)
	return p
}

// RoundTrip sends a request without a RoundTrip of this package.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.current.Load().RoundTrip(req)
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() { t.current.Load().CloseIdleConnections() }

// retire is called before a request. It closes the idle connections that may have ended
// like the one that was lost. If streams of HTTP/2 use such a connection, they live on, and
// later requests have another pool. The pool before is not told to close what is idle:
// it would close a connection that was just dialled for a request.
//
// Until a request needs a connection there is time to hear of those in doubt: net/http
// sends a PING after a request that it gives up over HTTP/2.
func (t *Transport) retire() {
	if t.lost.Load() == nil {
		return
	}
	l := t.lost.Swap(nil)
	if l != nil && t.limiter.retire(l.taken, l.pool) && t.current.CompareAndSwap(l.pool, t.pool()) {
		t.limiter.closeIdle(l.pool)
	}
}

// Close closes every connection, in use or not. http.Transport closes idle ones only,
// and an HTTP/2 connection is idle a while after the last call that used it.
func (t *Transport) Close() {
	t.CloseIdleConnections()
	t.limiter.closeAll()
}

// trackHTTP2 calls expectSettings between a connection's handshake and HTTP/2's first
// write. The hooks of a request do not tell which connection a handshake is of, and two
// may be under way for one request.
func trackHTTP2(p *http.Transport) {
	p.CloseIdleConnections() // there are none: net/http sets up its HTTP/2
	if next := p.TLSNextProto["h2"]; next != nil {
		p.TLSNextProto["h2"] = func(authority string, conn *tls.Conn) http.RoundTripper {
			if tracked := trackedBelow(conn); tracked != nil {
				tracked.expectSettings()
			}
			return next(authority, conn)
		}
	}
}

// onlyCleartextHTTP2 reports whether p speaks HTTP/2 over every connection without TLS.
func onlyCleartextHTTP2(p *http.Transport) bool {
	return p.Protocols != nil && p.Protocols.UnencryptedHTTP2() && !p.Protocols.HTTP1()
}

// netHTTP returns net/http's transport if rt is one or a Transport, and else nil.
func netHTTP(rt http.RoundTripper) *http.Transport {
	switch rt := rt.(type) {
	case *Transport:
		return rt.current.Load()
	case *http.Transport:
		return rt
	}
	return nil
}
