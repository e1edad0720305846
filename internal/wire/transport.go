// Package wire is one HTTP attempt over net/http: the connections it goes over,
// the bodies it sends, drains and bounds, and what its failures and answers
// mean to the rules above.
package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
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
}

// NewTransport returns a transport with HTTP/2, and with the proxies of the
// environment: a Transport made by hand has neither unless told.
func NewTransport(cfg TransportConfig) *http.Transport {
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// The Transport goes on dialling after the request that wanted the
		// connection has ended, so the limit has to be inside the dial.
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if cfg.Connect <= 0 {
				return dial(ctx, network, addr)
			}
			ctx, cancel := context.WithTimeoutCause(ctx, cfg.Connect, errConnect)
			defer cancel()
			conn, err := dial(ctx, network, addr)
			if err != nil && context.Cause(ctx) == errConnect {
				return nil, &connectTimeout{err}
			}
			return conn, err
		},
		TLSHandshakeTimeout:    cfg.Connect,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        cfg.MaxConns,
		MaxIdleConns:           cfg.MaxIdleConns,
		MaxIdleConnsPerHost:    cfg.MaxIdleConns,
		DisableKeepAlives:      cfg.MaxIdleConns == 0,
		IdleConnTimeout:        cfg.IdleExpiry,
		MaxResponseHeaderBytes: maxResponseHeader,
		// A connection that answers no PING is dead, and would be used for ever.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	return t
}

// Trace is what is known of an attempt besides its answer.
type Trace struct {
	// Connected means that a connection was had, so that the request may have
	// reached the service. Without one it provably has not.
	Connected bool
	// Reused means that others had used the connection before.
	Reused bool
}

var errNothing = errors.New("the transport returned neither an answer nor an error")

// RoundTrip makes one attempt. Redirects are answers like others.
func RoundTrip(rt http.RoundTripper, req *http.Request) (*http.Response, Trace, error) {
	own, ok := rt.(*http.Transport)
	if !ok { // somebody else's: it need not tell when it has a connection
		resp, err := rt.RoundTrip(req)
		switch {
		case err != nil:
		case resp == nil:
			err = errNothing
		case resp.Body == nil: // a fake's, as http.Client allows it
			resp.Body = http.NoBody
		}
		return resp, Trace{Connected: true}, err
	}
	// The hook may be called after RoundTrip has returned, when a connection comes
	// for a request that has given up; so its findings have a channel of their own.
	got := make(chan bool, 1)
	resp, err := own.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			select {
			case got <- info.Reused:
			default: // the Transport sends it again over another connection
			}
		},
	})))
	select {
	case reused := <-got:
		return resp, Trace{Connected: true, Reused: reused}, err
	default:
		return resp, Trace{}, err
	}
}
