package rivals

import (
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

func settings(url string) Settings {
	return Settings{Setup: conformance.Setup{BaseURL: url, Terms: conformance.Terms{
		Retries: 3, Base: time.Millisecond, Max: 2 * time.Millisecond, Attempt: 10 * time.Second, Answer: 1 << 20,
	}}}
}

func get(url string) conformance.Call {
	return conformance.Call{Method: http.MethodGet, URL: url + "/x", Path: "/x", Header: http.Header{}}
}

// Each adapter returns the answer of the service, and retries a 503 if its library
// can retry. The service counts the attempts.
func TestEveryKindCalls(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			s := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{
				{Nth: "1", Fault: fault.Fault{Status: 200, Body: "first"}},
				{Nth: "2-3", Fault: fault.Fault{Status: 503}},
				{Fault: fault.Fault{Status: 200, Body: "after retries"}},
			}})
			c, err := kind.New(settings(s.URL()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if a := c.Do(t.Context(), get(s.URL())); a.Err != nil || a.Status != 200 || string(a.Body) != "first" {
				t.Errorf("answered by 200: %d %q, %v", a.Status, a.Body, a.Err)
			}
			a, attempts := c.Do(t.Context(), get(s.URL())), len(s.Record())-1
			if kind.Name == "net/http" {
				if a.Status != 503 || attempts != 1 {
					t.Errorf("answered by 503: %d after %d attempts, %v", a.Status, attempts, a.Err)
				}
				return
			}
			if a.Err != nil || a.Status != 200 || string(a.Body) != "after retries" || attempts != 3 {
				t.Errorf("answered by 503 twice: %d %q after %d attempts, %v", a.Status, a.Body, attempts, a.Err)
			}
			if told, ok := Attempts(c); ok && told != int64(len(s.Record())) {
				t.Errorf("tells of %d attempts, and the service saw %d", told, len(s.Record()))
			}
		})
	}
}

// A POST arrives with its body and its key.
func TestEveryKindSends(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			var body, key string
			s := faultserver.Start(t, fault.Plan{}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
				body, key = string(r.Body), r.Header.Get("Idempotency-Key")
				return faultserver.Answer{Status: http.StatusOK}
			}))
			c, err := kind.New(settings(s.URL()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			call := get(s.URL())
			call.Method, call.Body, call.Key = http.MethodPost, []byte(`{"a":1}`), "k"
			if a := c.Do(t.Context(), call); a.Err != nil || a.Status != 200 || body != `{"a":1}` || key != "k" {
				t.Errorf("%d, %v; the service got %q with key %q", a.Status, a.Err, body, key)
			}
		})
	}
}

// A breaker opens after Threshold failures, and then the service gets no request.
// net/http and go-retryablehttp have no breaker. hystrix evaluates its circuits in
// the background, so heimdall's breaker opens some calls later.
func TestBreakersOpen(t *testing.T) {
	const threshold = 4
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			s := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{Status: 503}}}})
			set := settings(s.URL())
			set.Terms.Retries, set.Threshold, set.OpenFor, set.CountAttempts = 0, threshold, time.Hour, true
			c, err := kind.New(set)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			least, most := threshold, threshold // requests before the breaker opens
			switch kind.Name {
			case "net/http", "go-retryablehttp", "go-retryablehttp, log off":
				least, most = 20, 20 // every call
			case "heimdall":
				most = 100_000
			}
			for sent := 0; sent < max(20, most); sent = len(s.Record()) {
				c.Do(t.Context(), get(s.URL()))
				if len(s.Record()) == sent {
					break // without a request: the breaker is open
				}
			}
			if sent := len(s.Record()); sent < least || sent > most {
				t.Errorf("%d requests were sent, want %d to %d", sent, least, most)
			}
		})
	}
}

func TestNamed(t *testing.T) {
	for _, kind := range All() {
		if got := Named(kind.Name); got.Name != kind.Name || got.Module != kind.Module {
			t.Errorf("%q is %+v", kind.Name, got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a name that no kind has")
		}
	}()
	Named("nothing")
}
