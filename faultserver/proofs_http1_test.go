package faultserver

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// h1Proof sends one request and lets read check all bytes up to the FIN.
func h1Proof(f fault.Fault, status int, effect bool, read func(t *testing.T, head, body string)) proof {
	return proof{
		fault: f,
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			all, err := w.rest()
			if err != io.EOF {
				t.Errorf("ended with %v", err)
			}
			head, body, _ := strings.Cut(string(all), headEnd)
			read(t, head, body)
		},
		status: status, effect: effect,
	}
}

// wantParts checks the body and some lines of the head.
func wantParts(want string, lines ...string) func(*testing.T, string, string) {
	return func(t *testing.T, head, body string) {
		t.Helper()
		for _, line := range append(lines, "HTTP/1.1 200 OK", "Connection: close") {
			if !strings.Contains(head+"\r\n", line+"\r\n") {
				t.Errorf("no line %q in\n%s", line, head)
			}
		}
		if body != want {
			t.Errorf("body %q, want %q", body, want)
		}
	}
}

func chunkText(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// proofsOfHTTP1 are the proofs of answers that violate the protocol.
var proofsOfHTTP1 = map[fault.ID]proof{
	"h1.content_length_long": h1Proof(fault.Fault{H1: fault.ContentLengthLong}, 200, true,
		wantParts(echoBody, fmt.Sprintf("Content-Length: %d", len(echoBody)+10))),
	"h1.content_length_short": {
		fault: fault.Fault{H1: fault.ContentLengthShort},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantHead("HTTP/1.1 200 OK", fmt.Sprintf("Content-Length: %d", len(echoBody)/2))
			w.wantText(echoBody)
			w.wantNoBytes() // the connection stays open
		},
		status: 200, effect: true,
	},
	"h1.content_length_conflict": h1Proof(fault.Fault{H1: fault.ContentLengthConflict}, 200, true,
		wantParts(echoBody, fmt.Sprintf("Content-Length: %d", len(echoBody)), fmt.Sprintf("Content-Length: %d", len(echoBody)+1))),
	"h1.chunk_size_malformed": h1Proof(fault.Fault{H1: fault.ChunkSizeMalformed}, 200, true,
		wantParts(chunkText(echoBody[:len(echoBody)/2])+"zz\r\n"+echoBody[len(echoBody)/2:]+"\r\n0\r\n\r\n", "Transfer-Encoding: chunked")),
	"h1.last_chunk_missing": h1Proof(fault.Fault{H1: fault.LastChunkMissing}, 200, true,
		wantParts(chunkText(echoBody[:len(echoBody)/2])+chunkText(echoBody[len(echoBody)/2:]), "Transfer-Encoding: chunked")),
	"h1.close_delimited_cut": h1Proof(fault.Fault{H1: fault.CloseDelimitedCut}, 200, true, func(t *testing.T, head, body string) {
		if strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") {
			t.Errorf("delimited in\n%s", head)
		}
		wantParts(echoBody[:len(echoBody)/2])(t, head, body)
	}),
	"h1.header_malformed": h1Proof(fault.Fault{H1: fault.HeaderMalformed}, 200, true,
		wantParts(echoBody, "this line has no colon", fmt.Sprintf("Content-Length: %d", len(echoBody)))),
	"h1.header_oversized": h1Proof(fault.Fault{H1: fault.HeaderOversized}, 200, true, func(t *testing.T, head, body string) {
		if !strings.Contains(head, "\r\nX-Padding: "+strings.Repeat("x", defaultHeader)+"\r\n") {
			t.Errorf("a head of %d bytes", len(head))
		}
		if body != echoBody {
			t.Errorf("body %q", body)
		}
	}),
	"h1.garbage": h1Proof(fault.Fault{H1: fault.Garbage}, 0, false, func(t *testing.T, head, body string) {
		if all := head + body; len(all) != 256 || strings.HasPrefix(all, "H") {
			t.Errorf("%q", all)
		}
	}),
	"h1.http09": h1Proof(fault.Fault{H1: fault.HTTP09}, 0, false, func(t *testing.T, head, body string) {
		if head != echoBody || body != "" {
			t.Errorf("%q, %q", head, body)
		}
	}),
	"h1.interim_flood": {
		fault: fault.Fault{H1: fault.InterimFlood, Size: 10_000},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			interims := 0
			head := w.headText()
			for ; strings.HasPrefix(head, "HTTP/1.1 103 Early Hints\r\nLink: "); head = w.headText() {
				interims += len(head)
			}
			if interims < 10_000 || interims > 10_100 || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("%d bytes of interim answers, then\n%s", interims, head)
			}
			w.wantText(echoBody)
			w.wantEnd(0, io.EOF)
		},
		status: 200, effect: true,
	},
	"h1.continue_never": {
		fault: fault.Fault{H1: fault.ContinueNever},
		dials: true,
		prove: func(t *testing.T, s *Server, _ *wire) {
			for _, framed := range []string{"Content-Length: 9\r\n\r\n|some work", "Transfer-Encoding: chunked\r\n\r\n|9\r\nsome work\r\n0\r\n\r\n"} {
				head, body, _ := strings.Cut(framed, "|")
				w := dialWire(t, s)
				io.WriteString(w, "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: op-1\r\nExpect: 100-continue\r\n"+head)
				w.wantNoBytes()
				io.WriteString(w, body)
				w.wantHead("HTTP/1.1 200 OK") // without a 100 before it
				w.wantText(echoBody)
			}
		},
		status: 200, effect: true,
	},
	"h1.surplus_at_once": {
		fault: fault.Fault{H1: fault.SurplusAtOnce},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			packet := make([]byte, 4<<10)
			n, err := w.in.Read(packet)
			if both := string(packet[:n]); err != nil || !strings.Contains(both, echoBody+"HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(both, surplusBody) {
				t.Errorf("%q, %v; want two answers", both, err)
			}
			w.send("op-2")
			w.wantHead("HTTP/1.1 200 OK") // the connection stays open
		},
		status: 200, effect: true,
	},
	"h1.surplus_later": {
		fault: fault.Fault{H1: fault.SurplusLater},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if _, body := w.full(); body != echoBody {
				t.Errorf("%q", body)
			}
			if w.in.Buffered() > 0 {
				t.Error("the second answer came with the first")
			}
			w.wantSurplus()
			w.wantNoBytes() // the connection stays open
		},
		status: 200, effect: true,
	},
	"h1.surplus_next_request": {
		fault: fault.Fault{H1: fault.SurplusNextRequest},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if _, body := w.full(); body != echoBody {
				t.Errorf("%q", body)
			}
			w.wantNoBytes()
			if _, err := io.WriteString(w, "P"); err != nil {
				t.Error(err)
			}
			w.wantSurplus()
			w.wantEnd(0, io.EOF)
			if n := len(s.Record()); n != 1 {
				t.Errorf("%d requests were read", n)
			}
		},
		status: 200, effect: true,
	},
	"h1.switching_protocols": {
		fault: fault.Fault{H1: fault.SwitchingProtocols},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantHead("HTTP/1.1 101 Switching Protocols", "Upgrade: nothing")
			w.wantNoBytes()
		},
		status: 101,
	},
	"upload.stall": {
		fault: fault.Fault{Upload: fault.UploadStall},
		prove: func(t *testing.T, s *Server, w *wire) {
			fmt.Fprintf(w, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<40)
			w.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := io.CopyN(w.Conn, zeros{}, 256<<20)
			if !os.IsTimeout(err) {
				t.Errorf("%d bytes were taken, then %v", n, err)
			}
			w.wantNoBytes()
		},
	},
	"upload.answered_early": {
		fault: fault.Fault{Upload: fault.UploadAnsweredEarly},
		prove: func(t *testing.T, s *Server, w *wire) {
			io.WriteString(w, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nfirst")
			w.wantHead("HTTP/1.1 413 Request Entity Too Large", "Connection: close")
			w.wantText("Request Entity Too Large\n")
			w.wantEnd(0, io.EOF)
			if _, err := w.Write(bytes.Repeat([]byte("x"), 99_995)); err != nil { // is still accepted
				t.Error(err)
			}
		},
		status: 413,
	},
}

const surplusBody = `{"surplus":"an answer to no request"}`

// wantSurplus reads an answer that belongs to no request.
func (w *wire) wantSurplus() {
	w.t.Helper()
	if resp, body := w.full(); resp.StatusCode != 200 || body != surplusBody || resp.Header.Get("X-Request-ID") == "" {
		w.t.Errorf("%v %q", resp, body)
	}
}

// Over TLS the second answer is encrypted, too.
func TestSurplusOverTLS(t *testing.T) {
	for _, word := range []fault.H1{fault.SurplusAtOnce, fault.SurplusLater, fault.SurplusNextRequest} {
		s := Start(t, strikeAll(fault.Fault{H1: word}), TLS())
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		w := &wire{Conn: conn, t: t, in: bufio.NewReader(conn)}
		w.send("op-1")
		if _, body := w.full(); body != echoBody {
			t.Errorf("%s: %q", word, body)
		}
		if word == fault.SurplusNextRequest {
			w.send("op-2")
		}
		w.wantSurplus()
	}
}
