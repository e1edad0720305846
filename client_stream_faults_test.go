package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// startStream starts a stream and reads its first number. next reads the others.
func startStream(t *testing.T, ctx context.Context, c *holdfast.Client, path string) (s *holdfast.Stream, next func() (string, error)) {
	t.Helper()
	s, err := c.Stream(ctx, "POST", path, "work")
	if err != nil {
		t.Fatal(err)
	}
	pull, stop := iter.Pull2(s.Lines())
	if path == "/events" {
		events, stopEvents := iter.Pull2(s.Events())
		t.Cleanup(stopEvents)
		next = func() (string, error) {
			e, err, _ := events()
			return string(e.Data), err
		}
	} else {
		next = func() (string, error) {
			line, err, _ := pull()
			return string(line), err
		}
	}
	t.Cleanup(stop)
	if first, err := next(); first != `{"n":0}` || err != nil {
		t.Fatalf("first is %q, %v", first, err)
	}
	return s, next
}

// A stream may take longer than an attempt's limit, if no wait for a chunk is longer than
// Read. The time that the caller takes does not count.
func TestStreamOutlivesItsAttempt(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		c, _ := streamService(t, plan(rule(path, "", fault.Fault{Drip: &fault.Drip{Bytes: 2, Every: 9 * time.Second}})), holdfast.Config{
			Timeouts: holdfast.Timeouts{Attempt: 10 * time.Second, FirstEvent: 2 * time.Minute},
		})
		start := time.Now()
		_, next := startStream(t, t.Context(), c, path)
		time.Sleep(time.Hour) // the caller reads the first one
		for n := 1; n < 5; n++ {
			if got, err := next(); got != fmt.Sprintf(`{"n":%d}`, n) || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
		}
		_, err := next()
		equal(t, "error", err, nil)
		if took := time.Since(start); took < time.Hour {
			t.Errorf("took %v", took)
		}
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
	})
}

// The ends of a stream in its middle, by limits and by the caller.
func TestStreamEnds(t *testing.T) {
	gone := errors.New("the user has closed the window")
	for _, tt := range []struct {
		name     string
		cfg      holdfast.Timeouts
		end      func(c *holdfast.Client, s *holdfast.Stream, cancel context.CancelCauseFunc)
		kind     error
		phase    string
		failures int
		text     string
	}{
		{"read", holdfast.Timeouts{Read: time.Minute}, nil, holdfast.ErrTimeout, "read", 1, "timed out after 1 attempt in 1m0s: read timeout of 1m0s"},
		{"total", holdfast.Timeouts{Total: time.Minute}, nil, holdfast.ErrTimeout, "total", 0, "timed out after 1 attempt in 1m0s: total timeout of 1m0s"},
		{"the caller's deadline", holdfast.Timeouts{}, func(_ *holdfast.Client, _ *holdfast.Stream, cancel context.CancelCauseFunc) {
			cancel(nil)
		}, holdfast.ErrTimeout, "deadline", 0, "timed out after 1 attempt in 1m0s: deadline passed"},
		{"the caller", holdfast.Timeouts{}, func(_ *holdfast.Client, _ *holdfast.Stream, cancel context.CancelCauseFunc) { cancel(gone) },
			holdfast.ErrCanceled, "", 0, "canceled by the caller after 1 attempt in 1m0s: the user has closed the window"},
		{"Client.Close", holdfast.Timeouts{}, func(c *holdfast.Client, _ *holdfast.Stream, _ context.CancelCauseFunc) { c.Close() },
			holdfast.ErrClosed, "", 0, "client closed after 1 attempt in 1m0s: holdfast: client closed"},
		{"Stream.Close", holdfast.Timeouts{}, func(_ *holdfast.Client, s *holdfast.Stream, _ context.CancelCauseFunc) { s.Close() },
			holdfast.ErrCanceled, "", 0, "canceled by the caller after 1 attempt in 1m0s: the stream was closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			linesAndEvents(t, func(t *testing.T, path string, each int) {
				cfg := holdfast.Config{Timeouts: tt.cfg}
				cfg.Timeouts.Attempt = time.Hour
				c, _ := streamService(t, plan(rule(path, "", fault.Fault{Stall: &fault.Stall{After: each + 2}})), cfg)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.phase == "deadline" {
					var stop func()
					ctx, stop = context.WithTimeout(ctx, time.Minute)
					defer stop()
				}
				s, next := startStream(t, ctx, c, path)
				if tt.end != nil && tt.phase == "" {
					time.AfterFunc(time.Minute, func() { tt.end(c, s, cancel) })
				}
				_, err := next()
				if tt.phase != "" {
					phase(t, err, tt.phase, map[bool]time.Duration{true: time.Minute}[tt.phase != "deadline"], time.Minute)
				}
				is(t, err, tt.kind)
				if tt.name == "the caller" {
					is(t, err, gone, context.Canceled)
				}
				var broken *holdfast.StreamError
				if !errors.As(err, &broken) || broken.Events != 1 || broken.Bytes != int64(each+2) || len(broken.Partial) != 2 {
					t.Errorf("%+v", broken)
				}
				equal(t, "error", err.Error(), fmt.Sprintf("holdfast: POST %s: %s (after 1 event, %d bytes)", path, tt.text, each+2))
				equal(t, "failures", c.Breaker().Stats().FailureCount, tt.failures)
				equal(t, "broke off", c.Stats().BrokeOff, uint64(tt.failures))
				equal(t, "in flight", c.Stats().InFlight, 0)
			})
		})
	}
}

// A caller that leaves the loop causes no failure, and nothing is left open.
func TestLeavingAStream(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		stalls := rule(path, "", fault.Fault{Stall: &fault.Stall{After: 2 * each}})
		c, _ := streamService(t, plan(stalls), holdfast.Config{Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 1}})
		open := func() *holdfast.Stream {
			t.Helper()
			s, err := c.Stream(t.Context(), "POST", path, "work")
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		for _, leave := range map[string]func(*holdfast.Stream){
			"break": func(s *holdfast.Stream) {
				for range s.Lines() {
					break
				}
			},
			"panic": func(s *holdfast.Stream) {
				defer func() { _ = recover() }()
				for range s.Lines() {
					panic("the caller's own")
				}
			},
			"Goexit": func(s *holdfast.Stream) {
				var wg sync.WaitGroup
				wg.Go(func() {
					for range s.Lines() {
						runtime.Goexit()
					}
				})
				wg.Wait()
			},
			"return": func(s *holdfast.Stream) {
				func() {
					for range s.Lines() {
						return
					}
				}()
			},
			"Close":    func(s *holdfast.Stream) { s.Close(); s.Close() },
			"not read": func(s *holdfast.Stream) { defer s.Close() },
		} {
			s := open()
			equal(t, "in flight", c.Stats().InFlight, 1)
			leave(s)
			equal(t, "in flight", c.Stats().InFlight, 0)
			// A second loop does not yield the rest.
			n := 0
			for line, err := range s.Lines() {
				n++
				is(t, err, holdfast.ErrCanceled)
				equal(t, "line", string(line), "")
			}
			equal(t, "yielded", n, 1)
		}
		// Close within a loop that continues.
		s, n := open(), 0
		var last error
		for _, err := range s.Lines() {
			s.Close()
			n, last = n+1, err
		}
		equal(t, "yielded", n, 2)
		is(t, last, holdfast.ErrCanceled)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
	})
}

// Three streams that have started are three successes: the breaker closes, and a fourth may
// start.
func TestStreamsDoNotBlockARecovery(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		c, _ := streamService(t, plan(
			rule(path, "1", fault.Fault{Status: 500}),
			rule(path, "", fault.Fault{Stall: &fault.Stall{After: each, For: 30 * time.Second}}),
		), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Minute}})
		_, err := c.Stream(t.Context(), "POST", path, nil)
		is(t, err, holdfast.ErrServer)
		_, err = c.Stream(t.Context(), "POST", path, nil)
		is(t, err, holdfast.ErrCircuitOpen)
		time.Sleep(time.Minute)
		start := time.Now()
		for n := range 4 {
			want := holdfast.HalfOpen
			if n == 3 {
				want = holdfast.Closed
			}
			equal(t, "state", c.Breaker().State(), want)
			startStream(t, t.Context(), c, path)
		}
		took(t, start, 0)
		equal(t, "in flight", c.Stats().InFlight, 4)
	})
}

// A stream that breaks off while its breaker is half-open is a failure.
func TestStreamBreaksOffInHalfOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := streamService(t, plan(rule("", "1", fault.Fault{Status: 500}), rule("", "", fault.Fault{Cut: &fault.Cut{After: 10}})),
			holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1}})
		_, err := c.Stream(t.Context(), "POST", "/lines", nil)
		is(t, err, holdfast.ErrServer)
		time.Sleep(time.Minute)
		_, next := startStream(t, t.Context(), c, "/lines")
		equal(t, "state", c.Breaker().State(), holdfast.HalfOpen)
		_, err = next()
		is(t, err, io.ErrUnexpectedEOF)
		equal(t, "state", c.Breaker().State(), holdfast.Open)
	})
}

func TestShutdownWaitsForStreams(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		c, _ := streamService(t, plan(rule(path, "", fault.Fault{Stall: &fault.Stall{After: 2 * each, For: 30 * time.Second}})), holdfast.Config{})
		_, next := startStream(t, t.Context(), c, path)
		start, done := time.Now(), make(chan time.Duration, 1)
		go func() {
			if err := c.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			done <- time.Since(start)
		}()
		synctest.Wait()
		_, err := c.Stream(t.Context(), "POST", path, nil)
		is(t, err, holdfast.ErrClosed)
		for n := 1; n < 5; n++ {
			if _, err := next(); err != nil {
				t.Fatal(err)
			}
			if n == 2 { // the rest has arrived
				equal(t, "in flight", c.Stats().InFlight, 0)
			}
		}
		_, err = next()
		equal(t, "error", err, nil)
		equal(t, "shut down after", <-done, 30*time.Second)
	})
}

// A stream uses a permit, and no more goroutines than a body that the caller reads.
func TestStreamTakesNoGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := streamService(t, plan(rule("/lines", "", fault.Fault{Stall: &fault.Stall{After: 8}})), holdfast.Config{})
		before := inBubble()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "/lines", strings.NewReader("work"))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		live := inBubble() - before
		resp.Body.Close()
		time.Sleep(time.Minute)
		before = inBubble()
		s, err := c.Stream(t.Context(), "POST", "/lines", "work")
		if err != nil {
			t.Fatal(err)
		}
		if n := inBubble() - before; n != live || live < 2 { // a connection has two
			t.Errorf("a stream takes %d goroutines, a live body %d", n, live)
		}
		s.Close()
	})
}

// inBubble is the number of goroutines in the caller's bubble. runtime.NumGoroutine also
// counts others, such as those of earlier tests that are about to end.
func inBubble() int {
	synctest.Wait()
	b := make([]byte, 1<<16)
	n := runtime.Stack(b, true)
	for ; n == len(b); n = runtime.Stack(b, true) {
		b = make([]byte, 2*len(b))
	}
	// The first is the caller: "goroutine 7 [running, synctest bubble 3]:".
	_, bubble, _ := strings.Cut(string(b[:n]), ", ")
	bubble, _, _ = strings.Cut(bubble, "\n")
	return strings.Count(string(b[:n]), ", "+bubble+"\n")
}

func TestMaxEventBytes(t *testing.T) {
	linesAndEvents(t, func(t *testing.T, path string, each int) {
		long := rule(path, "", fault.Fault{Status: 200, Header: map[string]string{"Content-Type": "text/event-stream"},
			Body: "data:1\n\ndata:" + strings.Repeat("x", 1<<19) + "\n\n"})
		c, _ := streamService(t, plan(long), holdfast.Config{MaxEventBytes: 1 << 19})
		s, err := c.Stream(t.Context(), "POST", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for range s.Events() {
			n++
		}
		equal(t, "yielded", n, 2)
		for _, err = range s.Lines() {
		}
		is(t, err, holdfast.ErrBodyTooLarge)
		isNot(t, err, holdfast.ErrConnection)
		if want := "response body too large after 1 attempt in 0s: a line or event of more than 524288 bytes: raise Config.MaxEventBytes (after 1 event, "; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}

		// The first event may not be longer either, and there is no repeat.
		c2, server := streamService(t, plan(long), holdfast.Config{MaxEventBytes: 5})
		_, err = c2.Stream(t.Context(), "POST", path, nil)
		is(t, err, holdfast.ErrBodyTooLarge)
		equal(t, "requests", len(server.Record()), 1)
		for _, c := range []*holdfast.Client{c, c2} {
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
			equal(t, "in flight", c.Stats().InFlight, 0)
		}

		c, _ = streamService(t, plan(long), holdfast.Config{MaxEventBytes: holdfast.Off})
		s, err = c.Stream(t.Context(), "POST", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, err = range s.Lines() {
			equal(t, "error", err, nil)
		}
	})
}

// An empty answer is an answer.
func TestEmptyStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := streamService(t, plan(rule("/204", "", fault.Fault{Status: 204}), rule("/ping", "", fault.Fault{
			Status: 200, Body: ": ping\n\n: ping", Header: map[string]string{"Content-Type": "text/event-stream"},
		}), rule("/blank", "", fault.Fault{Status: 200, Body: "\n \r\n\n"})), holdfast.Config{})
		for _, path := range []string{"/none", "/204", "/ping", "/blank"} {
			s, err := c.Stream(t.Context(), "GET", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "in flight", c.Stats().InFlight, 0)
			for e, err := range s.Events() {
				t.Errorf("%s: %+v, %v", path, e, err)
			}
			s.Close()
		}
		equal(t, "succeeded", c.Stats().Succeeded, 4)
	})
}

// If only the end of the connection ends a body, a cut does not show: a last line without
// its end is a line. An event without its end is none, so the cut shows.
func TestCloseDelimitedStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := streamService(t, plan(rule("/lines", "", fault.Fault{H1: fault.CloseDelimitedCut})), holdfast.Config{})
		s, err := c.Stream(t.Context(), "POST", "/lines", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for line, err := range s.Lines() {
			got += string(line)
			equal(t, "error", err, nil)
		}
		if whole := strings.ReplaceAll(fiveLines, "\n", ""); got == "" || got == whole || !strings.HasPrefix(whole, got) {
			t.Errorf("%q", got)
		}
		c, _ = streamService(t, plan(rule("/events", "", fault.Fault{H1: fault.CloseDelimitedCut})), holdfast.Config{})
		s, err = c.Stream(t.Context(), "POST", "/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err = readNumbers(s, "/events")
		equal(t, "numbers", got, "01")
		is(t, err, holdfast.ErrConnection, io.ErrUnexpectedEOF)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
	})
}

// streamOf is a stream with this body and media type.
func streamOf(t *testing.T, body io.Reader, kind string) *holdfast.Stream {
	t.Helper()
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
		holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(body)}, nil
		})))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(t.Context(), "GET", "/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The sizes of the chunks do not matter, nor does an error that comes with the last one.
func TestStreamInPieces(t *testing.T) {
	for path, text := range map[string]string{"/lines": fiveLines, "/events": strings.ReplaceAll(fiveEvents, "\n", "\r\n")} {
		kind := map[string]string{"/lines": "", "/events": "text/event-stream"}[path]
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "one": iotest.OneByteReader, "half": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
		} {
			got, err := readNumbers(streamOf(t, cut(strings.NewReader(text)), kind), path)
			equal(t, name, got, "01234")
			equal(t, name, err, nil)
			torn := io.MultiReader(strings.NewReader(text+"d"), iotest.ErrReader(io.ErrClosedPipe))
			got, err = readNumbers(streamOf(t, cut(torn), kind), path)
			equal(t, name, got, "01234")
			is(t, err, io.ErrClosedPipe, holdfast.ErrConnection)
		}
		// The caller's loop decides the format, and not the media type.
		s := streamOf(t, strings.NewReader(text), "application/octet-stream")
		got, err := readNumbers(s, path)
		equal(t, "numbers", got, "01234")
		equal(t, "error", err, nil)
	}
	// A reader that returns no data and no error ends the stream.
	s := streamOf(t, io.MultiReader(strings.NewReader(fiveLines), idleReader{}), "")
	got, err := readNumbers(s, "/lines")
	equal(t, "numbers", got, "01234")
	is(t, err, io.ErrNoProgress)
}

// The client asks for both formats unless the caller sets Accept.
func TestStreamAccepts(t *testing.T) {
	for want, cfg := range map[string]struct {
		header http.Header
		opts   []holdfast.CallOption
	}{
		"text/event-stream, application/x-ndjson, */*;q=0.1": {},
		"application/jsonl":    {http.Header{"Accept": {"application/jsonl"}}, nil},
		"application/json-seq": {http.Header{"Accept": {"application/jsonl"}}, []holdfast.CallOption{holdfast.WithHeader("Accept", "application/json-seq")}},
	} {
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test", Header: cfg.header},
			holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				equal(t, "Accept", r.Header.Get("Accept"), want)
				equal(t, "Content-Type", r.Header.Get("Content-Type"), "application/json")
				return &http.Response{StatusCode: 200}, nil
			})))
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Stream(t.Context(), "POST", "/x", "work", cfg.opts...)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

const (
	fiveLines  = "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"
	fiveEvents = "data: {\"n\":0}\n\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: {\"n\":3}\n\ndata: {\"n\":4}\n\n"
)

// After a line that cannot be decoded, the caller may continue.
func TestDecodeLines(t *testing.T) {
	type number struct{ N int }
	s := streamOf(t, strings.NewReader("{\"n\":1}\n{\"n\":\"two\"}\n{\"n\":3}\n"), "")
	var got []string
	for v, err := range holdfast.DecodeLines[number](s) {
		if err != nil {
			is(t, err, holdfast.ErrDecode)
			isNot(t, err, holdfast.ErrConnection)
			if want := "decoding holdfast_test.number from line or event 2, of 11 bytes"; !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not contain %q", err, want)
			}
			got = append(got, "bad")
			continue
		}
		got = append(got, fmt.Sprint(v.N))
	}
	equal(t, "numbers", fmt.Sprint(got), "[1 bad 3]")
}

// The event that ends the stream ends the loop. An answer without it broke off.
func TestDecodeEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		streams := func(body string) fault.Fault {
			return fault.Fault{Status: 200, Body: body, Header: map[string]string{"Content-Type": "text/event-stream"}}
		}
		c, server := streamService(t, plan(
			rule("/whole", "", streams(fiveEvents+done)), rule("/more", "", streams(fiveEvents+done+"data: more\n\n")), rule("/cut", "", streams(fiveEvents)),
		), holdfast.Config{})
		listen := func(path string) (got string, err error) {
			s, err := c.Stream(t.Context(), "POST", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second loop yields nothing
				for v, err := range holdfast.DecodeEvents[struct{ N int }](s, "[DONE]") {
					if err != nil {
						return got, err
					}
					got += fmt.Sprint(v.N)
				}
			}
			return got, nil
		}
		for _, path := range []string{"/whole", "/more", "/done", "/whole"} {
			got, err := listen(path)
			equal(t, path, got, "01234")
			equal(t, path, err, nil)
		}
		equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		equal(t, "connections", server.Connections(), 1)
		got, err := listen("/cut")
		equal(t, "numbers", got, "01234")
		is(t, err, holdfast.ErrConnection, io.ErrUnexpectedEOF)
		if want := `the answer ended without "[DONE]": unexpected EOF (after 5 events, 75 bytes)`; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
		equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
		equal(t, "in flight", c.Stats().InFlight, 0)
	})
}
