package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// tlsServer starts a server with or without HTTP/2, and returns the options with which a
// client trusts it.
func tlsServer(t *testing.T, http2 bool, h http.HandlerFunc) (*httptest.Server, []holdfast.Option) {
	s := httptest.NewUnstartedServer(h)
	t.Cleanup(s.Close)
	if s.EnableHTTP2 = http2; !http2 {
		s.Start()
		return s, nil
	}
	s.StartTLS()
	trusting := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.NextProtos = nil
	return s, []holdfast.Option{holdfast.WithTLSConfig(trusting)}
}

// A client that is never idle follows a name that moves: no connection is used for longer
// than MaxAge, over HTTP/2 too, where a request is always under way. No call fails for it.
func TestMaxAge(t *testing.T) {
	bothProtocols(t, holdfast.Config{Pool: holdfast.Pool{MaxAge: 10 * time.Second}}, nil, func(t *testing.T, c *holdfast.Client, p *pipes) {
		var mu sync.Mutex
		longest := time.Duration(0)
		p.wrap = func(conn net.Conn) (net.Conn, error) {
			born := time.Now()
			return &writingConn{conn, func() {
				mu.Lock()
				longest = max(longest, time.Since(born))
				mu.Unlock()
			}}, nil
		}
		p.served = func() { time.Sleep(70 * time.Millisecond) }
		start := time.Now()
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				time.Sleep(time.Duration(n) * 20 * time.Millisecond)
				for time.Since(start) < time.Minute {
					resp, err := c.Get(t.Context(), "/well")
					if err != nil || resp.Attempts != 1 {
						t.Errorf("%+v, %v", resp, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if longest < 9*time.Second || longest > 10200*time.Millisecond {
			t.Errorf("a connection was used for %v, want about 10s", longest)
		}
		each := map[string]int64{"HTTP/1.1": 4, "HTTP/2.0": 1}[p.proto]
		if n := p.dials.Load(); n < 6*each || n > 7*each {
			t.Errorf("%d connections in a minute, want 6 or 7 for each of %d", n, each)
		}
	})
}

// writingConn tells of each Write.
type writingConn struct {
	net.Conn
	wrote func()
}

func (c *writingConn) Write(p []byte) (int, error) {
	c.wrote()
	return c.Conn.Write(p)
}

// A name that moves is followed.
func TestMaxAgeAndANameThatMoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		says := func(text string) *faultserver.Server {
			return faultserver.Start(t, plan(), faultserver.InMemory(), faultserver.Backend(func(faultserver.Request) faultserver.Answer {
				return faultserver.Answer{Status: 200, Body: []byte(text)}
			}))
		}
		var at atomic.Pointer[faultserver.Server]
		at.Store(says("old"))
		now := says("new")
		c := over(t, "http://svc.test", holdfast.Config{Pool: holdfast.Pool{MaxAge: 5 * time.Second}},
			holdfast.WithDialContext(func(ctx context.Context, n, a string) (net.Conn, error) { return at.Load().Dial(ctx, n, a) }))
		last, moved := "", time.Now().Add(time.Second)
		for last != "new" && time.Since(moved) < time.Minute {
			resp, err := c.Get(t.Context(), "/")
			if err != nil {
				t.Fatal(err)
			}
			last = string(resp.Body)
			if time.Sleep(100 * time.Millisecond); !time.Now().Before(moved) {
				at.Store(now)
			}
		}
		if took := time.Since(moved); last != "new" || took > 4200*time.Millisecond {
			t.Errorf("%v after the move the answer is %q", took, last)
		}
		_ = c.Close()
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

// Streams have places beside the permits, and connections beside MaxConns: open streams do
// not lock out other calls, over HTTP/1.1 and HTTP/2.
func TestStreamsLockNobodyOut(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for name, open := range map[string]func(*holdfast.Client, string) (io.Closer, error){
			"Client.Stream": func(c *holdfast.Client, _ string) (io.Closer, error) {
				return c.Stream(context.Background(), "GET", "/events", nil)
			},
			"Client.Do": func(c *holdfast.Client, url string) (io.Closer, error) {
				req, _ := http.NewRequest("GET", url+"/events", nil)
				resp, err := c.Do(req)
				if err != nil {
					return nil, err
				}
				return resp.Body, nil
			},
			"SDK transport": func(c *holdfast.Client, url string) (io.Closer, error) {
				resp, err := c.HTTPClient().Get(url + "/events")
				if err != nil {
					return nil, err
				}
				return resp.Body, nil
			},
		} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", name, http2), func(t *testing.T) {
				s, opts := tlsServer(t, http2, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/events" {
						w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
						_, _ = io.WriteString(w, "data: 1\n\n")
						w.(http.Flusher).Flush()
						<-r.Context().Done()
					}
				})
				c := over(t, s.URL, holdfast.Config{
					Pool:     holdfast.Pool{MaxConns: 2},
					Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 2, MaxStreams: 5}, Timeouts: holdfast.Timeouts{Acquire: 50 * time.Millisecond},
				}, opts...)
				var streams []io.Closer
				for range 5 {
					stream, err := open(c, s.URL)
					if err != nil {
						t.Fatal(err)
					}
					streams = append(streams, stream)
				}
				if _, err := c.Get(t.Context(), "/"); err != nil {
					t.Fatalf("with five streams: %v", err)
				}
				equal(t, "permits in use", c.Stats().Permits, 0)
				for range 2 { // beyond the places, each keeps its permit
					stream, err := open(c, s.URL)
					if err != nil {
						t.Fatal(err)
					}
					streams = append(streams, stream)
				}
				equal(t, "permits in use", c.Stats().Permits, 2)
				_, err := c.Get(t.Context(), "/")
				is(t, err, holdfast.ErrPoolTimeout)
				for _, stream := range streams {
					_ = stream.Close()
				}
				if _, err := c.Get(t.Context(), "/"); err != nil {
					t.Error(err)
				}
				for range 5 { // the places are free again
					stream, err := open(c, s.URL)
					if err != nil {
						t.Fatal(err)
					}
					defer stream.Close()
				}
				equal(t, "permits in use", c.Stats().Permits, 0)
			})
		}
	}
}

// With MaxStreams Off, each stream keeps its permit.
func TestNoPlacesForStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := streamService(t, plan(), holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 2, MaxStreams: holdfast.Off}})
		s, err := c.Stream(t.Context(), "POST", "/lines", "work")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "permits in use", c.Stats().Permits, 1)
		_ = s.Close()
		equal(t, "permits in use", c.Stats().Permits, 0)
	})
}

// A call without a permit says why: the queue is full, or answers that are not closed hold
// all permits. The second is logged once.
func TestSaturationSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var text strings.Builder
		c, s := service(t, plan(rule("/held", "", fault.Fault{Hang: fault.AfterHeaders})), holdfast.Config{
			Timeouts: holdfast.Timeouts{Read: time.Hour, Acquire: time.Second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 2, MaxQueue: 1},
		}, holdfast.WithLogger(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		for range 2 {
			resp, err := c.HTTPClient().Get(s.URL() + "/held")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
		}
		try := func() string {
			_, err := c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrPoolTimeout)
			return err.Error()
		}
		first := try()
		equal(t, "at first", strings.Contains(first, "held by answers"), false)
		var wg sync.WaitGroup
		wg.Go(func() { _ = try() })
		time.Sleep(time.Millisecond)
		full := try()
		if !strings.HasSuffix(full, "the queue is full: 1 calls wait for a permit (Bulkhead.MaxQueue)") {
			t.Errorf("full: %s", full)
		}
		wg.Wait()
		time.Sleep(time.Minute)
		equal(t, "logged so far", text.String(), "")
		for range 3 {
			if late := try(); !strings.HasSuffix(late, "all 2 permits are held by answers older than 30s, which their callers have not read to the end or closed") {
				t.Errorf("after a minute: %s", late)
			}
		}
		equal(t, "lines", strings.Count(text.String(), "\n"), 1)
		if !strings.Contains(text.String(), `level=WARN msg="all slots are held by answers that were not closed" client=echo`) || !strings.Contains(text.String(), "held=2 for_at_least=30s") {
			t.Errorf("%s", text.String())
		}
		time.Sleep(time.Hour)
		_ = try()
		equal(t, "lines an hour later", strings.Count(text.String(), "\n"), 2)
	})
}

// declining is a proxy that declines each CONNECT with a status line and headers.
func declining(t *testing.T, line string, headers ...string) (proxy string, asked *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 "+line+"\r\n"+strings.Join(append(headers, "Content-Length: 0"), "\r\n")+"\r\n\r\n")
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String(), asked
}

// A proxy that declines to connect is named, with its status. The breaker of the service
// does not count it, and what may pass is repeated.
func TestProxyDeclines(t *testing.T) {
	long := "502 " + strings.Repeat("\x01b", 5000)
	for _, tt := range []struct {
		line    string
		headers []string
		status  int
		asked   int64
	}{
		{"407 Proxy Authentication Required", []string{`Proxy-Authenticate: Basic realm="x"`}, 407, 1},
		{"403 Forbidden", nil, 403, 1},
		{"502 Bad Gateway", nil, 502, 3},
		{"429 Too Many Requests", []string{"Retry-After: 0"}, 429, 3},
		{long, nil, 502, 3},
	} {
		t.Run(tt.line[:3], func(t *testing.T) {
			proxy, asked := declining(t, tt.line, tt.headers...)
			c := over(t, "https://api.test", holdfast.Config{
				Proxy: proxy, Retry: holdfast.Retry{MaxRetries: 2}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
			})
			_, err := c.Get(t.Context(), "/")
			is(t, err, holdfast.ErrProxy)
			isNot(t, err, holdfast.ErrStatus)
			var declined *holdfast.ProxyError
			if !errors.As(err, &declined) || declined.Status != tt.status || declined.Host != "api.test:443" || "http://"+declined.Proxy != proxy {
				t.Errorf("%+v", declined)
			}
			if text := err.Error(); len(text) > 300 || strings.ContainsRune(text, 1) || !strings.Contains(text, fmt.Sprintf("declined to connect to api.test:443: %d", tt.status)) {
				t.Errorf("%q", text)
			}
			equal(t, "asked", asked.Load(), tt.asked)
			equal(t, "breaker", c.Breaker().State(), holdfast.Closed)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
			equal(t, "status of the attempt", attempts(t, err)[0].Status, 0)
		})
	}
	t.Run("a wait", func(t *testing.T) {
		proxy, asked := declining(t, "429 Slow Down", "Retry-After: 30")
		c := over(t, "https://api.test", holdfast.Config{Proxy: proxy})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Get(ctx, "/")
		is(t, err, holdfast.ErrProxy)
		equal(t, "wait", attempts(t, err)[0].RetryAfter, 30*time.Second)
		equal(t, "asked", asked.Load(), 1)
	})
	t.Run("a transport of the caller", func(t *testing.T) {
		proxy, _ := declining(t, long)
		c := over(t, "https://api.test", holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, holdfast.WithTransport(&http.Transport{
			Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(proxy) },
		}))
		_, err := c.Get(t.Context(), "/")
		if text := err.Error(); len(text) > 1000 || strings.ContainsRune(text, 1) {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	})
}

// The proxy of the settings is used for http:// too, and "none" for no proxy.
func TestProxyOfTheSettings(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.String()) }))
	defer s.Close()
	c := over(t, "http://api.test", holdfast.Config{Proxy: s.URL})
	resp, err := c.Get(t.Context(), "/x")
	if err != nil || string(resp.Body) != "http://api.test/x" {
		t.Errorf("%v", err)
	}
	t.Setenv("HTTP_PROXY", s.URL)
	c = over(t, s.URL, holdfast.Config{Proxy: "none"})
	if resp, err = c.Get(t.Context(), "/x"); err != nil || string(resp.Body) != "/x" {
		t.Errorf("%v", err)
	}
}

// HTTP/2 without TLS.
func TestUnencryptedHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{UnencryptedHTTP2: true})
	resp, err := c.Get(t.Context(), "/x")
	if err != nil || string(resp.Body) != "HTTP/2.0" {
		t.Errorf("%v", err)
	}
	_, err = holdfast.New(holdfast.Config{BaseURL: "https://x.test", UnencryptedHTTP2: true})
	if err == nil || !strings.Contains(err.Error(), "Config.UnencryptedHTTP2 is true, and BaseURL is https") {
		t.Errorf("%v", err)
	}
}

// A connection of HTTP/2 over which nothing arrives any more is found within the limit of an
// attempt, by a PING, though no other limit bounds the body.
func TestPingsFollowTheAttempt(t *testing.T) {
	begins := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	cfg := holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 4 * time.Second, Read: time.Hour}}
	bothProtocols(t, cfg, begins, func(t *testing.T, c *holdfast.Client, p *pipes) {
		if p.proto == "HTTP/1.1" { // has no PING
			return
		}
		hole := new(atomic.Bool)
		p.wrap = func(conn net.Conn) (net.Conn, error) { return &swallowing{conn, hole}, nil }
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/bad", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = resp.Body.Read(make([]byte, 5))
		hole.Store(true)
		start := time.Now()
		_, err = resp.Body.Read(make([]byte, 1))
		is(t, err, holdfast.ErrTimeout)
		took(t, start, 4*time.Second)
	})
}
