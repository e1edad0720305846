package holdfast_test

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// The only permit of a client is in use. Another call waits for Timeouts.Acquire, sends
// nothing and counts as no failure. Afterwards the permit and its connection are free
// again.
func TestPermitHeld(t *testing.T) {
	cfg := config(holdfast.Timeouts{Acquire: 2 * time.Second})
	cfg.Bulkhead.MaxConcurrent = 1
	bothProtocols(t, cfg, hang, func(t *testing.T, c *holdfast.Client, p *pipes) {
		held, err := fetchFrom(t, c, "/long")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Get(t.Context(), "/well")
		is(t, err, holdfast.ErrPoolTimeout)
		isNot(t, err, holdfast.ErrConnection, holdfast.ErrTimeout)
		took(t, start, 2*time.Second)
		equal(t, "attempts of the waiting call", len(attempts(t, err)), 0)

		why := errors.New("the caller gave up")
		start = time.Now()
		_, err = c.Get(canceled(t, time.Second, why), "/well")
		is(t, err, holdfast.ErrCanceled, why)
		took(t, start, time.Second)

		freed := time.AfterFunc(time.Second, func() { held.Body.Close() })
		defer freed.Stop()
		start = time.Now()
		if _, err = c.Get(t.Context(), "/well"); err != nil {
			t.Error(err)
		}
		took(t, start, time.Second)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		equal(t, "attempts", c.Stats().Attempts, 2)
		if c.Stats().Queued != 0 {
			t.Error("a call still waits")
		}
		synctest.Wait() // Close releases the permit before it returns
	})
}

// Every call has its permit, and one of them waits for a connection, or over HTTP/2 for a
// stream. The limit of this wait is the phase acquire. The service sees nothing of it.
func TestConnectionHeld(t *testing.T) {
	cfg := config(holdfast.Timeouts{Acquire: 2 * time.Second})
	cfg.Pool.MaxConns, cfg.Bulkhead.MaxConcurrent = 1, 3
	for _, retries := range []int{holdfast.Off, 3} { // retries would add to the saturation
		cfg.Retry.MaxRetries = retries
		begin := func(w http.ResponseWriter, r *http.Request) {
			flush(w, "begin")
			hang(w, r)
		}
		bothProtocolsInStreams(t, 1, cfg, begin, func(t *testing.T, c *holdfast.Client, p *pipes) {
			held, err := fetchFrom(t, c, "/bad")
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = c.Post(t.Context(), "/well", "some work")
			took(t, start, 2*time.Second)
			is(t, err, holdfast.ErrPoolTimeout)
			isNot(t, err, holdfast.ErrConnection, holdfast.ErrTimeout, holdfast.ErrCanceled)
			equal(t, "the error", err.Error(), "holdfast: POST /well: no permit came free in time after 1 attempt in 2s: acquire timeout of 2s")
			equal(t, "attempts", len(attempts(t, err)), 1)
			equal(t, "sent", attempts(t, err)[0].Sent, false)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)

			why := errors.New("the caller gave up")
			start = time.Now()
			u := newUpload(100, false)
			_, err = put(t, canceled(t, time.Second, why), c, u, 100)
			is(t, err, holdfast.ErrCanceled, why)
			took(t, start, time.Second)
			synctest.Wait()
			equal(t, "closed", u.closed.Load(), 1)

			equal(t, "connections at once", p.most.Load(), 1)
			freed := time.AfterFunc(time.Second, func() { held.Body.Close() })
			defer freed.Stop()
			resp, err := put(t, t.Context(), c, newUpload(100<<10, false), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			synctest.Wait() // the other call may still release its permit
			if d := time.Since(start); d > 2*time.Second+100*time.Millisecond {
				t.Errorf("the next call had its connection %v after it was free", d-2*time.Second)
			}
			if p.proto == "HTTP/1.1" { // the first connection is closed, and the next may be opened a moment before
				equal(t, "connections", p.dials.Load(), 2)
			} else {
				equal(t, "connections", p.dials.Load(), 1)
			}
		})
	}
}

// A service accepts few streams at once, and there are many callers. Over HTTP/2, net/http
// would open one connection after the other, and the service would refuse the streams
// that net/http opens before it knows the limit. Here each call waits for its stream, is
// sent once and answered, over at most Pool.MaxConns connections.
func TestFewStreams(t *testing.T) {
	const callers = 60
	for _, streams := range []int{1, 3} {
		cfg := config(holdfast.Timeouts{Acquire: time.Minute, Connect: time.Second}) // the wait takes longer, and a dial takes no time
		cfg.Bulkhead.MaxConcurrent = callers
		var hits atomic.Int64
		bothProtocolsInStreams(t, streams, cfg, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(t *testing.T, c *holdfast.Client, p *pipes) {
			hits.Store(0)
			p.served = func() { hits.Add(1); time.Sleep(time.Second) }
			start := time.Now()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					var err error
					if i%2 == 0 {
						_, err = c.Post(t.Context(), "/well", i)
					} else {
						var resp *http.Response
						if resp, err = put(t, t.Context(), c, newUpload(100<<10, false), 100<<10); err == nil {
							_, err = io.Copy(io.Discard, resp.Body) // otherwise the connection is closed
							resp.Body.Close()
						}
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			atOnce := 5
			if p.proto == "HTTP/2.0" {
				atOnce *= streams
			}
			if d, ideal := time.Since(start), time.Duration(callers/atOnce)*time.Second; d > ideal+time.Second {
				t.Errorf("took %v, where %v would do", d, ideal)
			}
			equal(t, "hits", hits.Load(), callers)
			equal(t, "attempts", c.Stats().Attempts, callers)
			if p.most.Load() > 5 {
				t.Errorf("%d connections at once", p.most.Load())
			}
		})
	}
}

// The outcome of the first attempt counts: the service has failed, although its repeat
// found no connection.
func TestSaturationHidesNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(
			rule("/x", "", fault.Fault{Status: 503}), rule("/hold", "", fault.Fault{Hang: fault.AfterHeaders}),
		), holdfast.Config{
			Timeouts: holdfast.Timeouts{Acquire: 2 * time.Second}, Pool: holdfast.Pool{MaxConns: 1}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 2},
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			start := time.Now()
			_, err := c.Get(t.Context(), "/x")
			took(t, start, 3*time.Second) // one backoff, and the limit
			is(t, err, holdfast.ErrPoolTimeout)
			equal(t, "attempts", len(attempts(t, err)), 2)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
		})
		time.Sleep(500 * time.Millisecond)
		held, err := fetchFrom(t, c, "/hold")
		if err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		held.Body.Close()
	})
}
