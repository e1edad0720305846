package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// A body that the caller reads keeps its permit until it is closed. The operation's limit
// bounds it, and the attempt's limit does not.
func TestLiveBody(t *testing.T) {
	get := func(t *testing.T, ctx context.Context) *http.Request {
		req, err := http.NewRequestWithContext(ctx, "GET", "/download", nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	slowly := faultserver.Backend(func(faultserver.Request) faultserver.Answer {
		return faultserver.Answer{Status: 200, Body: bytes.Repeat([]byte("x"), 1<<20)}
	})
	client := func(t *testing.T, p fault.Plan, cfg holdfast.Config) (*holdfast.Client, *faultserver.Server) {
		s := faultserver.Start(t, p, faultserver.InMemory(), slowly)
		cfg.BaseURL = s.URL()
		c, err := holdfast.New(cfg, holdfast.WithDialContext(s.Dial))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c.Close()
			synctest.Wait()
			time.Sleep(time.Second) // as service does
		})
		return c, s
	}
	t.Run("permit, limit, close", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := client(t, plan(rule("", "1", fault.Fault{Status: 503})), holdfast.Config{
				Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second, Acquire: time.Second}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1},
			})
			resp, err := c.Do(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // far beyond the attempt's limit
			_, err = c.Get(t.Context(), "/x")
			is(t, err, holdfast.ErrPoolTimeout)
			equal(t, "in flight", c.Stats().InFlight, 1)
			b, err := io.ReadAll(resp.Body)
			if err != nil || len(b) != 1<<20 {
				t.Errorf("read %d bytes, %v", len(b), err)
			}
			equal(t, "in flight", c.Stats().InFlight, 0)
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if _, err := c.Get(t.Context(), "/x"); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("closed early", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := client(t, plan(), holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}})
			for range 3 {
				resp, err := c.Do(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = resp.Body.Read(make([]byte, 10))
				resp.Body.Close()
				resp.Body.Close()
			}
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		})
	})
	t.Run("breaks off", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := client(t, plan(rule("", "", fault.Fault{Cut: &fault.Cut{After: 1000}})), holdfast.Config{})
			resp, err := c.Do(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			equal(t, "bytes read", len(b), 1000)
			is(t, err, holdfast.ErrConnection, io.ErrUnexpectedEOF)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
			equal(t, "in flight", c.Stats().InFlight, 0)
		})
	})
	t.Run("hangs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := client(t, plan(rule("", "", fault.Fault{Hang: fault.AfterHeaders})), holdfast.Config{Timeouts: holdfast.Timeouts{Total: 5 * time.Second}})
			start := time.Now()
			resp, err := c.Do(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			is(t, err, holdfast.ErrTimeout)
			equal(t, "time taken", time.Since(start), 5*time.Second)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1)

			// The caller's cancellation is no failure of the service.
			ctx, cancel := context.WithCancel(t.Context())
			resp, err = c.Do(get(t, ctx))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, cancel)
			_, err = io.ReadAll(resp.Body)
			is(t, err, holdfast.ErrCanceled)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
			// The error shows that the request was sent.
			if a := attempts(t, err); len(a) != 1 || a[0].Status != 200 || a[0].Outcome != holdfast.Canceled {
				t.Errorf("attempts %+v", a)
			}
		})
	})
	t.Run("invalid", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := client(t, plan(), holdfast.Config{})
			for name, req := range map[string]*http.Request{
				"no URL":   {},
				"upwards":  {URL: &url.URL{Path: "/../x"}},
				"a header": {URL: &url.URL{Path: "/x"}, Header: http.Header{"X-Key": {"a\r\nEvil: 1"}}},
			} {
				_, err := c.Do(req.WithContext(t.Context()))
				if !errors.Is(err, holdfast.ErrInvalidRequest) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, target := range []string{"/x", "/../x", "http://elsewhere.test/x"} {
				body := &once{Reader: strings.NewReader("x")}
				req, _ := http.NewRequestWithContext(t.Context(), "PUT", target, body)
				_, err := c.Do(req, holdfast.WithAttemptTimeout(-7))
				is(t, err, holdfast.ErrInvalidRequest)
				equal(t, "closed", body.closed, 1)
			}
			equal(t, "sent", len(s.Record()), 0)

			// A request without http.NewRequest has no header.
			resp, err := c.Do((&http.Request{URL: &url.URL{Path: "/x"}}).WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	})
	t.Run("rejected", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, _ := client(t, plan(rule("", "", fault.Fault{Status: 404, Body: "nothing here"})), holdfast.Config{})
			_, err := c.Do(get(t, t.Context()))
			is(t, err, holdfast.ErrNotFound)
			equal(t, "in flight", c.Stats().InFlight, 0)
		})
	})
}

// blockedBody blocks in Read until Close, which waits for the Read to end.
type blockedBody struct{ closed, read chan struct{} }

func (b blockedBody) Read([]byte) (int, error) {
	<-b.closed
	return 0, errors.New("used when it was closed")
}

func (b blockedBody) Close() error {
	close(b.closed)
	<-b.read
	return nil
}

// A Close by another goroutine during a Read is no failure of the service.
func TestCloseDuringARead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		body, events := blockedBody{make(chan struct{}), make(chan struct{})}, new(recorder)
		fake := roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
		})
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test", Breaker: holdfast.BreakerConfig{FailureThreshold: 1}},
			holdfast.WithTransport(fake), holdfast.WithObserver(events))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(body.read)
			_, err := io.ReadAll(resp.Body)
			is(t, err, holdfast.ErrCanceled)
			isNot(t, err, holdfast.ErrConnection, holdfast.ErrClosed)
		}()
		synctest.Wait()
		resp.Body.Close()
		equal(t, "the breaker", c.Stats().BreakerState, holdfast.StateClosed)
		equal(t, "answers that broke off", len(events.all(holdfast.EventBrokeOff)), 0)
		equal(t, "in flight", c.Stats().InFlight, 0)
	})
}

func TestUploads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1-2", fault.Fault{Status: 503})), holdfast.Config{})
		// A body with GetBody is sent again.
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/up", strings.NewReader("twelve bytes"))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		all := s.Record()
		equal(t, "attempts", len(all), 3)
		for _, a := range all {
			equal(t, "bytes", a.Bytes, 12)
		}
	})
	bubble(t, func(t *testing.T) {
		// A body that can be read only once is kept while it is sent.
		c, s := service(t, plan(rule("", "1-2", fault.Fault{Status: 503})), holdfast.Config{})
		for _, length := range []int{12, 1 << 20} {
			s.Begin()
			body := &once{Reader: strings.NewReader(strings.Repeat("x", length))}
			req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/up", body)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			all := s.Record()
			equal(t, "attempts", len(all), 3)
			for _, a := range all {
				equal(t, "bytes", int(a.Bytes), length)
			}
			equal(t, "closed", body.closed, 1)
		}
	})
	bubble(t, func(t *testing.T) {
		c, s := service(t, plan(rule("", "1", fault.Fault{Status: 503})), holdfast.Config{})
		// More than a megabyte is not kept: the request is sent once, and the error has
		// the reason. The body is closed once.
		body := &once{Reader: strings.NewReader(strings.Repeat("x", 1<<20+1))}
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/up", body)
		_, err := c.Do(req)
		is(t, err, holdfast.ErrUnavailable)
		var e *holdfast.Error
		errors.As(err, &e)
		equal(t, "reason", e.Stopped, "the request body can be read only once")
		equal(t, "attempts", len(s.Record()), 1)
		equal(t, "closed", body.closed, 1)

		c.Close()
		body = &once{Reader: strings.NewReader("twelve bytes")}
		req, _ = http.NewRequestWithContext(t.Context(), "PUT", "/up", body)
		_, err = c.Do(req)
		is(t, err, holdfast.ErrClosed)
		equal(t, "closed", body.closed, 1)
	})
}

// If GetBody fails, the call ends, and its error also has the failure before.
func TestUploadWithAFailingGetBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := service(t, plan(rule("", "1", fault.Fault{Status: 503})), holdfast.Config{})
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", "/up", &once{Reader: strings.NewReader("x")})
		gone := errors.New("the file is gone")
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		_, err := c.Do(req)
		is(t, err, gone)
		equal(t, "attempts", len(attempts(t, err)), 2)
		equal(t, "the first", attempts(t, err)[0].Status, 503)
	})
}

type once struct {
	io.Reader
	closed int
}

func (o *once) Close() error { o.closed++; return nil }
