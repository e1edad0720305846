package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
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

// What a request waits for is the phase: a dial while there is one for it, and else
// that a connection comes free. The limit Pool is for all of that together.
func TestSearch(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string // a second after the other
		phase Phase
		at    time.Duration
	}{
		{"nothing is dialled", "search", Pool, 5 * time.Second},
		{"a dial stalls", "search dial", Connect, 3 * time.Second},
		{"a handshake stalls", "search dial dialled", Connect, 4 * time.Second},
		{"what was dialled went to others", "search dial dialled search dial dialled search", Pool, 9 * time.Second}, // 1 of 5 s, 1, and 3
		{"a dial goes on when another connection was tried", "search dial search dialled", Pool, 6 * time.Second},
		{"a dial goes on in line", "search dial line dialled", Pool, 6 * time.Second},
		{"a connection was lost unused", "search dial dialled got search", Pool, 9 * time.Second}, // which is a new wait
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trip, began := new(Trip), time.Now()
				trip.Start(&attempt{Context: t.Context()}, began, time.Time{}, &Limits{Connect: 2 * time.Second, Write: time.Minute, Pool: 5 * time.Second})
				defer trip.End()
				trip.lot = new(lot)
				dialled := 0
				for i, step := range strings.Fields(c.steps) {
					time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second)))
					switch step {
					case "search":
						trip.getConn("")
					case "line": // as in queue
						trip.pool()
					case "dial":
						dialled = trip.dialling()
					case "dialled":
						trip.connecting(dialled)
					case "got":
						near, _ := net.Pipe()
						trip.gotConn(httptrace.GotConnInfo{Conn: &counted{Conn: near}})
					}
				}
				<-trip.Done()
				limit := trip.limits.of(c.phase)
				if p, l, after, ok := trip.Expired(); !ok || p != c.phase || l != limit || after != limit || time.Since(began) != c.at {
					t.Errorf("%v after %v of %v, at %v, want %v at %v", p, after, l, time.Since(began), c.phase, c.at)
				}
			})
		})
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

// Over HTTP/2 the phase Write begins with the headers, since what was before them is
// the wait for a stream: whether that has a limit or not.
func TestWriteBeginsWithTheHeaders(t *testing.T) {
	for _, limits := range []Limits{{Pool: time.Minute, Write: time.Second}, {Write: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			trip := new(Trip)
			trip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &limits)
			defer trip.End()
			trip.lot, trip.conn.clear = new(lot), true // HTTP/2 without TLS
			trip.gotConn(httptrace.GotConnInfo{})
			time.Sleep(5 * time.Second)
			if err := trip.Err(); err != nil {
				t.Errorf("limits %+v: it waited for a stream: %v", limits, err)
			}
			trip.wroteHeaders()
			began := time.Now()
			<-trip.Done()
			if phase, _, _, _ := trip.Expired(); phase != Write || time.Since(began) != time.Second {
				t.Errorf("limits %+v: ended by %v after %v", limits, phase, time.Since(began))
			}
		})
	}
}
