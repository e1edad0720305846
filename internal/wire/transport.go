// Package wire makes one HTTP round trip over net/http. It times the phases, bounds
// connections and bodies, and knows what was sent and what has arrived. It reports
// facts: what they mean for a call is decided above it.
package wire

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// maxResponseHeader bounds the headers of an answer.
const maxResponseHeader = 1 << 20

// TransportConfig configures a client's own transport. A limit that is zero is none.
type TransportConfig struct {
	Connect      time.Duration // of a dial, and again of its TLS handshake
	MaxConns     int
	MaxIdleConns int // zero keeps none
	MaxStreams   int // connections beside MaxConns, of streams over HTTP/1.1
	IdleExpiry   time.Duration
	MaxAge       time.Duration
	Attempt      time.Duration                                                     // the limit of an attempt: a connection of HTTP/2 that is dead is found within it
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials the network
	TLS          *tls.Config                                                       // is copied; nil for the defaults
	Proxy        func(*http.Request) (*url.URL, error)                             // nil for none

	UnencryptedHTTP2 bool // HTTP/2 without TLS, and no HTTP/1.1
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
	closing atomic.Int32         // calls that close what is idle
	once    atomic.Int64         // until when a connection is used once, in Unix nanoseconds; zero is never
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
		cfg.Dial = dialNetwork
	}
	t := &Transport{
		cfg:     cfg,
		limiter: connLimiter{max: cfg.MaxConns, both: cfg.MaxStreams > 0, head: make(chan struct{}, 1), freed: make(chan struct{}, 1), look: make(chan struct{}, 1)},
	}
	t.current.Store(t.pool())
	return t
}

// pool returns an http.Transport without connections.
func (t *Transport) pool() *http.Transport {
	cfg := &t.cfg
	p := new(http.Transport)
	*p = http.Transport{
		Proxy: cfg.Proxy,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !t.limiter.acquire(addr) {
				return nil, errFull
			}
			r, _ := ctx.Value(roundTripKey{}).(*RoundTrip)
			if err := r.endedEarly(); err != nil {
				t.limiter.release()
				return nil, err
			}
			search := r.dialling(0)
			conn, err := dialWithin(ctx, cfg.Connect, func(ctx context.Context) (net.Conn, error) {
				if r != nil && r.PublicOnly {
					return dialPublic(ctx, network, addr, cfg.Dial)
				}
				return cfg.Dial(ctx, network, addr)
			})
			if err != nil {
				t.limiter.release()
				return nil, err
			}
			r.dialling(search)
			c := &trackedConn{Conn: conn, transport: t, limiter: &t.limiter, pool: p, addr: addr, expires: t.expiry()}
			c.http2.Store(onlyCleartextHTTP2(p))
			return t.limiter.track(c), nil
		},
		TLSClientConfig:        cfg.TLS.Clone(),
		TLSHandshakeTimeout:    cfg.Connect,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        t.maxConnsPerHost(),
		MaxIdleConns:           cfg.MaxIdleConns,
		MaxIdleConnsPerHost:    cfg.MaxIdleConns,
		DisableKeepAlives:      t.disablesKeepAlives(),
		IdleConnTimeout:        cfg.IdleExpiry,
		MaxResponseHeaderBytes: maxResponseHeader,
		ExpectContinueTimeout:  time.Second, // as http.DefaultTransport
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			return &ProxyAnswer{Proxy: Printable(proxy.Host), Host: Printable(req.Host), Status: resp.StatusCode, Header: resp.Header}
		},
		// A connection that answers no PING is dead, and would be used for ever.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingTime(cfg.Attempt), PingTimeout: pingTime(cfg.Attempt)},
	}
	if cfg.UnencryptedHTTP2 {
		p.Protocols = new(http.Protocols)
		p.Protocols.SetUnencryptedHTTP2(true)
		p.Protocols.SetHTTP2(true) // after a redirect to https
	}
	trackHTTP2(p)
	return p
}

// maxConnsPerHost is net/http's limit on connections. The limiter has that on those that
// carry no stream.
func (t *Transport) maxConnsPerHost() int {
	if t.cfg.MaxConns == 0 {
		return 0
	}
	return t.cfg.MaxConns + t.cfg.MaxStreams
}

// pingTime is how long nothing may be heard of a connection of HTTP/2 before a PING, and
// then again until its answer: together an attempt's limit. More PINGs than one each second
// are an attack to some services.
func pingTime(attempt time.Duration) time.Duration {
	const least, most = time.Second, 15 * time.Second
	if attempt <= 0 {
		return most
	}
	return min(max(attempt/2, least), most)
}

// expiry is the time from which on a connection that is dialled now is too old, in Unix
// nanoseconds; zero is never. Connections that were dialled together do not end together.
func (t *Transport) expiry() int64 {
	if t.cfg.MaxAge <= 0 {
		return 0
	}
	var w world.World // that of sockets
	return w.Now().Add(t.cfg.MaxAge - time.Duration(w.Chance()*float64(t.cfg.MaxAge)/10)).UnixNano()
}

// RoundTrip sends a request without a RoundTrip of this package.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.current.Load().RoundTrip(req)
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Transport) CloseIdleConnections() {
	t.closing.Add(1)
	defer t.closing.Add(-1)
	t.current.Load().CloseIdleConnections()
}

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

// outgrow is called by a request over a connection of HTTP/2 that is too old: later
// requests have another pool, if there is room for another connection. The last request
// closes the connection.
func (t *Transport) outgrow(c *trackedConn) {
	if t.current.Load() == c.pool && t.limiter.room() && t.current.CompareAndSwap(c.pool, t.pool()) {
		t.limiter.closeIdle(c.pool)
	}
}

// Close closes every connection, in use or not. http.Transport closes idle ones only,
// and an HTTP/2 connection is idle a while after the last call that used it.
func (t *Transport) Close() {
	t.closing.Add(1) // for ever
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
