package h2fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// client is net/http's client, limited to HTTP/2.
func client(t *testing.T, s *Server) *http.Client {
	transport := &http.Transport{DialContext: s.Dial, TLSClientConfig: s.ClientTLS(), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func post(ctx context.Context, c *http.Client, s *Server, id string, body io.Reader) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/work", body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("X-Request-ID", id)
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp, all, err
}

// Many bodies at once, much larger than every window, in both directions.
func TestLargeBodies(t *testing.T) {
	for _, opts := range [][]Option{nil, {TLS()}} {
		mirror := func(r faultserver.Request) faultserver.Answer {
			return faultserver.Answer{Status: 200, ContentType: "text/plain", Body: r.Body, Operation: r.Header.Get("X-Request-ID")}
		}
		s := Start(t, fault.Plan{}, append(opts, Backend(mirror))...)
		c := client(t, s)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				sent := bytes.Repeat(fmt.Appendf(nil, "%07d\n", i), 128<<10)
				resp, got, err := post(t.Context(), c, s, fmt.Sprint(i), bytes.NewReader(sent))
				switch {
				case err != nil:
					t.Error(err)
				case resp.ProtoMajor != 2 || !bytes.Equal(got, sent) || resp.ContentLength != int64(len(sent)):
					t.Errorf("%s, %d bytes of %d, content-length %d", resp.Proto, len(got), len(sent), resp.ContentLength)
				}
			})
		}
		wg.Wait()
		if got := s.Effects(); got.Done != 8 || got.Duplicates != 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestStreamingBackend(t *testing.T) {
	pieces := func(faultserver.Request) faultserver.Answer {
		return faultserver.Answer{Status: 200, ContentType: "text/plain", Body: []byte("one two three"), Chunks: []int{4, 4}}
	}
	s := Start(t, fault.Plan{}, Backend(pieces))
	w := dialWire(t, s)
	w.handshake()
	w.send(1, "op-1")
	w.want("HEADERS 1 :status=200 content-type=text/plain", "DATA 1 4 bytes", "DATA 1 4 bytes", "DATA 1 5 bytes END_STREAM")
}

// The server respects the client's windows, also when they shrink.
func TestTheClientsWindows(t *testing.T) {
	s := Start(t, fault.Plan{})
	w := dialWire(t, s)
	w.handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	w.send(1, "op-1")
	w.want("HEADERS 1"+echoHead, "DATA 1 10 bytes")
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	w.WriteWindowUpdate(1, 10) // the window was -10
	w.ping()
	w.want("SETTINGS ACK", pong)
	w.WriteWindowUpdate(1, 7)
	w.want("DATA 1 7 bytes")
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	w.WriteWindowUpdate(1, 1000)
	w.ping()
	w.want(pong)
}

// The streams share the connection's window.
func TestTheConnectionsWindow(t *testing.T) {
	long := func(faultserver.Request) faultserver.Answer {
		return faultserver.Answer{Status: 200, ContentType: "text/plain", Body: make([]byte, 40_000)}
	}
	s := Start(t, fault.Plan{}, Backend(long))
	w := dialWire(t, s)
	w.handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
	w.SetMaxReadFrameSize(1 << 20)
	const head = " :status=200 content-length=40000 content-type=text/plain"
	w.send(1, "op-1")
	w.want("HEADERS 1"+head, "DATA 1 40000 bytes END_STREAM")
	w.send(3, "op-2")
	w.want("HEADERS 3"+head, "DATA 3 25535 bytes")
	w.WriteWindowUpdate(0, 1<<20)
	w.want("DATA 3 14465 bytes END_STREAM")
}

// A client that sends requests without end and reads no answer is dropped. In
// memory, since the kernel would buffer megabytes of answers.
func TestAClientThatDoesNotRead(t *testing.T) {
	w := dialWire(t, Start(t, fault.Plan{}, InMemory()))
	w.handshake()
	for {
		err := w.WritePing(false, [8]byte{})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the server waits without end")
		}
		if err != nil {
			return
		}
	}
}

// A server that goes away does not wait for streams that were reset.
func TestGoAwayAfterAllStreamsWereReset(t *testing.T) {
	s := Start(t, strikeFirst(fault.Fault{H2: fault.GoAwayGraceful, Latency: &fault.Latency{Fixed: 10 * time.Millisecond}}))
	w := dialWire(t, s)
	w.handshake()
	w.send(1, "op-1")
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	w.want("GOAWAY last 1 NO_ERROR", "FIN")
}

// Behaviour of clients that is allowed but rare.
func TestUnusualClients(t *testing.T) {
	s := Start(t, fault.Plan{Rules: []fault.Rule{
		{Match: fault.Match{Header: map[string]string{"X-Request-ID": "none"}}, Fault: fault.Fault{Status: 204}},
		{Match: fault.Match{Header: map[string]string{"X-Request-ID": "long"}}, Fault: fault.Fault{Status: 500, Body: "x",
			Header: map[string]string{"X-Long": strings.Repeat("~", 40_000)}}},
	}})
	w := dialWire(t, s)
	w.handshake(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 20_000})
	w.SetMaxReadFrameSize(20_000)

	w.head(1, "op-1", false) // trailers
	w.WriteData(1, false, []byte("some"))
	w.want("WINDOW_UPDATE 0 4", "WINDOW_UPDATE 1 4")
	w.block.Reset()
	w.encoder.WriteField(hpack.HeaderField{Name: "checksum", Value: "1"})
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block.Bytes(), EndStream: true, EndHeaders: true})
	w.want("HEADERS 1"+echoHead, "DATA 1 67 bytes END_STREAM")

	w.WriteData(1, false, []byte("late")) // of a stream that has ended
	w.want("WINDOW_UPDATE 0 4")
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	w.send(1, "op-1")
	w.WriteWindowUpdate(1, 1)
	w.ping()
	w.want(pong)

	w.send(3, "none")
	w.want("HEADERS 3 :status=204 content-type=text/plain; charset=utf-8 END_STREAM")
	w.send(5, "long")
	if got := w.next(); len(got) < 40_000 || !strings.HasPrefix(got, "HEADERS 5 :status=500") {
		t.Errorf("%.100s, %d bytes", got, len(got))
	}
	w.want("DATA 5 1 bytes END_STREAM")

	resp, err := client(t, s).Head(s.URL() + "/work")
	if err != nil || resp.StatusCode != 200 || resp.ContentLength <= 0 {
		t.Errorf("HEAD: %v, %v", err, resp)
	}
}

// Every client that violates the protocol gets an error or is dropped.
func TestBrokenClients(t *testing.T) {
	tests := []struct {
		name string
		do   func(w *wire)
		want []string
	}{
		{"a stream with a server's id", func(w *wire) { w.send(2, "op-1") }, []string{"GOAWAY last 0 PROTOCOL_ERROR", "FIN"}},
		{"headers out of order", func(w *wire) {
			w.WriteRawFrame(http2.FrameContinuation, 0, 1, []byte("x"))
		}, []string{"GOAWAY last 0 PROTOCOL_ERROR", "FIN"}},
		{"a window that is too large", func(w *wire) { w.WriteWindowUpdate(0, maxWindow) }, []string{"GOAWAY last 0 FLOW_CONTROL_ERROR", "FIN"}},
		{"a stream's window that is too large", func(w *wire) {
			w.head(1, "op-1", false)
			w.WriteWindowUpdate(1, maxWindow)
		}, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"malformed headers", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		}, []string{"GOAWAY last 0 COMPRESSION_ERROR", "FIN"}},
		{"no method", func(w *wire) {
			w.block.Reset()
			w.encoder.WriteField(hpack.HeaderField{Name: "a", Value: "b"})
			w.encoder.WriteField(hpack.HeaderField{Name: ":path", Value: "/"})
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block.Bytes(), EndHeaders: true})
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := dialWire(t, Start(t, fault.Plan{}))
			w.handshake()
			tt.do(w)
			w.want(tt.want...)
		})
	}
	t.Run("no client of HTTP/2", func(t *testing.T) {
		w := dialWire(t, Start(t, fault.Plan{}))
		io.WriteString(w.Conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if n, err := w.Conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("no h2 in ALPN", func(t *testing.T) {
		s := Start(t, fault.Plan{}, TLS())
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: s.ClientTLS(), Protocols: new(http.Protocols)}}
		c.Transport.(*http.Transport).Protocols.SetHTTP1(true)
		if _, _, err := post(t.Context(), c, s, "op-1", nil); err == nil {
			t.Error("a client of HTTP/1.1 was answered")
		}
	})
}

// Random frames in random order: the server neither crashes nor stops serving
// other clients.
func TestRandomFrames(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := Start(t, fault.Plan{Seed: seed, Rules: []fault.Rule{
		{Probability: 0.1, Fault: fault.Fault{Upload: fault.UploadStall}},
		{Probability: 0.1, Fault: fault.Fault{Cut: &fault.Cut{After: 3, By: fault.RST}}},
		{Probability: 0.1, Fault: fault.Fault{H2: fault.RSTAfterHeaders}},
		{Probability: 0.02, Fault: fault.Fault{H2: fault.GoAwayGraceful}},
		{Probability: 0.02, Fault: fault.Fault{H2: fault.GoAwayExcluding}},
	}})
	for range 200 {
		w := dialWire(t, s)
		w.handshake()
		var reading sync.WaitGroup
		reading.Go(func() { io.Copy(io.Discard, w.Conn) })
		w.AllowIllegalWrites = true
		for i := range uint32(50) {
			stream := random.Uint32N(20)
			switch random.IntN(10) {
			case 0:
				payload := make([]byte, random.IntN(20))
				for j := range payload {
					payload[j] = byte(random.Uint32())
				}
				w.WriteRawFrame(http2.FrameType(random.IntN(11)), http2.Flags(random.Uint32()), stream, payload)
			case 1:
				w.WriteRSTStream(stream|1, http2.ErrCodeCancel)
			case 2:
				w.WriteWindowUpdate(stream, 1+random.Uint32N(1<<20))
			case 3, 4, 5:
				w.WriteData(stream|1, random.IntN(2) == 0, make([]byte, random.IntN(100)))
			default:
				w.head(2*i+1, "op-1", random.IntN(2) == 0)
			}
		}
		w.Conn.Close()
		reading.Wait()
	}
	if err := s.SetPlan(fault.Plan{}); err != nil {
		t.Error(err)
	}
	w := dialWire(t, s)
	w.handshake()
	w.send(1, "op-2")
	w.want(answered(1)...)
}

func TestTooLargeRequests(t *testing.T) {
	s := Start(t, fault.Plan{})
	c := client(t, s)
	// A client may still be sending its body when it gets the answer.
	resp, body, err := post(t.Context(), c, s, "op-1", io.LimitReader(zeros{}, faultserver.MaxRequestBody+1))
	if err != nil || resp.StatusCode != 413 || string(body) != "Request Entity Too Large\n" {
		t.Errorf("%v, %v %q", err, resp, body)
	}
	if n := len(s.Record()); n != 0 {
		t.Errorf("%d attempts recorded", n)
	}

	w := dialWire(t, s)
	w.handshake()
	w.block.Reset()
	w.encoder.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
	w.encoder.WriteField(hpack.HeaderField{Name: ":scheme", Value: "http"})
	w.encoder.WriteField(hpack.HeaderField{Name: ":path", Value: "/"})
	for range maxHeaderList/4096 - 1 {
		w.encoder.WriteField(hpack.HeaderField{Name: "p", Value: strings.Repeat("a", 4096-32-1)})
	}
	w.encoder.WriteField(hpack.HeaderField{Name: "p", Value: strings.Repeat("a", 8192)}) // exceeds the limit
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block.Bytes(), EndHeaders: true})
	// The body is no longer needed.
	w.want("HEADERS 1 :status=431 content-length=32", "DATA 1 32 bytes END_STREAM", "RST_STREAM 1 NO_ERROR")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A client that opens and resets streams without end cannot exceed the number
// of streams that are served at once.
func TestRapidResets(t *testing.T) {
	s := Start(t, strikeAll(fault.Fault{Latency: &fault.Latency{Fixed: time.Hour}}))
	w := dialWire(t, s)
	w.handshake()
	for i := range uint32(maxExchanges) {
		w.send(2*i+1, "op-1")
		w.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
	}
	w.send(2*maxExchanges+1, "op-1")
	w.want(fmt.Sprintf("RST_STREAM %d REFUSED_STREAM", 2*maxExchanges+1))
}

// The server enforces the limit of streams. net/http's client waits or retries
// and gets all answers.
func TestOneStreamAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := strikeConn(fault.ConnFault{H2: fault.MaxConcurrent1})
		plan.Pace = []fault.Pace{{Latency: fault.Latency{Fixed: time.Second}}}
		s := Start(t, plan, InMemory())
		c := client(t, s)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, _, err := post(t.Context(), c, s, fmt.Sprint(i), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := s.Effects(); got != (faultserver.Effects{Done: 20}) {
			t.Errorf("%+v", got)
		}
		last := make(map[int]time.Duration) // by connection
		for _, a := range s.Record() {
			if a.Rule == -1 && len(a.Faults) == 0 {
				if before, ok := last[a.Connection]; ok && a.At-before < time.Second {
					t.Errorf("connection %d served two at once: %s after the last", a.Connection, a.At-before)
				}
				last[a.Connection] = a.At
			}
		}
	})
}

func TestUnsupportedPlans(t *testing.T) {
	_, err := New(fault.Plan{
		Capacity:    &fault.Capacity{Workers: 1},
		Connections: []fault.ConnRule{{Fault: fault.ConnFault{Refuse: true}}, {Fault: fault.ConnFault{TLS: fault.TLSAlert}}},
		Rules: []fault.Rule{
			{Fault: fault.Fault{H1: fault.Garbage}},
			{Fault: fault.Fault{Cut: &fault.Cut{Of: fault.Head}}},
			{Fault: fault.Fault{Mix: []fault.Choice{{Weight: 1, Fault: fault.Fault{Endless: true}}}}},
			{Fault: fault.Fault{Reset: fault.NextRequest}},
			{Fault: fault.Fault{Status: 503, RetryAfterAs: fault.RetryPast}},
			{Fault: fault.Fault{Upload: fault.UploadAnsweredEarly}},
			{Fault: fault.Fault{API: fault.APIOverloaded}},
			{Fault: fault.Fault{Stream: fault.StreamCut}},
		},
	})
	var problems *fault.Error
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range problems.Problems {
		paths = append(paths, p.Path)
	}
	want := "connections[0].fault.refuse connections[1].fault.tls rules[0].fault.h1 rules[1].fault.cut.of " +
		"rules[2].fault.mix[0].fault.endless rules[3].fault.reset rules[4].fault.retry_after_as rules[5].fault.upload capacity " +
		"rules[6].fault.api rules[7].fault.stream"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if !strings.Contains(err.Error(), `rules[1].fault.cut.of: "head" is not supported on this HTTP/2 server: use package faultserver`) {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	s := Start(t, fault.Plan{})
	for want, make := range map[string]func() (*Server, error){
		"h2fault: Keep(-1): must be 0 or more":       func() (*Server, error) { return New(fault.Plan{}, Keep(-1)) },
		"h2fault: Backend(nil): must be a Service":   func() (*Server, error) { return New(fault.Plan{}, Backend(nil)) },
		"h2fault: listen tcp " + s.Addr() + ": bind": func() (*Server, error) { return New(fault.Plan{}, Listen(s.Addr())) },
		"h2fault: fault plan: version: 7":            func() (*Server, error) { return New(fault.Plan{Version: 7}) },
	} {
		if _, err := make(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func TestAnotherPlan(t *testing.T) {
	s := Start(t, strikeFirst(fault.Fault{Status: 500}))
	c := client(t, s)
	status := func(want int) {
		t.Helper()
		resp, _, err := post(t.Context(), c, s, "op-1", nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%v, %v; want %d", err, resp, want)
		}
	}
	status(500)
	status(200)
	s.Begin() // resets the record and the effects too
	if n := len(s.Record()); n != 0 || s.Effects() != (faultserver.Effects{}) {
		t.Errorf("%d attempts, %+v", n, s.Effects())
	}
	status(500)
	status(200)
	if err := s.SetPlan(strikeFirst(fault.Fault{Status: 502})); err != nil {
		t.Error(err)
	}
	status(502)
	if err := s.SetPlan(strikeAll(fault.Fault{H1: fault.Garbage})); err == nil {
		t.Error("an unsupported plan was accepted")
	}
	status(200)
	if n := len(s.Record()); n != 4 || s.Effects() != (faultserver.Effects{Done: 1, Resent: 2}) {
		t.Errorf("%d attempts, %+v", n, s.Effects())
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}

func TestKeepsTheLastAttempts(t *testing.T) {
	s := Start(t, fault.Plan{}, Keep(2))
	c := client(t, s)
	for i := range 5 {
		if _, _, err := post(t.Context(), c, s, fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	record := s.Record()
	if len(record) != 2 || record[0].RequestID != "3" || record[1].RequestID != "4" || s.Dropped() != 3 {
		t.Errorf("%d dropped, kept %+v", s.Dropped(), record)
	}
}

// Every kind of hang ends with the server, and nothing is left.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := New(fault.Plan{
		Connections: []fault.ConnRule{{Nth: "2", Fault: fault.ConnFault{Hang: true}}, {Nth: "3", Fault: fault.ConnFault{Latency: &fault.Latency{Fixed: time.Hour}}}},
		Rules: []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Hang: fault.BeforeAnswer}},
			{Nth: "2", Fault: fault.Fault{Hang: fault.AfterHeaders}},
			{Nth: "3", Fault: fault.Fault{Upload: fault.UploadStall}},
			{Nth: "4", Fault: fault.Fault{Stall: &fault.Stall{}}},
			{Nth: "5", Fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Hour}}},
			{Nth: "6", Fault: fault.Fault{Stall: &fault.Stall{For: time.Hour}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := dialWire(t, s)
	w.handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	for i := range uint32(7) { // the last one waits for its window
		w.send(2*i+1, "op-1")
	}
	w.head(15, "op-1", false) // and one is incomplete
	conns := []net.Conn{w.Conn}
	for range 3 {
		conns = append(conns, dialWire(t, s).Conn)
	}
	for deadline := time.Now().Add(5 * time.Second); s.Connections() < len(conns) || len(s.Record()) < 7+2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, record %+v", s.Connections(), s.Record())
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("again: ", err)
	}
	for _, conn := range conns {
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) {
			t.Error("a connection is still open")
		}
	}
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
}

// In memory, in exact virtual time.
func TestInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Rules: []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Latency: &fault.Latency{Fixed: 7 * time.Second}}},
			{Nth: "2", Fault: fault.Fault{H2: fault.GoAwayExcluding}},
			{Nth: "4", Fault: fault.Fault{H2: fault.GoAwayGraceful}},
			{Nth: "5", Fault: fault.Fault{Hang: fault.BeforeAnswer}},
		}}, InMemory())
		c := client(t, s)
		began := time.Now()
		for i, connections := range []int{1, 2, 2} { // net/http itself repeats the second
			_, _, err := post(t.Context(), c, s, fmt.Sprint(i), nil)
			if err != nil || s.Connections() != connections {
				t.Errorf("request %d: %v, %d connections", i+1, err, s.Connections())
			}
		}
		if waited := time.Since(began); waited != 7*time.Second {
			t.Errorf("took %s", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := post(ctx, c, s, "3", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 67*time.Second || s.Connections() != 3 {
			t.Errorf("took %s, %d connections", waited, s.Connections())
		}
	})
}
