package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// secure returns a TLS server that speaks HTTP/2, and a transport that trusts it.
func secure(t *testing.T, cfg TransportConfig, h http.HandlerFunc) (*Transport, *httptest.Server) {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.TLS.RootCAs.AddCert(s.Certificate())
	rt := NewTransport(cfg)
	t.Cleanup(rt.CloseIdleConnections)
	return rt, s
}

// do makes one round trip.
func do(rt http.RoundTripper, req *http.Request, limits Limits) (*http.Response, *RoundTrip, error) {
	roundTrip := new(RoundTrip)
	roundTrip.Start(&attempt{Context: req.Context()}, time.Now(), time.Time{}, &limits)
	resp, err := roundTrip.Do(rt, req.WithContext(roundTrip))
	return resp, roundTrip, err
}

// attempt is a Context, as lazyctx.Context is in a program.
type attempt struct {
	context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
}

func (a *attempt) begin() {
	a.once.Do(func() { a.Context, a.cancel = context.WithCancelCause(a.Context) })
}
func (a *attempt) Done() <-chan struct{}          { a.begin(); return a.Context.Done() }
func (a *attempt) AfterFunc(f func()) func() bool { a.begin(); return context.AfterFunc(a.Context, f) }
func (a *attempt) Extend(time.Time)               {}
func (a *attempt) Expire()                        { a.begin(); a.cancel(context.DeadlineExceeded) }
func (a *attempt) End()                           { a.begin(); a.cancel(context.Canceled) }

func get(t *testing.T, ctx context.Context, url string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type body struct {
	io.Reader
	read   int
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}
func (b *body) Close() error { b.closed = true; return nil }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// source is a body that counts its Closes. A Close frees a Read that blocks.
type source struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	if c, ok := s.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (s *source) closes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// echoing answers each request of HTTP/1.1 with its body, after while.
func echoing(conn net.Conn, while func()) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		while()
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}
