package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// A RoundTripper that calls no hook may have sent the request, and may be incomplete.
func TestForeignTransport(t *testing.T) {
	_, roundTrip, err := do(transportFunc(func(*http.Request) (*http.Response, error) { return nil, io.EOF }), get(t, t.Context(), "http://x.test"), Limits{})
	if !roundTrip.Sent(err) || err != io.EOF {
		t.Error("what is not known to be unsent must count as sent")
	}
	_, _, err = do(transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != errNothing {
		t.Error(err)
	}
	resp, _, err := do(transportFunc(func(*http.Request) (*http.Response, error) { return &http.Response{}, nil }), get(t, t.Context(), "http://x.test"), Limits{})
	if err != nil || resp.Body == nil {
		t.Errorf("%+v, %v", resp, err)
	}
}

// An open answer costs no goroutine beside the two of its connection.
func TestNoGoroutineForAnAnswer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	open := func(wrapped bool) int {
		rt := NewTransport(TransportConfig{MaxIdleConns: 1})
		defer rt.CloseIdleConnections()
		before := runtime.NumGoroutine()
		var resp *http.Response
		var err error
		if wrapped {
			resp, _, err = do(rt, get(t, t.Context(), s.URL), Limits{Connect: time.Hour, Write: time.Hour, Read: time.Hour})
		} else {
			resp, err = rt.RoundTrip(get(t, t.Context(), s.URL))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		// Two of the connection's and two of the server's. Others are about to end.
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+4; runtime.Gosched() {
			if time.Now().After(deadline) {
				break
			}
		}
		return runtime.NumGoroutine() - before
	}
	for _, wrapped := range []bool{false, true} {
		if n := open(wrapped); n > 4 {
			t.Errorf("wrapped %v: %d goroutines", wrapped, n)
		}
	}
}
