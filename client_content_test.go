package holdfast_test

import (
	"errors"
	"io"
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
		if !errors.As(err, &e) || len(e.Attempts) != 1 || e.Attempts[0].Status != 200 || !e.Attempts[0].Sent || !strings.Contains(err.Error(), says) {
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
