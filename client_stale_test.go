package holdfast_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/relay"
)

const (
	// pooledConns is the size of a pool that goes stale: more than one call has attempts.
	pooledConns = 5
	// darkLimit bounds an attempt whose connection is dark.
	darkLimit = 500 * time.Millisecond
)

// pool is a client whose connections lead through a relay to a service that is well.
type pool struct {
	*holdfast.Client
	*relay.Relay
	url    string
	served atomic.Int64 // requests, without those that fill the pool
}

// pooling returns a pool that is not filled. Requests of paths other than /fill go to
// handle, which may be nil.
func pooling(t *testing.T, proto string, cfg holdfast.Config, handle http.HandlerFunc, opts ...holdfast.Option) *pool {
	t.Helper()
	p := new(pool)
	var filling atomic.Int64
	filled := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/fill":
			if filling.Add(1) == pooledConns {
				close(filled)
			}
			<-filled // so that each has a connection or a stream of its own
		case "/":
		default:
			p.served.Add(1)
			if handle != nil {
				handle(w, r)
				return
			}
		}
		io.WriteString(w, "{}")
	}))
	s.Config.ErrorLog = quiet
	scheme := "http://"
	if s.EnableHTTP2 = proto == "HTTP/2"; proto == "HTTP/1.1" {
		s.Start()
	} else {
		s.StartTLS()
		scheme = "https://"
		trust := &tls.Config{RootCAs: x509.NewCertPool()}
		trust.RootCAs.AddCert(s.Certificate())
		opts = append(opts, holdfast.WithTLSConfig(trust))
	}
	between, err := relay.New(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.Relay, p.url = between, scheme+between.Addr()
	cfg.BaseURL, cfg.IdempotencyKey = p.url, true
	cfg.Retry.BaseDelay, cfg.Retry.MaxDelay = time.Millisecond, time.Millisecond
	if p.Client, err = holdfast.New(cfg, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Client.Close()
		p.Relay.Close()
		s.Close()
	})
	return p
}

// fill opens the pool's connections, over HTTP/2 one.
func (p *pool) fill(t *testing.T) {
	t.Helper()
	if _, err := p.Get(t.Context(), "/"); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range pooledConns {
		wg.Go(func() {
			if _, err := p.Get(t.Context(), "/fill"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// stale makes the pool stale. A client has time to notice FIN.
func (p *pool) stale(t *testing.T, f relay.Fault) {
	t.Helper()
	if p.Stale(f); f == relay.Finish {
		eventually(t, "stale connections", func() string {
			if n := p.Open(); n > 0 {
				return fmt.Sprintf("%d are open", n)
			}
			return ""
		})
	}
}

// sdk makes a call through the SDK transport.
func (p *pool) sdk(ctx context.Context, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(`{"n":1}`))
	if method == http.MethodGet {
		req, err = http.NewRequestWithContext(ctx, method, p.url+path, nil)
	}
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", "key")
	resp, err := p.HTTPClient().Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// staleCalls are the ways to call a pool that went stale.
var staleCalls = map[string]func(context.Context, *pool) error{
	"GET": func(ctx context.Context, p *pool) error {
		_, err := p.Get(ctx, "/x")
		return err
	},
	"POST with a key": func(ctx context.Context, p *pool) error {
		_, err := p.Post(ctx, "/x", 1)
		return err
	},
	"GET of an SDK": func(ctx context.Context, p *pool) error { return p.sdk(ctx, http.MethodGet, "/x") },
	"POST of an SDK, with a key": func(ctx context.Context, p *pool) error {
		return p.sdk(ctx, http.MethodPost, "/x")
	},
}

// stalePools are the situations: what becomes of two calls, one after another, after
// every connection of the pool went stale. New connections are well.
var stalePools = []struct {
	fault    relay.Fault
	protos   string
	retries  int
	failed   int    // of the calls
	attempts uint64 // of both
}{
	{relay.Finish, "HTTP/1.1 TLS HTTP/2", 3, 0, 2},
	{relay.Finish, "HTTP/1.1 TLS HTTP/2", holdfast.Off, 0, 2},
	{relay.Reset, "HTTP/2", 3, 0, 3},
	{relay.Reset, "HTTP/1.1 TLS", 3, 0, 3},
	{relay.Reset, "HTTP/1.1 TLS HTTP/2", holdfast.Off, 0, 3},
	{relay.Dark, "HTTP/1.1 TLS HTTP/2", 3, 0, 3},
	{relay.Dark, "HTTP/1.1 TLS HTTP/2", holdfast.Off, 1, 2},
}

// The attempts that a client tells are the requests that it has sent: those that the
// service saw, and those that went into a stale connection.
func TestStalePools(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for _, row := range stalePools {
		for _, proto := range strings.Fields(row.protos) {
			for name, call := range staleCalls {
				name = fmt.Sprintf("%s, %s, %s, %d retries", row.fault, proto, name, max(0, row.retries))
				test := func() {
					cfg := holdfast.Config{Retry: holdfast.Retry{MaxRetries: row.retries}}
					if row.fault == relay.Dark {
						cfg.Timeouts.Attempt = darkLimit
					}
					p := pooling(t, proto, cfg, nil)
					p.fill(t)
					before := p.Stats().Attempts
					p.stale(t, row.fault)
					var failed []error
					for range 2 {
						if err := call(t.Context(), p); err != nil {
							failed = append(failed, err)
						}
					}
					attempts := p.Stats().Attempts - before
					if len(failed) != row.failed || attempts != row.attempts {
						t.Errorf("%s: %d calls failed after %d attempts, want %d after %d: %v", name, len(failed), attempts, row.failed, row.attempts, errors.Join(failed...))
					}
					if n := p.Used(); row.fault != relay.Finish && n != 1 {
						t.Errorf("%s: %d stale connections were used, want 1", name, n)
					}
					if sent := uint64(p.served.Load()) + uint64(p.Used()); attempts != sent {
						t.Errorf("%s: %d attempts are told, and %d requests were sent", name, attempts, sent)
					}
				}
				if row.fault == relay.Dark { // these wait, at once
					wg.Go(test)
				} else {
					test()
				}
			}
		}
	}
	wg.Wait()
}

// Callers that all meet the stale pool at once.
func TestStalePoolManyAtOnce(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range []struct {
		fault  relay.Fault
		protos string
	}{
		{relay.Reset, "HTTP/1.1 TLS HTTP/2"},
		{relay.Finish, "HTTP/1.1 TLS HTTP/2"},
		{relay.Dark, "HTTP/1.1 TLS HTTP/2"},
	} {
		for _, proto := range strings.Fields(c.protos) {
			cfg := holdfast.Config{}
			if c.fault == relay.Dark {
				cfg.Timeouts.Attempt = darkLimit
			}
			p := pooling(t, proto, cfg, nil)
			p.fill(t)
			p.stale(t, c.fault)
			all.Go(func() {
				var wg sync.WaitGroup
				for range pooledConns {
					wg.Go(func() {
						if _, err := p.Post(t.Context(), "/x", 1); err != nil {
							t.Errorf("%s, %s: %v", c.fault, proto, err)
						}
					})
				}
				wg.Wait()
				if n := p.served.Load(); n != pooledConns {
					t.Errorf("%s, %s: %d requests were served, want %d", c.fault, proto, n, pooledConns)
				}
			})
		}
	}
}

// What must not be repeated is not, though the connection was stale: the relay may be a
// service that has read the request.
func TestStalePoolNoRepeat(t *testing.T) {
	t.Parallel()
	p := pooling(t, "HTTP/1.1", holdfast.Config{}, nil)
	p.fill(t)
	before := p.Stats().Attempts
	p.stale(t, relay.Reset)
	_, err := p.Post(t.Context(), "/x", 1, holdfast.WithNoRepeat())
	is(t, err, holdfast.ErrConnection)
	equal(t, "attempts", p.Stats().Attempts-before, 1)
	equal(t, "attempts in the error", len(attempts(t, err)), 1)
	equal(t, "sent", attempts(t, err)[0].Sent, true)
	equal(t, "reused", attempts(t, err)[0].Reused, true)
	equal(t, "stale connections used", p.Used(), 1)
	equal(t, "requests served", p.served.Load(), 0)

	if _, err := p.Post(t.Context(), "/x", 1, holdfast.WithNoRepeat()); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// A stale connection says nothing of the service: its breaker stays closed.
func TestStalePoolAndBreaker(t *testing.T) {
	t.Parallel()
	for _, each := range []bool{false, true} {
		for _, retries := range []int{holdfast.Off, 3} {
			p := pooling(t, "HTTP/1.1", holdfast.Config{
				Breaker: holdfast.BreakerConfig{FailureThreshold: 1, CountAttempts: each},
				Retry:   holdfast.Retry{MaxRetries: retries, Repeat: holdfast.RepeatSafe},
			}, nil)
			p.fill(t)
			p.stale(t, relay.Reset)
			_, err := p.Post(t.Context(), "/x", 1) // which must not be repeated
			is(t, err, holdfast.ErrConnection)
			equal(t, "state", p.Breaker().State(), holdfast.Closed)
			equal(t, "failures", p.Breaker().Stats().FailureCount, 0)
			if _, err := p.Get(t.Context(), "/x"); err != nil {
				t.Errorf("the next call: %v", err)
			}
		}
	}
}

// muted is a connection that takes no byte any more once its pool is dead.
type muted struct {
	net.Conn
	dead *atomic.Bool
	born bool // after that
}

func (m *muted) Write(b []byte) (int, error) {
	if m.dead.Load() && !m.born {
		return 0, syscall.EPIPE
	}
	return m.Conn.Write(b)
}

// A request of which not one byte was written to the stale connection has another one
// within its attempt, whatever it is, and however many retries there are.
func TestStalePoolUnread(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		var dead atomic.Bool
		var hits atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			hits.Add(1)
			io.WriteString(w, "{}")
		}))
		if s.Config.ErrorLog = quiet; scheme == "http" {
			s.Start()
		} else {
			s.EnableHTTP2 = true
			s.StartTLS()
		}
		t.Cleanup(s.Close)
		opts := []holdfast.Option{holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &muted{conn, &dead, dead.Load()}, err
		})}
		if scheme == "https" {
			trust := &tls.Config{RootCAs: x509.NewCertPool()}
			trust.RootCAs.AddCert(s.Certificate())
			opts = append(opts, holdfast.WithTLSConfig(trust))
		}
		c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Retry: holdfast.Retry{MaxRetries: holdfast.Off, Repeat: holdfast.RepeatNever}}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		for i := range 2 {
			if _, err := c.Post(t.Context(), "/x", []byte("twelve bytes")); err != nil {
				t.Errorf("%s, call %d: %v", scheme, i, err)
			}
			dead.Store(true)
		}
		equal(t, "attempts", c.Stats().Attempts, 2)
		equal(t, "hits", hits.Load(), 2)
	}
}

// A stale connection costs one dial: net/http has none under way for a request that it may
// not send again.
func TestStalePoolOfOne(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "TLS", "HTTP/2"} {
		for name, call := range staleCalls {
			p := pooling(t, proto, holdfast.Config{}, nil)
			if err := call(t.Context(), p); err != nil {
				t.Error(err)
			}
			p.stale(t, relay.Reset)
			if err := call(t.Context(), p); err != nil {
				t.Error(err)
			}
			if n := p.Opened(); n != 2 {
				t.Errorf("%s, %s: %d connections were opened, want 2", proto, name, n)
			}
		}
	}
}

// The pool of a caller's own transport is emptied, too: of its stale connections one is met.
func TestStalePoolOfACallersTransport(t *testing.T) {
	p := pooling(t, "HTTP/1.1", holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, nil,
		holdfast.WithTransport(&http.Transport{MaxIdleConnsPerHost: pooledConns}))
	p.fill(t)
	p.stale(t, relay.Reset)
	for n := range 6 {
		if _, err := p.Post(t.Context(), "/x", n); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
	}
	equal(t, "served", p.served.Load(), 6)
	equal(t, "breaker", p.Breaker().State(), holdfast.Closed)
}

// cutOnce resets the connection of its first request, and answers the others.
func cutOnce(cuts *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if cuts.Add(1) > 1 {
			io.WriteString(w, "{}")
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			tcp = conn.(*tls.Conn).NetConn().(*net.TCPConn)
		}
		tcp.SetLinger(0)
		tcp.Close()
	}
}

// An answer that is being read outlives the pool: it is no idle connection.
func TestStalePoolLeavesAnswers(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.1", "TLS"} {
		goOn := make(chan struct{})
		cut := cutOnce(new(atomic.Int64))
		p := pooling(t, proto, holdfast.Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/cut" {
				cut(w, r)
				return
			}
			flush(w, "begin ")
			<-goOn
			io.WriteString(w, "end")
		})
		p.fill(t)
		live, err := fetchFrom(t, p.Client, "/live")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Get(t.Context(), "/cut"); err != nil {
			t.Error(err)
		}
		close(goOn)
		if text, err := io.ReadAll(live.Body); string(text) != "begin end" || err != nil {
			t.Errorf("%s: the answer is %q, %v", proto, text, err)
		}
		live.Body.Close()
	}
}

// A stream of HTTP/2 that is silent for long lives on, though another request of its
// connection was given up.
func TestStalePoolLeavesStreams(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	var hung atomic.Int64
	p := pooling(t, "HTTP/2", holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: darkLimit}}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/live":
			flush(w, "begin ")
			<-goOn
			io.WriteString(w, "end")
		case hung.Add(1) == 1:
			<-r.Context().Done()
		default:
			io.WriteString(w, "{}")
		}
	})
	p.fill(t)
	live, err := fetchFrom(t, p.Client, "/live")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(t.Context(), "/hang"); err != nil {
		t.Error(err)
	}
	close(goOn)
	if text, err := io.ReadAll(live.Body); string(text) != "begin end" || err != nil {
		t.Errorf("the stream is %q, %v", text, err)
	}
	live.Body.Close()
}

// stalling is a connection over which nothing arrives while it is stalled.
type stalling struct {
	net.Conn
	stalled *atomic.Pointer[chan struct{}] // closed when it goes on
}

func (s *stalling) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if goOn := s.stalled.Load(); goOn != nil {
		<-*goOn
	}
	return n, err
}

// A connection of HTTP/2 over which nothing arrives gets no more requests. It may only be
// stalled: so its streams live on, and it is closed after the last of them.
func TestStalePoolLeavesStalledStreams(t *testing.T) {
	t.Parallel()
	var stalled atomic.Pointer[chan struct{}]
	dial := holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if stalled.Load() != nil {
			return conn, err
		}
		return &stalling{conn, &stalled}, err
	})
	end := make(chan struct{})
	p := pooling(t, "HTTP/2", holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: darkLimit}}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			flush(w, "begin ")
			<-end
		}
		io.WriteString(w, "end")
	}, dial)
	p.fill(t)
	live, err := fetchFrom(t, p.Client, "/live")
	if err != nil {
		t.Fatal(err)
	}
	before := p.Stats().Attempts
	goOn := make(chan struct{})
	stalled.Store(&goOn)
	for range 2 {
		if _, err := p.Get(t.Context(), "/x"); err != nil {
			t.Error(err)
		}
	}
	equal(t, "attempts", p.Stats().Attempts-before, 3)
	equal(t, "connections opened", p.Opened(), 2)
	equal(t, "connections", p.Open(), 2)
	close(goOn)
	close(end)
	if text, err := io.ReadAll(live.Body); string(text) != "begin end" || err != nil {
		t.Errorf("the stream is %q, %v", text, err)
	}
	live.Body.Close()
	eventually(t, "the connection that was stalled", func() string {
		if n := p.Open(); n != 1 {
			return fmt.Sprintf("%d connections are open", n)
		}
		return ""
	})
}

// A connection that speaks another protocol now is the caller's.
func TestStalePoolLeavesUpgrades(t *testing.T) {
	t.Parallel()
	cut := cutOnce(new(atomic.Int64))
	p := pooling(t, "HTTP/1.1", holdfast.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			cut(w, r)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(conn, strings.ToUpper(line))
		}
	})
	p.fill(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/upgrade", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "shout")
	resp, err := p.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := p.Get(t.Context(), "/cut"); err != nil {
		t.Error(err)
	}
	fmt.Fprintln(resp.Body.(io.Writer), "hello")
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if line != "HELLO\n" {
		t.Errorf("answered %q, %v", line, err)
	}
}
