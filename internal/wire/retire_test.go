package wire

import (
	"context"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Connections of each state, and what becomes of them when one of the pool was silent.
func TestRetire(t *testing.T) {
	for _, c := range []struct {
		name          string
		users         int32
		heard         uint64 // of request 10, at which the silent one was taken
		http2, other  bool   // other: of another pool
		closed        bool
		shared, doubt bool
	}{
		{name: "idle", closed: true},
		{name: "idle, and heard of the request before", heard: 9, closed: true},
		{name: "idle, and heard of since", heard: 10},
		{name: "idle, and dialled since", heard: 10},
		{name: "in use over HTTP/1.1", users: 1},
		{name: "in use over HTTP/2", users: 1, http2: true, shared: true},
		{name: "in use over HTTP/2, and heard of since", users: 2, heard: 11, http2: true},
		{name: "in use over HTTP/2, of a pool before", users: 1, http2: true, other: true},
		{name: "idle over HTTP/2", http2: true, closed: true},
		{name: "never used, and maybe not ready", users: unused, doubt: true},
	} {
		for _, room := range []bool{true, false} {
			rt := NewTransport(TransportConfig{MaxConns: 2})
			pool := rt.current.Load()
			near, far := net.Pipe()
			defer far.Close()
			rt.limiter.open = 2
			if room {
				rt.limiter.open = 1
			}
			conn := rt.limiter.track(&trackedConn{Conn: near, transport: rt, limiter: &rt.limiter, pool: pool})
			conn.users.Store(c.users)
			conn.heard.Store(c.heard)
			conn.http2.Store(c.http2)
			if c.other {
				conn.pool = new(http.Transport)
			}
			shared := rt.limiter.retire(taken{seq: 10}, pool)
			if shared != (c.shared && room) || conn.closed.Load() != c.closed || conn.suspect.Load() != c.doubt {
				t.Errorf("%s, room %v: shared %v, closed %v, suspect %v", c.name, room, shared, conn.closed.Load(), conn.suspect.Load())
			}
			if joined := conn.join(true); joined != (!c.closed && !c.doubt) {
				t.Errorf("%s: may be used: %v", c.name, joined)
			}
			if c.doubt && !conn.join(false) {
				t.Errorf("%s: what was dialled for the request is refused", c.name)
			}
		}
	}
}

// One connection of three was lost in request 10. It was heard of in request 5, and the others
// were idle for longer or shorter than it, or are heard of since.
func TestRetireAsOld(t *testing.T) {
	for _, c := range []struct {
		rule    string
		idle    time.Duration
		born    uint64 // of the other that is heard of in request 12
		retired []uint64
	}{
		{"all were idle, and may have ended", 0, 11, []uint64{4, 6}},
		{"for however long", time.Hour, 11, []uint64{4, 6}},
		{"one that is as old is heard of: not all have ended", idleLong - 1, 9, nil},
		{"but those that were idle as long may have, if that was long", idleLong, 9, []uint64{4}},
	} {
		rt := NewTransport(TransportConfig{})
		conns := map[uint64]*trackedConn{}
		for _, heard := range []uint64{4, 6, 12} {
			near, far := net.Pipe()
			defer far.Close()
			conns[heard] = rt.limiter.track(&trackedConn{Conn: near, transport: rt, limiter: &rt.limiter})
			conns[heard].users.Store(0)
			conns[heard].heard.Store(heard)
		}
		conns[12].born = c.born
		rt.limiter.retire(taken{seq: 10, heard: 5, idle: c.idle}, nil)
		var retired []uint64
		for heard, conn := range conns {
			if conn.closed.Load() {
				retired = append(retired, heard)
			}
		}
		if slices.Sort(retired); !slices.Equal(retired, c.retired) {
			t.Errorf("%s: retired are those heard of in requests %v, want %v", c.rule, retired, c.retired)
		}
	}
}

// How long a connection was idle is known from the start of its round trip before.
func TestTaken(t *testing.T) {
	rt := NewTransport(TransportConfig{})
	near, far := net.Pipe()
	defer far.Close()
	conn := rt.limiter.track(&trackedConn{Conn: near, transport: rt, limiter: &rt.limiter})
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if got := conn.take(noon); got != (taken{seq: 1}) {
		t.Errorf("at first %+v", got)
	}
	conn.heard.Store(1)
	if got := conn.take(noon.Add(time.Minute)); got != (taken{seq: 2, heard: 1, idle: time.Minute}) {
		t.Errorf("and then %+v", got)
	}
}

// dark is a connection that takes bytes and drops them, once it is dropping.
type dark struct {
	net.Conn
	dropping atomic.Bool
}

func (d *dark) Write(p []byte) (int, error) {
	if d.dropping.Load() {
		return len(p), nil
	}
	return d.Conn.Write(p)
}

// A request over HTTP/2 was given up. Its connection is well: net/http asks by a PING. So
// the next request has it again, if the answer has come by then, and else another.
func TestRetireAsksAgain(t *testing.T) {
	for _, answered := range []bool{true, false} {
		var first *dark
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if first == nil && err == nil {
				first = &dark{Conn: conn}
				return first, nil
			}
			return conn, err
		}
		rt, s := secure(t, TransportConfig{MaxIdleConns: 1, Dial: dial}, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-r.Context().Done()
			}
		})
		ask := func(path string) *RoundTrip {
			resp, roundTrip, err := do(rt, get(t, t.Context(), s.URL+path), Limits{Read: 50 * time.Millisecond})
			if err == nil {
				resp.Body.Close()
			} else if path != "/slow" {
				t.Fatal(err)
			}
			return roundTrip
		}
		ask("/").End()
		first.dropping.Store(!answered)
		given := ask("/slow")
		conn := given.conn.tracked
		given.End()
		given.Retire(rt)
		for deadline := time.Now().Add(5 * time.Second); answered && conn.heard.Load() < given.conn.taken.seq; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("no PING was answered")
			}
		}
		next := ask("/")
		if next.Reused() != answered {
			t.Errorf("PING answered %v: the next request has the connection again: %v", answered, next.Reused())
		}
		next.End()
	}
}

// retiring makes requests while everything is retired again and again.
func retiring(t *testing.T, rt *Transport, url string, callers, requests int) (unread int64) {
	var wg sync.WaitGroup
	var again atomic.Int64
	for range callers {
		wg.Go(func() {
			for i := range requests {
				if i%3 == 0 {
					rt.lost.Store(&lost{taken{seq: math.MaxUint64}, rt.current.Load()})
					rt.retire()
				}
				for {
					roundTrip := new(RoundTrip)
					roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
					method, body := http.MethodGet, io.Reader(nil)
					if i%2 == 1 {
						method, body = http.MethodPost, strings.NewReader("some work")
					}
					req, _ := http.NewRequestWithContext(roundTrip, method, url, body)
					req.GetBody = nil // as a client's requests
					resp, err := roundTrip.Do(rt, req)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if err != nil {
							t.Errorf("the answer broke off: %v", err)
						}
					}
					roundTrip.End()
					if err == nil {
						break
					}
					if roundTrip.Sent(err) || !roundTrip.Silent(err, false) || !roundTrip.Reused() {
						t.Errorf("%s: %v; sent %v, reused %v", method, err, roundTrip.Sent(err), roundTrip.Reused())
						break
					}
					again.Add(1) // nothing was written, and it is repeated
				}
			}
		})
	}
	wg.Wait()
	return again.Load()
}

// A connection that is retired in the moment in which it is taken costs no request that
// was sent, and no answer breaks off. What is left in the end is closed.
func TestRetireUnderWay(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "TLS", "HTTP/2"} {
		t.Run(proto, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Write(make([]byte, 5000))
			}))
			cfg := TransportConfig{MaxIdleConns: 10, IdleExpiry: 100 * time.Millisecond}
			requests := 200
			if s.EnableHTTP2 = proto == "HTTP/2"; proto == "HTTP/1.1" {
				s.Start()
			} else {
				requests = 40 // a handshake takes time
				s.Config.ErrorLog = log.New(io.Discard, "", 0)
				s.StartTLS()
				cfg.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				cfg.TLS.NextProtos = nil
			}
			defer s.Close()
			rt := NewTransport(cfg)
			unread := retiring(t, rt, s.URL, 4, requests)
			t.Logf("%d requests had another connection", unread)
			for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
				rt.limiter.mu.Lock()
				open, tracked := rt.limiter.open, len(rt.limiter.conns)
				rt.limiter.mu.Unlock()
				if open <= cfg.MaxIdleConns && open == tracked {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d connections are open, %d of them known", open, tracked)
				}
			}
			rt.Close()
		})
	}
}

// A request whose limit has passed hears of the connection by what others read.
func TestSilent(t *testing.T) {
	rt := NewTransport(TransportConfig{Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go echoing(far, func() {})
		return near, nil
	}})
	defer rt.Close()
	_, first, err := do(rt, get(t, t.Context(), "http://x.test"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if first.Silent(nil, true) {
		t.Error("an answer has arrived")
	}
	if new(RoundTrip).Silent(nil, true) {
		t.Error("without a connection nothing is silent")
	}
}
