package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

// The clients under test are reverse proxies: one sends a request once, one sends it
// through holdfast, and one repeats every lost request and keeps no connection.
func TestClient(t *testing.T) {
	once := &http.Transport{ResponseHeaderTimeout: 500 * time.Millisecond}
	for _, tt := range []struct {
		name    string
		through func(service string) http.RoundTripper
		want    map[string]string // by rule, what is wrong; empty: nothing
	}{
		{"once", func(string) http.RoundTripper { return once }, map[string]string{
			"http.status/404":         "",
			"http.redirect_elsewhere": "",
			"time.latency":            "",
			"commit.then_drop":        "",
			"conn.refuse":             "",
			"conn.fin_next_request":   "",
			"http.status":             "fails: the proxy answers 503 Service Unavailable; 1 request of at least 3",
			"conn.fin_on_accept":      "fails: the proxy answers 502 Bad Gateway; 1 request of at least 2",
			"body.cut_chunks_fin":     "fails: unexpected EOF; 1 request of at least 2",
			"body.gzip_corrupt":       "fails: unexpected EOF; 1 request of at least 2", // the proxy decompresses, not this command
			"body.endless":            "passes off a wrong body as the answer",
		}},
		{"holdfast", throughHoldfast(t), map[string]string{
			"http.status":           "",
			"http.status/404":       "",
			"http.retry_after_ms":   "",
			"commit.then_drop":      "",
			"commit.then_drop/key":  "",
			"conn.fin_on_accept":    "",
			"conn.rst_next_request": "",
			"head.cut_rst":          "",
			"capacity.refuse":       "",
			"body.cut_chunks_fin":   "fails: unexpected EOF; 1 request of at least 2",
		}},
		{"again", func(string) http.RoundTripper { return repeater{&http.Transport{DisableKeepAlives: true}} }, map[string]string{
			"commit.then_drop/key": "",
			"conn.fin_on_accept":   "",
			"commit.then_drop":     "done twice",
			"http.status/404":      "the connection was not kept",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := cmdtest.FreeAddress(t)
			proxy := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: service}) },
				Transport: tt.through(service),
				ErrorLog:  log.New(io.Discard, "", 0),
			})
			defer proxy.Close()
			var names []string
			for rule := range maps.Keys(tt.want) {
				names = append(names, regexp.QuoteMeta(rule))
			}
			only := "^(" + strings.Join(names, "|") + ")$"
			var stdout, stderr bytes.Buffer
			status := program.Run(t.Context(), []string{"conformance", "--json", "--only", only, "--client", proxy.URL, "--listen", service}, &stdout, &stderr)
			if status != exit.Failure {
				t.Errorf("exit %d: %s", status, &stderr)
			}
			var rows []conformance.Row
			if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				if want := tt.want[row.Fault]; row.Why != want || row.Right != (want == "") || row.Goroutines != nil {
					t.Errorf("%s: right is %v, %q; want %q", row.Fault, row.Right, row.Why, want)
				}
			}
			if len(rows) != len(tt.want) {
				t.Errorf("%d rows, want %d", len(rows), len(tt.want))
			}
		})
	}
}

// throughHoldfast sends requests through a client with the settings that the rules
// assume.
func throughHoldfast(t *testing.T) func(service string) http.RoundTripper {
	return func(service string) http.RoundTripper {
		client, err := holdfast.New(holdfast.Config{
			BaseURL:  "http://" + service,
			Timeouts: holdfast.Timeouts{Attempt: conformance.Usual.Attempt},
			Retry:    holdfast.Retry{BaseDelay: conformance.Usual.Base, MaxDelay: conformance.Usual.Max},
			Breaker:  holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return client.Transport()
	}
}

// repeater repeats every lost request.
type repeater struct{ http.RoundTripper }

func (r repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
	}
	for tries := 1; ; tries++ {
		req.Body = io.NopCloser(bytes.NewReader(body))
		resp, err := r.RoundTripper.RoundTrip(req)
		if err == nil || tries > conformance.Usual.Retries {
			return resp, err
		}
	}
}
