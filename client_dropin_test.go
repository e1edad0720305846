package holdfast_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// Code that was written for net/http's transport does not notice that the SDK transport is
// beneath it. The tests of this file compare both.

// over is a client for s.
func over(t *testing.T, url string, cfg holdfast.Config, opts ...holdfast.Option) *holdfast.Client {
	t.Helper()
	cfg.BaseURL = url
	if cfg.Retry.BaseDelay == 0 {
		cfg.Retry.BaseDelay = time.Millisecond
	}
	c, err := holdfast.New(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// writes counts the writes to the connections that it dials.
type writes struct{ n atomic.Int64 }

func (w *writes) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &countedConn{conn, w}, err
}

type countedConn struct {
	net.Conn
	writes *writes
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.n.Add(1)
	return c.Conn.Write(p)
}

// A small body in memory leaves in one write with the headers, whatever holds it.
func TestBodiesInMemoryAreOneWrite(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer s.Close()
	words := strings.Repeat("word ", 100)
	for name, body := range map[string]func() io.Reader{
		"bytes.Reader":                 func() io.Reader { return bytes.NewReader([]byte(words)) },
		"bytes.Buffer":                 func() io.Reader { return bytes.NewBufferString(words) },
		"strings.Reader":               func() io.Reader { return strings.NewReader(words) },
		"bytes.Reader below NopCloser": func() io.Reader { return io.NopCloser(bytes.NewReader([]byte(words))) },
		"bytes.Buffer below NopCloser": func() io.Reader { return io.NopCloser(bytes.NewBufferString(words)) },
		"two times NopCloser":          func() io.Reader { return io.NopCloser(io.NopCloser(strings.NewReader(words))) },
	} {
		var bare, through writes
		plain := &http.Client{Transport: &http.Transport{DialContext: bare.dial}}
		c := over(t, s.URL, holdfast.Config{}, holdfast.WithDialContext(through.dial))
		for _, client := range []*http.Client{plain, c.HTTPClient()} {
			req, _ := http.NewRequest("POST", s.URL, body())
			req.ContentLength = int64(len(words))
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			equal(t, name+": the body", string(got), words)
		}
		plain.CloseIdleConnections()
		if bare.n.Load() != 1 || through.n.Load() != 1 {
			t.Errorf("%s: %d writes, bare %d, want 1", name, through.n.Load(), bare.n.Load())
		}
	}
}

// A loop that seeks its reader back for the next request loses none, although answers
// arrive before the bodies were read.
func TestReaderThatIsSoughtBack(t *testing.T) {
	var whole atomic.Int64
	words := strings.Repeat("word ", 20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) == words {
			whole.Add(1)
		}
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	r := strings.NewReader(words)
	for range 200 {
		_, _ = r.Seek(0, io.SeekStart)
		req, _ := http.NewRequest("POST", s.URL, nil)
		req.Body, req.ContentLength = io.NopCloser(r), int64(len(words))
		resp, err := c.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	equal(t, "whole bodies", whole.Load(), 200)
}

// late is a cause that says of itself that it is a timeout.
type late struct{}

func (late) Error() string   { return "late" }
func (late) Timeout() bool   { return true }
func (late) Temporary() bool { return true }

// A cause that is a timeout is one of the call, of whatever it is.
func TestTimeoutsOfOthers(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	fails := func(err error) holdfast.Option {
		return holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return nil, err })
	}
	for name, opt := range map[string]holdfast.Option{
		"a dialler":             fails(&net.OpError{Op: "dial", Err: late{}}),
		"a dialler of another":  fails(fmt.Errorf("socks: %w", late{})),
		"ETIMEDOUT":             fails(&net.OpError{Op: "dial", Err: &os.SyscallError{Syscall: "connect", Err: syscall.ETIMEDOUT}}),
		"a name":                fails(&net.DNSError{Err: "i/o timeout", Name: "x.test", IsTimeout: true}),
		"ResponseHeaderTimeout": holdfast.WithTransport(&http.Transport{ResponseHeaderTimeout: 10 * time.Millisecond}),
		"TLSHandshakeTimeout": holdfast.WithTransport(&http.Transport{TLSHandshakeTimeout: 10 * time.Millisecond,
			DialTLSContext: nil, TLSClientConfig: &tls.Config{}}),
		"another RoundTripper":           holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, late{} })),
		"a deadline of a RoundTripper":   holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded })),
		"a deadline of its own sockets":  holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, os.ErrDeadlineExceeded })),
		"an unanswered PING of HTTP/2":   holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("http2: client connection lost") })),
		"a handshake, in net/http's way": holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("net/http: TLS handshake timeout") })),
	} {
		t.Run(name, func(t *testing.T) {
			scheme := "http://"
			if name == "TLSHandshakeTimeout" {
				scheme = "https://"
			}
			c := over(t, scheme+silent.Addr().String(), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Timeouts: holdfast.Timeouts{Attempt: 10 * time.Second}}, opt)
			_, err := c.HTTPClient().Get(scheme + silent.Addr().String())
			is(t, err, holdfast.ErrTimeout)
			if !os.IsTimeout(err) || !os.IsTimeout(errors.Unwrap(err)) {
				t.Errorf("os.IsTimeout is false for %v", err)
			}
			equal(t, "counted", c.Stats().Timeouts, 1)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
		})
	}
}

// An answer without a body has http.NoBody, and io.ErrUnexpectedEOF is itself.
func TestBodiesOfNetHTTP(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/404":
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusNotFound)
		case "/503":
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/cut":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "five!")
		}
	}))
	defer s.Close()
	for name, client := range map[string]*http.Client{"bare": {}, "through holdfast": over(t, s.URL, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1}}).HTTPClient()} {
		for _, path := range []string{"/empty", "/204", "/304", "/404", "/503"} {
			resp, err := client.Get(s.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body != http.NoBody {
				t.Errorf("%s: the body of %s is a %T", name, path, resp.Body)
			}
		}
		resp, err := client.Get(s.URL + "/cut")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != io.ErrUnexpectedEOF || string(b) != "five!" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		resp.Body.Close()
	}
}

// Plain HTTP on a port for TLS is http.ErrSchemeMismatch, as http.Client reports it.
func TestSchemeMismatch(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	url := strings.Replace(s.URL, "http:", "https:", 1)
	c := over(t, url, holdfast.Config{})
	_, err := c.HTTPClient().Get(url)
	is(t, err, http.ErrSchemeMismatch)
	equal(t, "attempts", len(attempts(t, err)), 1)
}

// idleCloser is a RoundTripper that counts calls of CloseIdleConnections.
type idleCloser struct {
	http.RoundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnectionsOfATransport(t *testing.T) {
	rt := &idleCloser{}
	over(t, "http://x.test", holdfast.Config{}, holdfast.WithTransport(rt)).HTTPClient().CloseIdleConnections()
	equal(t, "closed", rt.closed, 1)
}

// With PlainErrors an SDK gets the errors that it would get without holdfast, if one attempt
// was made.
func TestPlainErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	past, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	own := errors.New("the RoundTripper's own")
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return nil, own
	})
	post := func(ctx context.Context) *http.Request {
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://x.test", strings.NewReader("x"))
		return req
	}
	c := over(t, "http://x.test", holdfast.Config{}, holdfast.WithTransport(rt))
	plain := c.Transport(holdfast.PlainErrors())

	_, err := plain.RoundTrip(post(t.Context())) // a POST without a key is not repeated
	equal(t, "one attempt", err, own)
	_, err = c.Transport().RoundTrip(post(t.Context()))
	if _, ok := err.(*holdfast.Error); !ok {
		t.Errorf("without the option: %T", err)
	}
	req, _ := http.NewRequest("GET", "http://x.test", nil)
	_, err = plain.RoundTrip(req)
	equal(t, "attempts of a GET", len(attempts(t, err)), 4)
	for name, ctx := range map[string]context.Context{"canceled": ctx, "past its deadline": past} {
		_, err = plain.RoundTrip(post(ctx))
		if err == nil || !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := post(t.Context())
	bad.Header["X-A"] = []string{"a\nb"}
	_, err = plain.RoundTrip(bad)
	if err == nil || !strings.HasPrefix(err.Error(), "net/http: invalid header field value") {
		t.Errorf("%v", err)
	}
}

// A body that its caller closes while another goroutine reads it is no failure of the
// service, over HTTP/1.1 and HTTP/2, and the client is not closed.
func TestBodyClosedDuringARead(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 512)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	for _, http2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(handler)
		var opts []holdfast.Option
		if s.EnableHTTP2 = http2; http2 {
			s.StartTLS()
			trusting := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			trusting.NextProtos = nil
			opts = append(opts, holdfast.WithTLSConfig(trusting))
		} else {
			s.Start()
		}
		c := over(t, s.URL, holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}}, opts...)
		for _, of := range []func() (*http.Response, error){
			func() (*http.Response, error) { return c.HTTPClient().Get(s.URL) },
			func() (*http.Response, error) {
				req, _ := http.NewRequest("GET", "/", nil)
				return c.Do(req)
			},
		} {
			for range 100 {
				resp, err := of()
				if err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				reads := make(chan struct{})
				wg.Go(func() {
					_, _ = resp.Body.Read(make([]byte, 1))
					close(reads)
					_, err := io.Copy(io.Discard, resp.Body)
					isNot(t, err, holdfast.ErrClosed, holdfast.ErrConnection)
				})
				<-reads
				resp.Body.Close()
				wg.Wait()
				_, err = resp.Body.Read(make([]byte, 1))
				if err == nil || errors.Is(err, holdfast.ErrClosed) {
					t.Fatalf("a Read after Close: %v", err)
				}
			}
		}
		equal(t, "broke off", c.Stats().BrokeOff, 0)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		_ = c.Close()
		s.Close()
	}
}

// An error keeps at most 64 KiB of all answers, not of each.
func TestErrorsAreBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("h", 1<<10))
		}
		w.WriteHeader(500)
		_, _ = w.Write(bytes.Repeat([]byte("b"), 100<<10))
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 10}})
	_, err := c.Get(t.Context(), "/")
	size := 0
	for _, a := range attempts(t, err) {
		declined, ok := a.Err.(*holdfast.StatusError)
		if !ok {
			t.Fatalf("%v", a.Err)
		}
		size += len(declined.Body)
		for name, values := range declined.Header {
			size += len(name) + len(values[0])
		}
	}
	if size > 64<<10 || size < 60<<10 {
		t.Errorf("%d bytes are kept", size)
	}
	var last *holdfast.StatusError
	if !errors.As(err, &last) || len(last.Body) < 20<<10 || last.Header.Get("X-Filler-7") == "" {
		t.Errorf("of the last answer there are %d bytes", len(last.Body))
	}
}

// A file goes to the socket without a copy. An attempt that is cut in the middle of it
// leaves the next one a whole file, from the position at which it was handed over.
func TestFilesOverSockets(t *testing.T) {
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(content)
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < 3 {
			_, _ = io.CopyN(io.Discard, r.Body, 200<<10)
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
			return
		}
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, content[10:]) || r.ContentLength != int64(len(content)-10) {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	_, _ = f.Seek(10, io.SeekStart)
	req, _ := http.NewRequest("PUT", s.URL, f)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "status", resp.StatusCode, 200)
	equal(t, "requests", requests.Load(), 3)
}

// A file that becomes shorter while it is sent is this side's mistake.
func TestFileThatShrinks(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Truncate(64 << 20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		_ = f.Truncate(1 << 20)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}})
	req, _ := http.NewRequest("PUT", s.URL, f)
	_, err = c.Do(req)
	is(t, err, holdfast.ErrInvalidRequest)
	if !strings.Contains(err.Error(), "http: ContentLength=67108864 with Body length ") {
		t.Errorf("%v", err)
	}
	equal(t, "attempts", len(attempts(t, err)), 1)
	equal(t, "breaker", c.Breaker().State(), holdfast.Closed)
}

// The context that a RoundTripper is given has ended when the answer's body is closed.
func TestContextOfARoundTripperEnds(t *testing.T) {
	var given context.Context
	c := over(t, "http://x.test", holdfast.Config{}, holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		given = r.Context()
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	})))
	resp, err := c.HTTPClient().Get("http://x.test")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "while the body is open", given.Err(), nil)
	resp.Body.Close()
	equal(t, "afterwards", given.Err(), context.Canceled)
}
