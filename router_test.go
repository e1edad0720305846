package holdfast_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
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

// site is a service on a real socket that keeps the headers of its requests.
type site struct {
	*httptest.Server
	mu  sync.Mutex
	got []http.Header
}

// siteOf returns a site that answers by h, or with "ok" if h is nil.
func siteOf(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	s := new(site)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.got = append(s.got, r.Header)
		s.mu.Unlock()
		if h == nil {
			_, _ = io.WriteString(w, "ok")
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// last returns the headers of the last request.
func (s *site) last(t *testing.T) http.Header {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		t.Fatal("the site got no request")
	}
	return s.got[len(s.got)-1]
}

func (s *site) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func routerOf(t *testing.T, cfg holdfast.RouterConfig, opts ...holdfast.Option) *holdfast.Router {
	t.Helper()
	r, err := holdfast.NewRouter(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// routing returns a Router in a bubble. A fault server in memory is every host.
func routing(t *testing.T, plan fault.Plan, cfg holdfast.RouterConfig, opts ...holdfast.Option) (*holdfast.Router, *faultserver.Server) {
	t.Helper()
	s := faultserver.Start(t, plan, faultserver.InMemory())
	r, err := holdfast.NewRouter(cfg, append(opts, holdfast.WithDialContext(s.Dial))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		synctest.Wait()
		time.Sleep(time.Second) // as in serving
	})
	return r, s
}

func keyed(key string) holdfast.Config {
	return holdfast.Config{
		Header:    http.Header{"X-Api-Key": {key}},
		Authorize: func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+key); return nil },
	}
}

// Each origin gets the credentials that are listed for it. An origin that is not listed
// gets none, also if Default has them.
func TestRouterCredentials(t *testing.T) {
	api, upload, other := siteOf(t, nil), siteOf(t, nil), siteOf(t, nil)
	def := keyed("of Default")
	tr := new(tracer)
	r := routerOf(t, holdfast.RouterConfig{
		Hosts: map[string]holdfast.Config{api.URL: keyed("a"), upload.URL: keyed("u")}, Default: &def,
	}, holdfast.WithInstrument(tr))
	for _, s := range []*site{api, upload, other} {
		if _, body, err := send(t, r.HTTPClient(), "PUT", s.URL+"/x", nil); err != nil || body != "ok" {
			t.Fatal(body, err)
		}
	}
	for s, want := range map[*site]http.Header{
		api:    {"X-Api-Key": {"a"}, "Authorization": {"Bearer a"}, "Traceparent": {"1"}},
		upload: {"X-Api-Key": {"u"}, "Authorization": {"Bearer u"}, "Traceparent": {"1"}},
		other:  {},
	} {
		for _, name := range []string{"X-Api-Key", "Authorization", "Traceparent"} {
			equal(t, name+" at "+s.URL, s.last(t).Get(name), want.Get(name))
		}
	}
	equal(t, "Default has its header", def.Header.Get("X-Api-Key"), "of Default")
	equal(t, "attempts of the tracer", strings.Count(strings.Join(tr.log, "\n"), "attempt 1 of 4"), 3)
	for name, s := range map[string]*site{"upload": upload, "other": other} {
		stats := r.Stats()[s.URL]
		equal(t, name+": operations", stats.Operations, 1)
		equal(t, name+": name", stats.Name, s.URL)
	}
}

// A client certificate is shown to the origins in Hosts, and to no other origin.
func TestRouterClientCertificate(t *testing.T) {
	identities := faultserver.Start(t, fault.Plan{}, faultserver.TLS())
	ask := func(server *tls.Config) {
		server.ClientAuth, server.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
		server.ClientCAs.AddCert(identities.Certificate())
	}
	listed, cfg := overTLS(t, ask)
	other, _ := overTLS(t, ask)
	cfg.RootCAs.AddCert(other.Certificate())
	cfg.Certificates = identities.ClientTLS().Certificates
	def := holdfast.Config{}
	r := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{listed.URL: {}}, Default: &def}, holdfast.WithTLSConfig(cfg))
	for at, want := range map[string]bool{listed.URL: true, other.URL: false} {
		_, body, err := send(t, r.HTTPClient(), "GET", at, nil)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, body+" at "+at, !strings.HasSuffix(body, "by no client"), want)
	}
	equal(t, "certificates of the caller", len(cfg.Certificates), 1)
}

// A redirect to another origin is sent with the client of that origin. So no header of the
// configuration follows it, and http.Client removes the caller's Authorization.
func TestRouterRedirects(t *testing.T) {
	for _, c := range []struct {
		name   string
		listed bool
		def    *holdfast.Config
		want   string // X-Api-Key at the target; "none" for no request
	}{
		{"to an origin in Hosts", true, nil, "t"},
		{"to another origin", false, new(keyed("of Default")), ""},
		{"without a Default", false, nil, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := siteOf(t, nil)
			elsewhere := strings.Replace(target.URL, "127.0.0.1", "localhost", 1) // http.Client compares hosts without ports
			from := siteOf(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere+"/y", http.StatusTemporaryRedirect)
			})
			hosts := map[string]holdfast.Config{from.URL: keyed("f")}
			if c.listed {
				hosts[elsewhere] = holdfast.Config{Header: http.Header{"X-Api-Key": {"t"}}}
			}
			r := routerOf(t, holdfast.RouterConfig{Hosts: hosts, Default: c.def})
			resp, body, err := send(t, r.HTTPClient(), "PUT", from.URL+"/x", http.Header{"Authorization": {"the caller's"}})
			equal(t, "X-Api-Key at the first", from.last(t).Get("X-Api-Key"), "f")
			if c.want == "none" {
				is(t, err, holdfast.ErrInvalidRequest)
				equal(t, "requests", target.requests(), 0)
				return
			}
			if err != nil || body != "ok" || resp.Request.URL.Path != "/y" {
				t.Fatal(body, err)
			}
			equal(t, "X-Api-Key", target.last(t).Get("X-Api-Key"), c.want)
			equal(t, "Authorization", target.last(t).Get("Authorization"), "")
			equal(t, "body sent", target.last(t).Get("Content-Length"), fmt.Sprint(len(`{"n":1}`)))
		})
	}
}

// A redirect from https to http is an answer, and the eleventh redirect is an error.
func TestRouterRedirectsNotFollowed(t *testing.T) {
	plain := siteOf(t, nil)
	s, trusted := servingTLS(t, func(w http.ResponseWriter, r *http.Request) {
		to := plain.URL + "/y"
		if r.URL.Path == "/circle" {
			to = "/circle"
		}
		http.Redirect(w, r, to, http.StatusFound)
	}, nil)
	r := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{s.URL: {}, plain.URL: {}}}, holdfast.WithTLSConfig(trusted))
	resp, _, err := send(t, r.HTTPClient(), "GET", s.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", resp.StatusCode, http.StatusFound)
	equal(t, "requests over http", plain.requests(), 0)
	if _, _, err = send(t, r.HTTPClient(), "GET", s.URL+"/circle", nil); err == nil || !strings.HasSuffix(err.Error(), "stopped after 10 redirects") {
		t.Errorf("the error is %v", err)
	}
	equal(t, "requests", r.Client(s.URL).Stats().Operations, 1+10)
}

// closeCounter is a request body that counts its closes.
type closeCounter struct {
	io.Reader
	closed int
}

func (b *closeCounter) Close() error {
	b.closed++
	return nil
}

// A request that no client may get is an error before anything is sent. Its text names the
// origin and the cure, and no part of a password. The request's body is closed.
func TestRouterRejects(t *testing.T) {
	const cure = ": add it there, or set RouterConfig.Default"
	only := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"a.test": {}}})
	def := routerOf(t, holdfast.RouterConfig{Default: new(holdfast.Config)})
	const spelling = "GET: invalid request: the request's URL has a host that is no IP address, and not made of ASCII letters, digits, dots and hyphens: write an international name in punycode (xn--…)"
	for _, c := range []struct {
		router *holdfast.Router
		url    *url.URL
		want   string
	}{
		{only, parsedURL(t, "https://b.test/x?key=k"), "GET /x: invalid request: https://b.test is not in RouterConfig.Hosts" + cure},
		{only, parsedURL(t, "http://a.test/x"), "GET /x: invalid request: http://a.test is not in RouterConfig.Hosts" + cure},
		{only, parsedURL(t, "https://a.test:8443/x"), "GET /x: invalid request: https://a.test:8443 is not in RouterConfig.Hosts" + cure},
		{only, parsedURL(t, "https://a.test."), "GET https://a.test.: invalid request: https://a.test. is not in RouterConfig.Hosts" + cure},
		{only, parsedURL(t, "https://sub.a.test"), "GET https://sub.a.test: invalid request: https://sub.a.test is not in RouterConfig.Hosts" + cure},
		{def, parsedURL(t, "https://me:pass@wo/rd@b.test/x"), "GET: invalid request: the request's URL has a user or password in it, and its origin is not in RouterConfig.Hosts"},
		{def, parsedURL(t, "ftp://b.test/x"), "GET: invalid request: the request's URL has another scheme than http and https"},
		{def, parsedURL(t, "/x"), "GET: invalid request: the request's URL has another scheme than http and https"},
		{def, parsedURL(t, "https:/x"), "GET: invalid request: the request's URL has no host"},
		{def, parsedURL(t, "https://"+strings.Repeat("a", 254)), "GET: invalid request: the request's URL has a host of 254 bytes: must be at most 253"},
		{def, parsedURL(t, "https://bücher.test/x"), spelling},
		{def, &url.URL{Scheme: "https", Host: "me:password@b.test"}, spelling},
		{def, &url.URL{Scheme: "https", Host: "[no address]:80"}, spelling},
		{def, &url.URL{Scheme: "https", Host: "[fe80::1%me:password@]:80"}, spelling},
		{def, nil, "GET: invalid request: the request has no URL"},
	} {
		body := &closeCounter{Reader: strings.NewReader("x")}
		resp, err := c.router.RoundTrip((&http.Request{URL: c.url, Body: body}).WithContext(t.Context()))
		if resp != nil || err == nil {
			t.Errorf("%v: %v", c.url, resp)
			continue
		}
		is(t, err, holdfast.ErrInvalidRequest)
		isNot(t, err, holdfast.ErrStatus)
		equal(t, "the error", err.Error(), "holdfast: "+c.want)
		equal(t, "the body's closes", body.closed, 1)
		equal(t, "attempts", len(attempts(t, err)), 0)
	}
	equal(t, "clients for other origins", len(def.Origins()), 0)
}

func parsedURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answersOK is a transport that answers every request.
var answersOK = holdfast.WithTransport(roundTripper(func(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}))

// An origin has one client, in every spelling, as a key and in a request.
func TestRouterSpellings(t *testing.T) {
	for _, c := range []struct{ key, url, origin string }{
		{"https://a.test", "https://a.test/x", "https://a.test"},
		{"a.test", "https://a.test:443/x", "https://a.test"},
		{"A.test:443", "https://a.Test/x", "https://a.test"},
		{"https://a.test:", "https://a.test/x", "https://a.test"},
		{"HTTP://a.test:80", "http://A.TEST/x", "http://a.test"},
		{"localhost:8443", "https://localhost:8443/x", "https://localhost:8443"},
		{"a.test.", "https://a.test./x", "https://a.test."},
		{"http://192.0.2.1:8080", "http://192.0.2.1:8080", "http://192.0.2.1:8080"},
		{"[2001:DB8::0:1]", "https://[2001:db8:0::1]:443/x", "https://[2001:db8::1]"},
		{"http://[fe80::1%25eth0]", "http://[fe80::1%25eth0]:80/x", "http://[fe80::1%25eth0]"},
		{"xn--bcher-kva.test", "https://XN--bcher-kva.test/x", "https://xn--bcher-kva.test"},
		{"a.test", "https://me:pw@a.test/x", "https://a.test"},
		{"my_bucket.a.test", "https://my_bucket.a.test", "https://my_bucket.a.test"},
	} {
		for _, listed := range []bool{true, false} {
			cfg := holdfast.RouterConfig{Hosts: map[string]holdfast.Config{c.key: {}}}
			if !listed {
				cfg = holdfast.RouterConfig{Default: new(holdfast.Config)}
			}
			r := routerOf(t, cfg, answersOK)
			for range 2 {
				resp, err := r.RoundTrip((&http.Request{URL: parsedURL(t, c.url)}).WithContext(t.Context()))
				if strings.Contains(c.url, "@") && !listed {
					is(t, err, holdfast.ErrInvalidRequest)
					continue
				}
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("%s, listed %v: %v", c.url, listed, err)
					continue
				}
				equal(t, "the origins", strings.Join(r.Origins(), " "), c.origin)
				if r.Client(c.key) == nil || r.Client(c.key) != r.Client(c.origin) {
					t.Errorf("the client of %s is %v", c.key, r.Client(c.key))
				}
			}
		}
	}
	r := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"a.test": {}}})
	for _, none := range []string{"b.test", "http://a.test", "https://a.test/x", "", "::", "ftp://a.test"} {
		if c := r.Client(none); c != nil {
			t.Errorf("%q has the client %v", none, c)
		}
	}
}

// A client has the name of its settings, or else of its origin.
func TestRouterNames(t *testing.T) {
	r := routerOf(t, holdfast.RouterConfig{
		Hosts:   map[string]holdfast.Config{"a.test": {Name: "api"}, "http://a.test": {}, "b.test": {BaseURL: "https://B.test:443/v1"}},
		Default: &holdfast.Config{Name: "s3"},
	}, answersOK)
	if _, err := r.HTTPClient().Get("https://bucket.test/x"); err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]string{"a.test": "api", "http://a.test": "http://a.test", "b.test": "b.test", "bucket.test": "s3 bucket.test"} {
		equal(t, "the name of "+origin, r.Client(origin).Stats().Name, want)
	}
	equal(t, "the base URL", r.Client("b.test").Stats().BaseURL, "https://B.test:443/v1")
	equal(t, "the text", fmt.Sprintf("%v %+v", r, r), "holdfast.Router{3 listed, 1 other} holdfast.Router{3 listed, 1 other}")
}

// NewRouter reports every problem at once, by the name of the field.
func TestRouterConfigProblems(t *testing.T) {
	one := func(key string, cfg holdfast.Config) holdfast.RouterConfig {
		return holdfast.RouterConfig{Hosts: map[string]holdfast.Config{key: cfg}}
	}
	const must = `: must be an origin like "https://api.example.com", or its host`
	for _, c := range []struct {
		cfg  holdfast.RouterConfig
		want string
	}{
		{holdfast.RouterConfig{}, "Hosts is empty, and Default is nil: set one of them"},
		{holdfast.RouterConfig{Default: new(holdfast.Config), MaxHosts: -1}, "MaxHosts is -1 (Off): must be positive or zero for 64"},
		{holdfast.RouterConfig{Default: new(holdfast.Config), MaxHosts: 5000}, "MaxHosts is 5000: must be at most 4096"},
		{holdfast.RouterConfig{Default: new(holdfast.Config), IdleExpiry: -2}, "IdleExpiry is -2ns: must be positive, zero for 10m0s, or Off"},
		{one("https://x.test", holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: -5}}), `Hosts["https://x.test"].Timeouts.Attempt is -5ns: must be positive, zero for 1m0s, or Off`},
		{one("x.test", holdfast.Config{Header: http.Header{"a b": {"secret"}}}), `Hosts["x.test"].Header has the name "a…": must be letters, digits and hyphens`},
		{one("x.test", holdfast.Config{BaseURL: "https://y.test/v1"}), `Hosts["x.test"].BaseURL is "https://y.test/v1": must be at https://x.test, or empty`},
		{one("x.test", holdfast.Config{BaseURL: "http://x.test"}), `Hosts["x.test"].BaseURL is "http://x.test": must be at https://x.test, or empty`},
		{one("x.test", holdfast.Config{BaseURL: "https://me:secret@x.test"}), `Hosts["x.test"].BaseURL has a user or password in it: send credentials by Header or Authorize`},
		{one("x.test", holdfast.Config{MaxRedirects: 3}), `Hosts["x.test"].MaxRedirects is 3: must be zero, because http.Client follows redirects, each with the client of its origin`},
		{one("", holdfast.Config{}), `Hosts[""] has no host`},
		{one("https://x.test/v1", holdfast.Config{}), `Hosts["https://x.test/v1"] has a path` + must},
		{one("https://me:secret@x.test", holdfast.Config{}), `Hosts["[hidden]"] has a user, a query or a fragment` + must},
		{one("https://x.test?secret", holdfast.Config{}), `Hosts["[hidden]"] has a user, a query or a fragment` + must},
		{one("ftp://x.test", holdfast.Config{}), `Hosts["ftp://x.test"] has another scheme than http and https`},
		{one("x.test:http", holdfast.Config{}), `Hosts["x.test:http"] cannot be parsed` + must},
		{one("*.x.test", holdfast.Config{}), `Hosts["*.x.test"] has a host that is no IP address, and not made of ASCII letters, digits, dots and hyphens: write an international name in punycode (xn--…)`},
		{holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"X.test": {}, "https://x.test:443": {}}}, `Hosts["https://x.test:443"] is the origin of Hosts["X.test"]: list it once`},
		{holdfast.RouterConfig{Default: &holdfast.Config{BaseURL: "https://me:secret@x.test"}}, "Default.BaseURL is set: must be empty, because Default is for many origins"},
		{holdfast.RouterConfig{Default: &holdfast.Config{Breaker: holdfast.BreakerConfig{Name: "b"}}}, `Default.Breaker.Name is "b": must be empty, because each client has its own`},
		{holdfast.RouterConfig{Default: &holdfast.Config{Bulkhead: holdfast.BulkheadConfig{Name: "b"}}}, `Default.Bulkhead.Name is "b": must be empty, because each client has its own`},
		{holdfast.RouterConfig{Default: &holdfast.Config{MaxRedirects: 1}}, `Default.MaxRedirects is 1: must be zero, because http.Client follows redirects, each with the client of its origin`},
		{holdfast.RouterConfig{Default: &holdfast.Config{Retry: holdfast.Retry{MaxRetries: 101}}}, "Default.Retry.MaxRetries is 101: must be at most 100"},
	} {
		r, err := holdfast.NewRouter(c.cfg)
		if r != nil || err == nil {
			t.Errorf("no error, want %s", c.want)
			continue
		}
		equal(t, "the error", err.Error(), "holdfast: RouterConfig."+c.want)
	}
	_, err := holdfast.NewRouter(holdfast.RouterConfig{
		MaxHosts: -2, Hosts: map[string]holdfast.Config{"ftp://x": {}, "y": {MaxRedirects: holdfast.Off, MaxEventBytes: -2}},
	}, answersOK, holdfast.WithTLSConfig(new(tls.Config)))
	equal(t, "the number of problems", strings.Count(err.Error(), "\n")+1, 4)
}

// calling is a timeline of calls of a Router in a bubble.
type calling struct {
	*holdfast.Router
	bodies map[string]io.ReadCloser
}

// do makes a call of a host and returns the other origins with a client, or the error.
// "a" is a whole call, "a+" leaves its body open, and "a-" reads and closes that body.
func (c *calling) do(t *testing.T, call string) string {
	t.Helper()
	host := strings.TrimRight(call, "+-")
	if strings.HasSuffix(call, "-") {
		text, err := io.ReadAll(c.bodies[host])
		if err != nil || !strings.Contains(string(text), `"path":"/x"`) {
			t.Errorf("the body at %s is %q, %v", host, text, err)
		}
		c.bodies[host].Close()
	} else {
		resp, err := c.HTTPClient().Get("http://" + host + ".test/x")
		if err != nil {
			is(t, err, holdfast.ErrPoolTimeout)
			return "full"
		}
		if call != host {
			c.bodies[host] = resp.Body
		} else {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	var hosts []string
	for _, origin := range c.Origins() {
		hosts = append(hosts, strings.TrimSuffix(strings.TrimPrefix(origin, "http://"), ".test"))
	}
	return strings.Join(hosts, " ")
}

// At most MaxHosts other origins have a client. The one that has been idle for the longest
// time is closed for the next, and none that is in use.
func TestRouterMakesRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, s := routing(t, fault.Plan{}, holdfast.RouterConfig{
			Hosts: map[string]holdfast.Config{"http://listed.test": {}}, Default: new(holdfast.Config), MaxHosts: 2,
		})
		c := &calling{r, map[string]io.ReadCloser{}}
		for _, step := range []struct{ call, want string }{
			{"a", "a listed"},
			{"b", "a b listed"},
			{"a", "a b listed"},
			{"c", "a c listed"}, // b was used before a
			{"listed", "a c listed"},
			{"c+", "a c listed"},
			{"d+", "c d listed"},
			{"e", "full"}, // both have an answer that the caller reads
			{"listed", "c d listed"},
			{"d", "c d listed"}, // a client in use takes further calls
			{"c-", "c d listed"},
			{"e+", "d e listed"},
			{"f", "full"},
			{"d-", "d e listed"}, // the answer was not broken
			{"f", "e f listed"},
			{"e-", "e f listed"},
		} {
			time.Sleep(time.Second)
			equal(t, step.call+" leaves", c.do(t, step.call), step.want)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://a.test/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.do(t, "e+")
		c.do(t, "f+")
		_, err = r.RoundTrip(req)
		equal(t, "the error", err.Error(), "holdfast: GET /x: no permit came free in time: 2 origins outside of RouterConfig.Hosts in use, the most that MaxHosts allows")
		c.do(t, "e-")
		c.do(t, "f-")
		synctest.Wait()
		time.Sleep(time.Second)
		equal(t, "requests", len(s.Record()), 13)
	})
}

// A client for another origin is closed when it has been idle for IdleExpiry, by the next
// call of the Router. Its time starts with the end of its last answer.
func TestRouterIdleExpiry(t *testing.T) {
	const m = time.Minute
	for name, c := range map[string]struct {
		expiry time.Duration
		steps  []struct {
			at         time.Duration
			call, want string
		}
	}{
		"10m": {0, []struct {
			at         time.Duration
			call, want string
		}{
			{0, "a", "a listed"},
			{4 * m, "b", "a b listed"},
			{9 * m, "b+", "a b listed"},
			{10*m - 1, "listed", "a b listed"},
			{10 * m, "listed", "b listed"}, // a was idle for 10 minutes
			{20 * m, "listed", "b listed"}, // its answer is still read
			{21 * m, "b-", "b listed"},
			{30 * m, "a", "a b listed"}, // b began its last call 21 minutes ago, and ended it 9 minutes ago
			{31 * m, "listed", "a listed"},
			{50 * m, "a", "a listed"}, // the client that a call needs stays, however long it was idle
			{60 * m, "listed", "listed"},
			{90 * m, "a", "a listed"},
			{100 * m, "b", "b listed"},
		}},
		"Off": {holdfast.Off, []struct {
			at         time.Duration
			call, want string
		}{
			{0, "a", "a listed"},
			{1000 * m, "listed", "a listed"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, _ := routing(t, fault.Plan{}, holdfast.RouterConfig{
					Hosts: map[string]holdfast.Config{"http://listed.test": {}}, Default: new(holdfast.Config), IdleExpiry: c.expiry,
				})
				calls, start := &calling{r, map[string]io.ReadCloser{}}, time.Now()
				for _, step := range c.steps {
					time.Sleep(time.Until(start.Add(step.at)))
					equal(t, fmt.Sprint(step.call, " at ", step.at, " leaves"), calls.do(t, step.call), step.want)
				}
			})
		})
	}
}

// A program that keeps the client of another origin cannot be broken in a call, but its
// next call is rejected. If it closes the client, the next call makes another.
func TestRouterClientOfAnotherOrigin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := plan(rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: time.Minute}}))
		r, _ := routing(t, p, holdfast.RouterConfig{
			Default: &holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: time.Hour}}, MaxHosts: 1,
		})
		c := &calling{r, map[string]io.ReadCloser{}}
		equal(t, "a leaves", c.do(t, "a"), "a")
		kept, done := r.Client("http://a.test"), make(chan error)
		go func() {
			_, err := kept.Get(t.Context(), "/slow")
			done <- err
		}()
		time.Sleep(time.Second)
		equal(t, "b during the call", c.do(t, "b"), "full")
		if err := <-done; err != nil {
			t.Error(err)
		}
		equal(t, "b after the call", c.do(t, "b"), "b")
		_, err := kept.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrClosed)

		before := r.Client("http://b.test")
		before.Close()
		equal(t, "b after its client was closed", c.do(t, "b"), "b")
		if r.Client("http://b.test") == before {
			t.Error("the closed client is still there")
		}
	})
}

// Close ends running calls, and Shutdown waits for them. Every later call is ErrClosed.
func TestRouterCloseAndShutdown(t *testing.T) {
	slow := plan(rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: 5 * time.Second}}))
	for _, host := range []string{"listed", "other"} {
		for _, shutdown := range []bool{false, true} {
			t.Run(fmt.Sprint(host, " ", shutdown), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r, _ := routing(t, slow, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"http://listed.test": {}}, Default: new(holdfast.Config)})
					ended := make(chan error, 1)
					go func() {
						resp, err := r.HTTPClient().Get("http://" + host + ".test/slow")
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						ended <- err
					}()
					time.Sleep(time.Second)
					start := time.Now()
					if shutdown {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						err := r.Shutdown(ctx)
						is(t, err, context.DeadlineExceeded)
						if err = r.Shutdown(t.Context()); err != nil {
							t.Error(err)
						}
						equal(t, "time taken", time.Since(start), 4*time.Second)
						equal(t, "the running call", <-ended, nil)
					} else {
						r.Close()
						equal(t, "time taken", time.Since(start), 0)
						is(t, <-ended, holdfast.ErrClosed)
					}
					for _, later := range []string{"listed", "other", "new"} {
						_, err := r.HTTPClient().Get("http://" + later + ".test/x")
						is(t, err, holdfast.ErrClosed)
						isNot(t, err, holdfast.ErrInvalidRequest)
					}
					r.Close()
				})
			})
		}
	}
}

// A Router with RepeatPOST repeats a POST, and one without it does not.
func TestRouterRepeatsPOST(t *testing.T) {
	for _, c := range []struct {
		rt   func(*holdfast.Router) http.RoundTripper
		want int
	}{
		{func(r *holdfast.Router) http.RoundTripper { return r }, 1},
		{func(r *holdfast.Router) http.RoundTripper { return r.Transport() }, 1},
		{func(r *holdfast.Router) http.RoundTripper { return r.Transport(holdfast.RepeatPOST()) }, 4},
		{func(r *holdfast.Router) http.RoundTripper { return r.HTTPClient(holdfast.RepeatPOST()).Transport }, 4},
	} {
		bubble(t, func(t *testing.T) {
			r, s := routing(t, plan(rule("", "", fault.Fault{Status: 500})), holdfast.RouterConfig{Default: new(holdfast.Config)})
			if _, _, err := send(t, &http.Client{Transport: c.rt(r)}, "POST", "http://a.test/x", nil); err != nil {
				t.Fatal(err)
			}
			equal(t, "attempts", len(s.Record()), c.want)
		})
	}
}

// A client that makes room closes its connections. http.Client.CloseIdleConnections closes
// those of all clients.
func TestRouterClosesConnections(t *testing.T) {
	listed, a, b := siteOf(t, nil), siteOf(t, nil), siteOf(t, nil)
	var open atomic.Int64
	r := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{listed.URL: {}}, Default: new(holdfast.Config), MaxHosts: 1},
		holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			open.Add(1)
			return &leaving{Conn: c, left: &open}, nil
		}))
	for _, hc := range []*http.Client{r.HTTPClient(), {Transport: r}} {
		for i, s := range []*site{listed, a, b, a} {
			if _, _, err := send(t, hc, "GET", s.URL, nil); err != nil {
				t.Fatal(err)
			}
			equal(t, "connections", open.Load(), min(int64(i)+1, 2))
		}
		eventually(t, "CloseIdleConnections", func() string {
			hc.CloseIdleConnections()
			if n := open.Load(); n > 0 {
				return fmt.Sprintf("%d connections are open", n)
			}
			return ""
		})
	}
}

// Many goroutines call more origins than may have a client, while clients expire all the
// time. Each call gets its whole answer, or finds all clients in use: none meets a closed
// client, and no answer breaks off.
func TestRouterManyGoroutines(t *testing.T) {
	answer := bytes.Repeat([]byte("holdfast"), 8<<10)
	var sites []*site
	for range 5 {
		sites = append(sites, siteOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	}
	r := routerOf(t, holdfast.RouterConfig{
		Hosts:   map[string]holdfast.Config{sites[0].URL: {}},
		Default: &holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, MaxHosts: 3, IdleExpiry: 1,
	})
	var answered, full atomic.Int64
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			hc := r.HTTPClient()
			for i := range 40 {
				resp, err := hc.Get(sites[(g+i*(g+1))%len(sites)].URL)
				if errors.Is(err, holdfast.ErrPoolTimeout) {
					full.Add(1)
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, answer) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
				answered.Add(1)
				if n := len(r.Origins()); n > 1+3 {
					t.Errorf("%d clients", n)
				}
				_ = r.Stats()
			}
		})
	}
	all.Wait()
	equal(t, "calls", answered.Load()+full.Load(), 8*40)
	if answered.Load() == 0 {
		t.Error("no call was answered")
	}
	for origin, stats := range r.Stats() {
		equal(t, "in flight at "+origin, stats.InFlight, 0)
	}
}

// The Router allocates nothing for a call of an origin that has a client.
func TestRouterAllocations(t *testing.T) {
	ctx := context.Background()
	c, err := holdfast.New(holdfast.Config{BaseURL: "https://listed.test"}, answersOK)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := routerOf(t, holdfast.RouterConfig{Hosts: map[string]holdfast.Config{"listed.test": {}}, Default: new(holdfast.Config)}, answersOK)
	// Items of a sync.Pool come and go, so one measurement may be too large.
	allocations := func(rt http.RoundTripper, address string, enough float64) float64 {
		req, err := http.NewRequestWithContext(ctx, "GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		least := math.Inf(1)
		for i := 0; i < 30 && least > enough; i++ {
			least = min(least, testing.AllocsPerRun(100, func() {
				if _, err := rt.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
			}))
		}
		return least
	}
	most := allocations(c.Transport(), "https://listed.test/x", 0)
	for address, rt := range map[string]http.RoundTripper{
		"https://listed.test/x":     r,
		"https://listed.test:443/x": r,
		"https://other.test/x":      r,
		"https://listed.test/y":     r.Transport(holdfast.RepeatPOST()),
	} {
		if got := allocations(rt, address, most); got > most {
			t.Errorf("%s: %v allocations, %v without the Router", address, got, most)
		}
	}
}
