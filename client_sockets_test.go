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
	"net/url"
	"runtime"
	"slices"
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

// Requirement A2: a thousand calls, with failures and repeats, need as many connections as
// calls run at once, and one more for each connection that the service closes. In virtual
// time, because net/http gives up a connection if its last write is not reported within
// 50 ms, for which a busy machine may be too slow.
func TestConnectionsAreReused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := faultserver.Start(t, tearing, faultserver.InMemory())
		thousandCalls(t, s.URL(), holdfast.WithDialContext(s.Dial))
		if n := s.Connections(); n > callers+torn {
			t.Errorf("%d connections for %d callers and %d that the service closed", n, callers, torn)
		}
		synctest.Wait()
		time.Sleep(time.Second) // as service does
	})
}

// The same on real sockets, without and with TLS, and over HTTP/2. The number is close to
// that in virtual time; without draining it would be hundreds. There is one TLS handshake
// for each connection. Afterwards no goroutine and no descriptor is left.
func TestRealConnectionsAreReused(t *testing.T) {
	for _, c := range []struct {
		name      string
		tls, http bool // http: net/http's server, which has HTTP/2
		most      int  // connections
	}{
		{"HTTP/1.1", false, false, 2 * (callers + torn)},
		{"HTTP/1.1 over TLS", true, false, 2 * (callers + torn)},
		{"HTTP/2", true, true, callers}, // all may dial at once; later one is enough
	} {
		t.Run(c.name, func(t *testing.T) {
			goroutines, files := runtime.NumGoroutine(), descriptors(t)
			var url string
			var trust *tls.Config
			var connections func() int
			var stop func()
			if c.http {
				var opened atomic.Int64
				s := tearingHTTP2(&opened)
				trust = &tls.Config{RootCAs: x509.NewCertPool()}
				trust.RootCAs.AddCert(s.Certificate())
				url, connections, stop = s.URL, func() int { return int(opened.Load()) }, s.Close
			} else {
				var opts []faultserver.Option
				if c.tls {
					opts = append(opts, faultserver.TLS())
				}
				s := faultserver.Start(t, tearing, opts...)
				trust, url, connections, stop = s.ClientTLS(), s.URL(), s.Connections, func() { s.Close() }
			}
			var handshakes atomic.Int64
			if trust != nil {
				trust.VerifyConnection = func(tls.ConnectionState) error { handshakes.Add(1); return nil }
			}
			stats := thousandCalls(t, url, holdfast.WithTLSConfig(trust))
			stop()
			opened, shaken := connections(), int(handshakes.Load())
			t.Logf("%s: %d calls, %d attempts, %d connections, %d handshakes", c.name, stats.Operations, stats.Attempts, opened, shaken)
			if opened > c.most {
				t.Errorf("%d connections for %d callers and %d that the service closed", opened, callers, torn)
			}
			if c.tls && shaken > opened || !c.tls && shaken > 0 {
				t.Errorf("%d handshakes over %d connections", shaken, opened)
			}
			eventually(t, "goroutines and descriptors", func() string {
				if g, f := runtime.NumGoroutine()-goroutines, descriptors(t)-files; g > 0 || f > 0 {
					return fmt.Sprintf("%d and %d are left", g, f)
				}
				return ""
			})
		})
	}
}

// tearingHTTP2 follows the plan tearing over HTTP/2: it ends a stream where the plan closes
// a connection.
func tearingHTTP2(opened *atomic.Int64) *httptest.Server {
	var n atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := n.Add(1); {
		case r.ProtoMajor != 2:
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		case r.URL.Path == "/gone":
			w.WriteHeader(http.StatusNotFound)
			w.Write(make([]byte, 40<<10))
		case n <= torn:
			panic(http.ErrAbortHandler)
		case n%5 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write(make([]byte, 10<<10))
		default:
			io.WriteString(w, "{}")
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.EnableHTTP2, s.Config.ErrorLog = true, quiet
	s.StartTLS()
	return s
}

const callers, torn = 4, 10

// tearing closes the connections of requests with a body. For a request without one,
// net/http would choose another connection to repeat it, and the client closes that one to
// prevent the repeat (decision 005).
var tearing = fault.Plan{Seed: 1, Rules: []fault.Rule{
	// These bodies are short enough to be drained: draining has a time limit, which
	// a busy machine may reach.
	{Match: fault.Match{Path: "/gone"}, Fault: fault.Fault{Status: 404, Body: strings.Repeat("x", 40<<10)}},
	{Nth: "1-10", Fault: fault.Fault{Reset: fault.BeforeAnswer}},
	{Probability: 0.2, Fault: fault.Fault{Status: 503, Body: strings.Repeat("x", 10<<10)}},
}}

// thousandCalls makes a thousand calls by four callers. Each succeeds or has a 404.
func thousandCalls(t *testing.T, url string, opts ...holdfast.Option) holdfast.ClientStats {
	t.Helper()
	c, err := holdfast.New(holdfast.Config{
		BaseURL:  url,
		Pool:     holdfast.Pool{MaxConns: callers, MaxIdleConns: callers},
		Breaker:  holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		Retry:    holdfast.Retry{MaxRetries: 20, BaseDelay: holdfast.Off},
		Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: callers},
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range 250 {
				path := "/x"
				if i%10 == 9 {
					path = "/gone"
				}
				if _, err := c.Post(t.Context(), path, i); err != nil && !errors.Is(err, holdfast.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stats := c.Stats()
	if stats.Attempts < 1100 {
		t.Errorf("%d attempts: there were no faults", stats.Attempts)
	}
	return stats
}

// Two of three attempts are declined with a body, a hundred times, over one connection.
func TestDecliningAnswersKeepTheirConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "", fault.Fault{
			Statuses: slices.Repeat([]int{503, 503, 200}, 100), Body: strings.Repeat("x", 200<<10),
		})), holdfast.Config{Pool: holdfast.Pool{MaxAge: holdfast.Off}})
		for range 100 {
			if _, err := c.Get(t.Context(), "/x"); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, "attempts", len(s.Record()), 300)
		equal(t, "connections", s.Connections(), 1)
	})
}

// The headers of an option or of Config.Header can ask for another protocol.
func TestUpgradeByAHeaderOfTheCall(t *testing.T) {
	switching := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	})
	for name, c := range map[string]struct {
		header http.Header
		opts   []holdfast.CallOption
	}{
		"an option":     {nil, []holdfast.CallOption{holdfast.WithHeader("Upgrade", "shout")}},
		"Config.Header": {http.Header{"Upgrade": {"shout"}}, nil},
	} {
		client, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Header: c.header}, holdfast.WithTransport(switching))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		resp, err := client.Do(req, c.opts...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
	}
}

// After a switch of protocols, the caller has the connection in both directions.
func TestUpgradePassesThrough(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		line, _ := r.ReadString('\n')
		fmt.Fprint(conn, strings.ToUpper(line))
	}()
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "shout")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	equal(t, "status", resp.StatusCode, 101)
	w, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("a %T cannot be written to", resp.Body)
	}
	fmt.Fprintln(w, "hello")
	line, err := bufio.NewReader(w).ReadString('\n')
	if line != "HELLO\n" {
		t.Errorf("answered %q, %v", line, err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://" + addr, Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Post(t.Context(), "/x", nil, holdfast.WithNoRepeat())
	is(t, err, holdfast.ErrConnection)
	equal(t, "attempts", len(attempts(t, err)), 2) // it never left
	if !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %q does not have the reason", err)
	}
}

// The URL in an error of another transport may contain a key.
func TestURLErrorsAreUnwrapped(t *testing.T) {
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
		holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: io.ErrClosedPipe}
		})))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), "/x?key=s3cret")
	is(t, err, io.ErrClosedPipe)
	equal(t, "the error", strings.Contains(err.Error(), "s3cret"), false)
}

// Many goroutines share a breaker, a bulkhead and a policy. It is for the race detector,
// and the counts must add up.
func TestManyGoroutines(t *testing.T) {
	seen := new(recorder)
	b := holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 3, OpenTimeout: time.Millisecond}, holdfast.WithObserver(seen))
	bulkhead := holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 4, MaxQueue: 100})
	p := holdfast.MustPolicy(holdfast.PolicyConfig{
		Breaker: b, Bulkhead: bulkhead, AttemptTimeout: time.Second, Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off},
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]int{}
	inside, most := 0, 0
	for g := range 32 {
		wg.Go(func() {
			for i := range 200 {
				_, err := holdfast.Do(t.Context(), p, func(context.Context) (int, error) {
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					defer func() { mu.Lock(); inside--; mu.Unlock() }()
					if (g+i)%3 == 0 {
						return 0, errDown
					}
					return 1, nil
				})
				mu.Lock()
				switch {
				case err == nil:
					counts["done"]++
				case errors.Is(err, errDown):
					counts["failed"]++
				case errors.Is(err, holdfast.ErrCircuitOpen):
					counts["rejected"]++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	equal(t, "operations", counts["done"]+counts["failed"]+counts["rejected"], 32*200)
	equal(t, "permits in use", bulkhead.InUse(), 0)
	if most > 4 {
		t.Errorf("%d calls with four permits", most)
	}
	if counts["done"] == 0 || counts["failed"] == 0 {
		t.Errorf("counts are %v", counts)
	}
}
