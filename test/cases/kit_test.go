// Package cases has small programs that rebuild reports of people who call APIs, each in
// virtual time and over connections in memory.
package cases

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/pipe"
)

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// host is an HTTP server in memory. After move, what was connected before swallows what is
// written to it (mode dark), or resets the connection (mode rst). New connections are well.
type host struct {
	url   string
	trust *tls.Config // for HTTP/2
	mode  string
	moves atomic.Int64
	pipe  *pipe.Listener
}

// server serves over HTTP/1.1.
func server(t *testing.T, h http.HandlerFunc) *host {
	s, p := unstarted(h)
	s.Start()
	t.Cleanup(s.Close)
	return &host{url: "http://host.test", pipe: p}
}

// serverH2 serves over HTTP/2.
func serverH2(t *testing.T, h http.HandlerFunc) *host {
	s, p := unstarted(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.NextProtos = nil
	return &host{url: "https://example.com", trust: trust, pipe: p} // the name in the certificate
}

func unstarted(h http.HandlerFunc) (*httptest.Server, *pipe.Listener) {
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	p := pipe.Listen()
	s.Listener = p
	return s, p
}

func (h *host) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := h.pipe.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, host: h, born: h.moves.Load()}, nil
}

// conn is a connection that may belong to a place from which the host has moved.
type conn struct {
	net.Conn
	host  *host
	born  int64
	reset atomic.Bool
}

func (c *conn) Write(p []byte) (int, error) {
	if c.host.moves.Load() == c.born {
		return c.Conn.Write(p)
	}
	if c.host.mode == "rst" {
		c.reset.Store(true)
		_ = c.Conn.Close()
	}
	return len(p), nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.reset.Load() {
		err = syscall.ECONNRESET
	}
	return n, err
}

// client calls h.
func client(t *testing.T, h *host, f func(*holdfast.Config), opts ...holdfast.Option) *holdfast.Client {
	cfg := holdfast.Config{BaseURL: h.url, Retry: holdfast.Retry{BaseDelay: 5 * time.Millisecond, MaxDelay: 20 * time.Millisecond}}
	if f != nil {
		f(&cfg)
	}
	opts = append([]holdfast.Option{holdfast.WithDialContext(h.dial)}, opts...)
	if h.trust != nil {
		opts = append(opts, holdfast.WithTLSConfig(h.trust))
	}
	c, err := holdfast.New(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		synctest.Wait()
		time.Sleep(time.Second) // net/http takes half a second to close a connection that it cuts
	})
	return c
}

// crowd calls f n times at once.
func crowd(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}
