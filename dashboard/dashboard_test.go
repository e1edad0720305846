package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// ask is a request from this machine to the page.
func ask(ctx context.Context, path string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost:8080/debug/holdfast/"+path, nil)
	r.RemoteAddr = "127.0.0.1:50000"
	return r
}

// look reads the state.
func look(t *testing.T, h http.Handler) view {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, ask(t.Context(), "state.json"))
	var v view
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	return v
}

// A client goes through an outage, and the page tells it: in the health, the counts, the
// feed and the failed calls.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := fault.Window{From: 20 * time.Second, Until: 40 * time.Second}
		s := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{When: down, Fault: fault.Fault{Status: 503}}}}, faultserver.InMemory())
		var registry holdfast.Registry
		failures := new(Failures)
		client, err := registry.Open("orders", holdfast.Config{
			BaseURL: s.URL(), Header: http.Header{"X-Api-Key": {"canary"}},
			Retry: holdfast.Retry{MaxRetries: 1, BaseDelay: 10 * time.Millisecond}, Breaker: holdfast.BreakerConfig{FailureThreshold: 20, OpenTimeout: 8 * time.Second},
		}, holdfast.WithDialContext(s.Dial), holdfast.WithObserver(failures))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		policy, err := registry.OpenPolicy("database", holdfast.PolicyConfig{})
		if err != nil {
			t.Fatal(err)
		}
		h := Handler(&registry, Options{Failures: failures})
		var healths []string
		for range 60 {
			for range 10 {
				_, _ = client.Get(t.Context(), "/orders?key=canary")
				_ = holdfast.Run(t.Context(), policy, func(context.Context) error { return nil })
				time.Sleep(100 * time.Millisecond)
			}
			v := look(t, h)
			for _, c := range v.Cards {
				if c.Name == "orders" && (len(healths) == 0 || healths[len(healths)-1] != c.Health) {
					healths = append(healths, c.Health)
				}
			}
		}
		if got, want := strings.Join(healths, ", "), "idle, healthy, failing, open, failing, healthy"; got != want {
			t.Errorf("the health is %s, want %s", got, want)
		}
		v := look(t, h)
		if len(v.Cards) != 2 || v.Cards[0].Kind == v.Cards[1].Kind {
			t.Errorf("%d cards", len(v.Cards))
		}
		for _, c := range v.Cards {
			if c.Health != "healthy" || c.Now.Answered < 8 || c.Now.Answered > 12 || len(c.History) < 50 || c.Breaker != map[string]string{"client": "closed", "policy": "off"}[c.Kind] {
				t.Errorf("%s: %s, %+v, %d samples, breaker %s", c.Name, c.Health, c.Now, len(c.History), c.Breaker)
			}
		}
		if n := len(v.Notes); n < 3 || v.Notes[n-1].Client != "orders" {
			t.Errorf("notes %+v", v.Notes)
		}
		if n := len(v.Failures); n == 0 || v.Failures[n-1].Class != "overloaded" || !strings.Contains(v.Failures[n-1].Explain, "503") || v.Failures[n-1].Call != "GET /orders" {
			t.Errorf("failures %+v", v.Failures)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, ask(t.Context(), "state.json"))
		if strings.Contains(w.Body.String(), "canary") {
			t.Error("the page shows a secret")
		}
		time.Sleep(time.Second)
	})
}

// The stream sends a state, and a tick each second with what is new.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry holdfast.Registry
		policy, err := registry.OpenPolicy("database", holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		if err != nil {
			t.Fatal(err)
		}
		h := Handler(&registry, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
		defer cancel()
		go func() {
			for range 50 {
				_ = holdfast.Run(ctx, policy, func(context.Context) error { return errors.New("lost") })
				time.Sleep(100 * time.Millisecond)
			}
		}()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, ask(ctx, "events"))
		var kinds []string
		notes := map[uint64]string{}
		for event := range strings.SplitSeq(strings.TrimSpace(w.Body.String()), "\n\n") {
			kind, data, _ := strings.Cut(event, "\ndata: ")
			kinds = append(kinds, strings.TrimPrefix(kind, "event: "))
			var v view
			if err := json.Unmarshal([]byte(data), &v); err != nil || len(v.Cards) != 1 || (len(v.Cards[0].History) > 0) != (kind == "event: state") {
				t.Errorf("%v: %s", err, event)
			}
			for _, n := range v.Notes {
				notes[n.Seq] = n.Text
			}
		}
		if !slices.Equal(kinds, []string{"state", "tick", "tick", "tick", "tick", "tick"}) || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("events %v, %v", kinds, w.Header())
		}
		if len(notes) != 1 || notes[1] != "failing: 100 % of the calls fail" {
			t.Errorf("notes %v", notes)
		}
		time.Sleep(time.Second)
	})
}

// Only this machine may see the page, under its own name, and only 64 pages at once.
func TestWhoMaySeeThePage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"this machine", func(*http.Request) {}, 200},
		{"over IPv6", func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5000", "[::1]:8080" }, 200},
		{"by its address", func(r *http.Request) { r.Host = "127.0.0.1" }, 200},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, 403},
		{"no address", func(r *http.Request) { r.RemoteAddr = "@" }, 403},
		{"a name that resolves to this machine", func(r *http.Request) { r.Host = "evil.example:8080" }, 403},
		{"a proxy", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403},
		{"a POST", func(r *http.Request) { r.Method = "POST" }, 405},
		{"another file", func(r *http.Request) { r.URL.Path += "passwd" }, 404},
	} {
		r := ask(t.Context(), "")
		tt.change(r)
		w := httptest.NewRecorder()
		Handler(nil, Options{}).ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") || len(w.Header()["Set-Cookie"]) > 0 {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.status)
		}
	}
	closed := Options{Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") == "Bearer right" {
			return nil
		}
		return errors.New("show your badge")
	}}
	r := ask(t.Context(), "")
	r.RemoteAddr, r.Host = "192.0.2.1:5000", "ops.example"
	w := httptest.NewRecorder()
	Handler(nil, closed).ServeHTTP(w, r)
	if w.Code != 403 || !strings.Contains(w.Body.String(), "badge") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	r.Header.Set("Authorization", "Bearer right")
	w = httptest.NewRecorder()
	if Handler(nil, closed).ServeHTTP(w, r); w.Code != 200 || !strings.Contains(w.Body.String(), "<title>holdfast</title>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	h := &hub{}
	for range maxViewers {
		if !h.enter() {
			t.Fatal("a page was turned away")
		}
	}
	if h.enter() {
		t.Error("one page too many")
	}
	if h.leave(); !h.enter() {
		t.Error("a page that was closed still counts")
	}
}

// The page refers to nothing outside of it.
func TestPageIsWhole(t *testing.T) {
	size := 0
	for _, name := range []string{"", "app.js", "style.css", "icon.svg"} {
		w := httptest.NewRecorder()
		Handler(nil, Options{}).ServeHTTP(w, ask(t.Context(), name))
		text := w.Body.String()
		size += len(text)
		if w.Code != 200 || strings.Contains(text, "://") && !strings.Contains(text, "http://www.w3.org/2000/svg") || strings.Contains(text, "innerHTML") || strings.Contains(text, "style=") {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
	if size > 80<<10 {
		t.Errorf("the page has %d bytes", size)
	}
}

// The page has bounds: cards, notes, failures and the names in them.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registry holdfast.Registry
		for i := range maxCards + 50 {
			if _, err := registry.OpenPolicy(fmt.Sprint(strings.Repeat("n", 300), i), holdfast.PolicyConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		failures := new(Failures)
		for i := range 10 * maxFailures {
			failures.Observe(t.Context(), holdfast.Event{Kind: holdfast.EventFailed, Name: strings.Repeat("n", 1000), Method: "GET", Path: strings.Repeat("/p", 10000), Attempt: i, Err: errors.New("lost")})
		}
		v := look(t, Handler(&registry, Options{Failures: failures}))
		if len(v.Cards) != maxCards || v.Hidden != 50 || len(v.Failures) != maxFailures {
			t.Errorf("%d cards, %d hidden, %d failures", len(v.Cards), v.Hidden, len(v.Failures))
		}
		for _, f := range v.Failures {
			if len(f.Client) > 210 || len(f.Call) > 210 {
				t.Errorf("a failure has names of %d and %d bytes", len(f.Client), len(f.Call))
			}
		}
	})
}
