package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"testing"
	"time"
)

// The hooks that a caller put into its context are called too.
func TestCallersTrace(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	rt := NewTransport(TransportConfig{MaxIdleConns: 1})
	defer rt.CloseIdleConnections()
	var told []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { told = append(told, fmt.Sprint("got ", info.Reused)) },
		ConnectStart: func(string, string) { told = append(told, "connect") },
	})
	for range 2 {
		resp, trip, err := roundTripTo(rt, get(t, ctx, s.URL), Limits{})
		if err != nil || !trip.Sent(nil) {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if fmt.Sprint(told) != "[connect got false got true]" {
		t.Errorf("told: %v", told)
	}
}

// An open answer costs no goroutine besides the two of its connection, which
// are there whoever reads.
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
			resp, _, err = roundTripTo(rt, get(t, t.Context(), s.URL), Limits{Connect: time.Hour, Write: time.Hour, Read: time.Hour})
		} else {
			resp, err = rt.RoundTrip(get(t, t.Context(), s.URL))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		// Two of the connection's, two of the server's; what is on its way out goes.
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

func TestRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"http2: Transport received Server's graceful shutdown GOAWAY":            true,
		"http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM": true,
		"http2: Transport: cannot retry err [stream error: stream ID 5; REFUSED_STREAM; received from peer] after Request.Body was written; define Request.GetBody to avoid this error": true,
		"http2: Transport: cannot retry err [stream error: stream ID 5; PROTOCOL_ERROR; received from peer] after Request.Body was written; define Request.GetBody to avoid this error": false,
		"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"REFUSED_STREAM\"":                                                               false,
		"EOF": false,
	} {
		if got := refused(errors.New(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// It is the connection of a handshake that waits for the settings, also if two are
// under way for a request.
func TestGreetsTheConnectionOfTheHandshake(t *testing.T) {
	rt, s := secure(t, TransportConfig{}, func(http.ResponseWriter, *http.Request) {})
	trip := new(Trip)
	trip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
	defer trip.End()
	var conns [2]*counted
	for i := range conns {
		conn, err := rt.DialContext(trip, "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = countedBelow(conn)
	}
	cfg := rt.TLSClientConfig.Clone()
	cfg.ServerName = "example.com"
	shaken := tls.Client(conns[0], cfg)
	if err := shaken.Handshake(); err != nil {
		t.Fatal(err)
	}
	rt.TLSNextProto["h2"]("example.com", shaken)
	defer rt.CloseIdleConnections()
	if conns[1].settled != nil {
		t.Error("the other was greeted")
	}
	if conns[0].settled == nil {
		t.Fatal("it was not greeted")
	}
	<-conns[0].settled // by the settings of a real server
}
