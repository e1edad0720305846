package holdfast_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// Over HTTP/2, the transport takes some time to make a connection idle after its last
// stream. Close leaves no connection, right after the last byte of an answer and during
// the Read of one.
func TestCloseLeavesNoConnection(t *testing.T) {
	s, trusted := overTLS(t, nil)
	answer := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer.ServeHTTP(w, r)
		if r.URL.Path == "/endless" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	var open atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &leaving{Conn: c, left: &open}, nil
	}
	for _, path := range []string{"/", "/endless"} {
		for range 30 {
			c, err := holdfast.New(holdfast.Config{BaseURL: s.URL}, holdfast.WithTLSConfig(trusted), holdfast.WithDialContext(dial))
			if err != nil {
				t.Fatal(err)
			}
			req, _ := http.NewRequest(http.MethodGet, path, nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/" {
				_, err = io.ReadAll(resp.Body)
			}
			c.Close()
			if err != nil || resp.ProtoMajor != 2 {
				t.Errorf("%s: %v", resp.Proto, err)
			}
		}
		eventually(t, path, func() string {
			if n := open.Load(); n > 0 {
				return fmt.Sprintf("%d connections are open", n)
			}
			return ""
		})
	}
}

// leaving is a connection that counts down when it is closed.
type leaving struct {
	net.Conn
	left *atomic.Int64
	gone atomic.Bool
}

func (l *leaving) Close() error {
	if l.gone.CompareAndSwap(false, true) {
		l.left.Add(-1)
	}
	return l.Conn.Close()
}

// Close ends a call, and its error stays ErrClosed if the caller's deadline passes
// before the transport returns.
func TestCloseBeforeTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := roundTrip(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			time.Sleep(2 * time.Second)
			return nil, context.Cause(req.Context())
		})
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://x.test"}, holdfast.WithTransport(slow))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second)
			c.Close()
		}()
		_, err = c.Get(ctx, "/")
		is(t, err, holdfast.ErrClosed)
		isNot(t, err, holdfast.ErrCanceled, holdfast.ErrTimeout)
	})
}
