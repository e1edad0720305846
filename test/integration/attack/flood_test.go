package main

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
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast"
)

// floods are the kinds of frames that a hostile HTTP/2 service can send without end. The
// stream is that of the request, which is open if the connection is busy.
var floods = []struct {
	name string
	send func(f *http2.Framer, stream uint32, n int) error
}{
	{"PING", func(f *http2.Framer, _ uint32, n int) error { return f.WritePing(false, [8]byte{byte(n)}) }},
	{"PING acknowledged", func(f *http2.Framer, _ uint32, _ int) error { return f.WritePing(true, [8]byte{}) }},
	{"SETTINGS", func(f *http2.Framer, _ uint32, n int) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(1<<16 + n%2)})
	}},
	{"SETTINGS acknowledged", func(f *http2.Framer, _ uint32, _ int) error { return f.WriteSettingsAck() }},
	{"SETTINGS, unknown", func(f *http2.Framer, _ uint32, _ int) error {
		return f.WriteSettings(http2.Setting{ID: 0xfefe, Val: 1})
	}},
	{"WINDOW_UPDATE of the connection", func(f *http2.Framer, _ uint32, _ int) error { return f.WriteWindowUpdate(0, 1) }},
	{"WINDOW_UPDATE of the stream", func(f *http2.Framer, s uint32, _ int) error { return f.WriteWindowUpdate(s, 1) }},
	{"PRIORITY", func(f *http2.Framer, s uint32, n int) error {
		return f.WritePriority(s, http2.PriorityParam{Weight: uint8(n)})
	}},
	{"unknown type", func(f *http2.Framer, _ uint32, _ int) error { return f.WriteRawFrame(0xfa, 0, 0, make([]byte, 16)) }},
	{"RST_STREAM of other streams", func(f *http2.Framer, _ uint32, n int) error {
		return f.WriteRSTStream(uint32(2*n+101), http2.ErrCodeCancel)
	}},
	{"GOAWAY", func(f *http2.Framer, s uint32, _ int) error { return f.WriteGoAway(s, http2.ErrCodeNo, nil) }},
	{"HEADERS", func(f *http2.Framer, s uint32, n int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: headers("x-n", fmt.Sprint(n)), EndHeaders: true})
	}},
	{"1xx", func(f *http2.Framer, s uint32, _ int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: headers(":status", "103"), EndHeaders: true})
	}},
	{"CONTINUATION", func(f *http2.Framer, s uint32, n int) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: headers(":status", "200")})
		}
		return f.WriteContinuation(s, false, headers("x-a", "b"))
	}},
	{"DATA without bytes", func(f *http2.Framer, s uint32, _ int) error { return f.WriteData(s, false, nil) }},
	{"DATA of other streams", func(f *http2.Framer, _ uint32, n int) error {
		return f.WriteData(uint32(2*n+101), false, []byte("data"))
	}},
	{"PUSH_PROMISE", func(f *http2.Framer, s uint32, n int) error {
		return f.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: uint32(2*n + 2), BlockFragment: headers(":method", "GET"), EndHeaders: true})
	}},
	{"bytes that are no frames", func(f *http2.Framer, _ uint32, _ int) error {
		return f.WriteRawFrame('H', 'T', 0x54502f31, []byte("2.1 200 OK\r\n\r\n"))
	}},
}

func headers(name, value string) []byte {
	var b bytes.Buffer
	_ = hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: name, Value: value})
	return b.Bytes()
}

const (
	floodBytes = 8 << 20 // one that takes as much is not cut off
	floodTime  = 2 * time.Second
)

// counting counts what is written to a connection.
type counting struct {
	net.Conn
	sent atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// lineCount counts lines of a log.
type lineCount struct{ n atomic.Int64 }

func (l *lineCount) Write(p []byte) (int, error) {
	l.n.Add(int64(bytes.Count(p, []byte("\n"))))
	return len(p), nil
}

// serveFlood answers one request, completely or in part, and then sends frames until the client
// cuts it off. It returns the bytes that it could send.
func serveFlood(raw net.Conn, config *tls.Config, busy bool, send func(*http2.Framer, uint32, int) error) (sent int64, cutOff bool) {
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	secure := tls.Server(raw, config)
	if err := secure.Handshake(); err != nil {
		return 0, true
	}
	conn := &counting{Conn: secure}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return 0, true
	}
	f := http2.NewFramer(conn, conn)
	f.AllowIllegalWrites = true
	if f.WriteSettings() != nil {
		return 0, true
	}
	stream := uint32(0)
	for stream == 0 {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0, true
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			stream = h.StreamID
		}
	}
	if f.WriteSettingsAck() != nil || f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers(":status", "200"), EndHeaders: true, EndStream: !busy}) != nil {
		return 0, true
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }() // what it answers
	before := conn.sent.Load()
	_ = raw.SetDeadline(time.Now().Add(floodTime))
	for n := 0; ; n++ {
		err := send(f, stream, n)
		sent = conn.sent.Load() - before
		if late, ok := err.(net.Error); ok && late.Timeout() {
			return sent, false
		}
		if err != nil || sent > floodBytes {
			return sent, err != nil
		}
	}
}

// A service sends each kind of frame, on an idle connection and while an answer is read. The
// rounds report what they could send, and the lines that net/http has logged.
func TestFloods(t *testing.T) {
	var lines lineCount
	log.SetOutput(&lines)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	var total int64
	rounds := 0
	for until := time.Now().Add(*spend); rounds == 0 || time.Now().Before(until); rounds++ {
		for _, kind := range floods {
			for _, busy := range []bool{false, true} {
				before := lines.n.Load()
				sent, cutOff := flood(t, busy, kind.send)
				total += sent
				if rounds > 0 {
					continue
				}
				fmt.Printf("flood: %s | %s | %s | %d | %s\n", kind.name, map[bool]string{false: "idle", true: "busy"}[busy], kilobytes(sent), lines.n.Load()-before, map[bool]string{false: "no", true: "yes"}[cutOff])
			}
			if *spend < time.Second {
				return // one kind shows that the round works
			}
		}
	}
	fmt.Printf("count: %d floods of %d kinds on idle and busy connections; %s taken, %d log lines\n", rounds*len(floods)*2, len(floods), kilobytes(total), lines.n.Load())
}

func kilobytes(n int64) string { return fmt.Sprintf("%d KiB", n>>10) }

// flood lets a client call a service that floods it.
func flood(t *testing.T, busy bool, send func(*http2.Framer, uint32, int) error) (sent int64, cutOff bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	donor := httptest.NewUnstartedServer(nil) // of a certificate
	donor.EnableHTTP2 = true
	donor.StartTLS()
	defer donor.Close()
	trusting := donor.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.NextProtos = nil
	client, err := holdfast.New(holdfast.Config{
		BaseURL: "https://" + listener.Addr().String(), Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
	}, holdfast.WithTLSConfig(trusting))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		raw, err := listener.Accept()
		if err != nil {
			return
		}
		sent, cutOff = serveFlood(raw, donor.TLS, busy, send)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+listener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	<-ended
	client.Close()
	return sent, cutOff
}
