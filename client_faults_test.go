package holdfast_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// wireFault is a fault of an answer on the wire.
type wireFault struct {
	id    string // in the catalogue of faults
	fault fault.Fault
	text  string        // of the error; empty for a fault that looks like an answer
	took  time.Duration // until the error
	conns int           // connections for two calls; 1 if the whole answer was sent
}

// Every fault of an answer over HTTP/1.1: the call returns an error that describes it,
// within its limits, and with retries an answer. The next call has a working connection.
// No permit, goroutine, timer or body is left; the bubble checks it.
func TestWireFaults(t *testing.T) {
	const attempt = 8 * time.Second
	for _, c := range []wireFault{
		{"conn.rst_before_answer", fault.Fault{Reset: fault.BeforeAnswer}, "connection reset", 0, 2},
		{"conn.fin_before_answer", fault.Fault{Close: fault.BeforeAnswer}, "EOF", 0, 2},
		{"conn.hang_request", fault.Fault{Hang: fault.BeforeAnswer}, "read timeout of 5s", 5 * time.Second, 2},
		{"body.hang", fault.Fault{Hang: fault.AfterHeaders}, "read timeout of 5s", 5 * time.Second, 2},
		{"head.cut_fin", fault.Fault{Cut: &fault.Cut{After: 20, Of: fault.Head}}, "connection broken", 0, 2},
		{"head.cut_rst", fault.Fault{Cut: &fault.Cut{After: 20, Of: fault.Head, By: fault.RST}}, "connection broken", 0, 2},
		{"head.stall", fault.Fault{Stall: &fault.Stall{After: 20, Of: fault.Head}}, "read timeout of 5s", 5 * time.Second, 2},
		{"head.drip", fault.Fault{Drip: &fault.Drip{Of: fault.Head, Every: time.Second}}, "read timeout of 5s", 5 * time.Second, 2},
		{"body.cut_fin", fault.Fault{Cut: &fault.Cut{After: 10}}, "broke off after 10 bytes: unexpected EOF", 0, 2},
		{"body.cut_rst", fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}}, "connection reset", 0, 2},
		{"body.cut_chunks_fin", fault.Fault{Cut: &fault.Cut{After: 1, Of: fault.Chunks}}, "unexpected EOF", 0, 2},
		{"body.cut_chunks_rst", fault.Fault{Cut: &fault.Cut{After: 1, Of: fault.Chunks, By: fault.RST}}, "connection reset", 0, 2},
		{"body.stall", fault.Fault{Stall: &fault.Stall{After: 10}}, "read timeout of 5s", 5 * time.Second, 2},
		{"body.stall_chunks", fault.Fault{Stall: &fault.Stall{After: 1, Of: fault.Chunks}}, "read timeout of 5s", 5 * time.Second, 2},
		{"body.drip", fault.Fault{Drip: &fault.Drip{Every: time.Second}}, "attempt timeout of 8s", attempt, 2},
		{"body.gzip_corrupt", fault.Fault{Gzip: fault.GzipCorrupt}, "invalid checksum", 0, 1},
		{"body.gzip_truncated", fault.Fault{Gzip: fault.GzipTruncated}, "unexpected EOF", 0, 1},
		{"h1.content_length_long", fault.Fault{H1: fault.ContentLengthLong}, "unexpected EOF", 0, 2},
		{"h1.content_length_short", fault.Fault{H1: fault.ContentLengthShort}, "", 0, 2},
		{"h1.content_length_conflict", fault.Fault{H1: fault.ContentLengthConflict}, "Content-Length", 0, 2},
		{"h1.chunk_size_malformed", fault.Fault{H1: fault.ChunkSizeMalformed}, "invalid byte in chunk length", 0, 2},
		{"h1.last_chunk_missing", fault.Fault{H1: fault.LastChunkMissing}, "unexpected EOF", 0, 2},
		{"h1.close_delimited_cut", fault.Fault{H1: fault.CloseDelimitedCut}, "", 0, 2},
		{"h1.header_malformed", fault.Fault{H1: fault.HeaderMalformed}, "malformed", 0, 2},
		{"h1.header_oversized", fault.Fault{H1: fault.HeaderOversized, Size: 2 << 20}, "headers exceeded", 0, 2},
		{"h1.garbage", fault.Fault{H1: fault.Garbage}, "malformed HTTP", 0, 2},
		{"h1.http09", fault.Fault{H1: fault.HTTP09}, "malformed HTTP", 0, 2},
		{"h1.interim_flood", fault.Fault{H1: fault.InterimFlood, Size: 2 << 20}, "headers exceeded", 0, 2},
	} {
		t.Run(c.id, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				with := limits
				with.Attempt = attempt
				client, s := service(t, plan(rule("", "1", c.fault)), config(with))
				start := time.Now()
				_, err := client.Post(t.Context(), "/x", "some work")
				took(t, start, c.took)
				if c.text == "" {
					if err != nil {
						t.Error(err)
					}
				} else {
					broken(t, err, c)
					equal(t, "failures", client.Breaker().Stats().FailureCount, 1)
				}
				equal(t, "in flight", client.Stats().InFlight, 0)
				// net/http reads data after an answer as the beginning of the next one, until
				// it has looked at the idle connection.
				synctest.Wait()
				if _, err := client.Post(t.Context(), "/x", "some work"); err != nil {
					t.Errorf("the next call: %v", err)
				}
				equal(t, "connections", s.Connections(), c.conns)
			})
			bubble(t, func(t *testing.T) { // with retries, the call succeeds
				with := limits
				with.Attempt = attempt
				client, s := service(t, plan(rule("", "1", c.fault)), holdfast.Config{Timeouts: with})
				resp, err := client.Post(t.Context(), "/x", "some work")
				if err != nil {
					t.Fatal(err)
				}
				if c.text != "" {
					equal(t, "attempts", resp.Attempts, 2)
				}
				equal(t, "requests", len(s.Record()), resp.Attempts)
			})
		})
	}
}

func broken(t *testing.T, err error, c wireFault) {
	t.Helper()
	is(t, err, holdfast.ErrConnection)
	isNot(t, err, holdfast.ErrCanceled)
	equal(t, "timed out", errors.Is(err, holdfast.ErrTimeout), c.took > 0)
	if !strings.Contains(fmt.Sprint(err), c.text) {
		t.Errorf("error %q does not contain %q", err, c.text)
	}
	equal(t, "sent", attempts(t, err)[0].Sent, true)
}
