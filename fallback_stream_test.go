package holdfast_test

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

type parts = iter.Seq2[string, error]

// these yields texts, and an error after them unless it is nil.
func these(err error, texts ...string) func(context.Context) (parts, error) {
	return func(context.Context) (parts, error) {
		return func(yield func(string, error) bool) {
			for _, text := range texts {
				if !yield(text, nil) {
					return
				}
			}
			if err != nil {
				yield("rest", err)
			}
		}, nil
	}
}

// read returns what a stream yields, and its error.
func read(stream parts) (text string, last error) {
	for part, err := range stream {
		if err != nil {
			return text + "!" + part, err
		}
		text += part
	}
	return text, nil
}

// A stream goes on to the next service until its first part, and never after it.
func TestFallbackStream(t *testing.T) {
	none := func(err error) func(context.Context) (parts, error) {
		return func(context.Context) (parts, error) { return nil, err }
	}
	never := func(context.Context) (parts, error) {
		t.Error("called after a part was yielded, or an answer")
		return nil, nil
	}
	down, busy, wrong := holdfast.ErrConnection, holdfast.ErrRateLimited, holdfast.ErrNotFound
	for _, row := range []struct {
		what string
		all  []func(context.Context) (parts, error)
		text string
		errs []error
	}{
		{"the first answers", []func(context.Context) (parts, error){these(nil, "a", "b"), never}, "ab", nil},
		{"an answer without a part", []func(context.Context) (parts, error){these(nil), never}, "", nil},
		{"no answer", []func(context.Context) (parts, error){none(down), these(nil, "c")}, "c", nil},
		{"no first part", []func(context.Context) (parts, error){these(down), these(busy), these(nil, "c")}, "c", nil},
		{"a wrong request", []func(context.Context) (parts, error){none(wrong), never}, "!", []error{wrong}},
		{"a wrong request, told late", []func(context.Context) (parts, error){these(wrong), never}, "!rest", []error{wrong}},
		{"it breaks off", []func(context.Context) (parts, error){these(down, "a", "b"), never}, "ab!rest", []error{down}},
		{"the second breaks off", []func(context.Context) (parts, error){none(busy), these(down, "a"), never}, "a!rest", []error{busy, down}},
		{"all fail", []func(context.Context) (parts, error){none(busy), these(errDown)}, "!rest", []error{busy, errDown}},
	} {
		text, err := read(holdfast.FallbackStream(t.Context(), row.all[0], row.all[1:]...))
		if text != row.text || (err == nil) != (row.errs == nil) {
			t.Errorf("%s: %q, %v", row.what, text, err)
		}
		is(t, err, row.errs...)
	}

	ctx, cancel := context.WithCancel(t.Context())
	_, err := read(holdfast.FallbackStream(ctx, func(context.Context) (parts, error) { cancel(); return nil, down }, never))
	is(t, err, down, context.Canceled)
}

// A reader that leaves ends the function's loop, and gets nothing more.
func TestLeavingAFallbackStream(t *testing.T) {
	ended := false
	first := func(context.Context) (parts, error) {
		return func(yield func(string, error) bool) {
			defer func() { ended = true }()
			for yield("a", nil) {
			}
		}, nil
	}
	n := 0
	for range holdfast.FallbackStream(t.Context(), first) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 || !ended {
		t.Errorf("%d parts, ended: %v", n, ended)
	}
}

// The functions are streams of clients, with and without their errors in the chain.
func TestFallbackStreamOfClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lines := `{"n":1}` + "\n" + `{"n":2}` + "\n"
		backend := func(faultserver.Request) faultserver.Answer {
			return faultserver.Answer{Status: 200, ContentType: "application/x-ndjson", Body: []byte(lines)}
		}
		c, _ := serving(t, backend, plan(
			rule("/503", "", fault.Fault{Status: 503}), rule("/404", "", fault.Fault{Status: 404}),
			rule("/first", "", fault.Fault{Cut: &fault.Cut{After: 4}}),
			rule("/later", "", fault.Fault{Cut: &fault.Cut{After: 12}}),
			rule("/page", "", fault.Fault{Status: 200, Body: "<html>"}),
		), holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 100}, Timeouts: holdfast.Timeouts{Attempt: time.Second}})
		type item struct{ N int }
		ask := func(path string, hide bool) func(context.Context) (iter.Seq2[item, error], error) {
			return func(ctx context.Context) (iter.Seq2[item, error], error) {
				s, err := c.Stream(ctx, http.MethodGet, path, nil)
				if err != nil && hide {
					return nil, hidden(err)
				} else if err != nil {
					return nil, err
				}
				return func(yield func(item, error) bool) {
					for i, err := range holdfast.DecodeLines[item](s) {
						if err != nil && hide {
							err = hidden(err)
						}
						if !yield(i, err) {
							return
						}
					}
				}, nil
			}
		}
		for path, want := range map[string]string{
			"/fine": "12", "/503": "12", "/404": "!404", "/first": "12", "/later": "1!broke off", "/page": "12",
		} {
			for _, hide := range []bool{false, true} {
				if hide && path == "/page" {
					want = "!decoding" // no call has failed
				}
				got := ""
				for i, err := range holdfast.FallbackStream(t.Context(), ask(path, hide), ask("/fine", hide)) {
					if got += string(rune('0' + i.N)); err != nil {
						got = strings.TrimSuffix(got, "0") + "!" + err.Error()
					}
				}
				head, tail, _ := strings.Cut(want, "!")
				if !strings.HasPrefix(got, head) || !strings.Contains(got, tail) || strings.Contains(got, "!") != strings.Contains(want, "!") {
					t.Errorf("%s, hidden %v: %q, want %q", path, hide, got, want)
				}
			}
		}
	})
}
