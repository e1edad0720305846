package faultserver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// The answer on the wire if the connection ends with it.
const headEnd = "\r\n\r\n"

// piece is chunk k of echoBody on the wire, counted from 0.
func piece(k int) string {
	part := echoBody[k*pieceSize : min((k+1)*pieceSize, len(echoBody))]
	return fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
}

// proofsOfBodies are the proofs of answers that stop, end or are malformed.
var proofsOfBodies = map[fault.ID]proof{
	fault.IDBodyHang: {
		fault: fault.Fault{Hang: fault.AfterHeaders},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.StatusCode != 200 || resp.ContentLength != int64(len(echoBody)) {
				t.Errorf("%d, Content-Length %d", resp.StatusCode, resp.ContentLength)
			}
			w.wantNoBytes()
		},
		status: 200, effect: true,
	},
	fault.IDCutFIN: {
		fault: fault.Fault{Cut: &fault.Cut{After: 10}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.StatusCode != 200 || resp.ContentLength != int64(len(echoBody)) {
				t.Errorf("%d, Content-Length %d", resp.StatusCode, resp.ContentLength)
			}
			w.wantEnd(10, io.EOF)
		},
		status: 200, effect: true,
	},
	fault.IDCutRST: {
		// More than there is: the whole body is sent, and one more byte is
		// promised.
		fault: fault.Fault{Cut: &fault.Cut{After: 1000, By: fault.RST}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp := w.head(); resp.ContentLength != int64(len(echoBody))+1 {
				t.Errorf("Content-Length %d", resp.ContentLength)
			}
			w.wantEnd(len(echoBody), syscall.ECONNRESET)
		},
		status: 200, effect: true,
	},
	fault.IDChunkCutFIN: {
		fault: fault.Fault{Cut: &fault.Cut{After: 2, Of: fault.Chunks}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantHead("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
			w.wantText(piece(0) + piece(1))
			w.wantEnd(0, io.EOF)
		},
		status: 200, effect: true,
	},
	fault.IDChunkCutRST: {
		fault: fault.Fault{Cut: &fault.Cut{After: 1, Of: fault.Chunks, By: fault.RST}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantHead("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
			w.wantText(piece(0))
			w.wantEnd(0, syscall.ECONNRESET)
		},
		status: 200, effect: true,
	},
	fault.IDHeadCutFIN: {
		fault: fault.Fault{Cut: &fault.Cut{After: 20, Of: fault.Head}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantText("HTTP/1.1 200 OK\r\nCon")
			w.wantEnd(0, io.EOF)
		},
		effect: true,
	},
	fault.IDHeadCutRST: {
		// More than there is: everything except the last byte of the head.
		fault: fault.Fault{Cut: &fault.Cut{After: 1000, Of: fault.Head, By: fault.RST}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			got, err := w.rest()
			if !errors.Is(err, syscall.ECONNRESET) || !strings.HasSuffix(string(got), " GMT\r\n\r") {
				t.Errorf("%q, %v", got, err)
			}
		},
		effect: true,
	},
	fault.IDBodyStall: {
		fault: fault.Fault{Stall: &fault.Stall{After: 10, For: 150 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 { // the connection stays usable
				w.send("op-1")
				w.wantHead("HTTP/1.1 200 OK", fmt.Sprintf("Content-Length: %d", len(echoBody)))
				w.wantText(echoBody[:10])
				w.wantNoBytes()
				w.wantText(echoBody[10:])
			}
		},
		status: 200, effect: true,
	},
	fault.IDChunkStall: {
		fault: fault.Fault{Stall: &fault.Stall{After: 1, Of: fault.Chunks, For: 150 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantHead("Transfer-Encoding: chunked")
			w.wantText(piece(0))
			w.wantNoBytes()
			w.wantText(piece(1) + piece(2) + piece(3) + piece(4) + "0\r\n\r\n")
		},
		status: 200, effect: true,
	},
	fault.IDHeadStall: {
		fault: fault.Fault{Stall: &fault.Stall{After: 20, Of: fault.Head}}, // without end
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantText("HTTP/1.1 200 OK\r\nCon")
			w.wantNoBytes()
			s.Close()
			w.wantEnd(0, io.EOF)
		},
		effect: true,
	},
	fault.IDHeadDrip: {
		fault: fault.Fault{Drip: &fault.Drip{Of: fault.Head, Bytes: 8, Every: 2 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			w.send("op-1")
			head := w.headText()
			if took, least := time.Since(sent), time.Duration(len(head)/8-1)*2*time.Millisecond; took < least {
				t.Errorf("%d bytes of head after %s, not before %s", len(head), took, least)
			}
			w.wantText(echoBody)
			w.wantEnd(0, io.EOF)
		},
		status: 200, effect: true,
	},
	fault.IDBodyDrip: {
		fault: fault.Fault{Drip: &fault.Drip{Every: time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			w.send("op-1")
			_, body := w.full()
			if took := time.Since(sent); took < time.Duration(len(body))*time.Millisecond || body != echoBody {
				t.Errorf("%q after %s", body, took)
			}
		},
		status: 200, effect: true,
	},
	fault.IDEndless: {
		fault: fault.Fault{Endless: true},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			resp := w.head()
			if n, err := io.CopyN(io.Discard, resp.Body, 64<<20); err != nil {
				t.Errorf("%d bytes, then %v", n, err)
			}
		},
		status: 200,
	},
	"body.gzip_bomb": {
		fault: fault.Fault{Gzip: fault.GzipBomb, Size: 5<<20 + 17},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			resp := w.head()
			r, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, r) // also checks the checksum
			if n != 5<<20+17 || err != nil || resp.ContentLength > n/900 || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%d bytes from %d, %v", n, resp.ContentLength, err)
			}
		},
		status: 200,
	},
	"body.gzip_corrupt": {
		fault: fault.Fault{Gzip: fault.GzipCorrupt},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			_, packed := w.full()
			body, err := unzip(t, packed)
			if body != echoBody || !errors.Is(err, gzip.ErrChecksum) {
				t.Errorf("%q, %v", body, err)
			}
		},
		status: 200, effect: true,
	},
	"body.gzip_truncated": {
		fault: fault.Fault{Gzip: fault.GzipTruncated},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			_, packed := w.full() // complete as HTTP
			body, err := unzip(t, packed)
			if len(body) >= len(echoBody) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q, %v", body, err)
			}
		},
		status: 200, effect: true,
	},
}

func unzip(t *testing.T, packed string) (string, error) {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.String(), err
}

// TestTheDefaultBombIsCheapToMake: 256 MiB are not compressed byte by byte.
func TestTheDefaultBombIsCheapToMake(t *testing.T) {
	if packed := len(gzipZeros(defaultBomb)); packed > 300<<10 {
		t.Errorf("%d bytes", packed)
	}
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1} {
		if got, err := unzip(t, string(gzipZeros(size))); len(got) != size || err != nil {
			t.Errorf("%d bytes for %d, %v", len(got), size, err)
		}
	}
}
