package holdfast_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/frame"
)

// A reading is what a reader gets of a stream: the data of its events, and how it ended.
type reading struct {
	events []string
	err    error // its kind; nil for an end
}

// expected is what Stream makes of a body: an event "bad" is a failure, "ping" decides
// nothing, and "done" ends the stream.
func expected(events []string, unfinished bool) reading {
	var r reading
	content := false
	for i, e := range events {
		if i == 16 { // as many may decide nothing
			content = true
		}
		switch {
		case e == "bad" && !content:
			return reading{err: holdfast.ErrServer}
		case e == "bad":
			r.err = holdfast.ErrServer
			return r
		case e == "done":
			r.events = append(r.events, e)
			return r
		}
		content = content || e != "ping"
		r.events = append(r.events, e)
	}
	r.err = holdfast.ErrConnection
	if !content && len(events) < 16 && !unfinished { // its end is found before anything is handed on
		r.events = nil
	}
	return r
}

// framed splits a whole body.
func framed(body []byte, sse bool) (events []string, unfinished bool) {
	var s frame.Splitter
	for rest := body; len(rest) > 0; {
		n := copy(s.Room(), rest)
		s.Add(n)
		rest = rest[n:]
	}
	s.End()
	for {
		var data []byte
		var err error
		if sse {
			var e frame.Event
			e, err = s.Event()
			data = e.Data
		} else {
			data, err = s.Line()
		}
		if err != nil {
			return events, err != io.EOF
		}
		events = append(events, string(data))
	}
}

// However the bytes of a stream arrive and wherever they end: each event is asked about and
// yielded once, nothing is yielded after a failure, and a stream without its end is an
// error. An SDK gets every byte.
func FuzzStreamEnds(f *testing.F) {
	for _, body := range []string{
		"", "data: a\n\ndata: done\n\n", "data: bad\n\n", "data: ping\n\ndata: bad\n\ndata: a\n\n", "data: a\n\ndata: bad\n\n", "data: a\n\ndata: don",
		": ping\n\ndata: a\r\n\r\ndata: done\r\n\r\n", "a\ndone\n", "ping\nping\nbad\n", "a\nbad\n", "a", "done", "ping\n", "\xef\xbb\xbfdata: done\n\n",
		"data: ping\n\n", "ping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nping\nbad\n", "done\nmore\n", "data: ping\n\ndata: x",
	} {
		f.Add([]byte(body), true, byte(0))
		f.Add([]byte(body), false, byte(1))
	}
	f.Fuzz(func(t *testing.T, body []byte, sse bool, pieces byte) {
		var asked []string
		ended := 0
		classify := func(a *holdfast.Answer) holdfast.Verdict {
			if a.Ended {
				ended++
				if string(a.Event.Data) == "done" {
					return holdfast.Verdict{}
				}
				return holdfast.Verdict{Class: holdfast.ClassLost}
			}
			asked = append(asked, string(a.Event.Data))
			switch string(a.Event.Data) {
			case "bad":
				return holdfast.Verdict{Class: holdfast.ClassServer}
			case "ping":
				return holdfast.Verdict{More: true}
			}
			return holdfast.Verdict{}
		}
		media := map[bool]string{true: "text/event-stream", false: "application/x-ndjson"}[sse]
		client, err := holdfast.New(holdfast.Config{
			BaseURL: "http://a.test", Classify: classify, Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		}, holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) {
			var r io.Reader = bytes.NewReader(body)
			switch pieces % 4 {
			case 1:
				r = iotest.OneByteReader(r)
			case 2:
				r = iotest.HalfReader(r)
			case 3:
				r = iotest.DataErrReader(r)
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(r)}, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()

		events, unfinished := framed(body, sse)
		want := expected(events, unfinished)
		var got reading
		stream, err := client.Stream(context.Background(), "GET", "/x", nil)
		if err == nil {
			stream.EndsWith(func(e holdfast.ServerEvent) bool { return string(e.Data) == "done" })
			if sse {
				for e, broken := range stream.Events() {
					if err = broken; err == nil {
						got.events = append(got.events, string(e.Data))
					}
				}
			} else {
				for line, broken := range stream.Lines() {
					if err = broken; err == nil {
						got.events = append(got.events, string(line))
					}
				}
			}
		}
		if !slices.Equal(got.events, want.events) || !errors.Is(err, want.err) {
			t.Errorf("%q yields %q, %v; want %q, %v", body, got.events, err, want.events, want.err)
		}

		// An SDK.
		asked, ended = nil, 0
		resp, err := client.HTTPClient().Get("http://a.test/x")
		if err != nil {
			if len(want.events) > 0 {
				t.Errorf("%q: %v, want an answer", body, err)
			}
			return
		}
		all, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !bytes.Equal(all, body) {
			t.Errorf("an SDK gets %q of %q", all, body)
		}
		failed := slices.Index(events, "bad")
		shown := events
		if failed >= 0 {
			shown = events[:failed+1]
		}
		if !slices.Equal(asked, shown) {
			t.Errorf("%q: asked about %q, want %q", body, asked, shown)
		}
		if complete := len(events) > 0 && events[len(events)-1] == "done"; failed < 0 && !unfinished && (err == nil) != complete {
			t.Errorf("%q ends with %v", body, err)
		}
		if ended > 1 {
			t.Errorf("%q ends %d times", body, ended)
		}
	})
}
