package holdfast_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// private are addresses that a public service must not redirect to.
var private = []string{
	"http://127.0.0.1/x", "http://[::1]:80/x", "http://10.0.0.1/x", "http://169.254.169.254/latest", "http://[fe80::1%25eth0]/x", "http://localhost/x",
	"http://metadata.localhost/x", "http://[::ffff:10.0.0.1]/x", "http://2130706433/x", "http://127.1/x", "http://0x7f.1/x", "http://0/x", "//192.168.0.1/x",
}

// A redirect from a public origin to a private address is not followed, with every transport,
// unless the setting allows it or the base URL is private itself.
func TestPrivateRedirects(t *testing.T) {
	for _, base := range []string{"http://a.test", "http://192.0.2.1", "http://10.1.1.1", "http://localhost:80"} {
		for _, allowed := range []bool{false, true} {
			for _, to := range private {
				sent := 0
				c, err := holdfast.New(holdfast.Config{BaseURL: base, MaxRedirects: 2, AllowPrivateRedirects: allowed},
					holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
						if sent++; sent > 1 {
							return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
						}
						return &http.Response{StatusCode: 307, Header: http.Header{"Location": {to}}, Body: http.NoBody, Request: r}, nil
					})))
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Get(t.Context(), "/x")
				if allowed || base == "http://10.1.1.1" || base == "http://localhost:80" {
					if err != nil || sent != 2 {
						t.Errorf("%s to %s: %v after %d requests", base, to, err, sent)
					}
				} else {
					isPrivateRedirect(t, err)
					equal(t, base+" to "+to+": requests", sent, 1)
				}
				c.Close()
			}
		}
	}
}

func isPrivateRedirect(t *testing.T, err error) {
	t.Helper()
	var redirect *holdfast.RedirectError
	var answer *holdfast.StatusError
	is(t, err, holdfast.ErrStatus)
	if !errors.As(err, &redirect) || !strings.Contains(redirect.Reason, "Config.AllowPrivateRedirects") || !errors.As(err, &answer) || answer.Status != 307 {
		t.Errorf("%v", err)
	}
}

// A name that leads to a private address is found when it is dialled, in the second hop too.
func TestPrivateRedirectByName(t *testing.T) {
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	for _, tt := range []struct {
		name    string
		cfg     holdfast.Config
		private bool // the base URL's connection is
		follows bool
	}{
		{name: "public"},
		{name: "allowed", cfg: holdfast.Config{AllowPrivateRedirects: true}, follows: true},
		{name: "a private base", private: true, follows: true},
		{name: "a proxy dials", cfg: holdfast.Config{Proxy: "http://proxy.test"}, follows: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reached.Store(0)
			tt.cfg.BaseURL, tt.cfg.MaxRedirects, tt.cfg.Retry = "http://a.test", 3, holdfast.Retry{MaxRetries: 2}
			c, err := holdfast.New(tt.cfg, holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
				switch {
				case addr == "inside.test:80":
					return new(net.Dialer).DialContext(ctx, network, inside.Listener.Addr().String())
				case addr == "b.test:80":
					return redirecting("http://inside.test/"), nil
				}
				conn := redirecting(map[bool]string{false: "http://b.test/", true: "http://inside.test/"}[addr == "proxy.test:80"])
				if reached.Add(1); tt.private {
					conn = &privatePeer{conn}
				}
				return conn, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Get(t.Context(), "/x")
			if tt.name == "a proxy dials" {
				is(t, err, holdfast.ErrStatus) // the pipe redirects in a circle: it was asked again
				if strings.Contains(err.Error(), "private") {
					t.Error(err)
				}
				return
			}
			if tt.follows {
				if err != nil || reached.Load() != 2 {
					t.Errorf("%v, reached %d times", err, reached.Load())
				}
				return
			}
			isPrivateRedirect(t, err)
			equal(t, "attempts", len(attempts(t, err)), 1)
			equal(t, "reached", reached.Load(), 1) // the base URL
			equal(t, "in flight", c.Stats().InFlight, 0)
		})
	}
}

// redirecting is a connection in memory to a service that redirects.
func redirecting(to string) net.Conn {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		for r := bufio.NewReader(theirs); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(theirs, "HTTP/1.1 307 T\r\nLocation: "+to+"\r\nContent-Length: 0\r\n\r\n")
		}
	}()
	return ours
}

// privatePeer is a connection that leads to a private address.
type privatePeer struct{ net.Conn }

func (*privatePeer) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80} }

// The http.Client of a Router returns such a redirect as an answer, unless the origin is
// listed or Default allows it.
func TestRouterPrivateRedirects(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer inside.Close()
	for _, tt := range []struct {
		hosts  map[string]holdfast.Config
		def    *holdfast.Config
		status int
	}{
		{nil, &holdfast.Config{}, 307},
		{nil, &holdfast.Config{AllowPrivateRedirects: true}, 200},
		{map[string]holdfast.Config{inside.URL: {}}, &holdfast.Config{}, 200},
	} {
		r, err := holdfast.NewRouter(holdfast.RouterConfig{Hosts: tt.hosts, Default: tt.def}, holdfast.WithDialContext(
			func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == "a.test:80" {
					return redirecting(inside.URL), nil
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.HTTPClient().Get("http://a.test/x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "status", resp.StatusCode, tt.status)
		r.Close()
	}
}
