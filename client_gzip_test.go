package holdfast_test

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// packing is a service that answers in gzip if the request accepts it, and keeps the
// Accept-Encoding of each request.
type packing struct {
	always   bool // answer in gzip
	mu       sync.Mutex
	accepted []string
}

const unpackedText = "the same words, again and again; "

func (p *packing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accepts := strings.Join(r.Header["Accept-Encoding"], ", ")
	p.mu.Lock()
	p.accepted = append(p.accepted, accepts)
	nth := len(p.accepted)
	p.mu.Unlock()
	switch {
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/x", http.StatusTemporaryRedirect)
		return
	case r.URL.Path == "/third" && nth < 3:
		w.WriteHeader(503)
		return
	}
	if !strings.Contains(accepts, "gzip") && !p.always {
		io.WriteString(w, unpackedText)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	io.WriteString(z, unpackedText)
	z.Close()
}

// start serves over HTTP/1.1, or over HTTP/2.
func (p *packing) start(t *testing.T, proto string) (url string, trust *tls.Config) {
	if proto == "HTTP/1.1" {
		s := httptest.NewServer(p)
		t.Cleanup(s.Close)
		return s.URL, nil
	}
	s, trust := servingTLS(t, p.ServeHTTP, nil)
	return s.URL, trust
}

// Every attempt and every redirect asks for a compressed answer and unpacks it exactly
// where net/http does.
func TestGzipIsAskedFor(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name, path string
		cfg        holdfast.Config
		over       func(*http.Transport) http.RoundTripper
		change     func(*http.Request)
		asks       string // the last request
		packed     bool   // the answer is returned as it was sent
	}{
		{name: "default", asks: "gzip"},
		{name: "by the third attempt", path: "/third", asks: "gzip"},
		{name: "after a redirect", path: "/moved", asks: "gzip"},
		{name: "a header of the caller", change: header("Accept-Encoding", "gzip, br"), asks: "gzip, br", packed: true},
		{name: "the caller says the same", change: header("Accept-Encoding", "gzip"), asks: "gzip", packed: true},
		{name: "the caller says the same, after a redirect", path: "/moved", change: header("Accept-Encoding", "gzip"), asks: "gzip", packed: true},
		{name: "the caller wants none", change: header("Accept-Encoding", "identity"), asks: "identity"},
		{name: "the client says so", cfg: holdfast.Config{Header: http.Header{"Accept-Encoding": {"gzip"}}}, asks: "gzip", packed: true},
		{name: "a range", change: header("Range", "bytes=0-"), asks: ""},
		{name: "HEAD", change: func(r *http.Request) { r.Method = "HEAD" }, asks: ""},
		{name: "a transport that shall not", over: func(rt *http.Transport) http.RoundTripper { rt.DisableCompression = true; return rt }, asks: ""},
		{name: "a transport that may", over: func(rt *http.Transport) http.RoundTripper { return rt }, asks: "gzip"},
		{name: "another transport", over: func(rt *http.Transport) http.RoundTripper { return wrapped{rt} }, asks: "gzip"},
		{name: "beside Authorize", path: "/third", cfg: holdfast.Config{Authorize: func(r *http.Request) error {
			if _, ok := r.Header["Accept-Encoding"]; ok {
				t.Error("Authorize saw Accept-Encoding, which proxies change: it must not sign it")
			}
			return nil
		}}, asks: "gzip"},
		{name: "Authorize says so", cfg: holdfast.Config{Authorize: func(r *http.Request) error {
			r.Header.Set("Accept-Encoding", "gzip")
			return nil
		}}, asks: "gzip", packed: true},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(c.name+"/"+proto, func(t *testing.T) {
				var p packing
				url, trust := p.start(t, proto)
				cfg, opt := c.cfg, holdfast.WithTLSConfig(trust)
				cfg.BaseURL, cfg.MaxRedirects, cfg.Retry.BaseDelay = url, 1, holdfast.Off
				if c.over != nil {
					rt := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}
					defer rt.CloseIdleConnections()
					opt = holdfast.WithTransport(c.over(rt))
				}
				client, err := holdfast.New(cfg, opt)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				path := c.path
				if path == "" {
					path = "/x"
				}
				req, _ := http.NewRequestWithContext(t.Context(), "GET", path, nil)
				if c.change != nil {
					c.change(req)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				equal(t, "protocol", resp.Proto, proto)
				equal(t, "asked", p.accepted[len(p.accepted)-1], c.asks)
				body := io.Reader(resp.Body)
				if c.packed {
					equal(t, "encoding", resp.Header.Get("Content-Encoding"), "gzip")
					if body, err = gzip.NewReader(body); err != nil {
						t.Fatal(err)
					}
				}
				b, err := io.ReadAll(body)
				want := unpackedText
				if req.Method == "HEAD" {
					want = ""
				}
				if err != nil || string(b) != want {
					t.Errorf("%q, %v", b, err)
				}
				if asked := c.asks != "" && !c.packed && c.asks != "identity"; resp.Uncompressed != asked || asked && (resp.ContentLength != -1 || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Content-Encoding") != "") {
					t.Errorf("unpacked %v, length %d, header %v", resp.Uncompressed, resp.ContentLength, resp.Header)
				}
				if len(req.Header["Accept-Encoding"]) > 0 && c.change == nil {
					t.Error("the caller's request was changed")
				}
			})
		}
	}
}

// A stream asks for an answer that is not compressed, since a proxy that compresses delays
// its events, and unpacks one that is compressed nevertheless.
func TestStreamsAreNotCompressed(t *testing.T) {
	authorize := func(*http.Request) error { return nil }
	for _, c := range []struct {
		name   string
		cfg    holdfast.Config
		opts   []holdfast.CallOption
		packs  bool
		asks   string
		packed bool
	}{
		{name: "default", asks: "identity"},
		{name: "beside Authorize", cfg: holdfast.Config{Authorize: authorize}, asks: "identity"},
		{name: "a service that compresses nevertheless", packs: true, asks: "identity"},
		{name: "the caller says so", opts: []holdfast.CallOption{holdfast.WithHeader("Accept-Encoding", "gzip")}, asks: "gzip", packed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := packing{always: c.packs}
			url, _ := p.start(t, "HTTP/1.1")
			c.cfg.BaseURL = url
			client, err := holdfast.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			s, err := client.Stream(t.Context(), "GET", "/x", nil, c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			for line, err := range s.Lines() {
				if err != nil || string(line) == unpackedText == c.packed {
					t.Errorf("%q, %v", line, err)
				}
			}
			equal(t, "asked", p.accepted[0], c.asks)
		})
	}
}

// wrapped hides the type of a transport.
type wrapped struct{ next http.RoundTripper }

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w.next.RoundTrip(r) }

// The connection of a compressed answer that was read to its end is used again, also if
// the answer declines the request.
func TestGzipKeepsTheConnection(t *testing.T) {
	var calls, connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if calls.Add(1)%3 == 0 {
			w.WriteHeader(503)
		}
		z := gzip.NewWriter(w)
		for range 1000 {
			io.WriteString(z, unpackedText)
		}
		z.Close()
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 20 {
		answer, err := c.Get(t.Context(), "/")
		if err != nil || len(answer.Body) != 1000*len(unpackedText) {
			t.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); err != nil || n != int64(1000*len(unpackedText)) {
			t.Fatal(n, err)
		}
	}
	if n := connections.Load(); n > 2 { // net/http gives up a connection that is busy for too long
		t.Errorf("%d connections", n)
	}
	if n := calls.Load(); n < 50 {
		t.Errorf("%d requests: none was declined", n)
	}
}

// The answer after redirects at another origin is unpacked, although Authorize is not
// called there.
func TestGzipAtAnotherOrigin(t *testing.T) {
	var p packing
	far, _ := p.start(t, "HTTP/1.1")
	near := httptest.NewServer(http.RedirectHandler(far+"/moved", http.StatusTemporaryRedirect))
	defer near.Close()
	for _, authorize := range []func(*http.Request) error{nil, func(*http.Request) error { return nil }} {
		c, err := holdfast.New(holdfast.Config{BaseURL: near.URL, MaxRedirects: 3, Authorize: authorize})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		answer, err := c.Get(t.Context(), "/x")
		if err != nil || string(answer.Body) != unpackedText {
			t.Errorf("Authorize %v: %v, %+v", authorize != nil, err, answer)
		}
	}
	equal(t, "asked", strings.Join(p.accepted, " "), "gzip gzip gzip gzip")
}
