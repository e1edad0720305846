package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// talk serves HTTP/1.1 by hand. answer is called for each request with its number on the
// connection.
func talk(t *testing.T, secure bool, answer func(conn net.Conn, n int, req *http.Request)) (url string, opened *atomic.Int64) {
	s := httptest.NewUnstartedServer(nil)
	if secure {
		s.StartTLS() // for the certificate
		s.Close()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	opened = new(atomic.Int64)
	url = "http://" + l.Addr().String()
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates})
		url = "https://" + l.Addr().String()
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			opened.Add(1)
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for n := 1; ; n++ {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					answer(conn, n, req)
				}
			}()
		}
	}()
	return url, opened
}

// ok is an answer with a body.
func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// untrusting is a Transport that accepts any certificate.
func untrusting(t *testing.T, cfg TransportConfig) *Transport {
	cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	rt := NewTransport(cfg)
	t.Cleanup(rt.Close)
	return rt
}

// body makes a round trip and reads its answer.
func bodyOf(rt http.RoundTripper, req *http.Request) (string, *RoundTrip, error) {
	resp, r, err := do(rt, req, Limits{})
	defer r.End()
	if err != nil {
		return "", r, err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(b), r, err
}

// beforeWrite is a context in which f is called just before a request is written at first: net/http
// expects its answer, and has read nothing since the last.
func beforeWrite(t *testing.T, f func(began <-chan struct{})) context.Context {
	began := make(chan struct{})
	return httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteHeaders:         sync.OnceFunc(func() { f(began) }), // net/http may send it again
		GotFirstResponseByte: sync.OnceFunc(func() { close(began) }),
	})
}

// An answer that is there before its request is written is not taken for its answer, and
// nothing of the request is written.
func TestSurplusBeforeWrite(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS=%t", secure), func(t *testing.T) {
			surplus := make(chan struct{})
			var asked atomic.Int64
			url, opened := talk(t, secure, func(conn net.Conn, n int, req *http.Request) {
				asked.Add(1)
				_, _ = io.WriteString(conn, ok(req.URL.Path))
				if n == 1 {
					go func() {
						<-surplus
						_, _ = io.WriteString(conn, ok("of another"))
					}()
				}
			})
			rt := untrusting(t, TransportConfig{MaxConns: 2, MaxIdleConns: 2})
			if b, _, err := bodyOf(rt, get(t, t.Context(), url+"/1")); err != nil || b != "/1" {
				t.Fatal(b, err)
			}
			ctx := beforeWrite(t, func(began <-chan struct{}) {
				surplus <- struct{}{}
				<-began
			})
			b, r, err := bodyOf(rt, get(t, ctx, url+"/2"))
			switch {
			case err == nil && b != "/2":
				t.Fatalf("the answer is %q", b)
			case err != nil && (!errors.Is(err, errSurplus) || r.Sent(err) || !r.Missed()):
				t.Fatal(err, r.Sent(err), r.Missed())
			case err != nil && asked.Load() != 1:
				t.Fatal("it was sent")
			case err == nil && (asked.Load() != 2 || opened.Load() != 2):
				t.Fatalf("%d requests on %d connections", asked.Load(), opened.Load())
			}
			if b, _, err := bodyOf(rt, get(t, t.Context(), url+"/3")); err != nil || b != "/3" {
				t.Error("the next:", b, err)
			}
		})
	}
}

// The rest of an answer is in net/http's buffer when the next request, which waits for the
// connection, gets it. Seven users never get an answer of another.
func TestSurplusInBuffer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS=%t", secure), func(t *testing.T) {
			url, _ := talk(t, secure, func(conn net.Conn, _ int, req *http.Request) {
				a := ok(req.URL.Path)
				_, _ = io.WriteString(conn, a+a)
			})
			rt := untrusting(t, TransportConfig{MaxConns: 2, MaxIdleConns: 2})
			var users sync.WaitGroup
			for user := range 7 {
				users.Go(func() {
					path := fmt.Sprint("/", user)
					for range 20 {
						b, r, err := bodyOf(rt, get(t, t.Context(), url+path))
						if err == nil && b != path || err != nil && (!errors.Is(err, errSurplus) || r.Sent(err)) {
							t.Errorf("%s: %q, %v", path, b, err)
							return
						}
						rt.once.Store(0) // connections are used again
					}
				})
			}
			users.Wait()
		})
	}
}

// After surplus bytes on an idle connection each connection has one request, for a time.
// A 408 is no such bytes.
func TestSurplusWhileIdle(t *testing.T) {
	for rest, surplus := range map[string]bool{
		ok("of another"): true, "x": true, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n": false,
	} {
		t.Run(strings.TrimSpace(rest[:min(len(rest), 12)]), func(t *testing.T) {
			more := make(chan struct{})
			var once sync.Once
			var kept atomic.Int64
			url, opened := talk(t, false, func(conn net.Conn, _ int, req *http.Request) {
				if !req.Close {
					kept.Add(1)
				}
				_, _ = io.WriteString(conn, ok(req.URL.Path))
				once.Do(func() {
					<-more
					_, _ = io.WriteString(conn, rest)
				})
			})
			rt := untrusting(t, TransportConfig{MaxConns: 2, MaxIdleConns: 2})
			if b, _, err := bodyOf(rt, get(t, t.Context(), url+"/1")); err != nil || b != "/1" {
				t.Fatal(b, err)
			}
			close(more)
			for rt.limiter.count() > 0 { // net/http closes it
				runtime.Gosched()
			}
			if got := rt.once.Load() != 0; got != surplus {
				t.Fatalf("surplus bytes: %t, want %t", got, surplus)
			}
			if !surplus {
				return
			}
			for range 2 {
				if b, _, err := bodyOf(rt, get(t, t.Context(), url+"/2")); err != nil || b != "/2" {
					t.Error(b, err)
				}
			}
			if opened.Load() != 3 || kept.Load() != 1 {
				t.Errorf("%d connections, %d kept", opened.Load(), kept.Load())
			}
			if !rt.limiter.both { // the pool before and this one have connections
				t.Error("the connections of both pools together are not bounded")
			}
			rt.once.Store(1) // long ago
			for range 2 {
				if b, _, err := bodyOf(rt, get(t, t.Context(), url+"/3")); err != nil || b != "/3" {
					t.Error(b, err)
				}
			}
			if rt.once.Load() != 0 || kept.Load() < 2 {
				t.Errorf("connections are not used again: %d", kept.Load())
			}
		})
	}
}

// Bytes that the socket has and that were not read yet are found before the request is written.
func TestSurplusInSocket(t *testing.T) {
	service, client := pair(t)
	rt := NewTransport(TransportConfig{})
	c := rt.limiter.track(&trackedConn{Conn: client, transport: rt, limiter: &rt.limiter})
	defer c.Close()
	c.reading.Store(true)
	c.state.Store(stateReused)
	if n, err := c.Write([]byte("one")); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	c.state.Store(stateReused)
	if _, err := io.WriteString(service, ok("of another")); err != nil {
		t.Fatal(err)
	}
	for len(c.look.bytes()) == 0 {
		runtime.Gosched()
	}
	if n, err := c.Write([]byte("two")); n != 0 || err != errSurplus || rt.once.Load() == 0 {
		t.Error(n, err, rt.once.Load())
	}
	if n, err := c.ReadFrom(strings.NewReader("three")); n != 0 || err != errSurplus {
		t.Error(n, err)
	}
}

// A Write that waits for net/http to read is told what is found meanwhile.
func TestSurplusDuringWrite(t *testing.T) {
	for name, c := range map[string]struct {
		found   func(*RoundTrip, *trackedConn)
		surplus bool
	}{
		"in net/http's buffer": {func(r *RoundTrip, c *trackedConn) { r.answerBegins() }, true},
		"in a Read":            {func(_ *RoundTrip, c *trackedConn) { c.readEnds([]byte("x"), nil) }, true},
		"earlier":              {func(_ *RoundTrip, c *trackedConn) { c.transport.metSurplus(); c.readBegins() }, true},
		"nothing":              {func(_ *RoundTrip, c *trackedConn) { c.readBegins() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := pair(t)
			rt := NewTransport(TransportConfig{MaxIdleConns: 1})
			conn := rt.limiter.track(&trackedConn{Conn: client, transport: rt, limiter: &rt.limiter})
			defer conn.Close()
			r := new(RoundTrip)
			conn.ask(r, httptrace.GotConnInfo{Conn: conn, Reused: true})
			r.conn.tracked = conn
			written := make(chan error)
			go func() {
				_, err := conn.Write([]byte("x"))
				written <- err
			}()
			for !conn.waiting.Load() {
				runtime.Gosched()
			}
			c.found(r, conn)
			if err := <-written; errors.Is(err, errSurplus) != c.surplus {
				t.Error(err)
			}
			conn.mu.Lock()
			defer conn.mu.Unlock()
			if conn.tooLate {
				t.Error("the Write has waited for its limit")
			}
			if got := rt.once.Load() != 0; got != c.surplus {
				t.Errorf("surplus bytes are known: %t", got)
			}
		})
	}
}

// Of a connection of another transport less is known: the bytes that its socket has before
// the request, and an answer that begins before the request's headers are made.
func TestSurplusOfOtherTransport(t *testing.T) {
	other := func(r *RoundTrip, reused bool, conn net.Conn) {
		r.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
		r.gotConn(httptrace.GotConnInfo{Conn: conn, Reused: reused})
	}
	for _, reused := range []bool{false, true} {
		service, client := pair(t)
		if _, err := io.WriteString(service, ok("of another")); err != nil {
			t.Fatal(err)
		}
		for !hasBytes(client) {
			runtime.Gosched()
		}
		var r RoundTrip
		other(&r, reused, client)
		if r.Missed() != reused || r.Sent(nil) == reused {
			t.Errorf("bytes before the request, reused=%t: missed %t, sent %t", reused, r.Missed(), r.Sent(nil))
		}
		r.End()
		for _, early := range []bool{false, true} {
			_, client := pair(t)
			var r RoundTrip
			other(&r, reused, client)
			if !early {
				r.wroteHeaders()
			}
			r.gotFirstResponseByte()
			_, err := r.withoutSurplus(new(http.Response), nil)
			if got := err != nil; got != (early && reused) || got && !r.Sent(err) {
				t.Errorf("reused=%t, early=%t: %v, sent %t", reused, early, err, r.Sent(err))
			}
			r.End()
		}
	}
}

// net/http closes an idle connection that has bytes in its buffer. For another reason that
// says nothing.
func TestSurplusAtClose(t *testing.T) {
	for name, change := range map[string]func(*trackedConn){
		"":                    func(*trackedConn) {},
		"it is not idle":      func(c *trackedConn) { c.state.Store(stateOpen) },
		"it waits for bytes":  func(c *trackedConn) { c.readBegins() },
		"the service ends it": func(c *trackedConn) { c.readEnds(nil, io.EOF) },
		"TLS has ended":       func(c *trackedConn) { c.secure.Store(true) },
		"it is retired":       func(c *trackedConn) { c.users.Store(retired) },
		"it is given up":      func(c *trackedConn) { abandon(c) },
		"all idle are closed": func(c *trackedConn) { c.transport.closing.Add(1) },
	} {
		_, client := pair(t)
		rt := NewTransport(TransportConfig{MaxIdleConns: 1})
		c := rt.limiter.track(&trackedConn{Conn: client, transport: rt, limiter: &rt.limiter})
		c.state.Store(stateIdle)
		change(c)
		_ = c.Close()
		if got := rt.once.Load() != 0; got != (name == "") {
			t.Errorf("%s: surplus bytes are known: %t", name, got)
		}
	}
}

// A service that has no room may decline on a new connection before it was asked. It cannot
// have done what was asked.
func TestEarlyAnswerOnNewConnection(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			service, client := pair(t)
			rt := NewTransport(TransportConfig{MaxIdleConns: 1, Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
			defer rt.Close()
			ctx := beforeWrite(t, func(began <-chan struct{}) {
				fmt.Fprintf(service, "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
				<-began
			})
			resp, r, err := do(rt, get(t, ctx, "http://service.test/"), Limits{})
			defer r.End()
			switch {
			case status == http.StatusOK && (!errors.Is(err, errSurplus) || r.Reused() || r.Missed()):
				t.Error(err, r.Reused(), r.Missed())
			case status != http.StatusOK && (err != nil || resp.StatusCode != status):
				t.Error(resp, err)
			}
		})
	}
}

// A Write does not wait for ever for net/http to read.
func TestWriteWithoutReader(t *testing.T) {
	_, client := pair(t)
	rt := NewTransport(TransportConfig{})
	c := rt.limiter.track(&trackedConn{Conn: client, transport: rt, limiter: &rt.limiter})
	c.state.Store(stateReused)
	if n, err := c.Write([]byte("x")); n != 0 || err != errSurplus {
		t.Error(n, err)
	}
	c.state.Store(stateFirst)
	if n, err := c.Write([]byte("x")); n != 1 || err != nil {
		t.Error(n, err)
	}
	c.state.Store(stateReused)
	written := make(chan error)
	go func() {
		_, err := c.Write([]byte("x"))
		written <- err
	}()
	_ = c.Close()
	if err := <-written; err == nil {
		t.Error("a closed connection was written to")
	}
}

// pair returns the two ends of a connection.
func pair(t *testing.T) (service, client net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if service, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), service.Close() })
	return service, client
}

// count is the number of connections and dials.
func (l *connLimiter) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
