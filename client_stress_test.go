package holdfast_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
)

var errTorture = errors.New("torture")

// torture fails the n-th operation of a dialler and its connections: a dial, a write before
// its first byte, a read or a close.
type torture struct {
	fail, made atomic.Int64
	struck     atomic.Bool
}

func (x *torture) strikes() bool {
	if x.made.Add(1) != x.fail.Load() {
		return false
	}
	x.struck.Store(true)
	return true
}

func (x *torture) dialled(conn net.Conn) (net.Conn, error) {
	if x.strikes() {
		conn.Close()
		return nil, errTorture
	}
	return &tortured{conn, x}, nil
}

type tortured struct {
	net.Conn
	*torture
}

func (c *tortured) Read(p []byte) (int, error) {
	if c.strikes() {
		return 0, errTorture
	}
	return c.Conn.Read(p)
}

func (c *tortured) Write(p []byte) (int, error) {
	if c.strikes() {
		return 0, errTorture
	}
	return c.Conn.Write(p)
}

func (c *tortured) Close() error {
	err := c.Conn.Close()
	if c.strikes() {
		return errTorture
	}
	return err
}

// A torture test, as curl has: the first operation fails, then the second, and so on, until
// a whole call, with the Close of its client, has no failure. Every call ends in bounded
// time, with the whole answer or with an error that has a cause. The body is closed once,
// and the only permit is free again.
func TestTorture(t *testing.T) {
	for _, retries := range []int{holdfast.Off, 3} {
		t.Run(fmt.Sprint("retries ", retries), func(t *testing.T) {
			results := map[string][]bool{} // by protocol: whether the call with the n-th failure succeeded
			for n, touched := int64(1), true; touched; n++ {
				touched = false
				cfg := holdfast.Config{
					Timeouts: limits, Retry: holdfast.Retry{MaxRetries: retries, Jitter: holdfast.NoJitter},
					Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
				}
				bothProtocols(t, cfg, hang, func(t *testing.T, c *holdfast.Client, p *pipes) {
					x := new(torture)
					x.fail.Store(n)
					p.wrap = x.dialled
					u := newUpload(long, false)
					call := func() error { return longUpload(t, c, u) }
					if retries > 0 { // a body that breaks off while the caller reads it is not repeated
						call = func() error { return longCall(t, c) }
					}
					start := time.Now()
					err := call()
					if d := time.Since(start); d > 10*time.Second {
						t.Errorf("operation %d: took %v", n, d)
					}
					switch {
					case err == nil:
					case retries > 0:
						t.Errorf("operation %d: %v", n, err)
					default:
						is(t, err, holdfast.ErrConnection)
						isNot(t, err, holdfast.ErrCanceled)
						var e *holdfast.Error
						if errors.As(err, &e); e.Err == nil {
							t.Errorf("operation %d: %v has no cause", n, err)
						}
					}
					synctest.Wait()
					if retries <= 0 {
						equal(t, "closed", u.closed.Load(), 1)
					}
					equal(t, "in flight", c.Stats().InFlight, 0)
					if made := c.Stats().Attempts; made > 2 {
						t.Errorf("operation %d: %d attempts", n, made)
					}
					if x.struck.Load() {
						touched = true
						err := longCall(t, c)
						if err != nil && p.proto == "HTTP/2.0" && retries <= 0 {
							err = longCall(t, c) // net/http notices a failed write between two calls at the next one
						}
						if err != nil {
							t.Errorf("operation %d: the next call: %v", n, err)
						}
					} else { // the failure may be in the Close of the client
						c.Close()
						synctest.Wait()
						touched = touched || x.struck.Load()
					}
					results[p.proto] = append(results[p.proto], err == nil)
				})
				if n > 2000 {
					t.Fatal("no call has no failure")
				}
			}
			for proto, ok := range results {
				first := slices.Index(ok, true)
				t.Logf("%s: %d operations, of which the first %d end a call", proto, len(ok), first)
				switch {
				case retries > 0 && first != 0:
					t.Errorf("%s: retries do not help with %d", proto, first)
				case retries <= 0 && first < 5:
					t.Errorf("%s: only %d operations fail a call", proto, first)
				case proto == "HTTP/1.1" && slices.Contains(ok[first:], false):
					t.Errorf("an error after the answer: %v", ok)
				}
			}
		})
	}
}

// longUpload sends and reads a long body. An answer has to be complete.
func longUpload(t *testing.T, c *holdfast.Client, u *upload) error {
	req, err := http.NewRequestWithContext(t.Context(), "PUT", "/long", u)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = long
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && len(b) != long {
		t.Errorf("an answer of %d bytes", len(b))
	}
	return err
}

// longCall does the same with bodies in memory.
func longCall(t *testing.T, c *holdfast.Client) error {
	resp, err := c.Put(t.Context(), "/long", make([]byte, long))
	if err == nil && len(resp.Body) != long {
		t.Errorf("an answer of %d bytes", len(resp.Body))
	}
	return err
}
