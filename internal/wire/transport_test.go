package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
)

// An http.Transport with a DialContext speaks HTTP/1.1 only by default.
func TestHTTP2StaysOn(t *testing.T) {
	rt, s := secure(t, TransportConfig{Connect: 10 * time.Second, MaxConns: 5, MaxIdleConns: 5}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	})
	for i := range 3 {
		resp, roundTrip, err := do(rt, get(t, t.Context(), s.URL), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadAll(resp.Body, resp.ContentLength, 0)
		resp.Body.Close()
		if err != nil || string(b) != "HTTP/2.0" || resp.Proto != "HTTP/2.0" {
			t.Errorf("%q over %s, %v", b, resp.Proto, err)
		}
		if !roundTrip.Sent(nil) || roundTrip.Reused() != (i > 0) {
			t.Errorf("request %d: sent %v, reused %v", i+1, roundTrip.Sent(nil), roundTrip.Reused())
		}
	}
}

// A dial ends at its limit, also when its request has ended before.
func TestConnectIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			ended++
			return nil, ctx.Err()
		}
		rt := NewTransport(TransportConfig{Connect: 3 * time.Second, Dial: silent})
		start := time.Now()
		_, roundTrip, err := do(rt, get(t, t.Context(), "http://x.test"), Limits{})
		if time.Since(start) != 3*time.Second || Classify(err) != judge.ConnectTimeout || roundTrip.Sent(err) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// A request that ends earlier leaves its dial behind, for another two seconds.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err = do(rt, get(t, ctx, "http://x.test"), Limits{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ended != 2 {
			t.Errorf("%d of 2 dials have ended", ended)
		}
		// Without a limit the error is the dial's own.
		rt = NewTransport(TransportConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }})
		if _, _, err = do(rt, get(t, t.Context(), "http://x.test"), Limits{}); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
