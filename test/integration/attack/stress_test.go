package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// spend is the time of each round. The default is enough to see that a round works.
var spend = flag.Duration("spend", 300*time.Millisecond, "the time of a round")

// moody is a service that answers, fails, cuts off, streams or hangs.
func moody(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch rand.IntN(10) {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "cut off")
		panic(http.ErrAbortHandler)
	case 3:
		<-r.Context().Done()
	case 4:
		for range 5 {
			_, _ = io.WriteString(w, "data: {\"n\": 1}\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	case 5:
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

// connections counts those that a server has.
type connections struct{ open atomic.Int64 }

func (c *connections) state(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// Callers call, stream, read half of an answer, forget to close one and cancel, while clients
// are closed under them. In the end no permit, no goroutine and no connection is left.
func TestStress(t *testing.T) {
	before := runtime.NumGoroutine()
	operations, clients, left := atomic.Int64{}, 0, 0
	for _, http2 := range []bool{false, true} {
		var open connections
		server := httptest.NewUnstartedServer(http.HandlerFunc(moody))
		server.Config.ConnState, server.EnableHTTP2, server.Config.ErrorLog = open.state, http2, log.New(io.Discard, "", 0)
		var opts []holdfast.Option
		if http2 {
			server.StartTLS()
			trusting := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			trusting.NextProtos = nil
			opts = append(opts, holdfast.WithTLSConfig(trusting))
		} else {
			server.Start()
		}
		for until := time.Now().Add(*spend / 2); time.Now().Before(until) || clients == 0; clients++ {
			client, err := holdfast.New(holdfast.Config{
				BaseURL: server.URL, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 8},
				Timeouts: holdfast.Timeouts{Attempt: 50 * time.Millisecond},
				Retry:    holdfast.Retry{MaxRetries: 1, BaseDelay: time.Millisecond},
				Breaker:  holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
			}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			var callers sync.WaitGroup
			for range 16 {
				callers.Go(func() {
					for range 25 {
						call(client, server.URL)
						operations.Add(1)
					}
				})
			}
			if clients%2 == 0 {
				callers.Wait()
			}
			client.Close() // of every second client while it is called
			callers.Wait()
			settled := within(func() bool {
				s := client.Stats()
				return s.InFlight == 0 && s.Permits == 0 && s.Streams == 0 && s.Queued == 0 && open.open.Load() == 0
			})
			if !settled {
				left++
				t.Errorf("HTTP/2 %v: %d connections are left, and %+v", http2, open.open.Load(), client.Stats())
			}
		}
		server.Close()
	}
	if !within(func() bool { return runtime.NumGoroutine() <= before }) {
		left++
		t.Errorf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
	}
	fmt.Printf("count: %d operations of %d clients; %d leaks of permits, goroutines or connections\n", operations.Load(), clients, left)
}

// call makes one operation of a random kind.
func call(client *holdfast.Client, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.IntN(100))*time.Millisecond)
	defer cancel()
	switch rand.IntN(5) {
	case 0:
		_, _ = client.Get(ctx, "/")
	case 1:
		_, _ = client.Post(ctx, "/", map[string]int{"n": 1})
	case 2:
		stream, err := client.Stream(ctx, http.MethodGet, "/", nil)
		if err != nil {
			return
		}
		for range stream.Events() {
			if rand.IntN(3) == 0 {
				break
			}
		}
		_ = stream.Close()
	case 3, 4:
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader("body"))
		if err != nil {
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, resp.Body, int64(rand.IntN(1000)))
		if rand.IntN(2) == 0 {
			_ = resp.Body.Close() // of the others, only the context ends
		}
	}
}

// within reports whether something becomes true soon.
func within(is func() bool) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if is() {
			return true
		}
	}
	return false
}
