package wire

import (
	"bufio"
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

// A connection has one place, however often it is closed, and a dial that failed
// has none.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("nobody there")
		rt := NewTransport(TransportConfig{MaxConns: 2, Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			if addr == "fails.test:80" {
				return nil, fails
			}
			near, _ := net.Pipe()
			return near, nil
		}})
		rt.lot.shared.Store(true)
		dial := func(addr string) (net.Conn, error) { return rt.DialContext(t.Context(), "tcp", addr) }
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

// echoing answers each request of HTTP/1.1 with what it read of it, after a while.
func echoing(conn net.Conn, while func()) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		while()
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// Those who wait for a connection have it one after the other, in the order in
// which they came, with their bodies whole; who gives up leaves no gap, and one
// whose limit has come says so.
func TestInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := NewTransport(TransportConfig{MaxConns: 1, MaxIdleConns: 1, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go echoing(far, func() { time.Sleep(time.Second) })
			return near, nil
		}})
		rt.MaxConnsPerHost = 0 // so that all of them wait here, as over HTTP/2
		rt.lot.shared.Store(true)
		defer rt.CloseIdleConnections()
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 5 {
			limits := Limits{Pool: time.Hour}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			switch i {
			case 1:
				time.AfterFunc(500*time.Millisecond, cancel)
			case 2:
				limits.Pool = 700 * time.Millisecond
			}
			wg.Go(func() {
				text := fmt.Sprint("number ", i)
				trip := new(Trip)
				trip.Start(&attempt{Context: ctx}, time.Now(), time.Time{}, &limits)
				defer trip.End()
				began := time.Now()
				body := &source{Reader: strings.NewReader(text)}
				req, _ := http.NewRequestWithContext(trip, "POST", "http://x.test", trip.Body(body))
				req.ContentLength = int64(len(text))
				resp, err := trip.RoundTrip(rt, req)
				switch {
				case i == 1:
					if err == nil || time.Since(began) != 500*time.Millisecond {
						t.Errorf("%v after %v", err, time.Since(began))
					}
				case i == 2:
					p, _, after, ok := trip.Expired()
					if err == nil || !ok || p != Pool || p.String() != "acquire" || after != 700*time.Millisecond || trip.Sent(err) {
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
				trip.End()
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
		if n := rt.lot.waiting.Load(); n != 0 || len(rt.lot.turn) != 0 {
			t.Errorf("%d are left in line, %d at its head", n, len(rt.lot.turn))
		}
	})
}

// A request that net/http is about to send again on another connection is stopped:
// the server that has read it once reads it no second time.
func TestNoResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hits, dials atomic.Int64
		rt := NewTransport(TransportConfig{MaxConns: 5, MaxIdleConns: 5, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			dials.Add(1)
			go func() {
				defer far.Close()
				r := bufio.NewReader(far)
				for n := range 2 { // it is gone when it has read the second
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					if hits.Add(1); n == 0 {
						fmt.Fprint(far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
			return near, nil
		}})
		defer rt.CloseIdleConnections()
		for n := range 2 {
			synctest.Wait()
			_, trip, err := roundTripTo(rt, get(t, t.Context(), "http://x.test"), Limits{})
			switch {
			case n == 0 && err != nil:
				t.Fatal(err)
			case n == 1 && (err != errStale || !trip.Sent(err) || !trip.Reused()):
				t.Errorf("%v, sent %v, reused %v", err, trip.Sent(err), trip.Reused())
			}
		}
		if hits.Load() != 2 {
			t.Errorf("%d hits", hits.Load())
		}
	})
}

// The body of a request: its chunks, its own failure, and one end.
func TestRequestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := func(r io.Reader) (*Trip, *source, io.ReadCloser) {
			trip, s := new(Trip), &source{Reader: r}
			trip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Write: time.Second, Read: time.Second})
			return trip, s, trip.Body(s)
		}
		trip, s, body := begin(zeros{})
		if n, err := body.Read(make([]byte, 1<<20)); n != Chunk || err != nil {
			t.Errorf("a chunk of %d bytes, %v", n, err)
		}
		for range 2 {
			body.Close()
		}
		if trip.End(); s.closes() != 1 || trip.BodyFailed() != nil {
			t.Errorf("closed %d times, %v", s.closes(), trip.BodyFailed())
		}
		// One that nobody has read yet may still be wanted: net/http closes it also when
		// there was no connection.
		trip, s, body = begin(zeros{})
		if body.Close(); s.closes() != 0 {
			t.Error("it was closed before it was read")
		}
		if trip.End(); s.closes() != 1 {
			t.Errorf("closed %d times", s.closes())
		}
		gone := errors.New("the disk is gone")
		trip, _, body = begin(io.MultiReader(strings.NewReader("x"), failing{gone}))
		if _, err := io.ReadAll(body); err != gone || trip.BodyFailed() != gone {
			t.Errorf("%v, %v", err, trip.BodyFailed())
		}
		trip.End()
		// What blocks is freed by whatever ends the attempt, here that nobody takes the
		// chunk; that is then no failure of the source.
		r, w := io.Pipe()
		trip, s, body = begin(r)
		go io.WriteString(w, "x")
		io.ReadFull(body, make([]byte, 1))
		<-trip.Done()
		synctest.Wait()
		if p, limit, _, ok := trip.Expired(); !ok || p != Write || limit != time.Second || s.closes() != 1 {
			t.Errorf("%v, %v, closed %d times", p, limit, s.closes())
		}
		if _, err := body.Read(make([]byte, 1)); err == nil || trip.BodyFailed() != nil {
			t.Errorf("%v, %v", err, trip.BodyFailed())
		}
		trip.End()
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A dial that stalls keeps its place, and nobody else from theirs.
func TestStalledDialKeepsNobodyFromTheLine(t *testing.T) {
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
		rt.MaxConnsPerHost = 0
		rt.lot.shared.Store(true)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				resp, trip, err := roundTripTo(rt, get(t, t.Context(), "http://x.test"), Limits{Pool: time.Hour})
				defer trip.End()
				switch at := time.Since(began); {
				case i == 2: // its dial is the third
					if err == nil || at < time.Minute {
						t.Errorf("%v after %v", err, at)
					}
				case err != nil:
					t.Error(err)
				default:
					resp.Body.Close()
					if i == 3 && at > 7*time.Second { // there is a place for it after 2 s, and it takes 4
						t.Errorf("the last was answered after %v", at)
					}
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}
