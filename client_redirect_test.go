package holdfast_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// seen is a request that arrived at a web.
type seen struct {
	method, url, host, body string
	header                  http.Header
}

// web is a RoundTripper for many addresses. An address in leads redirects, as in
// "303 https://b.test/x". Any other answers 200.
type web struct {
	leads map[string]string
	seen  []seen
	lost  string // the address at which the connection breaks
	takes time.Duration
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	s := seen{r.Method, r.URL.String(), r.Host, "", r.Header.Clone()}
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		s.body = string(b)
	}
	w.seen = append(w.seen, s)
	if w.takes > 0 {
		select {
		case <-time.After(w.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if s.url == w.lost {
		return nil, io.EOF
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}
	if to, ok := w.leads[s.url]; ok {
		var location string
		fmt.Sscan(to, &resp.StatusCode, &location)
		if location != "" {
			resp.Header.Set("Location", location)
		}
		if resp.StatusCode == 429 {
			resp.Header.Set("Retry-After", "30")
		}
	}
	return resp, nil
}

func (w *web) client(t *testing.T, cfg holdfast.Config) *holdfast.Client {
	t.Helper()
	cfg.BaseURL = "https://a.test"
	if cfg.MaxRedirects == 0 {
		cfg.MaxRedirects = 3
	}
	c, err := holdfast.New(cfg, holdfast.WithTransport(w))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A redirect changes the method of a request (RFC 9110, 15.4).
func TestRedirectMethods(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   string
	}{
		{"GET", 301, "GET"}, {"HEAD", 302, "HEAD"}, {"HEAD", 303, "HEAD"},
		{"POST", 301, "GET"}, {"POST", 302, "GET"}, {"POST", 303, "GET"}, {"PUT", 303, "GET"},
		{"PUT", 301, "PUT in"}, {"DELETE", 302, "DELETE in"},
		{"POST", 307, "POST in"}, {"POST", 308, "POST in"}, {"PATCH", 308, "PATCH in"},
	} {
		t.Run(fmt.Sprint(c.method, c.status), func(t *testing.T) {
			w := &web{leads: map[string]string{"https://a.test/x": fmt.Sprint(c.status, " /y?q=1")}}
			client := w.client(t, holdfast.Config{Bulkhead: one})
			for range 2 { // there is one permit
				w.seen = nil
				var body io.Reader
				if c.method != "GET" && c.method != "HEAD" {
					body = strings.NewReader("in")
				}
				req, _ := http.NewRequestWithContext(t.Context(), c.method, "https://a.test/x", body)
				req.Header.Set("Content-Type", "text/plain")
				resp, err := client.HTTPClient().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				equal(t, "the last address", resp.Request.URL.String(), "https://a.test/y?q=1")
				equal(t, "requests", len(w.seen), 2)
				last := w.seen[1]
				equal(t, "method and body", strings.TrimSpace(last.method+" "+last.body), c.want)
				equal(t, "has a media type", last.header.Get("Content-Type") != "", c.method == last.method)
				equal(t, "in flight", client.Stats().InFlight, 0)
			}
		})
	}
}

// No header that may be a secret reaches another origin, or the first origin after
// another one. At the same origin, all headers stay.
func TestRedirectOrigins(t *testing.T) {
	secret := http.Header{
		"Authorization": {"Bearer ours"}, "X-Api-Key": {"k"}, "Cookie": {"c=1"}, "Proxy-Authorization": {"p"}, "X-Anything": {"v"},
	}
	for _, c := range []struct {
		name, to string
		cross    bool
	}{
		{"a path", "/y", false}, {"the same, in full", "https://A.test:443/y", false},
		{"another host", "https://b.test/y", true}, {"a subdomain", "https://x.a.test/y", true},
		{"another port", "https://a.test:8443/y", true}, {"without a scheme", "//b.test/y", true},
		{"with a user", "https://root:pw@b.test/y", true},
	} {
		for _, status := range []string{"301", "302", "303", "307", "308"} {
			t.Run(c.name+" "+status, func(t *testing.T) {
				w := &web{leads: map[string]string{
					"https://a.test/x": status + " " + c.to, "https://b.test/y": status + " https://c.test/z", "https://c.test/z": status + " https://a.test/home",
				}}
				signed := 0
				client := w.client(t, holdfast.Config{
					Header: secret, IdempotencyKey: true,
					Authorize: func(r *http.Request) error { signed++; r.Header.Set("X-Signature", "s"); return nil },
				})
				_, err := client.Post(t.Context(), "/x", map[string]int{"n": 1}, holdfast.WithHeader("X-Mine", "m"), holdfast.WithHeader("User-Agent", "me"))
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range w.seen[1:] {
					for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization", "X-Anything", "X-Signature", "X-Mine", "Idempotency-Key", "X-Request-Id"} {
						equal(t, fmt.Sprint("hop ", i+1, " to ", s.url, " has ", name), s.header.Get(name) != "", !c.cross)
					}
					equal(t, "agent", s.header.Get("User-Agent"), "me")
					if strings.Contains(s.url, "root:pw") {
						t.Errorf("%s has a user", s.url)
					}
					if !strings.Contains(strings.ToLower(s.url), s.host) {
						t.Errorf("%s is sent to host %s", s.url, s.host)
					}
				}
				hops := map[bool]int{false: 2, true: 1}[c.cross]
				equal(t, "signed", signed, hops)
			})
		}
	}
}

// Redirects that are not followed: they are an answer if redirects are off, and an error
// with all hops if they must not be followed.
func TestRedirectsNotFollowed(t *testing.T) {
	for _, c := range []struct {
		name  string
		leads map[string]string
		max   int
		sent  int
		text  string
	}{
		{"a circle", map[string]string{"https://a.test/x": "302 /y", "https://a.test/y": "302 /x"}, 0, 2, "circle: https://a.test/x → https://a.test/… → https://a.test/…"},
		{"to itself", map[string]string{"https://a.test/x": "307 /x#there"}, 0, 1, "circle"},
		{"too many", map[string]string{"https://a.test/x": "302 /1", "https://a.test/1": "302 /2", "https://a.test/2": "302 /3?key=secret"}, 2, 3, "more than 2 redirects"},
		{"downgrade", map[string]string{"https://a.test/x": "302 http://a.test/y"}, 0, 1, "from https to http"},
		{"downgrade later", map[string]string{"https://a.test/x": "302 https://b.test/y", "https://b.test/y": "308 http://b.test/y"}, 0, 2, "from https to http"},
		{"out of HTTP", map[string]string{"https://a.test/x": "302 ftp://root:secret@a.test/y"}, 0, 1, "out of HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &web{leads: c.leads}
			client := w.client(t, holdfast.Config{MaxRedirects: c.max, Bulkhead: one})
			for _, get := range []func() error{
				func() error { _, err := client.Get(t.Context(), "/x"); return err },
				func() error { _, err := client.HTTPClient().Get("https://a.test/x"); return err },
			} {
				w.seen = nil
				err := get()
				is(t, err, holdfast.ErrStatus)
				var redirect *holdfast.RedirectError
				var status *holdfast.StatusError
				if !errors.As(err, &redirect) || !errors.As(err, &status) {
					t.Fatalf("%v", err)
				}
				if !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%q", err)
				}
				equal(t, "requests", len(w.seen), c.sent)
				equal(t, "attempts", len(attempts(t, err)), 1)
			}
		})
	}
	t.Run("off", func(t *testing.T) {
		w := &web{leads: map[string]string{"https://a.test/x": "302 /y"}}
		client := w.client(t, holdfast.Config{MaxRedirects: holdfast.Off})
		_, err := client.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrStatus)
		resp, err := client.HTTPClient().Get("https://a.test/x")
		if err != nil || resp.StatusCode != 302 || resp.Header.Get("Location") != "/y" {
			t.Errorf("%v, %v", resp, err)
		}
		equal(t, "requests", len(w.seen), 2)
	})
	t.Run("no redirects", func(t *testing.T) {
		for _, answer := range []string{"302", "300 /y", "304 /y", "305 /y", "200 /y"} {
			w := &web{leads: map[string]string{"https://a.test/x": answer}}
			resp, err := w.client(t, holdfast.Config{}).HTTPClient().Get("https://a.test/x")
			if err != nil || !strings.HasPrefix(answer, fmt.Sprint(resp.StatusCode)) {
				t.Errorf("%s: %v, %v", answer, resp, err)
			}
			equal(t, "requests", len(w.seen), 1)
		}
	})
	t.Run("a body that cannot be sent again", func(t *testing.T) {
		w := &web{leads: map[string]string{"https://a.test/x": "307 /y"}}
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "https://a.test/x", &once{Reader: strings.NewReader(strings.Repeat("x", 1<<20+1))})
		resp, err := w.client(t, holdfast.Config{}).HTTPClient().Do(req)
		if err != nil || resp.StatusCode != 307 {
			t.Errorf("%v, %v", resp, err)
		}
		gone := errors.New("the file is gone")
		req, _ = http.NewRequestWithContext(t.Context(), "PUT", "https://a.test/x", &once{Reader: strings.NewReader("x")})
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		_, err = w.client(t, holdfast.Config{}).HTTPClient().Do(req)
		is(t, err, gone)
		isNot(t, err, holdfast.ErrConnection)
	})
}

// A failure after a redirect is a failure of the attempt: the service may have done the
// work. A 429 of another origin starts no cooldown.
func TestRedirectsThatFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := &web{leads: map[string]string{"https://a.test/x": "303 https://b.test/y"}, lost: "https://b.test/y"}
		client := w.client(t, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 2}})
		_, err := client.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrConnection, io.EOF)
		if !strings.Contains(err.Error(), "after a redirect to https://b.test/…: EOF") {
			t.Errorf("%q", err)
		}
		equal(t, "requests", len(w.seen), 6)
		_, err = client.Post(t.Context(), "/x", nil, holdfast.WithNoRepeat())
		equal(t, "attempts", len(attempts(t, err)), 1)
		equal(t, "sent", attempts(t, err)[0].Sent, true)
	})
	bubble(t, func(t *testing.T) {
		w := &web{leads: map[string]string{"https://a.test/x": "303 https://b.test/y", "https://b.test/y": "429"}}
		client := w.client(t, holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_, err := client.Post(t.Context(), "/x", nil)
		is(t, err, holdfast.ErrRateLimited)
		start := time.Now()
		if _, err := client.Get(t.Context(), "/z"); err != nil {
			t.Error(err)
		}
		equal(t, "time taken", time.Since(start), 0)
	})
}

// Over real connections, each redirect leaves its connection to the next.
func TestRedirectsOnTheWire(t *testing.T) {
	s := faultserver.Start(t, plan(rule("", "1", fault.Fault{Redirect: fault.RedirectElsewhere})))
	client, err := holdfast.New(holdfast.Config{BaseURL: s.URL(), MaxRedirects: 5, Header: http.Header{"X-Operation-Id": {"ours"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	out, err := client.Post(t.Context(), "/x", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out.Body), `"body_bytes":7`) {
		t.Errorf("%s", out.Body)
	}
	all := s.Record()
	equal(t, "requests", len(all), 2)
	equal(t, "id of the first", all[0].Operation, "ours")
	equal(t, "id of the second", all[1].Operation, "")
	equal(t, "attempts", out.Attempts, 1)

	// The first service may have done the work, although the second does not answer.
	there := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusSeeOther))
	defer there.Close()
	client, err = holdfast.New(holdfast.Config{BaseURL: there.URL, MaxRedirects: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Post(t.Context(), "/x", nil, holdfast.WithNoRepeat())
	is(t, err, holdfast.ErrConnection)
	equal(t, "attempts", len(attempts(t, err)), 1)
	equal(t, "sent", attempts(t, err)[0].Sent, true)
}

// The limit of an attempt bounds all its redirects together.
func TestRedirectLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := &web{takes: 2 * time.Second, leads: map[string]string{
			"https://a.test/x": "302 /1", "https://a.test/1": "302 /2", "https://a.test/2": "302 /3",
		}}
		client := w.client(t, holdfast.Config{
			MaxRedirects: 5, Bulkhead: one, Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Retry: holdfast.Retry{MaxRetries: 1, Jitter: holdfast.NoJitter},
		})
		start := time.Now()
		_, err := client.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrTimeout)
		var limit *holdfast.TimeoutError
		if !errors.As(err, &limit) || limit.Phase != "attempt" && limit.Phase != "read" {
			t.Errorf("%v", err)
		}
		equal(t, "time taken", time.Since(start), 11*time.Second) // two attempts
		equal(t, "requests", len(w.seen), 6)
		equal(t, "in flight", client.Stats().InFlight, 0)
	})
}
