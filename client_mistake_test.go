package holdfast_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// reader hides what a reader is.
type reader struct{ io.Reader }

// A request that cannot be sent as it is, is this side's mistake: one attempt at most, and
// the breaker and the next caller hear nothing of it. The text tells what is wrong.
func TestMistakes(t *testing.T) {
	put := func(f func(*http.Request)) func() *http.Request {
		return func() *http.Request {
			req, _ := http.NewRequest("PUT", "/k", reader{strings.NewReader("abc")})
			f(req)
			return req
		}
	}
	file := func(content string) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(content)
		_, _ = f.Seek(0, io.SeekStart)
		return f
	}
	for name, tt := range map[string]struct {
		request  func() *http.Request
		says     string
		attempts int
	}{
		"a body shorter than its length": {put(func(r *http.Request) { r.ContentLength = 5 }), "http: ContentLength=5 with Body length 3", 1},
		"a body longer than its length":  {put(func(r *http.Request) { r.ContentLength = 2 }), "http: ContentLength=2 with Body length 3", 1},
		"a longer body in memory": {put(func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte("abc"))), 2
		}), "http: ContentLength=2 with Body length 3", 1},
		"a shorter file": {put(func(r *http.Request) { r.Body, r.ContentLength = file("abc"), 5 }), "http: ContentLength=5 with Body length 3", 1},
		"a length and no body": {put(func(r *http.Request) { r.Body, r.ContentLength = nil, 5 }),
			"http: Request.ContentLength=5 with nil Body", 0},
		"a newline in the query":  {put(func(r *http.Request) { r.URL.RawQuery = "q=a\nb" }), "net/http: can't write control character in Request.URL", 0},
		"an opaque URL":           {put(func(r *http.Request) { r.URL = &url.URL{Scheme: "http", Opaque: "x"} }), "http: no Host in request URL", 0},
		"another scheme":          {put(func(r *http.Request) { r.URL = &url.URL{Scheme: "faux", Host: "x.test"} }), `unsupported protocol scheme "faux"`, 0},
		"a method that is none":   {put(func(r *http.Request) { r.Method = "G ET" }), `net/http: invalid method "G ET"`, 0},
		"a header with a newline": {put(func(r *http.Request) { r.Header["X-A"] = []string{"a\nb"} }), `net/http: invalid header field value for "X-A"`, 0},
		"a name with a space":     {put(func(r *http.Request) { r.Header["X A"] = []string{"a"} }), `net/http: invalid header field name "X…"`, 0},
		"a trailer with a newline": {put(func(r *http.Request) { r.Trailer = http.Header{"X-T": {"a\nb"}} }),
			`net/http: invalid trailer field value for "X-T"`, 0},
		"Content-Length among the headers": {put(func(r *http.Request) { r.Header.Set("Content-Length", "3") }), "the request has the header Content-Length: must be left out", 0},
		"Transfer-Encoding":                {put(func(r *http.Request) { r.Header.Set("Transfer-Encoding", "chunked") }), "the request has the header Transfer-Encoding: must", 0},
		"Connection":                       {put(func(r *http.Request) { r.Header.Set("Connection", "close") }), `the request has the header Connection: must be "Upgrade" or left out`, 0},
		"Trailer":                          {put(func(r *http.Request) { r.Header.Set("Trailer", "X-T") }), "the request has the header Trailer: must be left out", 0},
		"TE":                               {put(func(r *http.Request) { r.Header.Set("TE", "gzip") }), `the request has the header Te: must be "trailers" or left out`, 0},
		"two hosts":                        {put(func(r *http.Request) { r.Header["Host"] = []string{"a", "b"} }), "the request has the header Host: must be one host", 0},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, c *holdfast.Client) {
				for range 2 {
					_, err := c.Do(tt.request())
					is(t, err, holdfast.ErrInvalidRequest)
					isNot(t, err, holdfast.ErrStatus, holdfast.ErrConnection)
					var e *holdfast.Error
					if !errors.As(err, &e) || len(e.Attempts) != tt.attempts || !strings.Contains(err.Error(), tt.says) {
						t.Errorf("%d attempts, want %d: %v", len(e.Attempts), tt.attempts, err)
					}
				}
				equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
				if _, err := c.Get(t.Context(), "/"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// bothWays runs a test over HTTP/1.1 and over HTTP/2, with a breaker that one failure opens.
func bothWays(t *testing.T, f func(t *testing.T, c *holdfast.Client)) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[http2], func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/k" { // an answer might arrive before the mistake is found
					<-r.Context().Done()
				}
			}))
			var opts []holdfast.Option
			if s.EnableHTTP2 = http2; http2 {
				s.StartTLS()
				trusting := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				trusting.NextProtos = nil
				opts = append(opts, holdfast.WithTLSConfig(trusting))
			} else {
				s.Start()
			}
			defer s.Close()
			c, err := holdfast.New(holdfast.Config{
				BaseURL: s.URL, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}, Retry: holdfast.Retry{BaseDelay: time.Millisecond},
			}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			f(t, c)
		})
	}
}

// An SDK gets net/http's words to the letter.
func TestMistakesOfAnSDK(t *testing.T) {
	u := &url.URL{Scheme: "http", Host: "x.test"}
	c := over(t, "http://x.test", holdfast.Config{})
	for ends, req := range map[string]*http.Request{
		`net/http: invalid method " "`:                           {Method: " ", URL: u},
		`net/http: invalid header field name "💡"`:                {Header: http.Header{"💡": {"emoji"}}, URL: u},
		`net/http: invalid header field value for "key"`:         {Header: http.Header{"key": {"\x19"}}, URL: u},
		`net/http: invalid trailer field value for "Trx"`:        {Trailer: http.Header{"Trx": {"x\r\n"}}, URL: u},
		`unsupported protocol scheme "faux"`:                     {URL: &url.URL{Scheme: "faux"}},
		`http: no Host in request URL`:                           {URL: &url.URL{Scheme: "http"}},
		`net/http: can't write control character in Request.URL`: {URL: &url.URL{Scheme: "http", Host: "x.test", RawQuery: "\n"}},
	} {
		body := &once{Reader: strings.NewReader("x")}
		req.Body = body
		_, err := c.HTTPClient().Do(req)
		if err == nil || !strings.HasSuffix(err.Error(), ends) {
			t.Errorf("%v, want the end %s", err, ends)
		}
		equal(t, ends+": body closed", body.closed, 1)
	}
}

// What Authorize makes wrong is seen before it is sent.
func TestMistakesOfAuthorize(t *testing.T) {
	for name, authorize := range map[string]func(*http.Request) error{
		"a newline in a token": func(r *http.Request) error { r.Header.Set("Authorization", "Bearer a\n"); return nil },
		"a name with a space":  func(r *http.Request) error { r.Header["X Key"] = []string{"k"}; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(), holdfast.Config{Authorize: authorize, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}})
				_, err := c.Get(t.Context(), "/x")
				is(t, err, holdfast.ErrInvalidRequest)
				equal(t, "attempts", len(attempts(t, err)), 1)
				equal(t, "requests", len(s.Record()), 0)
				equal(t, "breaker", c.Breaker().State(), holdfast.Closed)
				if strings.Contains(fmt.Sprintf("%+v", err), "Bearer") {
					t.Errorf("the token is in %v", err)
				}
			})
		})
	}
}

// A method that the caller names, and headers of the settings, are checked as early.
func TestMistakesOfTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(), holdfast.Config{})
		_, err := holdfast.Call[any](t.Context(), c, "G\nET", "/x", nil)
		is(t, err, holdfast.ErrInvalidRequest)
		for _, name := range []string{"Content-Length", "Transfer-Encoding", "Trailer", "Keep-Alive", "Proxy-Connection", "Connection", "TE"} {
			_, err := c.Get(t.Context(), "/x", holdfast.WithHeader(name, "3"))
			is(t, err, holdfast.ErrInvalidRequest)
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s is not named in %v", name, err)
			}
		}
		equal(t, "requests", len(s.Record()), 0)
		_, err = holdfast.New(holdfast.Config{BaseURL: "http://x.test", Header: http.Header{"Content-Length": {"3"}}})
		if err == nil || !strings.Contains(err.Error(), "Config.Header Content-Length must be left out") {
			t.Errorf("%v", err)
		}
	})
}

// A Host that is given among the headers is sent as the host.
func TestHost(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer s.Close()
	const tenant = "tenant.example.com"
	of := func(header http.Header) *holdfast.Client {
		c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Header: header})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	plain, configured := of(nil), of(http.Header{"host": {tenant}})
	read := func(resp *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	request := func() *http.Request {
		req, _ := http.NewRequest("GET", s.URL+"/", nil)
		return req
	}
	own := strings.TrimPrefix(s.URL, "http://")
	for name, tt := range map[string]struct {
		got  func() string
		want string
	}{
		"none":               {func() string { return read(plain.Do(request())) }, own},
		"Config.Header":      {func() string { return read(configured.Do(request())) }, tenant},
		"Config.Header, SDK": {func() string { return read(configured.HTTPClient().Do(request())) }, tenant},
		"WithHeader": {func() string {
			resp, err := plain.Get(t.Context(), "/", holdfast.WithHeader("Host", tenant))
			if err != nil {
				t.Fatal(err)
			}
			return string(resp.Body)
		}, tenant},
		"a header of Do": {func() string {
			req := request()
			req.Header.Set("Host", tenant)
			return read(plain.Do(req))
		}, tenant},
		"Request.Host": {func() string {
			req := request()
			req.Host = tenant
			return read(plain.Do(req))
		}, tenant},
		"a header of an SDK, which net/http ignores": {func() string {
			req := request()
			req.Header.Set("Host", tenant)
			return read(plain.HTTPClient().Do(req))
		}, own},
	} {
		equal(t, name, tt.got(), tt.want)
	}
}

// The length of a file, and of a body in memory, is sent.
func TestKnownLengths(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, r.ContentLength, " ", n)
	}))
	defer s.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := func(content string, from int64) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(content)
		_, _ = f.Seek(from, io.SeekStart)
		return f
	}
	for name, tt := range map[string]struct {
		body io.Reader
		want string
	}{
		"an empty file":              {file("", 0), "0 0"},
		"a file":                     {file("12345", 0), "5 5"},
		"a file from its middle":     {file("12345", 3), "2 2"},
		"a section of a file":        {io.NewSectionReader(strings.NewReader("12345"), 1, 3), "3 3"},
		"memory below NopCloser":     {io.NopCloser(bytes.NewReader([]byte("12345"))), "5 5"},
		"a buffer below NopCloser":   {io.NopCloser(bytes.NewBufferString("12345")), "5 5"},
		"a string, already begun":    {io.NopCloser(begun("12345")), "4 4"},
		"an empty buffer":            {io.NopCloser(new(bytes.Buffer)), "0 0"},
		"a reader of unknown length": {reader{strings.NewReader("12345")}, "-1 5"},
	} {
		req, _ := http.NewRequest("PUT", "/k", tt.body)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		equal(t, name, string(b), tt.want)
	}
}

func begun(s string) *strings.Reader {
	r := strings.NewReader(s)
	_, _ = r.ReadByte()
	return r
}
