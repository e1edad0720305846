package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast"
)

// idleFrames are what a service can send without end on an idle connection of HTTP/2.
var idleFrames = map[string]func(f *http2.Framer, n int) error{
	"PING":                 func(f *http2.Framer, n int) error { return f.WritePing(false, [8]byte{byte(n)}) },
	"PING acknowledged":    func(f *http2.Framer, _ int) error { return f.WritePing(true, [8]byte{}) },
	"SETTINGS":             func(f *http2.Framer, _ int) error { return f.WriteSettings(http2.Setting{ID: 0xfefe, Val: 1}) },
	"WINDOW_UPDATE":        func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) },
	"RST_STREAM":           func(f *http2.Framer, _ int) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) },
	"PRIORITY":             func(f *http2.Framer, n int) error { return f.WritePriority(1, http2.PriorityParam{Weight: uint8(n)}) },
	"an unknown type":      func(f *http2.Framer, _ int) error { return f.WriteRawFrame(0xfa, 0, 0, make([]byte, 16)) },
	"an empty one of them": func(f *http2.Framer, _ int) error { return f.WriteRawFrame(0xfa, 0, 0, nil) },
	"DATA":                 func(f *http2.Framer, _ int) error { return f.WriteData(1, false, make([]byte, 100)) },
	"HEADERS": func(f *http2.Framer, _ int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, EndHeaders: true})
	},
}

// frameServer speaks HTTP/2 by frames. handle answers a request; those that come meanwhile wait
// in next. It ends the connection if it returns false.
func frameServer(conn net.Conn, handle func(f *http2.Framer, stream uint32, next <-chan uint32) bool) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	f.AllowIllegalWrites = true
	next, pings := make(chan uint32, 1), make(chan [8]byte, 16)
	go func() { // not the reader, for which the client may wait
		acks := http2.NewFramer(conn, nil)
		for data := range pings {
			_ = acks.WritePing(true, data)
		}
	}()
	go func() {
		defer close(next)
		defer close(pings)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.HeadersFrame:
				next <- frame.StreamID
			case *http2.PingFrame:
				if !frame.IsAck() {
					pings <- frame.Data
				}
			}
		}
	}()
	if f.WriteSettings() != nil {
		return
	}
	for stream := range next {
		if !handle(f, stream, next) {
			return
		}
	}
}

// answer sends the headers of an answer.
func answer(f *http2.Framer, stream uint32, end bool) bool {
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end}) == nil
}

// readCounter counts what the client reads, over all its connections.
type readCounter struct {
	net.Conn
	read *atomic.Int64
}

func (c readCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

type logLines struct{ n atomic.Int64 }

func (l *logLines) Write(p []byte) (int, error) {
	l.n.Add(int64(bytes.Count(p, []byte("\n"))))
	return len(p), nil
}

// A service that floods an idle connection of HTTP/2 is cut off after 64 KiB, and the next call
// has another connection.
func TestFloodOfAnIdleConnection(t *testing.T) {
	donor := httptest.NewUnstartedServer(nil) // of a certificate
	donor.EnableHTTP2 = true
	donor.StartTLS()
	t.Cleanup(donor.Close)
	trusting := donor.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.NextProtos = nil
	var lines logLines
	log.SetOutput(&lines)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for name, send := range idleFrames {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/TLS %v", name, secure), func(t *testing.T) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				var serving sync.WaitGroup
				answered, cutOff := make(chan struct{}), make(chan struct{})
				serving.Go(func() {
					for first := true; ; first = false {
						raw, err := listener.Accept()
						if err != nil {
							return
						}
						serving.Go(func() {
							conn := raw
							if secure {
								conn = tls.Server(raw, donor.TLS)
							}
							frameServer(conn, func(f *http2.Framer, stream uint32, _ <-chan uint32) bool {
								if !answer(f, stream, !secure) || secure && f.WriteData(stream, true, []byte("ok")) != nil || !first {
									return !first
								}
								defer close(cutOff)
								<-answered                   // until then a request is under way
								for n := 0; n < 4<<20; n++ { // 36 MiB at least
									if send(f, n) != nil {
										return false
									}
								}
								t.Error("the flood was not cut off")
								return false
							})
						})
					}
				})
				defer serving.Wait()
				defer listener.Close()
				var read atomic.Int64
				cfg := holdfast.Config{BaseURL: "http://" + listener.Addr().String(), UnencryptedHTTP2: !secure}
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
				before := lines.n.Load()
				if _, err := client.Get(t.Context(), "/"); err != nil {
					t.Fatal(err)
				}
				close(answered)
				<-cutOff
				if n := read.Load(); n > 80<<10 { // with the handshake, the answer and the last read
					t.Errorf("%d bytes were read", n)
				}
				if n := lines.n.Load() - before; n > 80<<10/9 {
					t.Errorf("%d lines were logged", n)
				}
				resp, err := client.Get(t.Context(), "/")
				if err != nil || resp.Attempts != 1 {
					t.Errorf("the next call: %+v, %v", resp, err)
				}
			})
		}
	}
}

// overFrames returns a client in a bubble, of a service that speaks by frames, and the number of
// its connections.
func overFrames(t *testing.T, cfg holdfast.Config, serve func(net.Conn)) (*holdfast.Client, *atomic.Int64) {
	var dials atomic.Int64
	cfg.BaseURL, cfg.UnencryptedHTTP2 = "http://frames.test", true
	client, err := holdfast.New(cfg, holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		here, there := net.Pipe()
		go serve(there)
		return here, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, &dials
}

// An idle connection may have PINGs, SETTINGS and WINDOW_UPDATEs for days.
func TestIdleConnectionStaysForDays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, dials := overFrames(t, holdfast.Config{
			Pool: holdfast.Pool{IdleExpiry: holdfast.Off, MaxAge: holdfast.Off}, Timeouts: holdfast.Timeouts{Attempt: 2 * time.Second}, // a PING of the client's each second
		}, func(conn net.Conn) {
			frameServer(conn, func(f *http2.Framer, stream uint32, next <-chan uint32) bool {
				if !answer(f, stream, true) {
					return false
				}
				for n := 1; ; n++ {
					time.Sleep(15 * time.Second)
					if f.WritePing(false, [8]byte{byte(n)}) != nil {
						return false
					}
					if n%240 == 0 && (f.WriteSettings() != nil || f.WriteWindowUpdate(0, 100) != nil) {
						return false
					}
					if len(next) > 0 {
						return true
					}
				}
			})
		})
		for range 2 {
			if _, err := client.Get(t.Context(), "/", holdfast.WithAttemptTimeout(time.Minute)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * 24 * time.Hour)
		}
		if n := dials.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// What is on its way of an answer that the caller has given up was asked for.
func TestAbandonedAnswerKeepsItsConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := make(chan int, 1)
		client, dials := overFrames(t, holdfast.Config{}, func(conn net.Conn) {
			frameServer(conn, func(f *http2.Framer, stream uint32, _ <-chan uint32) bool {
				if stream > 1 {
					return answer(f, stream, true)
				}
				if !answer(f, stream, false) {
					return false
				}
				time.Sleep(time.Second) // the caller leaves
				n := 0
				for piece := make([]byte, 16<<10); n < 4<<20; n += len(piece) {
					if f.WriteData(stream, false, piece) != nil {
						break
					}
				}
				sent <- n
				return true
			})
		})
		req, _ := http.NewRequest("GET", "http://frames.test/", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := <-sent; n != 4<<20 {
			t.Errorf("%d bytes were sent", n)
		}
		synctest.Wait()
		if _, err := client.Get(t.Context(), "/"); err != nil || dials.Load() != 1 {
			t.Errorf("%d connections, %v", dials.Load(), err)
		}
	})
}
