package holdfast_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Every attempt sends a file from its first offset. The file is closed once.
func TestFileAtAnOffset(t *testing.T) {
	name := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(name, []byte("head"+strings.Repeat("x", 3<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprint(string(b[:4]), len(b)))
		if len(got) < 3 {
			w.WriteHeader(503)
		}
	}))
	defer s.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/", f)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "sent", fmt.Sprint(got), "[adxx3145730 adxx3145730 adxx3145730]")
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file was left open: %v", err)
	}
}

// An attempt ends in the middle of an upload. The next one sends the part that was kept, and
// then the rest.
func TestUploadLeftHalfRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		var got atomic.Int64
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if p.dials.Load() == 1 {
				io.ReadFull(r.Body, make([]byte, 100<<10))
				panic(http.ErrAbortHandler) // the connection is closed
			}
			n, _ := io.Copy(io.Discard, r.Body)
			got.Store(n)
		})}
		go s.Serve(p)
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test"}, holdfast.WithDialContext(p.dial))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(); s.Close(); synctest.Wait(); time.Sleep(time.Minute) })
		u := newUpload(500<<10, false)
		resp, err := put(t, t.Context(), c, u, 500<<10)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		equal(t, "bytes", got.Load(), 500<<10)
		equal(t, "attempts", c.Stats().Attempts, 2)
		equal(t, "closed", u.closed.Load(), 1)
	})
}

// A failure of the request's body is no failure of the service.
func TestRequestBodyFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(), holdfast.Config{})
		gone := errors.New("the disk is gone")
		body := &once{Reader: io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(gone))}
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/up", body)
		_, err := c.Do(req)
		is(t, err, gone)
		isNot(t, err, holdfast.ErrConnection)
		equal(t, "attempts", len(attempts(t, err)), 1)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		equal(t, "closed", body.closed, 1)
	})
}

// A few kilobytes that unpack to a quarter of a gigabyte are not read in full: not as an
// answer, not as a declining answer, and not while the rest is drained.
func TestGzipBomb(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(make([]byte, 1<<20))
	z.Close()
	bomb := bytes.Repeat(packed.Bytes(), 256)
	var hits atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if r.URL.Path == "/declined" && hits.Add(1) < 3 {
			w.WriteHeader(503)
		}
		w.Write(bomb)
	}))
	defer s.Close()
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL, MaxResponseBytes: 1 << 20, Retry: holdfast.Retry{BaseDelay: holdfast.Off}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/answer", "/declined"} {
		_, err = c.Get(t.Context(), path)
		is(t, err, holdfast.ErrBodyTooLarge)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d MiB were allocated", n>>20)
	}
	equal(t, "hits", hits.Load(), 3)
}

func TestHeadersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{Status: 200, Header: map[string]string{"X-Long": strings.Repeat("x", 2<<20)}})),
			holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_, err := c.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrConnection)
		if !strings.Contains(err.Error(), "headers exceeded") {
			t.Error(err)
		}
	})
}

// A declining answer with a body that hangs delays a retry by half a second. Without a retry,
// the limits of the attempt bound it.
func TestDecliningAnswerHangs(t *testing.T) {
	cfg := config(limits)
	cfg.Retry = holdfast.Retry{Jitter: holdfast.NoJitter}
	bothProtocols(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		flush(w, "begin")
		hang(w, r)
	}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		start := time.Now()
		if _, err := c.Get(t.Context(), "/bad"); err != nil {
			t.Fatal(err)
		}
		took(t, start, 500*time.Millisecond+time.Second)
	})
	bothProtocols(t, config(limits), func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		flush(w, "begin")
		hang(w, r)
	}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		start := time.Now()
		_, err := c.Get(t.Context(), "/bad")
		var declined *holdfast.StatusError
		if !errors.As(err, &declined) {
			t.Fatal(err)
		}
		equal(t, "body", string(declined.Body), "begin")
		took(t, start, 5*time.Second)
	})
}

// RFC 9457.
func TestProblem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "", fault.Fault{
			Status: 403, Header: map[string]string{"Content-Type": "application/problem+json; charset=utf-8"},
			Body: `{"type":"https://example.com/probs/out-of-credit","title":"You do not have enough credit.","detail":"Your current balance is 30, but that costs 50.","instance":"/account/12345/msgs/abc","balance":30,"accounts":["/account/12345"]}`,
		})), holdfast.Config{})
		_, err := c.Get(t.Context(), "/x")
		var declined *holdfast.StatusError
		if !errors.As(err, &declined) {
			t.Fatal(err)
		}
		equal(t, "problem", declined.Problem, holdfast.Problem{
			Type: "https://example.com/probs/out-of-credit", Title: "You do not have enough credit.",
			Detail: "Your current balance is 30, but that costs 50.", Instance: "/account/12345/msgs/abc",
		})
	})
}

// The end of an attempt closes a body that blocks in Read: nothing else can unblock it. Then
// the request cannot be repeated.
func TestBlockedUploadIsNotRepeated(t *testing.T) {
	var hits atomic.Int64
	cfg := holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}}
	bothProtocols(t, cfg, func(_ http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		io.Copy(io.Discard, r.Body)
	}, func(t *testing.T, c *holdfast.Client, _ *pipes) {
		hits.Store(0)
		u := newUpload(10, true)
		_, err := put(t, context.Background(), c, u, 1000)
		phase(t, err, "attempt", 5*time.Second, 5*time.Second)
		var e *holdfast.Error
		errors.As(err, &e)
		equal(t, "reason", e.Stopped, "the request body can be read only once")
		synctest.Wait()
		equal(t, "closed", u.closed.Load(), 1)
		equal(t, "hits", hits.Load(), 1)
		next(t, c)
	})
}

// A 101 that the request did not ask for is no answer. Nothing is read after it, because no
// limit would end the Read.
func TestSwitchesProtocolsUnasked(t *testing.T) {
	do := map[string]func(*testing.T, *holdfast.Client) error{
		"Get": func(t *testing.T, c *holdfast.Client) error { _, err := c.Get(t.Context(), "/x"); return err },
		// A call that reads the whole answer cannot use it, for every header.
		"Get, Upgrade": func(t *testing.T, c *holdfast.Client) error {
			_, err := c.Get(t.Context(), "/x", holdfast.WithHeader("Upgrade", "shout"))
			return err
		},
		"Do": func(t *testing.T, c *holdfast.Client) error {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "/x", nil)
			resp, err := c.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		},
	}
	for name, call := range do {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				switching := fault.Fault{H1: fault.SwitchingProtocols}
				c, s := service(t, plan(rule("", "1", switching), rule("", "3-", switching)), holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1}})
				if err := call(t, c); err != nil {
					t.Errorf("once: %v", err)
				}
				err := call(t, c)
				is(t, err, holdfast.ErrConnection)
				equal(t, "status", attempts(t, err)[0].Status, 101)
				equal(t, "attempts", len(s.Record()), 4)
			})
		})
	}
}
