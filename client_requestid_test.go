package holdfast_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// With CheckRequestID an answer that has another id, or none, is a lost connection. It is
// closed, and the attempt is repeated as far as that is allowed.
func TestCheckRequestID(t *testing.T) {
	const another, none, same = "another", "none", "same"
	for _, c := range []struct {
		name     string
		check    bool
		echoes   []string // of the answers
		method   string
		attempts int
		lost     string // the error, if there is no answer
		conns    int64  // over HTTP/1.1
	}{
		{"the same id", true, []string{same, same}, "GET", 1, "", 1},
		{"another id", true, []string{same, another, same}, "GET", 2, "", 2},
		{"no id", true, []string{same, none, same}, "GET", 2, "", 2},
		{"never an id", true, []string{same, none, none, none}, "GET", 3, "the answer has no X-Call", 3},
		{"what must not be sent twice", true, []string{same, another, same}, "POST", 1, "the answer has another X-Call", 1},
		{"an answer that declines", true, []string{same, "another 404", same}, "GET", 2, "", 2},
		{"without the setting", false, []string{same, another, none}, "GET", 1, "", 1},
	} {
		for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(c.name+"/"+proto, func(t *testing.T) {
				var n, conns atomic.Int64
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					echo, status := c.echoes[min(int(n.Add(1)), len(c.echoes))-1], 200
					fmt.Sscan(strings.TrimPrefix(echo, another), &status)
					switch {
					case echo == same:
						w.Header().Set("X-Call", r.Header.Get("X-Call"))
					case strings.HasPrefix(echo, another):
						w.Header().Set("X-Call", "secret-of-another")
					}
					w.WriteHeader(status)
					fmt.Fprint(w, "{}")
				}))
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						conns.Add(1)
					}
				}
				s.EnableHTTP2 = proto == "HTTP/2"
				s.StartTLS()
				defer s.Close()
				client, err := holdfast.New(holdfast.Config{
					BaseURL: s.URL, RequestIDHeader: "x-call", CheckRequestID: c.check,
					Retry: holdfast.Retry{MaxRetries: 2, BaseDelay: time.Millisecond, MaxDelay: time.Millisecond},
				}, holdfast.WithTLSConfig(s.Client().Transport.(*http.Transport).TLSClientConfig))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if _, err := client.Get(t.Context(), "/first"); err != nil {
					t.Fatal(err)
				}
				req, _ := http.NewRequestWithContext(t.Context(), c.method, s.URL+"/second", nil)
				before := client.Stats().Attempts
				resp, err := client.HTTPClient().Do(req)
				if got := int(client.Stats().Attempts - before); got != c.attempts {
					t.Errorf("%d attempts, want %d", got, c.attempts)
				}
				if c.lost == "" {
					if err != nil || resp.StatusCode != 200 {
						t.Fatal(resp, err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				} else {
					is(t, err, holdfast.ErrConnection)
					if !strings.Contains(err.Error(), c.lost) || strings.Contains(err.Error(), "secret") {
						t.Error(err)
					}
					for _, a := range attempts(t, err) {
						if a.Class != holdfast.ClassLost || !a.Sent {
							t.Errorf("%+v", a)
						}
					}
				}
				if want := c.conns; proto == "HTTP/1.1" && conns.Load() != want {
					t.Errorf("%d connections, want %d", conns.Load(), want)
				}
				if proto == "HTTP/2" && conns.Load() != 1 {
					t.Errorf("%d connections of HTTP/2", conns.Load())
				}
			})
		}
	}
}

// Another origin does not get the id, and need not send it back.
func TestCheckRequestIDAfterRedirect(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Request-ID")) }))
	defer far.Close()
	near := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-ID", r.Header.Get("X-Request-ID"))
		switch r.URL.Path {
		case "/far":
			http.Redirect(w, r, far.URL, http.StatusFound)
		case "/near":
			http.Redirect(w, r, "/other", http.StatusFound)
		case "/other":
			w.Header().Set("X-Request-ID", "of another")
		}
	}))
	defer near.Close()
	client, err := holdfast.New(holdfast.Config{
		BaseURL: near.URL, CheckRequestID: true, MaxRedirects: 3, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if resp, err := client.Get(t.Context(), "/far"); err != nil || len(resp.Body) != 0 {
		t.Error(resp, err)
	}
	_, err = client.Get(t.Context(), "/near")
	is(t, err, holdfast.ErrConnection)
}
