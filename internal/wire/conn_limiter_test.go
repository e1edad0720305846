package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A connection has one place, even if it is closed twice. A dial that failed has none.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("refused")
		rt := NewTransport(TransportConfig{MaxConns: 2, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr == "fails.test:80" {
				return nil, fails
			}
			near, _ := net.Pipe()
			return near, nil
		}})
		rt.limiter.http2.Store(true)
		dial := func(addr string) (net.Conn, error) { return rt.current.Load().DialContext(t.Context(), "tcp", addr) }
		for range 5 {
			if _, err := dial("fails.test:80"); err != fails {
				t.Fatal(err)
			}
		}
		a, err1 := dial("a.test:80")
		_, err2 := dial("a.test:80")
		if _, err := dial("a.test:80"); err1 != nil || err2 != nil || err != errFull {
			t.Fatal(err1, err2, err)
		}
		a.Close()
		a.Close()
		if _, err := dial("a.test:80"); err != nil {
			t.Error(err)
		}
		if _, err := dial("a.test:80"); err != errFull {
			t.Error(err)
		}
	})
}

// Requests that wait get the connection in the order of their arrival, with whole
// bodies. A request that is canceled leaves the line, and one that reaches its limit
// reports the phase.
func TestInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := NewTransport(TransportConfig{MaxConns: 1, MaxIdleConns: 1, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go echoing(far, func() { time.Sleep(time.Second) })
			return near, nil
		}})
		rt.current.Load().MaxConnsPerHost = 0 // so that all requests wait in the limiter, as over HTTP/2
		rt.limiter.http2.Store(true)
		defer rt.CloseIdleConnections()
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 5 {
			limits := Limits{Acquire: time.Hour}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch i {
			case 1:
				time.AfterFunc(500*time.Millisecond, cancel)
			case 2:
				limits.Acquire = 700 * time.Millisecond
			}
			wg.Go(func() {
				text := fmt.Sprint("number ", i)
				roundTrip := new(RoundTrip)
				roundTrip.Start(&attempt{Context: ctx}, time.Now(), time.Time{}, &limits)
				defer roundTrip.End()
				began := time.Now()
				body := &source{Reader: strings.NewReader(text)}
				req, _ := http.NewRequestWithContext(roundTrip, "POST", "http://x.test", roundTrip.Body(body, -1))
				req.ContentLength = int64(len(text))
				resp, err := roundTrip.Do(rt, req)
				switch {
				case i == 1:
					if err == nil || time.Since(began) != 500*time.Millisecond {
						t.Errorf("%v after %v", err, time.Since(began))
					}
				case i == 2:
					p, _, after, ok := roundTrip.Expired()
					if err == nil || !ok || p != PhaseAcquire || p.String() != "acquire" || after != 700*time.Millisecond || roundTrip.Sent(err) {
						t.Errorf("%v: %v after %v", err, p, after)
					}
				case err != nil:
					t.Error(i, err)
				default:
					got, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if string(got) != text {
						t.Errorf("%d was answered %q", i, got)
					}
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
				}
				roundTrip.End()
				if body.closes() != 1 {
					t.Errorf("the body of %d was closed %d times", i, body.closes())
				}
			})
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if fmt.Sprint(order) != "[0 3 4]" {
			t.Errorf("answered were %v", order)
		}
		if n := rt.limiter.waiting.Load(); n != 0 || len(rt.limiter.head) != 0 {
			t.Errorf("%d are left in line, %d at its head", n, len(rt.limiter.head))
		}
	})
}

// A request whose dial stalls has left the head of the line.
func TestStalledDialLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		rt := NewTransport(TransportConfig{Connect: time.Minute, MaxConns: 2, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			n := dials.Add(1)
			if n == 3 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			near, far := net.Pipe()
			go echoing(far, func() { time.Sleep(time.Duration(n) * time.Second) })
			return near, nil
		}})
		rt.current.Load().MaxConnsPerHost = 0
		rt.limiter.http2.Store(true)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				resp, roundTrip, err := do(rt, get(t, t.Context(), "http://x.test"), Limits{Acquire: time.Hour})
				defer roundTrip.End()
				switch at := time.Since(began); {
				case i == 2: // the third dial is its own
					if err == nil || at < time.Minute {
						t.Errorf("%v after %v", err, at)
					}
				case err != nil:
					t.Error(err)
				default:
					resp.Body.Close()
					if i == 3 && at > 7*time.Second { // a place is free after 2 s, and its answer takes 4
						t.Errorf("the last was answered after %v", at)
					}
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}
