package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
)

// An answer without content decodes to the zero value, if its status or the type says that
// there is none. Any other that cannot be decoded tells what it was.
func TestNoContent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/205":
			w.WriteHeader(http.StatusResetContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/page":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>back at noon</html>")
		case "/number":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "17")
		case "/large":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	type item struct{ ID string }
	for _, path := range []string{"/204", "/205", "/304"} {
		got, err := holdfast.Post[item](t.Context(), c, path, 1)
		if err != nil || got != (item{}) {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
		if _, err := holdfast.Get[*item](t.Context(), c, path); err != nil {
			t.Errorf("%s, a pointer: %v", path, err)
		}
	}
	if _, err := holdfast.Post[struct{}](t.Context(), c, "/empty", 1); err != nil {
		t.Errorf("nothing is wanted: %v", err)
	}
	for path, says := range map[string]string{
		"/empty":  "decoding holdfast_test.item from 0 bytes: unexpected end of JSON input",
		"/page":   "decoding holdfast_test.item from 25 bytes of text/html: invalid character",
		"/number": "decoding holdfast_test.item from 2 bytes: json: cannot unmarshal number into Go value of type holdfast_test.item",
		"/large":  "decoding holdfast_test.item from 1048576 bytes: invalid character",
	} {
		_, err := holdfast.Post[item](t.Context(), c, path, 1)
		is(t, err, holdfast.ErrDecode)
		isNot(t, err, holdfast.ErrStatus, holdfast.ErrConnection)
		var e *holdfast.Error
		var answer *holdfast.StatusError
		if !errors.As(err, &e) || len(e.Attempts) != 1 || e.Attempts[0].Status != 200 || !e.Attempts[0].Sent || e.Attempts[0].Class != holdfast.ClassContent || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
		if text := e.Explain(); strings.Contains(text, "nothing was sent") || !strings.Contains(text, "200, but decoding holdfast_test.item") {
			t.Errorf("%s is explained as\n%s", path, text)
		}
		if !errors.As(err, &answer) || answer.Status != 200 || len(answer.Body) > 64<<10 || path == "/page" && string(answer.Body) != "<html>back at noon</html>" {
			t.Errorf("%s: the answer is %+v", path, answer)
		}
		if strings.Contains(err.Error(), "noon") {
			t.Errorf("the text shows the body: %v", err)
		}
	}
	equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
}

// A stream that does not have what is wanted tells what it has, in the same way. A bad line
// does not end it. What the answer announces decides whether it is an empty event stream or
// none.
func TestContentOfStreams(t *testing.T) {
	answers := map[string][2]string{
		"/lines":    {"application/x-ndjson", "{\"ID\":\"a\"}\nnull and void\n{\"ID\":\"b\"}\n"},
		"/page":     {"text/html; charset=utf-8", "<html>back\nat noon</html>\n\n"},
		"/cut":      {"application/json", `{"error":"no such model"}`},
		"/nothing":  {"text/html", ""},
		"/pings":    {"text/event-stream", ": ping\n\n"},
		"/mistyped": {"text/plain", "data: {\"ID\":\"a\"}\n\n"},
		"/large":    {"text/plain", strings.Repeat("x\n", 64<<10)},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/204" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", answers[r.URL.Path][0])
		_, _ = io.WriteString(w, answers[r.URL.Path][1])
	}))
	defer s.Close()
	c := over(t, s.URL, holdfast.Config{})
	type item struct{ ID string }
	open := func(path string) *holdfast.Stream {
		stream, err := c.Stream(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	for _, door := range []struct {
		name, path string
		items      iter.Seq2[item, error]
		want       string // the items, and a cross for an error
		says       string // the last error
		body       string // the beginning of the answer in it
	}{
		{"lines", "/lines", holdfast.DecodeLines[item](open("/lines")), "a x b", "decoding holdfast_test.item from line or event 2, of 13 bytes: invalid character", "null and void"},
		{"lines", "/page", holdfast.DecodeLines[item](open("/page")), "x x", "decoding holdfast_test.item from line or event 2, of 14 bytes of text/html: invalid character", "at noon</html>"},
		{"lines", "/204", holdfast.DecodeLines[item](open("/204")), "", "", ""},
		{"events", "/204", holdfast.DecodeEvents[item](open("/204"), ""), "", "", ""},
		{"events", "/nothing", holdfast.DecodeEvents[item](open("/nothing"), ""), "", "", ""},
		{"events", "/pings", holdfast.DecodeEvents[item](open("/pings"), ""), "", "", ""},
		{"events", "/mistyped", holdfast.DecodeEvents[item](open("/mistyped"), ""), "a", "", ""},
		{"events", "/page", holdfast.DecodeEvents[item](open("/page"), ""), "x", "no event in 27 bytes of text/html", answers["/page"][1]},
		{"events with an end", "/page", holdfast.DecodeEvents[item](open("/page"), "[DONE]"), "x", "no event in 27 bytes of text/html", answers["/page"][1]},
		{"events", "/cut", holdfast.DecodeEvents[item](open("/cut"), ""), "x", "no event in 25 bytes of application/json", answers["/cut"][1]},
		{"events", "/large", holdfast.DecodeEvents[item](open("/large"), ""), "x", "no event in 131072 bytes of text/plain", ""},
	} {
		var got []string
		var last error
		for v, err := range door.items {
			if err != nil {
				v.ID, last = "x", err
			}
			got = append(got, v.ID)
		}
		what := door.name + " of " + door.path
		equal(t, what, strings.Join(got, " "), door.want)
		if door.says == "" {
			continue
		}
		is(t, last, holdfast.ErrDecode)
		isNot(t, last, holdfast.ErrStatus, holdfast.ErrConnection)
		var e *holdfast.Error
		var answer *holdfast.StatusError
		if !errors.As(last, &e) || !errors.As(last, &answer) || !strings.Contains(last.Error(), door.says) {
			t.Errorf("%s: %v, want %q", what, last, door.says)
			continue
		}
		if len(e.Attempts) != 1 || e.Attempts[0].Class != holdfast.ClassContent || e.Attempts[0].Status != 200 || strings.Contains(e.Explain(), "nothing was sent") {
			t.Errorf("%s is explained as\n%s", what, e.Explain())
		}
		if len(answer.Body) > 64<<10 || door.path == "/large" && len(answer.Body) < 60<<10 || door.body != "" && string(answer.Body) != door.body {
			t.Errorf("%s: the answer has %d bytes of a body, %.100q", what, len(answer.Body), answer.Body)
		}
	}
	equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
	equal(t, "answers that broke off", c.Stats().BrokeOff, uint64(0))
}

// A program rejects an answer with the error that Decode would have.
func ExampleResponse_Unusable() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"vectors":[]}`)
	}))
	defer service.Close()
	client, err := holdfast.New(holdfast.Config{BaseURL: service.URL})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	embed := func(ctx context.Context, text string) ([]float32, error) {
		answer, err := client.Post(ctx, "/embed", text)
		if err != nil {
			return nil, err
		}
		var out struct{ Vectors [][]float32 }
		if err := answer.Decode(&out); err != nil {
			return nil, err
		}
		if len(out.Vectors) != 1 {
			return nil, answer.Unusable(fmt.Errorf("%d vectors for one text", len(out.Vectors)))
		}
		return out.Vectors[0], nil
	}
	_, err = embed(context.Background(), "rye")
	var e *holdfast.Error
	if errors.As(err, &e) {
		fmt.Println(errors.Is(err, holdfast.ErrDecode), e.Attempts[0].Class, e.Err)
	}
	// Output: true content 0 vectors for one text
}

// Trailers are a part of the answer.
func TestTrailer(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		s, opts := tlsServer(t, http2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Stream-Error")
			_, _ = io.WriteString(w, "[1,2\n")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Stream-Error", "the disk failed")
		})
		c := over(t, s.URL, holdfast.Config{}, opts...)
		resp, err := c.Get(t.Context(), "/")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "trailer", resp.Trailer.Get("X-Stream-Error"), "the disk failed")
		stream, err := c.Stream(t.Context(), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range stream.Lines() {
		}
		equal(t, "trailer of a stream", stream.Trailer().Get("X-Stream-Error"), "the disk failed")
	}
}
