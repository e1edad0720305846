package h2fault

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast/fault"
)

// wire is a client that only reads and writes the frames that a test asks for,
// so that the test sees all frames as they are sent.
type wire struct {
	t *testing.T
	net.Conn
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func dialWire(t *testing.T, s *Server) *wire {
	t.Helper()
	conn, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if s.identity != nil {
		config := s.ClientTLS()
		config.ServerName, config.NextProtos = "localhost", []string{"h2"}
		conn = tls.Client(conn, config)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Second)) // a test that hangs reports its place
	w := &wire{t: t, Conn: conn, Framer: http2.NewFramer(conn, conn)}
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.encoder = hpack.NewEncoder(&w.block)
	return w
}

// handshake opens the connection like a client.
func (w *wire) handshake(settings ...http2.Setting) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, http2.ClientPreface); err != nil {
		w.t.Fatal(err)
	}
	w.WriteSettings(settings...)
	w.want(fmt.Sprintf("SETTINGS MAX_CONCURRENT_STREAMS=%d MAX_HEADER_LIST_SIZE=1048576", maxStreams), "SETTINGS ACK")
	w.WriteSettingsAck()
}

// head begins a POST. If the server has left, the next read fails.
func (w *wire) head(stream uint32, operation string, end bool) {
	w.block.Reset()
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "x"}, {Name: ":path", Value: "/work?a=b"},
		{Name: "x-request-id", Value: operation},
	} {
		w.encoder.WriteField(field)
	}
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.block.Bytes(), EndStream: end, EndHeaders: true})
}

// post sends a POST to a path, with a body, which the server reads.
func (w *wire) post(stream uint32, path, body string) {
	w.block.Reset()
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "x"}, {Name: ":path", Value: path},
	} {
		w.encoder.WriteField(field)
	}
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.block.Bytes(), EndHeaders: true})
	w.WriteData(stream, true, []byte(body))
	w.want(fmt.Sprintf("WINDOW_UPDATE 0 %d", len(body)))
}

// send sends a complete POST without a body.
func (w *wire) send(stream uint32, operation string) { w.head(stream, operation, true) }

// ping sends a PING. The answer follows all frames that were sent before, so it
// proves that there were no others.
func (w *wire) ping() { w.WritePing(false, [8]byte{'a', 'l', 'i', 'v', 'e'}) }

const pong = "PING ACK"

// want checks that exactly these frames arrive next.
func (w *wire) want(frames ...string) {
	w.t.Helper()
	for _, want := range frames {
		if got := w.next(); got != want {
			w.t.Fatalf("%s\nwant %s", got, want)
		}
	}
}

// next reads one frame or the end of the connection.
func (w *wire) next() string {
	w.t.Helper()
	frame, err := w.ReadFrame()
	switch {
	case errors.Is(err, io.EOF):
		return "FIN"
	case errors.Is(err, syscall.ECONNRESET):
		return "RST"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing"
	case err != nil:
		return err.Error()
	}
	return describe(frame)
}

// describe returns a frame as one line without its date.
func describe(frame http2.Frame) string {
	words := []any{frame.Header().Type}
	add := func(more ...any) { words = append(words, more...) }
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		f.ForeachSetting(func(s http2.Setting) error {
			add(fmt.Sprintf("%s=%d", s.ID, s.Val))
			return nil
		})
		if f.IsAck() {
			add("ACK")
		}
	case *http2.MetaHeadersFrame:
		add(f.StreamID)
		for _, field := range f.Fields {
			if field.Name != "date" {
				add(field.Name + "=" + field.Value)
			}
		}
		if f.StreamEnded() {
			add("END_STREAM")
		}
	case *http2.DataFrame:
		add(f.StreamID, len(f.Data()), "bytes")
		if f.StreamEnded() {
			add("END_STREAM")
		}
	case *http2.RSTStreamFrame:
		add(f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		add("last", f.LastStreamID, f.ErrCode)
	case *http2.PingFrame:
		if f.IsAck() {
			add("ACK")
		}
	case *http2.WindowUpdateFrame:
		add(f.StreamID, f.Increment)
	}
	return strings.TrimSuffix(fmt.Sprintln(words...), "\n")
}

func strikeAll(f fault.Fault) fault.Plan { return fault.Plan{Rules: []fault.Rule{{Fault: f}}} }

func strikeFirst(f fault.Fault) fault.Plan {
	return fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: f}}}
}

func strikeConn(f fault.ConnFault) fault.Plan {
	return fault.Plan{Connections: []fault.ConnRule{{Fault: f}}}
}

// Echo's answer to send with a four-letter operation.
const (
	echoLength = len(`{"method":"POST","path":"/work","request_id":"op-1","body_bytes":0}`)
	echoHead   = " :status=200 content-length=67 content-type=application/json"
)

// answered returns the frames of a healthy answer.
func answered(stream uint32) []string {
	return []string{
		fmt.Sprintf("HEADERS %d%s", stream, echoHead),
		fmt.Sprintf("DATA %d %d bytes END_STREAM", stream, echoLength),
	}
}

// proof proves a fault on the wire.
type proof struct {
	plan fault.Plan
	// prove gets one connection, unless it dials itself.
	prove func(t *testing.T, s *Server, w *wire)
	dials bool
	// As the server records it.
	status int
	effect bool
}

// proofs are the proofs of Catalog.
var proofs = map[fault.ID]proof{
	"h2.goaway_graceful": {
		plan: fault.Plan{Rules: []fault.Rule{
			{Nth: "2", Fault: fault.Fault{H2: fault.GoAwayGraceful, Latency: &fault.Latency{Fixed: 10 * time.Millisecond}}},
		}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.head(1, "op-1", false) // in progress
			w.send(3, "op-2")
			w.send(5, "op-3") // too late, though GOAWAY is not sent yet
			w.want("GOAWAY last 3 NO_ERROR")
			w.want(answered(3)...)
			w.send(7, "op-4") // after GOAWAY
			w.WriteData(1, true, nil)
			w.want(answered(1)...)
			w.want("FIN")
			if got := s.Effects(); got.Done != 2 {
				t.Errorf("%+v: a late request must not be executed", got)
			}
		},
		status: 200, effect: true,
	},
	"h2.goaway_excluding": {
		plan: fault.Plan{Rules: []fault.Rule{{Nth: "2", Fault: fault.Fault{H2: fault.GoAwayExcluding}}}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.head(1, "op-1", false) // in progress
			w.send(3, "op-2")
			w.send(5, "op-3") // too late and excluded
			w.want("GOAWAY last 1 NO_ERROR")
			w.WriteData(1, true, nil)
			w.want(answered(1)...)
			w.want("FIN")
			if got := s.Effects(); got.Done != 1 {
				t.Errorf("%+v: an excluded request must not be executed", got)
			}
		},
	},
	"h2.goaway_enhance_your_calm": {
		plan: fault.Plan{Rules: []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Hang: fault.BeforeAnswer}},
			{Nth: "2", Fault: fault.Fault{H2: fault.GoAwayCalm}},
		}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.send(3, "op-2")
			w.want("GOAWAY last 3 ENHANCE_YOUR_CALM", "FIN")
		},
	},
	"h2.rst_stream_refused": {
		plan: strikeFirst(fault.Fault{H2: fault.RSTRefused}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("RST_STREAM 1 REFUSED_STREAM")
			w.send(3, "op-1")
			w.want(answered(3)...)
		},
	},
	"h2.rst_stream_internal": {
		plan: strikeFirst(fault.Fault{H2: fault.RSTInternal}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("RST_STREAM 1 INTERNAL_ERROR")
			w.send(3, "op-1")
			w.want(answered(3)...)
		},
	},
	"h2.rst_stream_after_headers": {
		plan: strikeFirst(fault.Fault{H2: fault.RSTAfterHeaders}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1"+echoHead, "RST_STREAM 1 INTERNAL_ERROR")
			w.send(3, "op-1")
			w.want(answered(3)...)
		},
		status: 200, effect: true,
	},
	IDRSTAfterData: {
		plan: strikeFirst(fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1"+echoHead, "DATA 1 10 bytes", "RST_STREAM 1 INTERNAL_ERROR")
			w.send(3, "op-1")
			w.want(answered(3)...)
		},
		status: 200, effect: true,
	},
	IDEndStreamEarly: {
		plan: strikeFirst(fault.Fault{Cut: &fault.Cut{After: 10}}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1"+echoHead, "DATA 1 10 bytes END_STREAM")
			w.send(3, "op-1")
			w.want(answered(3)...)
		},
		status: 200, effect: true,
	},
	"h2.max_concurrent_1": {
		plan: strikeConn(fault.ConnFault{H2: fault.MaxConcurrent1}),
		prove: func(t *testing.T, s *Server, w *wire) {
			io.WriteString(w.Conn, http2.ClientPreface)
			w.WriteSettings()
			w.want("SETTINGS MAX_CONCURRENT_STREAMS=1 MAX_HEADER_LIST_SIZE=1048576", "SETTINGS ACK")
			w.head(1, "op-1", false)
			w.send(3, "op-2")
			w.want("RST_STREAM 3 REFUSED_STREAM")
			w.WriteData(1, true, nil)
			w.want(answered(1)...)
			w.send(5, "op-2")
			w.want(answered(5)...)
			// The connection's attempt, then that of the second stream.
			if a := s.Record()[1]; !a.Met("h2.max_concurrent_1") || a.Method != "POST" || a.RequestID != "op-2" || a.Rule != -1 || a.Effect {
				t.Errorf("the second stream is recorded as %+v", a)
			}
		},
	},
	"h2.ping_silence": {
		plan: strikeConn(fault.ConnFault{H2: fault.PingSilence}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.ping()
			w.send(1, "op-1")
			w.want(answered(1)...) // no answer to the PING before
		},
	},
	IDFlowStall: {
		plan: strikeFirst(fault.Fault{Upload: fault.UploadStall}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.head(1, "op-1", false)
			for range 3 {
				w.WriteData(1, false, make([]byte, 16_384))
				w.want("WINDOW_UPDATE 0 16384") // the connection's only
			}
			w.send(3, "op-2")
			w.want(answered(3)...)
			w.WriteData(1, false, make([]byte, initialWindow-3*16_384)) // the rest of the window
			w.ping()
			w.want("WINDOW_UPDATE 0 16383", pong)
		},
	},
}

// shared are the faults of package faultserver that work the same here.
var shared = map[fault.ID]proof{
	fault.IDStatus: {
		plan: strikeFirst(fault.Fault{Status: 502, Header: map[string]string{"X-More": "yes", "Connection": "close"}}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1 :status=502 content-length=12 content-type=text/plain; charset=utf-8 x-more=yes", "DATA 1 12 bytes END_STREAM")
		},
		status: 502,
	},
	fault.IDRetryAfter: {
		plan: strikeFirst(fault.Fault{Status: 429, RetryAfter: 1001 * time.Millisecond, Body: "slow"}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1 :status=429 content-length=4 content-type=text/plain; charset=utf-8 retry-after=2", "DATA 1 4 bytes END_STREAM")
		},
		status: 429,
	},
	fault.IDQuota: {
		plan: strikeAll(fault.Fault{Quota: &fault.Quota{Limit: 1, Per: time.Hour}, Body: "slow"}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want(answered(1)...)
			w.send(3, "op-1")
			w.want("HEADERS 3 :status=429 content-length=4 content-type=text/plain; charset=utf-8 retry-after=3600", "DATA 3 4 bytes END_STREAM")
		},
		status: 429,
	},
	"api.rate_limit": {
		plan: ofGitHub(fault.Fault{API: fault.APIRateLimit, RetryAfter: time.Minute}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.wantHead("HEADERS 1 :status=403 content-length=166 content-type=application/json", "x-ratelimit-limit=5000 x-ratelimit-remaining=0")
			w.want("DATA 1 166 bytes END_STREAM")
		},
		status: 403,
	},
	"api.error_in_200": {
		plan: ofGitHub(fault.Fault{API: fault.APIErrorIn200}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.wantHead("HEADERS 1 :status=200 content-length=46 content-type=application/json")
			w.want("DATA 1 46 bytes END_STREAM")
		},
		status: 200,
	},
	"stream.error_after": streamProof(fault.Fault{Stream: fault.StreamErrorAfter, Events: 1}, "DATA 1 89 bytes", "DATA 1 78 bytes", "DATA 1 0 bytes END_STREAM"),
	"stream.end_missing": streamProof(fault.Fault{Stream: fault.StreamEndMissing}, "DATA 1 89 bytes", "DATA 1 90 bytes", "DATA 1 0 bytes END_STREAM"),
	"stream.cut":         streamProof(fault.Fault{Stream: fault.StreamCut, Events: 1}, "DATA 1 89 bytes", "DATA 1 45 bytes", "RST_STREAM 1 INTERNAL_ERROR"),
	fault.IDHang: {
		plan: strikeFirst(fault.Fault{Hang: fault.BeforeAnswer}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.send(3, "op-1")
			w.want(answered(3)...)
			w.ping()
			w.want(pong)
			s.Close() // ends the hang
			w.want("FIN")
		},
	},
	fault.IDBodyHang: {
		plan: strikeFirst(fault.Fault{Hang: fault.AfterHeaders}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1" + echoHead)
			w.ping()
			w.want(pong)
		},
		status: 200, effect: true,
	},
	fault.IDBodyStall: {
		plan: strikeFirst(fault.Fault{Stall: &fault.Stall{After: 10, For: 20 * time.Millisecond}}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			sent := time.Now()
			w.send(1, "op-1")
			w.want("HEADERS 1"+echoHead, "DATA 1 10 bytes", "DATA 1 57 bytes END_STREAM")
			if waited := time.Since(sent); waited < 20*time.Millisecond {
				t.Errorf("went on after %s", waited)
			}
		},
		status: 200, effect: true,
	},
	fault.IDReset: {
		plan: strikeAll(fault.Fault{Reset: fault.BeforeAnswer}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("RST")
		},
	},
	fault.IDClose: {
		plan: strikeAll(fault.Fault{Close: fault.BeforeAnswer}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("FIN")
		},
	},
	fault.IDLatency: {
		plan: strikeAll(fault.Fault{Latency: &fault.Latency{Fixed: 40 * time.Millisecond}}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			sent := time.Now()
			w.send(1, "op-1")
			w.want(answered(1)...)
			if waited := time.Since(sent); waited < 40*time.Millisecond {
				t.Errorf("answered after %s", waited)
			}
		},
		status: 200, effect: true,
	},
	fault.IDCommitThenDrop: {
		plan: strikeFirst(fault.Fault{Status: 503, Commit: true}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.send(1, "op-1")
			w.want("HEADERS 1 :status=503 content-length=20 content-type=text/plain; charset=utf-8", "DATA 1 20 bytes END_STREAM")
			w.send(3, "op-1")
			w.want(answered(3)...)
			if got := s.Effects(); got.Done != 1 || got.Resent != 1 || got.Duplicates != 0 {
				t.Errorf("%+v", got)
			}
		},
		status: 503, effect: true,
	},
	fault.IDConnHang: {
		plan: strikeConn(fault.ConnFault{Hang: true}),
		prove: func(t *testing.T, s *Server, w *wire) {
			io.WriteString(w.Conn, http2.ClientPreface)
			w.WriteSettings()
			w.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			w.want("nothing")
		},
	},
	fault.IDCloseOnAccept: {
		plan: strikeConn(fault.ConnFault{Close: true}),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.want("FIN")
		},
	},
	fault.IDResetOnAccept: {
		plan: strikeConn(fault.ConnFault{Reset: true}), dials: true,
		prove: func(t *testing.T, s *Server, _ *wire) {
			conn, err := net.Dial("tcp", s.Addr())
			if err == nil { // the RST may arrive before the dial returns
				defer conn.Close()
				_, err = conn.Read(make([]byte, 1))
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
		},
	},
	fault.IDSlowAccept: {
		plan: strikeConn(fault.ConnFault{Latency: &fault.Latency{Fixed: 40 * time.Millisecond}}), dials: true,
		prove: func(t *testing.T, s *Server, _ *wire) {
			began := time.Now()
			dialWire(t, s).handshake()
			if waited := time.Since(began); waited < 40*time.Millisecond {
				t.Errorf("handshake after %s", waited)
			}
		},
	},
}

func TestEveryFaultOnTheWire(t *testing.T) {
	unproved := maps.Clone(proofs)
	for _, entry := range Catalog() {
		p, ok := proofs[entry.ID]
		if !ok {
			t.Errorf("%s has no proof on the wire", entry.ID)
			continue
		}
		delete(unproved, entry.ID)
		testProof(t, entry.ID, p)
	}
	for id := range unproved {
		t.Errorf("%s is proved, but not in the catalog", id)
	}
	for _, word := range fault.H2Faults() {
		if _, ok := proofs[fault.ID("h2."+word)]; !ok {
			t.Errorf("the plan's word %q is not in the catalog", word)
		}
	}
	known := make([]fault.ID, 0)
	for _, entry := range fault.Catalog() {
		known = append(known, entry.ID)
	}
	for id, p := range shared {
		if !slices.Contains(known, id) {
			t.Errorf("%s is not in package fault's catalog", id)
		}
		testProof(t, id, p)
	}
}

// ofGitHub is a plan that answers like GitHub.
func ofGitHub(f fault.Fault) fault.Plan {
	plan := strikeFirst(f)
	plan.As = fault.GitHub
	return plan
}

// streamProof reads the frames of a stream of Ollama after its headers, and then an
// answer on the same connection.
func streamProof(f fault.Fault, frames ...string) proof {
	plan := strikeFirst(f)
	plan.As = fault.Ollama
	return proof{
		plan: plan,
		prove: func(t *testing.T, s *Server, w *wire) {
			w.handshake()
			w.post(1, "/api/generate", `{"model": "m", "prompt": "hi", "options": {"num_predict": 2}}`)
			w.wantHead("HEADERS 1 :status=200 content-type=application/x-ndjson")
			w.want(frames...)
			w.post(3, "/api/embed", `{"model": "m", "input": []}`)
			w.wantHead("HEADERS 3 :status=200 content-length=")
		},
		status: 200, effect: true,
	}
}

// wantHead reads HEADERS that begin so and have these fields.
func (w *wire) wantHead(beginning string, fields ...string) {
	w.t.Helper()
	got := w.next()
	if !strings.HasPrefix(got, beginning) {
		w.t.Errorf("%s\nwant %s", got, beginning)
	}
	for _, field := range fields {
		if !strings.Contains(got, field) {
			w.t.Errorf("no %s in %s", field, got)
		}
	}
}

// A status has the body of the provider, and a healthy answer its headers.
func TestProviderOnTheWire(t *testing.T) {
	s := Start(t, strikeFirst(fault.Fault{Status: 401}), As(fault.GitHub))
	w := dialWire(t, s)
	w.handshake()
	w.send(1, "op-1")
	w.wantHead("HEADERS 1 :status=401 content-length=95 content-type=application/json")
	w.want("DATA 1 95 bytes END_STREAM")
	w.post(3, "/graphql", "{}")
	w.wantHead("HEADERS 3 :status=200 content-length=39 content-type=application/json; charset=utf-8", "x-ratelimit-remaining=4999", "x-github-request-id=req_")
	w.want("DATA 3 39 bytes END_STREAM")
}

func testProof(t *testing.T, id fault.ID, p proof) {
	t.Run(string(id), func(t *testing.T) {
		t.Parallel()
		s := Start(t, p.plan)
		var w *wire
		if !p.dials {
			w = dialWire(t, s)
		}
		p.prove(t, s, w)
		for _, a := range s.Record() {
			if a.Met(id) {
				if a.Status != p.status || a.Effect != p.effect {
					t.Errorf("recorded as %+v", a)
				}
				return
			}
		}
		t.Errorf("not on record: %+v", s.Record())
	})
}

// The same over TLS, and the end of a TLS connection.
func TestTLSOnTheWire(t *testing.T) {
	s := Start(t, strikeFirst(fault.Fault{H2: fault.GoAwayGraceful}), TLS())
	w := dialWire(t, s)
	w.handshake()
	w.send(1, "op-1")
	w.want("GOAWAY last 1 NO_ERROR")
	w.want(answered(1)...)
	w.want("FIN")
	if got := w.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("agreed on %q", got)
	}
}
