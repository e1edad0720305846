package holdfast_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
)

// stale answers the first request of its first connection, and closes the connection after
// it has read the second, like a server with a keep-alive timeout that ends then.
func stale(l net.Listener, hits *atomic.Int64) {
	for n := 1; ; n++ {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			for i := 1; ; i++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				if hits.Add(1); n == 1 && i == 2 {
					return
				}
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
				if req.Method != "HEAD" {
					fmt.Fprint(conn, "{}")
				}
			}
		}()
	}
}

// transports are the transports under which a client behaves the same: its own, net/http's,
// and net/http's within one and within two others, as tracing libraries wrap it.
var transports = []string{"own", "net/http", "wrapped", "wrapped twice"}

// transportOptions are the options for a transport that dials through p.
func transportOptions(t *testing.T, transport string, p *pipes, trust *tls.Config) []holdfast.Option {
	if transport == "own" {
		return []holdfast.Option{holdfast.WithDialContext(p.dial), holdfast.WithTLSConfig(trust)}
	}
	inner := &http.Transport{DialContext: p.dial, TLSClientConfig: trust, ForceAttemptHTTP2: true}
	t.Cleanup(inner.CloseIdleConnections)
	rt := http.RoundTripper(inner)
	switch transport {
	case "wrapped":
		rt = wrapped{rt}
	case "wrapped twice":
		rt = traced{traced{rt}}
	}
	return []holdfast.Option{holdfast.WithTransport(rt)}
}

// traced is a transport that clones the request and adds a value, hooks and a limit to its
// context.
type traced struct{ next http.RoundTripper }

func (w traced) RoundTrip(r *http.Request) (*http.Response, error) {
	type key struct{}
	ctx := context.WithValue(r.Context(), key{}, "span")
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {}})
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	resp, err := w.next.RoundTrip(r.Clone(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = closingBody{resp.Body, cancel}
	return resp, nil
}

// closingBody calls closed after its Close.
type closingBody struct {
	io.ReadCloser
	closed func()
}

func (c closingBody) Close() error { defer c.closed(); return c.ReadCloser.Close() }

// net/http would repeat these requests unseen. The client prevents it: the service sees as
// many requests as the client counts, for every method.
func TestHitsAreAttempts(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) { hitsAreAttempts(t, transport) })
	}
}

func hitsAreAttempts(t *testing.T, transport string) {
	for _, c := range []struct {
		method   string
		key      bool
		retries  int
		repeat   holdfast.Repeat
		attempts uint64 // of the second call
	}{
		{"GET", false, holdfast.Off, holdfast.RepeatKeyed, 2},
		{"GET", false, 3, holdfast.RepeatKeyed, 2},
		{"GET", false, 3, holdfast.RepeatNever, 1},
		{"HEAD", false, 3, holdfast.RepeatSafe, 2},
		{"GET", false, holdfast.Off, holdfast.RepeatNever, 1},
		{"DELETE", true, holdfast.Off, holdfast.RepeatKeyed, 2},
		{"POST", true, holdfast.Off, holdfast.RepeatKeyed, 2},
		{"POST", true, holdfast.Off, holdfast.RepeatSafe, 1},
		{"POST", true, 3, holdfast.RepeatKeyed, 2},
		{"POST", true, 3, holdfast.RepeatSafe, 1},
	} {
		t.Run(fmt.Sprint(c.method, c.retries, c.repeat), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				var hits atomic.Int64
				go stale(p, &hits)
				client, err := holdfast.New(holdfast.Config{
					BaseURL: "http://x.test", IdempotencyKey: c.key, Retry: holdfast.Retry{MaxRetries: c.retries, Repeat: c.repeat},
				}, transportOptions(t, transport, p, nil)...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close(); p.Close() })
				for i := range 2 {
					// net/http must not know that the idle connection is closed.
					synctest.Wait()
					_, err = holdfast.Call[any](t.Context(), client, c.method, "/x", nil)
					if c.method == "HEAD" && errors.Is(err, holdfast.ErrDecode) {
						err = nil
					}
					if i == 0 && err != nil {
						t.Fatal(err)
					}
				}
				equal(t, "succeeded", err == nil, c.attempts == 2)
				if err != nil {
					is(t, err, holdfast.ErrConnection)
					isNot(t, err, holdfast.ErrCanceled, holdfast.ErrTimeout)
					equal(t, "attempts of the error", len(attempts(t, err)), 1)
					if !strings.Contains(err.Error(), "the server closed the reused connection before it answered") {
						t.Errorf("error %q does not have the reason", err)
					}
				}
				equal(t, "attempts", client.Stats().Attempts, 1+c.attempts)
				equal(t, "hits", uint64(hits.Load()), 1+c.attempts)
				equal(t, "in flight", client.Stats().InFlight, 0)
			})
		})
	}
}

// The same with other idle connections, of which net/http may have chosen the next one.
func TestHitsAreAttemptsWithIdleConnections(t *testing.T) {
	for i := range 20 { // select chooses between two ready channels at random
		transport := transports[i%len(transports)]
		bubble(t, func(t *testing.T) {
			p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			var hits atomic.Int64
			go func() {
				for {
					conn, err := p.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						r := bufio.NewReader(conn)
						for i := range 2 {
							if _, err := http.ReadRequest(r); err != nil {
								return
							}
							if hits.Add(1); i == 0 {
								time.Sleep(time.Second)
								fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
							}
						}
					}()
				}
			}()
			client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off, Repeat: holdfast.RepeatNever}},
				transportOptions(t, transport, p, nil)...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close(); p.Close() })
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, err := client.Get(t.Context(), "/x"); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			_, err = client.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrConnection)
			synctest.Wait()
			equal(t, "hits", hits.Load(), 4)
			equal(t, "attempts", client.Stats().Attempts, 4)
		})
	}
}

// failingWrite is a connection. Its n-th Write fails before a byte is sent.
type failingWrite struct {
	net.Conn
	writes, fails int
}

func (d *failingWrite) Write(p []byte) (int, error) {
	if d.writes++; d.writes == d.fails {
		return 0, syscall.EPIPE
	}
	return d.Conn.Write(p)
}

// Attempt.Sent is whether the request may have reached the service.
func TestSent(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) { sent(t, transport) })
	}
}

func sent(t *testing.T, transport string) {
	for _, c := range []struct {
		name string
		dial func(p *pipes, conn net.Conn) (net.Conn, error)
		sent bool
	}{
		{"no connection", func(_ *pipes, conn net.Conn) (net.Conn, error) { conn.Close(); return nil, syscall.ECONNREFUSED }, false},
		// On a connection of another transport, the writes are unknown.
		{"nothing written", func(_ *pipes, conn net.Conn) (net.Conn, error) { return &failingWrite{Conn: conn, fails: 1}, nil }, transport != "own"},
		{"half of it written", func(_ *pipes, conn net.Conn) (net.Conn, error) { return &failingWrite{Conn: conn, fails: 2}, nil }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				p.wrap = func(conn net.Conn) (net.Conn, error) { return c.dial(p, conn) }
				go stale(p, new(atomic.Int64))
				seen := new(recorder)
				client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Retry: holdfast.Retry{MaxRetries: 1, Repeat: holdfast.RepeatNever}},
					append(transportOptions(t, transport, p, nil), holdfast.WithObserver(seen))...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close(); p.Close() })
				_, err = client.Post(t.Context(), "/x", make([]byte, 100<<10))
				is(t, err, holdfast.ErrConnection)
				equal(t, "sent", attempts(t, err)[0].Sent, c.sent)
				// The events have the same value. There is a repeat if nothing was sent.
				repeats := seen.all(holdfast.EventRetrying)
				equal(t, "repeats", len(repeats) == 1, !c.sent)
				for _, e := range slices.Concat(repeats, seen.all(holdfast.EventAttemptDone), seen.all(holdfast.EventFailed)) {
					equal(t, e.Kind.String()+", sent", e.Sent, c.sent)
				}
			})
		})
	}
}

// A request that certainly did not leave may be sent again, for every method and body. On a
// connection that was used before, that is no attempt yet.
func TestNothingWritten(t *testing.T) {
	for _, fails := range []int{1, 2} {
		bubble(t, func(t *testing.T) {
			p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			var hits atomic.Int64
			go stale(p, &hits)
			client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Retry: holdfast.Retry{Repeat: holdfast.RepeatNever}},
				holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := p.dial(ctx, network, addr)
					if p.dials.Load() > 1 {
						return conn, err
					}
					return &failingWrite{Conn: conn, fails: fails}, err
				}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close(); p.Close() })
			for range 2 {
				if _, err := client.Post(t.Context(), "/x", []byte("twelve bytes")); err != nil {
					t.Error(err)
				}
			}
			equal(t, "hits", hits.Load(), 2)
			equal(t, "attempts", client.Stats().Attempts, uint64(4-fails))
		})
	}
}

// h2 is a small HTTP/2 server. strike returns the answer to each request: the code of an
// RST_STREAM, GOAWAY for one that excludes the request, close for the connection, or
// nothing for 200.
func h2(l net.Listener, hits *atomic.Int64, strike func(n int64) string) {
	codes := map[string]uint32{"PROTOCOL_ERROR": 1, "INTERNAL_ERROR": 2, "REFUSED_STREAM": 7, "CANCEL": 8}
	for {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{identity.server}, NextProtos: []string{"h2"}})
			defer raw.Close()
			out := make(chan []byte, 100)
			frame := func(kind, flags byte, stream uint32, payload ...uint32) {
				b := make([]byte, 9, 32)
				b[3], b[4] = kind, flags
				binary.BigEndian.PutUint32(b[5:], stream)
				for _, p := range payload {
					b = binary.BigEndian.AppendUint32(b, p)
				}
				b[2] = byte(len(b) - 9)
				out <- b
			}
			defer close(out)
			go func() { // a pipe has no buffer: a write waits for a read
				for b := range out {
					conn.Write(b)
				}
			}()
			if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
				return
			}
			frame(4, 0, 0) // SETTINGS
			for {
				var head [9]byte
				if _, err := io.ReadFull(conn, head[:]); err != nil {
					return
				}
				length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
				if _, err := io.CopyN(io.Discard, conn, length); err != nil {
					return
				}
				stream := binary.BigEndian.Uint32(head[5:])
				if head[3] != 1 { // HEADERS
					continue
				}
				switch s := strike(hits.Add(1)); {
				case s == "GOAWAY":
					frame(7, 0, 0, stream-1, 0)
				case s == "GOAWAY ENHANCE_YOUR_CALM":
					frame(7, 0, 0, stream-1, 11)
				case s == "close":
					return
				case s != "":
					frame(3, 0, stream, codes[s])
				default:
					b := []byte{0, 0, 1, 1, 0x5, 0, 0, 0, 0, 0x88} // HEADERS: :status 200
					binary.BigEndian.PutUint32(b[5:], stream)
					out <- b
				}
			}
		}()
	}
}

// A stream that the service did not process may be sent again, for every method. net/http
// repeats none of them unseen.
func TestHTTP2RefusedStreams(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) { http2RefusedStreams(t, transport) })
	}
}

func http2RefusedStreams(t *testing.T, transport string) {
	for _, c := range []struct {
		strike, method string
		body           bool
		repeat         holdfast.Repeat
		hits           int64
	}{
		{"REFUSED_STREAM", "POST", true, holdfast.RepeatNever, 3},
		{"REFUSED_STREAM", "POST", false, holdfast.RepeatNever, 3},
		{"REFUSED_STREAM", "GET", false, holdfast.RepeatNever, 3},
		{"GOAWAY", "POST", true, holdfast.RepeatNever, 3},
		{"GOAWAY", "GET", false, holdfast.RepeatNever, 3},
		{"GOAWAY ENHANCE_YOUR_CALM", "POST", true, holdfast.RepeatNever, 3},
		{"GOAWAY ENHANCE_YOUR_CALM", "GET", false, holdfast.RepeatNever, 3},
		{"INTERNAL_ERROR", "POST", true, holdfast.RepeatNever, 1},
		{"INTERNAL_ERROR", "POST", true, holdfast.RepeatKeyed, 3},
		{"INTERNAL_ERROR", "GET", false, holdfast.RepeatNever, 1},
		{"INTERNAL_ERROR", "GET", false, holdfast.RepeatSafe, 3},
		{"PROTOCOL_ERROR", "POST", true, holdfast.RepeatNever, 1},
		{"CANCEL", "GET", false, holdfast.RepeatNever, 1},
		{"close", "GET", false, holdfast.RepeatNever, 1},
		{"close", "GET", false, holdfast.RepeatSafe, 3},
	} {
		t.Run(fmt.Sprint(c.strike, c.method, c.body, c.repeat), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				seen := new(recorder)
				var hits atomic.Int64
				go h2(p, &hits, func(n int64) string {
					if n < 3 {
						return c.strike
					}
					return ""
				})
				client, err := holdfast.New(holdfast.Config{
					BaseURL: "https://example.com", Retry: holdfast.Retry{Repeat: c.repeat, Jitter: holdfast.NoJitter},
				}, append(transportOptions(t, transport, p, &tls.Config{RootCAs: identity.roots}), holdfast.WithObserver(seen))...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					client.Close()
					p.Close()
					synctest.Wait()
					time.Sleep(time.Minute)
				})
				var body any
				if c.body {
					body = []byte("twelve bytes")
				}
				start := time.Now()
				resp, err := holdfast.Call[any](t.Context(), client, c.method, "/x", body)
				if errors.Is(err, holdfast.ErrDecode) { // 200, without a body
					err = nil
				}
				if c.hits == 3 {
					if err != nil {
						t.Error(resp, err)
					}
					wait := 3 * time.Second // the client's backoff only
					if strings.HasPrefix(c.strike, "REFUSED") || c.strike == "GOAWAY" {
						wait = 2 * time.Second // and none before the first repeat of what was not read
					}
					took(t, start, wait)
				} else {
					is(t, err, holdfast.ErrConnection)
					equal(t, "attempts of the error", len(attempts(t, err)), 1)
					equal(t, "sent", attempts(t, err)[0].Sent, true)
				}
				equal(t, "hits", hits.Load(), c.hits)
				equal(t, "attempts", client.Stats().Attempts, uint64(c.hits))
				for _, e := range seen.all(holdfast.EventRetrying) {
					if want := "the server refused the HTTP/2 stream unread"; c.strike == "REFUSED_STREAM" && e.Err.Error() != want {
						t.Errorf("error %q, want %q", e.Err, want)
					}
				}
			})
		})
	}
}

// repeating is a transport that repeats every request once.
type repeating struct {
	next   http.RoundTripper
	within func(context.Context) (context.Context, context.CancelFunc) // of both
}

func (w repeating) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.within != nil {
		ctx, cancel := w.within(r.Context())
		defer cancel() // of answers without a body
		r = r.WithContext(ctx)
	}
	resp, err := w.next.RoundTrip(r)
	if err != nil || resp.StatusCode == http.StatusUnauthorized {
		if err == nil {
			resp.Body.Close()
		}
		resp, err = w.next.RoundTrip(r.Clone(r.Context()))
	}
	return resp, err
}

// With a transport that sends a request twice, the request counts as sent if the first one
// left, for every end of the second.
func TestSentByATransportThatRepeats(t *testing.T) {
	within := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Hour)
	}
	for _, c := range []struct {
		name, first, second string // the answer to each
		within              func(context.Context) (context.Context, context.CancelFunc)
		hits                int64
		err                 error
		sent                bool
	}{
		{"lost, and then no connection", "close", "refuse", nil, 1, holdfast.ErrConnection, true},
		{"lost twice", "close", "close", nil, 2, holdfast.ErrConnection, true},
		{"lost, and then answered", "close", "200 OK", nil, 2, nil, true},
		{"asked for credentials", "401 Unauthorized", "200 OK", nil, 2, nil, true},
		{"asked for credentials, within one context", "401 Unauthorized", "200 OK", within, 2, nil, true},
		{"lost, within one context", "close", "refuse", within, 1, holdfast.ErrConnection, true},
		{"asked for credentials, and then lost", "401 Unauthorized", "close", within, 3, holdfast.ErrConnection, true}, // net/http repeats it
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				var hits atomic.Int64
				strikes := []string{c.first, c.second}
				p.wrap = func(conn net.Conn) (net.Conn, error) {
					if strikes[min(hits.Load(), 1)] == "refuse" {
						conn.Close()
						return nil, syscall.ECONNREFUSED
					}
					return conn, nil
				}
				go func() {
					for {
						conn, err := p.Accept()
						if err != nil {
							return
						}
						go func() {
							defer conn.Close()
							for r := bufio.NewReader(conn); ; {
								if _, err := http.ReadRequest(r); err != nil {
									return
								}
								strike := strikes[min(hits.Add(1)-1, 1)]
								if strike == "close" {
									return
								}
								fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", strike)
							}
						}()
					}
				}()
				inner := &http.Transport{DialContext: p.dial}
				client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
					holdfast.WithTransport(repeating{inner, c.within}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close(); inner.CloseIdleConnections(); p.Close() })
				_, err = client.Get(t.Context(), "/x")
				equal(t, "hits", hits.Load(), c.hits)
				if c.err == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				is(t, err, c.err)
				equal(t, "sent", attempts(t, err)[0].Sent, c.sent)
			})
		})
	}
}
