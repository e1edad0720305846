package wire

import (
	"bytes"
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
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// secure is a TLS server that speaks HTTP/2, and a transport that trusts it.
func secure(t *testing.T, cfg TransportConfig, h http.HandlerFunc) (*Transport, *httptest.Server) {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.TLS.RootCAs.AddCert(s.Certificate())
	rt := NewTransport(cfg)
	t.Cleanup(rt.CloseIdleConnections)
	return rt, s
}

// roundTripTo makes one attempt without limits, for what does not read a body.
func roundTripTo(rt http.RoundTripper, req *http.Request, limits Limits) (*http.Response, *Trip, error) {
	trip := new(Trip)
	trip.Start(&attempt{Context: req.Context()}, time.Now(), time.Time{}, &limits)
	resp, err := trip.RoundTrip(rt, req.WithContext(trip))
	return resp, trip, err
}

// attempt stands for shell.Attempt, which is beside this room.
type attempt struct {
	context.Context
	cancel context.CancelCauseFunc
	once   sync.Once
}

func (a *attempt) begin() {
	a.once.Do(func() { a.Context, a.cancel = context.WithCancelCause(a.Context) })
}
func (a *attempt) Done() <-chan struct{}          { a.begin(); return a.Context.Done() }
func (a *attempt) AfterFunc(f func()) func() bool { a.begin(); return context.AfterFunc(a.Context, f) }
func (a *attempt) Extend(time.Time)               {}
func (a *attempt) Expire()                        { a.begin(); a.cancel(context.DeadlineExceeded) }
func (a *attempt) End()                           { a.begin(); a.cancel(context.Canceled) }

func get(t *testing.T, ctx context.Context, url string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// A Transport with a dialler of its own speaks HTTP/1.1 only, unless it is told
// otherwise.
func TestHTTP2StaysOn(t *testing.T) {
	rt, s := secure(t, TransportConfig{Connect: 10 * time.Second, MaxConns: 5, MaxIdleConns: 5}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	})
	for i := range 3 {
		resp, trip, err := roundTripTo(rt, get(t, t.Context(), s.URL), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadAll(resp.Body, resp.ContentLength, 0)
		resp.Body.Close()
		if err != nil || string(b) != "HTTP/2.0" || resp.Proto != "HTTP/2.0" {
			t.Errorf("%q over %s, %v", b, resp.Proto, err)
		}
		if !trip.Sent(nil) || trip.Reused() != (i > 0) {
			t.Errorf("request %d: sent %v, reused %v", i+1, trip.Sent(nil), trip.Reused())
		}
	}
}

func TestUntrustedCertificateIsHopeless(t *testing.T) {
	_, s := secure(t, TransportConfig{}, func(http.ResponseWriter, *http.Request) {})
	rt := NewTransport(TransportConfig{})
	_, trip, err := roundTripTo(rt, get(t, t.Context(), s.URL), Limits{})
	if trip.Sent(err) || err == nil || Classify(err) != Hopeless {
		t.Errorf("%v", err)
	}
	// Plain HTTP where TLS is spoken, the other way round.
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, _, err = roundTripTo(rt, get(t, t.Context(), strings.Replace(plain.URL, "http:", "https:", 1)), Limits{})
	if err == nil || Classify(err) != Hopeless {
		t.Errorf("%v", err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Failure
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, Lost},
		{syscall.ECONNRESET, Lost},
		{io.EOF, Lost},
		{io.ErrUnexpectedEOF, Lost},
		{fmt.Errorf("dial: %w", &connectTimeout{context.DeadlineExceeded}), ConnectTimeout},
		{errors.New("net/http: TLS handshake timeout"), ConnectTimeout},
		{&net.DNSError{IsNotFound: true}, Hopeless},
		{&net.DNSError{IsTemporary: true}, Lost},
		{&net.DNSError{IsTimeout: true}, Lost},
		{fmt.Errorf("tls: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), Hopeless},
		{x509.HostnameError{Certificate: &x509.Certificate{}}, Hopeless},
		{tls.RecordHeaderError{}, Hopeless},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, Hopeless},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, Lost},
		{http.ErrSchemeMismatch, Hopeless},
		{errors.New(`unsupported protocol scheme "ftp"`), Hopeless},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
	if inner := errors.New("x"); !errors.Is(&connectTimeout{inner}, inner) || (&connectTimeout{inner}).Error() != "x" {
		t.Error("a dial that timed out has lost its cause")
	}
}

// A dial that nobody waits for any more ends by itself.
func TestConnectIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			ended++
			return nil, ctx.Err()
		}
		rt := NewTransport(TransportConfig{Connect: 3 * time.Second, Dial: silent})
		start := time.Now()
		_, trip, err := roundTripTo(rt, get(t, t.Context(), "http://x.test"), Limits{})
		if time.Since(start) != 3*time.Second || Classify(err) != ConnectTimeout || trip.Sent(err) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// Whoever gives up earlier leaves the dial behind, for another two seconds.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err = roundTripTo(rt, get(t, ctx, "http://x.test"), Limits{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ended != 2 {
			t.Errorf("%d of 2 dials have ended", ended)
		}
		// Without a limit it is the caller's.
		rt = NewTransport(TransportConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }})
		if _, _, err = roundTripTo(rt, get(t, t.Context(), "http://x.test"), Limits{}); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

func TestSomebodyElsesTransport(t *testing.T) {
	_, trip, err := roundTripTo(roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), get(t, t.Context(), "http://x.test"), Limits{})
	if !trip.Sent(err) || err != io.EOF {
		t.Error("what is not known to be unsent must count as sent")
	}
	_, _, err = roundTripTo(roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != errNothing {
		t.Error(err)
	}
	resp, _, err := roundTripTo(roundTrip(func(*http.Request) (*http.Response, error) { return &http.Response{}, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != nil || resp.Body == nil {
		t.Errorf("%+v, %v", resp, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestIdempotent(t *testing.T) {
	for _, m := range []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} {
		if !Idempotent(m) {
			t.Errorf("%q is not", m)
		}
	}
	for _, m := range []string{"POST", "PATCH", "CONNECT", "get"} {
		if Idempotent(m) {
			t.Errorf("%q is", m)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, 0},
		{http.Header{"Retry-After": {"120"}}, 2 * time.Minute},
		{http.Header{"Retry-After": {" 1.5 "}}, 1500 * time.Millisecond},
		{http.Header{"Retry-After": {"0"}}, 0},
		{http.Header{"Retry-After": {"-5"}}, 0},
		{http.Header{"Retry-After": {"soon"}}, 0},
		{http.Header{"Retry-After": {"NaN"}}, 0},
		{http.Header{"Retry-After": {"9223372037"}}, 1<<63 - 1}, // overflows a Duration
		{http.Header{"Retry-After": {"1e300"}}, 1<<63 - 1},
		{http.Header{"Retry-After": {"1e999"}}, 1<<63 - 1},
		{http.Header{"Retry-After": {strings.Repeat("0", 63) + "1"}}, time.Second}, // just short enough
		{http.Header{"Retry-After": {strings.Repeat("1", 65)}}, 0},                 // no honest value
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 10:00:30 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 09:00:00 GMT"}}, 0}, // past
		{http.Header{"Retry-After": {"Sun, " + strings.Repeat(" ", 35) + "22 Nov 2026 10:00:30 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"Sun, " + strings.Repeat(" ", 36) + "22 Nov 2026 10:00:30 GMT"}}, 0}, // too long
		// A clock that is wrong by an hour on either side does no harm.
		{http.Header{"Retry-After": {"Sun, 22 Nov 2026 11:00:30 GMT"}, "Date": {"Sun, 22 Nov 2026 11:00:00 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"250"}}, 250 * time.Millisecond},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"0"}}, 0},
		{http.Header{"Retry-After": {"7"}, "Retry-After-Ms": {"x"}}, 7 * time.Second},
	} {
		if got := RetryAfter(c.header, now); got != c.want {
			t.Errorf("%v asks for %v, want %v", c.header, got, c.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"1", "-1", "9223372037", "1e400", "Sun, 06 Nov 1994 08:49:37 GMT", "NaN", "0x10"} {
		f.Add(v, v)
	}
	f.Fuzz(func(t *testing.T, seconds, ms string) {
		if d := RetryAfter(http.Header{"Retry-After": {seconds}, "Retry-After-Ms": {ms}}, time.Now()); d < 0 {
			t.Errorf("%q, %q ask for %v", seconds, ms, d)
		}
	})
}

func TestShouldRetry(t *testing.T) {
	for v, want := range map[string][2]bool{"true": {true, true}, "FALSE": {false, true}, "": {false, false}, "maybe": {false, false}} {
		again, said := ShouldRetry(http.Header{"X-Should-Retry": {v}})
		if [2]bool{again, said} != want {
			t.Errorf("%q says %v, %v", v, again, said)
		}
	}
}

func TestRead(t *testing.T) {
	text := strings.Repeat("0123456789", 500)
	for _, length := range []int64{-1, 0, 5000, 1 << 62} { // what was announced need not be true
		for _, limit := range []int64{0, 5000, 4999, 10} {
			got, err := ReadAll(iotest.OneByteReader(strings.NewReader(text)), length, limit)
			want, long := text, false
			if limit > 0 && limit < 5000 {
				want, long = text[:limit], true
			}
			if string(got) != want || errors.Is(err, ErrTooLong) != long {
				t.Errorf("length %d, limit %d: %d bytes, %v", length, limit, len(got), err)
			}
		}
	}
	got, err := ReadAll(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, 0)
	if string(got) != "abc" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", got, err)
	}
	if got, whole := ReadError(bytes.NewReader(make([]byte, 100<<10)), nil); len(got) != errorBody || whole {
		t.Errorf("%d bytes of a refusal are kept", len(got))
	}
}

// What is announced is made room for at once, up to a point: it costs nothing to
// promise. What is not has enough for a refusal.
func TestReadMakesRoom(t *testing.T) {
	for _, c := range []struct {
		length int64
		text   string
		room   int
	}{
		{5000, strings.Repeat("x", 5000), 5001}, // and for the Read that meets the end
		{0, "", 1},
		{1 << 62, "abc", 1 << 20},
		{-1, "abc", 512},
	} {
		got, err := ReadAll(strings.NewReader(c.text), c.length, 0)
		if string(got) != c.text || err != nil || cap(got) != c.room {
			t.Errorf("length %d: %d bytes, %v, in room for %d, want %d", c.length, len(got), err, cap(got), c.room)
		}
	}
	if got, _ := ReadError(strings.NewReader("abc"), nil); cap(got) != 512 {
		t.Errorf("a refusal of three bytes is in room for %d", cap(got))
	}
}

// What is past the limit stays where it is, but for the byte that tells.
func TestReadStopsAtTheLimit(t *testing.T) {
	long := &body{Reader: strings.NewReader(strings.Repeat("x", 100))}
	got, err := ReadAll(iotest.HalfReader(long), -1, 10)
	if len(got) != 10 || err != ErrTooLong || long.read != 11 {
		t.Errorf("%d bytes, %v, of %d that were read", len(got), err, long.read)
	}
}

// A retry waits half a second for what a refusal has to say.
func TestReadErrorIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go io.WriteString(w, "sorry")
		start := time.Now()
		got, whole := ReadError(r, func() { w.CloseWithError(context.Canceled) })
		if string(got) != "sorry" || whole || time.Since(start) != 500*time.Millisecond {
			t.Errorf("%q, whole %v, after %v", got, whole, time.Since(start))
		}
		got, whole = ReadError(strings.NewReader("sorry"), func() { t.Error("hurried, and it was there") })
		if time.Sleep(time.Minute); string(got) != "sorry" || !whole {
			t.Errorf("%q, whole %v", got, whole)
		}
	})
}

type body struct {
	io.Reader
	read   int
	closed bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *body) Close() error { b.closed = true; return nil }

// Draining is bounded in bytes and in time.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := &body{Reader: strings.NewReader("rest")}
		Drain(short, func() { t.Error("canceled") })
		if short.read != 4 || !short.closed {
			t.Errorf("read %d, closed %v", short.read, short.closed)
		}
		endless := &body{Reader: io.LimitReader(zeros{}, 1<<40)}
		Drain(endless, func() { t.Error("canceled") })
		if endless.read > drainBytes+64<<10 || !endless.closed {
			t.Errorf("read %d, closed %v", endless.read, endless.closed)
		}
		r, w := io.Pipe()
		start := time.Now()
		Drain(r, func() { w.CloseWithError(context.Canceled) })
		if time.Since(start) != drainTime {
			t.Errorf("gave up after %v", time.Since(start))
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTarget(t *testing.T) {
	for _, c := range []struct{ base, path, want string }{
		{"http://a.test", "", "http://a.test"},
		{"http://a.test", "x", "http://a.test/x"},
		{"http://a.test/v1", "/x/", "http://a.test/v1/x/"},
		{"http://a.test/v1/", "x?q=1#f", "http://a.test/v1/x?q=1"},
		{"http://a.test/v1", "?q=1", "http://a.test/v1?q=1"},
		{"http://a.test/v1", "/a%2Fb/c", "http://a.test/v1/a%2Fb/c"},
		{"http://a.test/v1", "/a..b/...", "http://a.test/v1/a..b/..."},
		{"http://a.test/v1", "///x", "http://a.test/v1/x"},
		{"http://a.test/v%2F1", "x", "http://a.test/v%2F1/x"},
	} {
		base, _ := url.Parse(c.base)
		got, err := Target(base, c.path)
		if err != nil || got.String() != c.want {
			t.Errorf("%s below %s is %v, %v, want %s", c.path, c.base, got, err, c.want)
		}
	}
}

// Whatever names another place is refused, and not bent into a path of this one.
func TestTargetLeadsAway(t *testing.T) {
	base, _ := url.Parse("http://a.test/v1")
	for path, want := range map[string]string{
		"http:/x":       `path "http:/x" leads away from the base URL: must be a path below it`,
		"//evil.test/x": `path "//evil.test/x" leads away from the base URL: must be a path below it`,
		"//me@/x":       `path "…@/x" leads away from the base URL: must be a path below it`,
		"javascript:1":  `path "javascript:1" leads away from the base URL: must be a path below it`,
		"/a/../b?k=v":   `path "/a/../b" has a ".." in it: must stay below the base URL`,
		"/%zz?k=v":      `path "/%zz" cannot be parsed`,
	} {
		if got, err := Target(base, path); got != nil || err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", path, got, err, want)
		}
	}
}

// The same origin may be written in several ways; what differs in one of the
// three is another.
func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"http://a.test/x?q", "http://me@a.test/y", true},
		{"http://a.test", "http://A.test:80", true},
		{"https://a.test:443", "https://a.test", true},
		{"ftp://a.test", "ftp://A.test", true},
		{"http://a.test:8080", "http://A.test:8080", true},
		{"http://a.test", "https://a.test", false},
		{"http://a.test:443", "https://a.test", false},
		{"http://a.test", "http://b.test", false},
		{"http://a.test", "http://a.test:443", false},
		{"https://a.test", "https://a.test:80", false},
		{"http://a.test:8080", "http://a.test:8081", false},
	} {
		a, _ := url.Parse(c.a)
		b, _ := url.Parse(c.b)
		if SameOrigin(a, b) != c.want || SameOrigin(b, a) != c.want {
			t.Errorf("%s and %s: want %v", a, b, c.want)
		}
	}
	// Not every address comes out of url.Parse, which writes the scheme small.
	if a, b := (&url.URL{Scheme: "HTTPS", Host: "a.test"}), (&url.URL{Scheme: "https", Host: "a.test:443"}); !SameOrigin(a, b) {
		t.Errorf("%s and %s are not the same", a, b)
	}
}

// Which paths need no parsing: each byte by itself, and those that mean something
// else when there are two.
func TestPlainPaths(t *testing.T) {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"
	for c := range rune(256) {
		if got, want := isPlain(string([]byte{byte(c)})), strings.IndexByte(plain, byte(c)) >= 0; got != want {
			t.Errorf("%q is plain: %v, want %v", c, got, want)
		}
	}
	for path, want := range map[string]bool{
		"": false, "/v1/embeddings": true, "a./b": true, "/a.b/": true, "//a": false, "/a//b": false, "..": false, "/a..b": false, "/a?b": false,
	} {
		if got := isPlain(path); got != want {
			t.Errorf("%q is plain: %v, want %v", path, got, want)
		}
	}
}

// The fence: whatever the path, the request goes to the base's host, below the
// base's path, or nowhere.
func FuzzTarget(f *testing.F) {
	for _, p := range []string{"/x", "//evil.test", "http://evil.test", "/a/../b", "%2e%2e/x", "/..%2f", `\\evil`, "@evil.test/x", ":80/x", "/x?y=//z", "..", "/./..", "javascript:1", "/work/12", "a.b/c-d_e/", "/a//b", "/a/.", ".well-known/x", ""} {
		f.Add(p)
	}
	base, _ := url.Parse("https://api.test:8443/v1")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := Target(base, path)
		if parsed, wrong := parsedTarget(base, path); !reflect.DeepEqual(got, parsed) || !reflect.DeepEqual(err, wrong) {
			t.Errorf("%q leads to %v, %v; parsed, to %v, %v", path, got, err, parsed, wrong)
		}
		if err != nil {
			return
		}
		// What net/http would dial and send is what is judged.
		again, err := url.Parse(got.String())
		if err != nil {
			t.Fatalf("%q becomes %q, which cannot be parsed: %v", path, got, err)
		}
		if again.Scheme != "https" || again.Host != "api.test:8443" || again.User != nil {
			t.Errorf("%q leads to %q", path, again)
		}
		if again.Path != "/v1" && !strings.HasPrefix(again.Path, "/v1/") {
			t.Errorf("%q leads to %q", path, again.Path)
		}
		for _, segment := range strings.Split(again.Path, "/") {
			if segment == ".." {
				t.Errorf("%q leads upwards: %q", path, again.Path)
			}
		}
	})
}

func TestShown(t *testing.T) {
	u, _ := url.Parse("https://me:s3cret@a.test/x?key=s3cret#s3cret")
	if got := Shown(u); got != "https://a.test/x" {
		t.Error(got)
	}
	if got := Shown(&url.URL{Scheme: "https", Opaque: "me:s3cret@a.test"}); got != "https:" {
		t.Error(got)
	}
	for in, want := range map[string]string{"/x?k=v": "/x", "//me:pw@evil/x": "…@evil/x", "/x#t@k": "…", "//me:p?w@evil/x": "…", "//m@e:p@evil#k": "…@evil", "?k=v": "", "@evil/x": "…@evil/x"} {
		if got := withoutQuery(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
}
