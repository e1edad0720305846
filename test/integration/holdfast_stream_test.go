package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// Ollama's chat is a stream of 16 words and an end, one line each.
const ollamaLines = 17

var chat = map[string]any{"model": "m", "messages": []map[string]string{{"role": "user", "content": "work"}}}

// readStream reads a chat to its end.
func readStream(t *testing.T, c *holdfast.Client) (lines, bytes int, s *holdfast.Stream, err error) {
	t.Helper()
	s, err = c.Stream(t.Context(), http.MethodPost, "/api/chat", chat)
	if err != nil {
		t.Fatal(err)
	}
	for line, err := range s.Lines() {
		if err != nil {
			return lines, bytes, s, err
		}
		lines, bytes = lines+1, bytes+len(line)+1
	}
	return lines, bytes, s, nil
}

// A stream over HTTP/2, with faults before and after its first line.
func TestStreamsOverHTTP2(t *testing.T) {
	cfg := holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}}
	for name, f := range map[string]fault.Fault{
		"REFUSED_STREAM":                   {H2: fault.RSTRefused},
		"GOAWAY that excludes it":          {H2: fault.GoAwayExcluding},
		"INTERNAL_ERROR":                   {H2: fault.RSTInternal},
		"INTERNAL_ERROR after the headers": {H2: fault.RSTAfterHeaders},
		"no answer":                        {Hang: fault.BeforeAnswer},
		"no body":                          {Hang: fault.AfterHeaders},
		"503":                              {Status: 503},
		"a cut first line":                 {Cut: &fault.Cut{After: 10}},
		"a reset first line":               {Cut: &fault.Cut{After: 10, By: fault.RST}},
		"a first line that stalls":         {Stall: &fault.Stall{After: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, server := overH2(t, first(f), cfg, h2fault.Backend(faultserver.Ollama))
				lines, _, s, err := readStream(t, c)
				if err != nil || lines != ollamaLines || s.Attempts != 2 || s.Proto != "HTTP/2.0" {
					t.Errorf("%d lines after %d attempts by %s, %v", lines, s.Attempts, s.Proto, err)
				}
				if e := server.Effects(); e.Duplicates != 0 || len(server.Record()) != 2 {
					t.Errorf("%d requests, %+v", len(server.Record()), e)
				}
			})
		})
	}
	for name, tt := range map[string]struct {
		fault fault.Fault
		kind  error
		takes time.Duration
	}{
		"INTERNAL_ERROR": {fault.Fault{Cut: &fault.Cut{After: 500, By: fault.RST}}, holdfast.ErrConnection, 0},
		"a cut":          {fault.Fault{Cut: &fault.Cut{After: 500}}, io.ErrUnexpectedEOF, 0},
		"silence":        {fault.Fault{Stall: &fault.Stall{After: 500}}, holdfast.ErrTimeout, 5 * time.Second},
	} {
		t.Run(name+" later", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, server := overH2(t, first(tt.fault), cfg, h2fault.Backend(faultserver.Ollama))
				began := time.Now()
				lines, bytes, _, err := readStream(t, c)
				if took := time.Since(began); took != tt.takes {
					t.Errorf("took %s", took)
				}
				var broken *holdfast.StreamError
				if !errors.Is(err, tt.kind) || !errors.Is(err, holdfast.ErrConnection) || !errors.As(err, &broken) {
					t.Fatal(err)
				}
				if broken.Events != lines || lines == 0 || broken.Bytes != 500 || bytes+len(broken.Partial) != 500 {
					t.Errorf("%d lines of %d bytes, %+v", lines, bytes, broken)
				}
				if n := c.Breaker().Stats().FailureCount; n != 1 || len(server.Record()) != 1 || c.Stats().InFlight != 0 {
					t.Errorf("%d failures, %d requests, %d in flight", n, len(server.Record()), c.Stats().InFlight)
				}
				// The connection serves other calls.
				if lines, _, _, err := readStream(t, c); err != nil || lines != ollamaLines || server.Connections() != 1 {
					t.Errorf("%d lines, %v, over %d connections", lines, err, server.Connections())
				}
			})
		})
	}
}

// Leaving a stream early ends its HTTP/2 stream and keeps the connection: a
// hundred of them need one connection.
func TestLeavingStreamsOverHTTP2(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, server := overH2(t, fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{Stall: &fault.Stall{After: 500}}}}}, holdfast.Config{},
			h2fault.Backend(faultserver.Ollama))
		for i := range 100 {
			ctx, cancel := context.WithCancelCause(t.Context())
			s, err := c.Stream(ctx, http.MethodPost, "/api/chat", chat)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, err := range s.Lines() {
				if n++; i%2 == 0 {
					break
				}
				if err != nil && !errors.Is(err, holdfast.ErrCanceled) {
					t.Error(err)
				}
				cancel(fmt.Errorf("enough"))
			}
			cancel(nil)
		}
		if n := c.Breaker().Stats().FailureCount; n != 0 || server.Connections() != 1 || c.Stats().InFlight != 0 {
			t.Errorf("%d failures, %d connections, %d in flight", n, server.Connections(), c.Stats().InFlight)
		}
	})
}
