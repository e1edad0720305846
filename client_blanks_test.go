package holdfast_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// A blank in a query is encoded, wherever it comes from: sent as it is, it would end the
// address in a request of HTTP/1.1.
func TestBlanksInAQuery(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			w.Header().Set("Location", "/x?q=a b")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{MaxRedirects: 1})
	signing := over(t, s.URL, holdfast.Config{Authorize: func(r *http.Request) error { r.URL.RawQuery = "q=a b"; return nil }})
	own := func(c *holdfast.Client) (string, error) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/x", nil)
		req.URL.RawQuery = "q=a b"
		resp, err := c.HTTPClient().Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		equal(t, "the caller's query", req.URL.RawQuery, "q=a b")
		equal(t, "the answer's request", resp.Request == req, true)
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	get := func(c *holdfast.Client, path string) (string, error) {
		resp, err := c.Get(t.Context(), path)
		if err != nil {
			return "", err
		}
		return string(resp.Body), nil
	}
	for name, call := range map[string]func() (string, error){
		"a path":     func() (string, error) { return get(c, "/x?q=a b") },
		"a request":  func() (string, error) { return own(c) },
		"Authorize":  func() (string, error) { return get(signing, "/x") },
		"a Location": func() (string, error) { return get(c, "/moved") },
	} {
		if got, err := call(); err != nil || got != "/x?q=a%20b" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	req := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: s.Listener.Addr().String(), Opaque: "//a b"}}
	_, err := c.Do(req)
	is(t, err, holdfast.ErrInvalidRequest)
}
