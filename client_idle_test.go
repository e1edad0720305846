package holdfast_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// readCounter counts what a client reads.
type readCounter struct {
	net.Conn
	read *atomic.Int64
}

func (c readCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// logLines counts the lines of a log.
type logLines struct{ n atomic.Int64 }

func (l *logLines) Write(p []byte) (int, error) {
	l.n.Add(int64(strings.Count(string(p), "\n")))
	return len(p), nil
}

// A service that sends bytes without end on an idle connection of HTTP/1.1 is cut off within
// 64 KiB and a line of net/http's log, and the next call has another connection.
func TestFloodOfAnIdleConnection(t *testing.T) {
	donor := httptest.NewTLSServer(nil) // of a certificate
	defer donor.Close()
	trusting := donor.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.NextProtos = nil
	for name, flood := range map[string]string{
		"an answer": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "408": "HTTP/1.1 408 Request Timeout\r\n\r\n", "lines": "\r\n", "garbage": "\x00",
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/TLS %v", name, secure), func(t *testing.T) {
				var lines logLines
				log.SetOutput(&lines)
				defer log.SetOutput(os.Stderr)
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				cutOff := make(chan struct{})
				var serving sync.WaitGroup
				serve := func(conn net.Conn, first bool) {
					defer conn.Close()
					in := bufio.NewReader(conn)
					for {
						if _, err := http.ReadRequest(in); err != nil {
							return
						}
						_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
						if !first {
							continue
						}
						defer close(cutOff)
						piece := []byte(strings.Repeat(flood, 16<<10/len(flood)))
						for range 2 << 10 { // 32 MiB
							if _, err := conn.Write(piece); err != nil {
								return
							}
						}
						t.Error("the flood was not cut off")
						return
					}
				}
				serving.Go(func() {
					for first := true; ; first = false {
						conn, err := listener.Accept()
						if err != nil {
							return
						}
						if secure {
							conn = tls.Server(conn, &tls.Config{Certificates: donor.TLS.Certificates})
						}
						serving.Go(func() { serve(conn, first) })
					}
				})
				defer serving.Wait()
				defer listener.Close()
				var read atomic.Int64
				cfg := holdfast.Config{BaseURL: "http://" + listener.Addr().String()}
				opts := []holdfast.Option{holdfast.WithDialContext(func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					return readCounter{conn, &read}, nil
				})}
				if secure {
					cfg.BaseURL = "https://" + listener.Addr().String()
					opts = append(opts, holdfast.WithTLSConfig(trusting))
				}
				client, err := holdfast.New(cfg, opts...)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if _, err := client.Get(t.Context(), "/"); err != nil {
					t.Fatal(err)
				}
				<-cutOff
				if n := read.Load(); n > 64<<10 {
					t.Errorf("%d bytes were read", n)
				}
				if n := lines.n.Load(); n > 1 {
					t.Errorf("%d lines were logged", n)
				}
				if resp, err := client.Get(t.Context(), "/"); err != nil || resp.Attempts != 1 {
					t.Errorf("the next call: %+v, %v", resp, err)
				}
			})
		}
	}
}
