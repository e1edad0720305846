package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/relay"
)

// A body in memory of a call that was not sent is there for the next one, as with net/http.
// One that was sent is read to its end.
func TestBodyInMemoryIsNotSpentUnsent(t *testing.T) {
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.Store(string(b))
	}))
	defer s.Close()
	down := true
	c := over(t, s.URL, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 2}}, holdfast.WithDialContext(func(ctx context.Context, n, a string) (net.Conn, error) {
		if down {
			return nil, errDown
		}
		return (&net.Dialer{}).DialContext(ctx, n, a)
	}))
	for name, body := range map[string]interface {
		io.Reader
		Len() int
	}{
		"bytes.Buffer": bytes.NewBufferString("hello"), "bytes.Reader": bytes.NewReader([]byte("hello")), "strings.Reader": strings.NewReader("hello"),
	} {
		for _, known := range []bool{true, false} {
			if buffer, ok := body.(*bytes.Buffer); ok && buffer.Len() == 0 {
				buffer.WriteString("hello")
			} else if seeker, ok := body.(io.Seeker); ok {
				_, _ = seeker.Seek(0, io.SeekStart)
			}
			req, _ := http.NewRequest("POST", s.URL, nil)
			if req.Body = io.NopCloser(body); known {
				req.ContentLength = 5
			}
			c.HTTPClient().CloseIdleConnections()
			down = true
			_, err := c.HTTPClient().Do(req)
			is(t, err, errDown)
			equal(t, name+": left after a call that was not sent", body.Len(), 5)
			down = false
			resp, err := c.HTTPClient().Do(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			resp.Body.Close()
			equal(t, name+": the service got", got.Load().(string), "hello")
			equal(t, name+": left after a call that was sent", body.Len(), 0)
		}
	}
}

// shouting is a reader with a Read of its own, beside the methods of a file.
type shouting struct{ *io.SectionReader }

func (s shouting) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

// What a reader gives by its own Read is sent, though it could be read by offset.
func TestReaderWithAReadOfItsOwn(t *testing.T) {
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.Store(fmt.Sprint(r.ContentLength, " ", string(b)))
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	for _, body := range []io.Reader{
		shouting{io.NewSectionReader(strings.NewReader("hello"), 0, 5)},
		io.NopCloser(shouting{io.NewSectionReader(strings.NewReader("hello"), 0, 5)}),
	} {
		req, _ := http.NewRequest("PUT", "/", body)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "the service got", got.Load().(string), "-1 HELLO")
	}
}

// Trailers are sent, though the length of the body is known.
func TestTrailersOfAKnownBody(t *testing.T) {
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got.Store(r.Trailer.Get("X-Sum"))
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("hello")
	_, _ = f.Seek(0, io.SeekStart)
	for name, body := range map[string]io.Reader{
		"a file": f, "a section": io.NewSectionReader(strings.NewReader("hello"), 0, 5), "memory": io.NopCloser(strings.NewReader("hello")),
	} {
		req, _ := http.NewRequest("PUT", s.URL, body)
		req.Trailer = http.Header{"X-Sum": {"12345"}}
		resp, err := c.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, name, got.Load().(string), "12345")
	}
	req, _ := http.NewRequest("GET", s.URL, nil)
	req.Body, req.ContentLength = http.NoBody, -1 // which net/http accepts
	if _, err := c.Do(req); err != nil {
		t.Error(err)
	}
}

// An answer without a body holds nothing, though the caller does not close it.
func TestUnclosedEmptyAnswers(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		s, opts := tlsServer(t, http2, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.WriteHeader(http.StatusNotModified)
			default:
				w.Header().Set("Content-Length", map[string]string{"/0": "0", "/head": "10"}[r.URL.Path])
			}
		})
		c := over(t, s.URL, holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: holdfast.Off}}, opts...)
		for _, path := range []string{"/204", "/304", "/0", "/head"} {
			for range 3 {
				method := map[bool]string{true: "HEAD", false: "GET"}[path == "/head"]
				req, _ := http.NewRequest(method, s.URL+path, nil)
				resp, err := c.HTTPClient().Do(req)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if resp.Body != http.NoBody {
					t.Errorf("%s %s: the body is a %T", resp.Proto, path, resp.Body)
				}
			}
		}
		equal(t, "permits in use", c.Stats().Permits, 0)
	}
}

// A redirect to another host finds a place for its connection, though idle connections to
// the first have all.
func TestRedirectToAnotherHostWithOneConnection(t *testing.T) {
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "there") }))
	defer there.Close()
	here := httptest.NewServer(http.RedirectHandler(there.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	c := over(t, here.URL, holdfast.Config{MaxRedirects: 1, Pool: holdfast.Pool{MaxConns: 1}, Timeouts: holdfast.Timeouts{Acquire: time.Second}})
	for range 3 {
		resp, err := c.Get(t.Context(), "/")
		if err != nil || string(resp.Body) != "there" {
			t.Fatalf("%+v, %v", resp, err)
		}
	}
}

// tracing is a RoundTripper around net/http's whose pool is out of reach.
type tracing struct{ http.RoundTripper }

// The stale connections of a pool that cannot be emptied are tried one after the other, as
// net/http does: each is a counted attempt, and none waits.
func TestStalePoolOfAWrappedTransport(t *testing.T) {
	for _, retries := range []int{holdfast.Off, 3} {
		p := pooling(t, "HTTP/1.1", holdfast.Config{Retry: holdfast.Retry{MaxRetries: retries}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, nil,
			holdfast.WithTransport(tracing{&http.Transport{MaxIdleConnsPerHost: pooledConns}}))
		p.fill(t)
		p.stale(t, relay.Reset)
		for n := range 6 {
			if _, err := p.Post(t.Context(), "/x", n); err != nil {
				t.Errorf("retries %d, call %d: %v", retries, n, err)
			}
		}
		equal(t, "served", p.served.Load(), 6)
		equal(t, "breaker", p.Breaker().State(), holdfast.Closed)
	}
}

// The text and the parts of a redirect's error are bounded.
func TestRedirectErrorIsBounded(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Location", "/"+strings.Repeat("x", 200<<10)+fmt.Sprint(n))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	_, err := over(t, s.URL, holdfast.Config{MaxRedirects: 3}).Get(t.Context(), "/")
	var misled *holdfast.RedirectError
	var answer *holdfast.StatusError
	if !errors.As(err, &misled) || !errors.As(err, &answer) {
		t.Fatal(err)
	}
	size := len(answer.Body)
	for name, values := range answer.Header {
		size += len(name) + len(values[0])
	}
	if text := err.Error(); len(text) > 4<<10 || len(strings.Join(misled.Hops, "")) > 4<<10 || size > 64<<10 {
		t.Errorf("the text has %d bytes, the hops %d, the answer %d", len(text), len(strings.Join(misled.Hops, "")), size)
	}
}

// The cause that a caller gave its deadline is in the error.
func TestCauseOfADeadline(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off}})
	budget := errors.New("the budget of the page")
	for range 20 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Millisecond, budget)
		_, err := c.Get(ctx, "/")
		cancel()
		is(t, err, budget, holdfast.ErrTimeout)
	}
}

// A SOCKS proxy that declines is a proxy that declines.
func TestSOCKSProxyDeclines(t *testing.T) {
	for _, tt := range []struct {
		auth, code byte
		status     int // zero if the answer is about the service
		asked      int64
	}{{0, 1, 502, 3}, {0, 2, 403, 1}, {0xff, 0, 407, 1}, {0, 5, 0, 3}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var asked atomic.Int64
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				asked.Add(1)
				_, _ = conn.Read(make([]byte, 300))
				_, _ = conn.Write([]byte{5, tt.auth})
				_, _ = conn.Read(make([]byte, 300))
				_, _ = conn.Write([]byte{5, tt.code, 0, 1, 0, 0, 0, 0, 0, 0})
				conn.Close()
			}
		}()
		c := over(t, "http://api.test", holdfast.Config{Proxy: "socks5://" + l.Addr().String(), Retry: holdfast.Retry{MaxRetries: 2}})
		_, err = c.Get(t.Context(), "/")
		var declined *holdfast.ProxyError
		if ok := errors.As(err, &declined); ok != (tt.status > 0) || ok && (declined.Status != tt.status || declined.Proxy != l.Addr().String() || declined.Host != "api.test:80") {
			t.Errorf("%+v: %+v, %v", tt, declined, err)
		}
		equal(t, "asked", asked.Load(), tt.asked)
		equal(t, "failures", c.Breaker().Stats().FailureCount, map[bool]int{true: 1}[tt.status == 0])
		l.Close()
	}
}
