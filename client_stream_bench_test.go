package holdfast_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// repeated is a body of n times the same text.
type repeated struct {
	text string
	n    int
	left string
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.left == "" {
			if r.n == 0 {
				return n, io.EOF
			}
			r.n, r.left = r.n-1, r.text
		}
		k := copy(p[n:], r.left)
		n, r.left = n+k, r.left[k:]
	}
	return n, nil
}

const (
	piece      = `{"model":"m","created_at":"2026-01-02T03:04:05.678901Z","response":" dough","done":false}` + "\n"
	pieceEvent = "event: content_block_delta\ndata: " + piece + "\n"
)

// A million lines cost as many allocations as ten.
func TestStreamAllocations(t *testing.T) {
	body := new(repeated)
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test"}, holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	count := func(text string, n int, loop func(*holdfast.Stream) (int, error)) float64 {
		return testing.AllocsPerRun(1, func() {
			*body = repeated{text: text, n: n}
			s, err := c.Stream(t.Context(), "GET", "/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := loop(s); got != n || err != nil {
				t.Errorf("%d of %d, %v", got, n, err)
			}
		})
	}
	lines := func(s *holdfast.Stream) (n int, err error) {
		for _, err = range s.Lines() {
			n++
		}
		return n, err
	}
	events := func(s *holdfast.Stream) (n int, err error) {
		for _, err = range s.Events() {
			n++
		}
		return n, err
	}
	// Goroutines of earlier tests may allocate too.
	if more := count(piece, 1_000_000, lines) - count(piece, 10, lines); more > 100 {
		t.Errorf("a million lines cost %v allocations", more)
	}
	if more := count(pieceEvent, 100_000, events) - count(pieceEvent, 10, events); more > 100 {
		t.Errorf("a hundred thousand events cost %v allocations", more)
	}
}

// manyLines is an answer of n lines, in chunks of 16 KiB.
func manyLines(n int) string {
	var answer strings.Builder
	answer.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
	for n > 0 {
		lines := min(n, 16<<10/len(piece))
		fmt.Fprintf(&answer, "%x\r\n%s\r\n", lines*len(piece), strings.Repeat(piece, lines))
		n -= lines
	}
	answer.WriteString("0\r\n\r\n")
	return answer.String()
}

// BenchmarkStreamLines reads a million lines through Stream.Lines, and through a
// bufio.Scanner over the body of an http.Client, in turns. ratio is the median of the
// ratios of their throughputs, and should be at least 0.9.
//

func BenchmarkStreamLines(b *testing.B) {
	const n = 1_000_000
	url := canned(b, manyLines(n))
	t := &http.Transport{}
	defer t.CloseIdleConnections()
	bare := func() (count int) {
		resp, err := (&http.Client{Transport: t}).Get(url + "/x")
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			count += min(1, len(lines.Bytes()))
		}
		return count
	}
	c, err := holdfast.New(holdfast.Config{BaseURL: url})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ours := func() (count int) {
		s, err := c.Stream(context.Background(), "GET", "/x", nil)
		if err != nil {
			b.Fatal(err)
		}
		for line, err := range s.Lines() {
			if err != nil {
				b.Fatal(err)
			}
			count += min(1, len(line))
		}
		return count
	}
	timed := func(f func() int) time.Duration {
		start := time.Now()
		if got := f(); got != n {
			b.Fatalf("%d lines", got)
		}
		return time.Since(start)
	}
	timed(bare)
	timed(ours)
	var ratios []float64
	for b.Loop() {
		var theirs, mine time.Duration
		if len(ratios)%2 == 0 { // the second one may profit from a warm cache
			theirs, mine = timed(bare), timed(ours)
		} else {
			mine, theirs = timed(ours), timed(bare)
		}
		ratios = append(ratios, float64(theirs)/float64(mine))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(ratios[0], "worst")
}
