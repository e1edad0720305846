package holdfast_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// canned is a server that answers every request with the same bytes, without allocations:
// the benchmark counts those of the client only.
func canned(tb testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	whole := []byte(answer)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) <= 2 { // the headers have ended
						conn.Write(whole)
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkRoundTrip compares a call through net/http with a call through a client with
// all its rules.
func BenchmarkRoundTrip(b *testing.B) {
	url := canned(b, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
	request := func(ctx context.Context) *http.Request {
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/x", nil)
		if err != nil {
			b.Fatal(err)
		}
		return req
	}
	read := func(resp *http.Response, err error) {
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		t := &http.Transport{}
		defer t.CloseIdleConnections()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			read((&http.Client{Transport: t}).Do(request(ctx)))
			cancel()
		}
	})
	c, err := holdfast.New(holdfast.Config{BaseURL: url})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.Run("Do", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			read(c.Do(request(ctx)))
			cancel()
		}
	})
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if _, err := c.Get(ctx, "/x"); err != nil {
				b.Fatal(err)
			}
			cancel()
		}
	})
}

// BenchmarkRejection is a call that an open breaker rejects, in which an outage
// consists. The bar is 1.3 µs.
//
//	go test -run xxx -bench Rejection -benchmem -cpu 1,2 .
func BenchmarkRejection(b *testing.B) {
	c, err := holdfast.New(holdfast.Config{
		BaseURL: "http://127.0.0.1:1", Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Hour},
		Retry: holdfast.Retry{MaxRetries: holdfast.Off},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Get(b.Context(), "/") // opens it
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Get(b.Context(), "/v1/items"); !errors.Is(err, holdfast.ErrCircuitOpen) {
				b.Error(err)
			}
		}
	})
}
