package conformance

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// beforeService returns a proxy that passes each call to see, and the address
// of its service.
func beforeService(t *testing.T, see func(service string, r *http.Request)) (proxy, service string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // the service takes the port
	service = l.Addr().String()
	forward := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: service}) },
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see(service, r)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, service
}

func ask(t *testing.T, url string) {
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	resp.Body.Close()
}

// A call that the proxy does not answer is not repeated by the runner, with or
// without a body.
func TestProxyIsAskedOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		if asked.Add(1)%2 == 0 { // on a used connection
			panic(http.ErrAbortHandler)
		}
	}))
	defer s.Close()
	p := Proxy(s.URL + "/")
	client, err := p.New(Setup{Terms: Usual})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, r := range []Rule{{}, {Method: "PUT", Body: 200, Key: true}} {
		call := newCall(&r, "", "/work/1")
		if a := client.Do(t.Context(), call); a.Err != nil || a.Status != http.StatusOK {
			t.Fatalf("the first call: %+v", a)
		}
		if a := client.Do(t.Context(), call); a.Err == nil {
			t.Errorf("no answer, and no error: %+v", a)
		}
		if n := int(asked.Load()); n != 2*(i+1) {
			t.Errorf("%d requests after %d calls", n, 2*(i+1))
		}
	}
}

// Requests of abandoned calls are over before the next meeting begins.
func TestProxyIsReadyAfterAbandonedCalls(t *testing.T) {
	t.Parallel()
	const late = 3
	var came, begun atomic.Int32
	proxy, service := beforeService(t, func(service string, r *http.Request) {
		if begun.Add(1) > 1 {
			return
		}
		var again func()
		again = func() {
			ask(t, "http://"+service+work+"/1")
			if came.Add(1) < late {
				time.AfterFunc(quietTime/10, again)
			}
		}
		time.AfterFunc(quietTime/10, again)
	})
	c := Proxy(proxy)
	r := &Runner{Listen: service, gaveUp: true}
	if err := r.ready(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if n := came.Load(); n != late || r.gaveUp {
		t.Errorf("ready after %d of %d requests; given up on: %v", n, late, r.gaveUp)
	}
}

func TestGaveUpOn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer Answer
		took   time.Duration
		lost   bool
		want   bool
	}{
		{"an answer", Answer{Body: make([]byte, Usual.Answer)}, time.Second, false, false},
		{"an error", Answer{Err: io.EOF}, time.Second, false, false},
		{"the caller's deadline", Answer{Err: context.DeadlineExceeded}, Usual.Deadline, false, true},
		{"an answer that is too large", Answer{Body: make([]byte, Usual.Answer+1)}, time.Second, false, true},
		{"no return", Answer{}, 0, true, true},
	} {
		m := meeting{answers: []Answer{{}, tt.answer}, took: []time.Duration{0, tt.took}, lost: tt.lost, setup: Setup{Terms: Usual}}
		if got := m.gaveUpOn(); got != tt.want {
			t.Errorf("%s: given up on is %v", tt.name, got)
		}
	}
}

// An obstacle to the test is an error, not a result of the proxy.
func TestProxyCannotBeJudged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		see        func(service string, r *http.Request)
	}{
		{"another path", "passes off a wrong body as the answer; ", func(_ string, r *http.Request) { r.URL.Path = "/v1" + r.URL.Path }},
		{"a health check", "GET /healthz arrived at 127.0.0.1:", func(service string, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, work) {
				ask(t, "http://"+service+"/healthz")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy, service := beforeService(t, tt.see)
			_, err := (&Runner{Listen: service}).Run(t.Context(), Rules()[:1], []Contender{Proxy(proxy)})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

// A proxy that a fault has broken permanently is wrong, and the run continues.
func TestProxyDoesNotRecover(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	proxy, service := beforeService(t, func(_ string, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, work) {
			broken.Store(true)
		} else if broken.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	rows, err := (&Runner{Listen: service}).Run(t.Context(), Rules()[:1], []Contender{Proxy(proxy)})
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; r.Right || !strings.Contains(r.Why, "does not forward a call to "+service) || r.Fault != Rules()[0].ID() || !r.Bounded {
		t.Errorf("%+v", r)
	}
}
