// Package wire makes one HTTP round trip over net/http. It times the phases, bounds
// connections and bodies, and knows what was sent and what has arrived. It reports
// facts: what they mean for a call is decided above it.
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

// TransportConfig configures a client's own transport. A limit that is zero is none.
type TransportConfig struct {
	Connect      time.Duration // of a dial, and again of its TLS handshake
	MaxConns     int
	MaxIdleConns int // zero keeps none
	IdleExpiry   time.Duration
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials the network
	TLS          *tls.Config                                                       // is copied; nil for the defaults
}

// Transport is a client's own: net/http's, with a limit on its connections. net/http
// waits for sockets, and by the clock of the system: so the World of its requests is
// the real one, and RoundTrip.Do panics in any other.
type Transport struct {
	*http.Transport
	limiter connLimiter
}

// NewTransport returns a transport with HTTP/2 and the proxies of the environment,
// both of which a literal http.Transport lacks.
func NewTransport(cfg TransportConfig) *Transport {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	t := &Transport{limiter: connLimiter{max: cfg.MaxConns, head: make(chan struct{}, 1), freed: make(chan struct{}, 1), look: make(chan struct{}, 1)}}
	t.Transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !t.limiter.acquire() {
				return nil, errFull
			}
			r, _ := ctx.Value(roundTripKey{}).(*RoundTrip)
			search := r.dialling(0)
			conn, err := dialWithin(ctx, cfg.Connect, func(ctx context.Context) (net.Conn, error) { return dial(ctx, network, addr) })
			if err != nil {
				t.limiter.release()
				return nil, err
			}
			r.dialling(search)
			return t.limiter.track(conn), nil
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
	t.trackHTTP2()
	return t
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
func (t *Transport) trackHTTP2() {
	t.CloseIdleConnections() // there are none: net/http sets up its HTTP/2
	if next := t.TLSNextProto["h2"]; next != nil {
		t.TLSNextProto["h2"] = func(authority string, conn *tls.Conn) http.RoundTripper {
			if tracked := trackedBelow(conn); tracked != nil {
				tracked.expectSettings()
			}
			return next(authority, conn)
		}
	}
}

// netHTTP returns net/http's transport if rt is one or a Transport, and else nil.
func netHTTP(rt http.RoundTripper) *http.Transport {
	switch rt := rt.(type) {
	case *Transport:
		return rt.Transport
	case *http.Transport:
		return rt
	}
	return nil
}
