package faultserver

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// The experiment is M. Brooker's simple collapse simulation
// (github.com/mbrooker/simulator_example, simple_collapse_sim, the spike): a
// service that takes 1 s, and 10 ms more for each request in flight; clients
// that wait 3 s and try three times; 40 new requests a second, and 80 from
// second 20 to 25; a network delay of 0.1 s each way, exponentially
// distributed; 80 s in all.
//
// A run without backoff either collapses permanently or, with some luck,
// survives the spike. A mean over runs lies between.
const (
	experiment = 80 * time.Second
	patience   = 3 * time.Second
	tries      = 3
	network    = 100 * time.Millisecond
	settled    = 60 * time.Second // the spike's effects are over
)

// sender sends one request and reports whether its answer came in time.
type sender func(s *Server, until time.Time) bool

// collapse runs the experiment once and returns the good answers per second
// from settled to the end. Each request has its own random source: runs differ
// by seed only.
func collapse(t *testing.T, seed uint64, send sender, backoff func(retry int, u float64) time.Duration) float64 {
	good := 0
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Capacity: &fault.Capacity{
			Latency: fault.LoadLatency{Base: time.Second, PerInFlight: 10 * time.Millisecond},
		}}, InMemory(), Keep(0))
		var (
			mu    sync.Mutex
			calls sync.WaitGroup
			start = time.Now()
		)
		// attempt sends one request over the network and waits up to patience.
		attempt := func(there, back time.Duration) bool {
			deadline := time.Now().Add(patience)
			time.Sleep(there)
			ok := send(s, deadline.Add(-back))
			if ok {
				deadline = time.Now().Add(back)
			}
			time.Sleep(time.Until(deadline))
			return ok
		}
		call := func(chance *rand.Rand) {
			for try := range tries {
				if try > 0 {
					time.Sleep(backoff(try, chance.Float64()))
				}
				if time.Since(start) >= experiment {
					return
				}
				if !attempt(exponential(chance, network), exponential(chance, network)) {
					continue
				}
				if at := time.Since(start); at > settled && at <= experiment {
					mu.Lock()
					good++
					mu.Unlock()
				}
				return
			}
		}
		arrivals := rand.New(rand.NewPCG(seed, 0))
		for n := uint64(1); time.Since(start) < experiment; n++ {
			rate := 40
			if at := time.Since(start); at >= 20*time.Second && at <= 25*time.Second {
				rate = 80
			}
			calls.Go(func() { call(rand.New(rand.NewPCG(seed, n))) })
			time.Sleep(exponential(arrivals, time.Second/time.Duration(rate)))
		}
		s.Close() // ends the attempts in flight
		calls.Wait()
	})
	return float64(good) / (experiment - settled).Seconds()
}

func exponential(chance *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(chance.ExpFloat64() * float64(mean))
}

// direct uses the server's capacity like its handler.
func direct(s *Server, until time.Time) bool {
	worked := make(chan bool, 1)
	go func() {
		defer func() {
			if recover() != nil { // the server was closed
				worked <- false
			}
		}()
		near, _ := net.Pipe() // closed by the server
		x := exchange{s: s, conn: &connection{Conn: near, closed: make(chan struct{})}, r: &http.Request{URL: &url.URL{Path: "/"}}}
		x.decide(time.Now())
		x.note(0)
		worked <- x.work()
	}()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case ok := <-worked:
		return ok
	case <-timer.C:
		return false
	}
}

// overHTTP sends a request over its own pipe.
func overHTTP(s *Server, until time.Time) bool {
	conn, err := s.Dial(context.Background(), "", "")
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(until)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "HTTP/1.1 200")
}

func atOnce(int, float64) time.Duration { return 0 }

// doubling is the experiment's backoff: full jitter, up to 20 s, then 40 s.
func doubling(retry int, u float64) time.Duration {
	return time.Duration(u * float64(10*time.Second<<retry))
}

// TestCollapse reproduces the experiment, unscaled, in virtual time.
func TestCollapse(t *testing.T) {
	const seeds = 10
	var naive, careful float64
	collapsed := 0
	for seed := range uint64(seeds) {
		without := collapse(t, seed, direct, atOnce)
		with := collapse(t, seed, direct, doubling)
		t.Logf("seed %d: %4.1f good answers/s without backoff, %4.1f with backoff and jitter", seed, without, with)
		naive, careful = naive+without/seeds, careful+with/seeds
		if without < 4 {
			collapsed++
		}
		if with < 34 {
			t.Errorf("seed %d: %.1f with backoff and jitter, must be back near 40", seed, with)
		}
	}
	t.Logf("mean: %.1f and %.1f; the experiment, re-run: 8.1 and 40.3. Without backoff %d of %d runs stay collapsed", naive, careful, collapsed, seeds)
	if collapsed < 6 || naive > 17 || careful < 38 {
		t.Errorf("%d runs collapsed, must be 6 or more; means %.1f, must be 17 or less, and %.1f, must be 38 or more", collapsed, naive, careful)
	}
}

// TestCollapseOverHTTP does one run of each with complete HTTP.
func TestCollapseOverHTTP(t *testing.T) {
	if good := collapse(t, 2, overHTTP, atOnce); good > 4 {
		t.Errorf("%.1f good answers/s without backoff", good)
	}
	if good := collapse(t, 2, overHTTP, doubling); good < 34 {
		t.Errorf("%.1f good answers/s with backoff and jitter", good)
	}
}
