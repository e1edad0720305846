package holdfast_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
)

// identity is a certificate for example.com, and the roots that it needs.
var identity = func() (id struct {
	server tls.Certificate
	roots  *x509.CertPool
}) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	id.server, id.roots = s.TLS.Certificates[0], x509.NewCertPool()
	id.roots.AddCert(s.Certificate())
	return id
}()

// pipes are connections in memory, for a server and the client's dials.
type pipes struct {
	conns      chan net.Conn
	closed     chan struct{}
	proto      string
	dials      atomic.Int64
	open, most atomic.Int64                     // connections, now and at once
	served     func()                           // before each answer; nil: nothing
	wrap       func(net.Conn) (net.Conn, error) // the result of a dial; nil: the connection
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	pipe, far := net.Pipe()
	p.dials.Add(1)
	select {
	case p.conns <- far:
		p.most.Store(max(p.most.Load(), p.open.Add(1)))
		near := &closing{Conn: pipe, open: &p.open}
		if p.wrap != nil {
			return p.wrap(near)
		}
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// closing is a connection that is counted until it is closed.
type closing struct {
	net.Conn
	once sync.Once
	open *atomic.Int64
}

func (c *closing) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// bothProtocols makes a bubble for each protocol, with a server of a handler and its client,
// by default with five connections. The test fails if something of either is left over.
func bothProtocols(t *testing.T, cfg holdfast.Config, bad http.HandlerFunc, f func(t *testing.T, c *holdfast.Client, p *pipes)) {
	bothProtocolsInStreams(t, 0, cfg, bad, f)
}

// bothProtocolsInStreams is bothProtocols with the number of streams that the server accepts
// on one HTTP/2 connection, zero for its default.
func bothProtocolsInStreams(t *testing.T, streams int, cfg holdfast.Config, bad http.HandlerFunc, f func(t *testing.T, c *holdfast.Client, p *pipes)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{}), proto: proto}
				h := &striking{bad: bad}
				quit, release := context.WithCancel(t.Context())
				s := &http.Server{
					Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streams},
					ErrorLog:  log.New(io.Discard, "", 0), // of handshakes that have to fail
					TLSConfig: &tls.Config{Certificates: []tls.Certificate{identity.server}, NextProtos: []string{"h2"}},
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Proto != proto {
							t.Errorf("the protocol is %s", r.Proto)
						}
						if p.served != nil {
							p.served()
						}
						ctx, cancel := context.WithCancel(r.Context())
						defer context.AfterFunc(quit, cancel)()
						defer cancel()
						h.ServeHTTP(w, r.WithContext(ctx))
					}),
				}
				cfg.Pool.MaxConns, cfg.Pool.MaxIdleConns, cfg.Pool.IdleExpiry = cmp.Or(cfg.Pool.MaxConns, 5), 5, time.Minute
				cfg.BaseURL = "http://example.com"
				if proto == "HTTP/2.0" {
					s.Protocols.SetHTTP2(true)
					cfg.BaseURL = "https://example.com"
					go s.ServeTLS(p, "", "")
				} else {
					s.Protocols.SetHTTP1(true)
					go s.Serve(p)
				}
				c, err := holdfast.New(cfg, holdfast.WithDialContext(p.dial), holdfast.WithTLSConfig(&tls.Config{RootCAs: identity.roots}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					equal(t, "in flight", c.Stats().InFlight, 0)
					c.Close()
					release()
					s.Close()
					synctest.Wait()
					time.Sleep(time.Minute) // for timers of net/http
				})
				f(t, c, p)
			})
		})
	}
}

// long is the length of the answer at /long.
const long = 50 << 10

// striking is a service with a fault for the first request to /bad.
type striking struct {
	bad    http.HandlerFunc
	struck atomic.Bool
}

func (s *striking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/bad" && s.struck.CompareAndSwap(false, true) {
		s.bad(w, r)
		return
	}
	n, _ := io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/long" {
		w.Write(make([]byte, long))
		return
	}
	fmt.Fprintf(w, `{"read":%d}`, n)
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func flush(w http.ResponseWriter, s string) {
	io.WriteString(w, s)
	w.(http.Flusher).Flush()
}

var limits = holdfast.Timeouts{Connect: 2 * time.Second, Write: 3 * time.Second, Read: 5 * time.Second}

// phase checks that the error names the limit.
func phase(t *testing.T, err error, phase string, limit, after time.Duration) {
	t.Helper()
	is(t, err, holdfast.ErrTimeout, holdfast.ErrConnection, context.DeadlineExceeded)
	isNot(t, err, holdfast.ErrCanceled, context.Canceled)
	var late *holdfast.TimeoutError
	if !errors.As(err, &late) {
		t.Fatalf("error %v has no *TimeoutError", err)
	}
	equal(t, "phase", late.Phase, phase)
	equal(t, "limit", late.Limit, limit)
	equal(t, "time it took", late.After, after)
	if !strings.Contains(err.Error(), late.Error()) {
		t.Errorf("error %q does not name the limit", err)
	}
}

// next checks that the client still works.
func next(t *testing.T, c *holdfast.Client) {
	t.Helper()
	for range 2 {
		if _, err := c.Get(t.Context(), "/bad"); err != nil {
			t.Errorf("the next call: %v", err)
		}
	}
}

func took(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	equal(t, "time taken", time.Since(start), want)
}

func config(limits holdfast.Timeouts) holdfast.Config {
	return holdfast.Config{Timeouts: limits, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}
}

// upload is a body that counts its Closes. At its end, Read may block until Close.
type upload struct {
	left   atomic.Int64
	most   atomic.Int64 // the largest Read
	closed atomic.Int64
	done   chan struct{}
	blocks bool
}

func newUpload(n int64, blocks bool) *upload {
	u := &upload{done: make(chan struct{}), blocks: blocks}
	u.left.Store(n)
	return u
}

func (u *upload) Read(p []byte) (int, error) {
	left := u.left.Load()
	u.most.Store(max(u.most.Load(), int64(len(p))))
	switch {
	case left == 0 && u.blocks:
		<-u.done
		return 0, io.ErrClosedPipe
	case left == 0:
		return 0, io.EOF
	}
	n := min(left, int64(len(p)))
	u.left.Add(-n)
	return int(n), nil
}

func (u *upload) Close() error {
	if u.closed.Add(1) == 1 {
		close(u.done)
	}
	return nil
}

func put(t *testing.T, ctx context.Context, c *holdfast.Client, u io.Reader, length int64) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "PUT", "/bad", u)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	return c.Do(req)
}

func fetch(t *testing.T, ctx context.Context, c *holdfast.Client) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "/bad", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

func fetchFrom(t *testing.T, c *holdfast.Client, path string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

func TestNeverAnswers(t *testing.T) {
	bothProtocols(t, config(limits), hang, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		start := time.Now()
		_, err := c.Get(t.Context(), "/bad")
		phase(t, err, "read", 5*time.Second, 5*time.Second)
		took(t, start, 5*time.Second)
		equal(t, "the error", err.Error(), "holdfast: GET /bad: timed out after 1 attempt in 5s: read timeout of 5s")
		next(t, c)
	})
}

// Every gap is shorter than Read: the limits of the attempt and of the operation bound such
// an answer.
func TestDrips(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			flush(w, "x")
			select {
			case <-time.After(4 * time.Second):
			case <-r.Context().Done():
			}
		}
	}
	with := limits
	with.Attempt = 30 * time.Second
	bothProtocols(t, config(with), drip, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		start := time.Now()
		_, err := c.Get(t.Context(), "/bad")
		phase(t, err, "attempt", 30*time.Second, 30*time.Second)
		took(t, start, 30*time.Second)
		next(t, c)
	})
	with.Total = 50 * time.Second
	bothProtocols(t, config(with), drip, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		start := time.Now()
		resp, err := fetch(t, t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		phase(t, err, "total", 50*time.Second, 50*time.Second)
		took(t, start, 50*time.Second)
		next(t, c)
	})
}

// Read bounds a body that the caller reads. The time that the caller takes does not count.
func TestStallsInMidBody(t *testing.T) {
	bothProtocols(t, config(limits), func(w http.ResponseWriter, r *http.Request) {
		flush(w, "begin")
		hang(w, r)
	}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		resp, err := fetch(t, t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		b := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "begin" {
			t.Errorf("read %q, %v", b, err)
		}
		time.Sleep(time.Hour)
		start := time.Now()
		_, err = resp.Body.Read(b)
		phase(t, err, "read", 5*time.Second, 5*time.Second)
		took(t, start, 5*time.Second)
		_ = resp.Body.Close()
		next(t, c)
	})
}

// The time of an upload's source does not count. A service that stops reading the upload is
// a timeout.
func TestStopsReadingTheUpload(t *testing.T) {
	bothProtocols(t, config(limits), hang, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		u := newUpload(64<<20, false)
		start := time.Now()
		_, err := put(t, t.Context(), c, u, 64<<20)
		phase(t, err, "write", 3*time.Second, 3*time.Second)
		took(t, start, 3*time.Second)
		synctest.Wait()
		equal(t, "closed", u.closed.Load(), 1)
		if left := u.left.Load(); left < 60<<20 {
			t.Errorf("%d bytes were read", 64<<20-left)
		}
		if most := u.most.Load(); most > 32<<10 { // the chunk that Write bounds
			t.Errorf("a chunk of %d bytes", most)
		}
		next(t, c)
	})
}

// A slow upload without a stop is no timeout, and a slow source is none.
func TestSlowUpload(t *testing.T) {
	bothProtocols(t, config(holdfast.Timeouts{Write: 3 * time.Second, Read: 5 * time.Minute, Attempt: time.Hour}), func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 16<<10)
		for {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(r.Body, b); err != nil {
				break
			}
		}
		io.WriteString(w, "done")
	}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		resp, err := put(t, t.Context(), c, newUpload(1<<20, false), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		r, w := io.Pipe()
		go func() {
			for range 5 {
				time.Sleep(time.Minute)
				io.WriteString(w, "x")
			}
			w.Close()
		}()
		if resp, err = put(t, t.Context(), c, r, -1); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
}

// The end of an attempt closes a request body that blocks in Read.
func TestBlockedRequestBody(t *testing.T) {
	with := limits
	with.Attempt = 20 * time.Second
	bothProtocols(t, config(with), func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		u := newUpload(10, true)
		start := time.Now()
		_, err := put(t, t.Context(), c, u, 1000)
		phase(t, err, "attempt", 20*time.Second, 20*time.Second)
		took(t, start, 20*time.Second)
		synctest.Wait()
		equal(t, "closed", u.closed.Load(), 1)
		next(t, c)
	})
	bothProtocols(t, config(with), func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		u := newUpload(10, true)
		why := errors.New("the caller had enough")
		start := time.Now()
		_, err := put(t, canceled(t, 2*time.Second, why), c, u, 1000)
		is(t, err, holdfast.ErrCanceled, why)
		isNot(t, err, holdfast.ErrTimeout)
		took(t, start, 2*time.Second)
		synctest.Wait()
		equal(t, "closed", u.closed.Load(), 1)
		next(t, c)
	})
}

func canceled(t *testing.T, after time.Duration, why error) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(after, func() { cancel(why) })
	return ctx
}

// The caller cancels in every phase. The call ends at once with ErrCanceled and the cause,
// and the breaker counts no failure.
func TestCallerCancels(t *testing.T) {
	why := errors.New("the caller had enough")
	for name, call := range map[string]func(t *testing.T, ctx context.Context, c *holdfast.Client) error{
		"waiting for the headers": func(t *testing.T, ctx context.Context, c *holdfast.Client) error {
			_, err := c.Get(ctx, "/bad")
			return err
		},
		"sending": func(t *testing.T, ctx context.Context, c *holdfast.Client) error {
			u := newUpload(64<<20, false)
			_, err := put(t, ctx, c, u, 64<<20)
			synctest.Wait()
			equal(t, "closed", u.closed.Load(), 1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bothProtocols(t, config(limits), hang, func(t *testing.T, c *holdfast.Client, _ *pipes) {
				start := time.Now()
				err := call(t, canceled(t, 2*time.Second, why), c)
				is(t, err, holdfast.ErrCanceled, context.Canceled, why)
				isNot(t, err, holdfast.ErrTimeout, context.DeadlineExceeded)
				took(t, start, 2*time.Second)
				equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
				next(t, c)
			})
		})
	}
	t.Run("reading the body", func(t *testing.T) {
		for _, live := range []bool{true, false} {
			bothProtocols(t, config(limits), func(w http.ResponseWriter, r *http.Request) {
				flush(w, "begin")
				hang(w, r)
			}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
				start := time.Now()
				ctx := canceled(t, 2*time.Second, why)
				var err error
				if live {
					var resp *http.Response
					if resp, err = fetch(t, ctx, c); err != nil {
						t.Fatal(err)
					}
					_, err = io.ReadAll(resp.Body)
				} else {
					_, err = c.Get(ctx, "/bad")
				}
				is(t, err, holdfast.ErrCanceled, context.Canceled, why)
				isNot(t, err, holdfast.ErrTimeout, context.DeadlineExceeded)
				took(t, start, 2*time.Second)
				equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
				next(t, c)
			})
		}
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		bothProtocols(t, config(limits), hang, func(t *testing.T, c *holdfast.Client, _ *pipes) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := c.Get(ctx, "/bad")
			phase(t, err, "deadline", 0, 2*time.Second)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1) // or a hanging service is never noticed
		})
	})
}

// Connect bounds the connection, and again its TLS handshake.
func TestConnectStalls(t *testing.T) {
	var gone chan struct{}
	for _, c := range []struct {
		name, url string
		dial      func(ctx context.Context) (net.Conn, error)
		took      time.Duration
	}{
		{"the dial", "http://example.com", func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, 2 * time.Second},
		{"a dial that looks at no context", "http://example.com", func(context.Context) (net.Conn, error) {
			<-gone
			return nil, errDown
		}, 2 * time.Second},
		{"the handshake", "https://example.com", func(ctx context.Context) (net.Conn, error) {
			select {
			case <-time.After(1500 * time.Millisecond):
			case <-ctx.Done():
			}
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}, 3500 * time.Millisecond},
		{"the settings of HTTP/2", "https://example.com", func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			silent := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{identity.server}, NextProtos: []string{"h2"}})
			go io.Copy(io.Discard, silent)
			return near, nil
		}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				gone = make(chan struct{})
				cfg := config(limits)
				cfg.BaseURL = c.url
				client, err := holdfast.New(cfg, holdfast.WithTLSConfig(&tls.Config{RootCAs: identity.roots}),
					holdfast.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				start := time.Now()
				_, err = client.Get(t.Context(), "/")
				phase(t, err, "connect", 2*time.Second, 2*time.Second)
				took(t, start, c.took)
				equal(t, "in flight", client.Stats().InFlight, 0)

				why := errors.New("the caller had enough")
				start = time.Now()
				_, err = client.Get(canceled(t, time.Second, why), "/")
				is(t, err, holdfast.ErrCanceled, why)
				took(t, start, time.Second)
				close(gone)
				time.Sleep(time.Minute) // for dials that no call waits for
			})
		})
	}
}

// A connection over which nothing arrives any more is replaced after a PING, although no
// side closes it.
func TestBlackHole(t *testing.T) {
	cfg := config(holdfast.Timeouts{})
	cfg.Retry.Repeat = holdfast.RepeatNever
	bothProtocols(t, cfg, hang, func(t *testing.T, c *holdfast.Client, p *pipes) {
		if p.proto == "HTTP/1.1" { // there is no PING; Read bounds each attempt, and then its connection is closed
			return
		}
		hole := new(atomic.Bool)
		p.wrap = func(conn net.Conn) (net.Conn, error) { return &swallowing{conn, hole}, nil }
		if _, err := c.Get(t.Context(), "/well"); err != nil {
			t.Fatal(err)
		}
		hole.Store(true)
		p.wrap = nil
		start := time.Now()
		_, err := c.Get(t.Context(), "/well")
		is(t, err, holdfast.ErrTimeout)
		equal(t, "sent", attempts(t, err)[0].Sent, true)
		took(t, start, 30*time.Second)
		if _, err := c.Get(t.Context(), "/well"); err != nil {
			t.Error(err)
		}
		equal(t, "connections", p.dials.Load(), 2)
	})
}

// swallowing is a connection that loses everything written to it.
type swallowing struct {
	net.Conn
	hole *atomic.Bool
}

func (s *swallowing) Write(p []byte) (int, error) {
	if s.hole.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// A service does not answer Expect: 100-continue, and gets the body after a second. Over
// HTTP/1.1 it does not read the body, since a pipe has no buffer; over HTTP/2 it does, and
// then Read bounds the wait for the answer.
func TestExpectContinue(t *testing.T) {
	bothProtocols(t, config(limits), hang, func(t *testing.T, c *holdfast.Client, p *pipes) {
		for _, path := range []string{"/bad", "/well"} {
			req, err := http.NewRequestWithContext(t.Context(), "PUT", path, strings.NewReader("twelve bytes"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Expect", "100-continue")
			start := time.Now()
			resp, err := c.Do(req)
			switch {
			case path == "/bad" && p.proto == "HTTP/1.1":
				phase(t, err, "write", 3*time.Second, 3*time.Second)
				took(t, start, 4*time.Second)
				continue
			case path == "/bad":
				phase(t, err, "read", 5*time.Second, 5*time.Second)
				took(t, start, 6*time.Second)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != `{"read":12}` {
				t.Errorf("%q, %v", b, err)
			}
		}
	})
}

// Another transport may not report its connections. The phases that do not need them have
// their limits.
func TestPhasesOfAnotherTransport(t *testing.T) {
	for _, c := range []struct {
		name, phase string
		body        int64
		rt          func(r *http.Request) (*http.Response, error)
		limit       time.Duration
	}{
		{"never answers", "read", 0, func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, 5 * time.Second},
		{"never answers an upload", "read", 100 << 10, func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return nil, errors.New("in its own words")
		}, 5 * time.Second},
		{"stops reading", "write", 100 << 10, func(r *http.Request) (*http.Response, error) {
			io.ReadFull(r.Body, make([]byte, 10))
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := config(limits)
				cfg.BaseURL = "http://x.test"
				client, err := holdfast.New(cfg, holdfast.WithTransport(roundTrip(c.rt)))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				start := time.Now()
				if c.body == 0 {
					_, err = client.Get(t.Context(), "/")
				} else {
					u := newUpload(c.body, false)
					_, err = put(t, t.Context(), client, u, c.body)
					equal(t, "closed", u.closed.Load(), 1)
				}
				phase(t, err, c.phase, c.limit, c.limit)
				took(t, start, c.limit)
				equal(t, "sent", attempts(t, err)[0].Sent, true)
			})
		})
	}
}
