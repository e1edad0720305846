package integration

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// overH2 returns a server in memory and a client that speaks HTTP/2 without
// encryption over holdfast's own transport.
func overH2(t *testing.T, plan fault.Plan, cfg holdfast.Config, opts ...h2fault.Option) (*holdfast.Client, *h2fault.Server) {
	t.Helper()
	s := h2fault.Start(t, plan, append(opts, h2fault.InMemory())...)
	cfg.BaseURL, cfg.UnencryptedHTTP2 = s.URL(), true
	cfg.Retry.Jitter = holdfast.NoJitter
	c, err := holdfast.New(cfg, holdfast.WithDialContext(s.Dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

// The result of a POST over HTTP/2, and the service's record.
func TestPostsOverHTTP2(t *testing.T) {
	tests := []struct {
		name  string
		fault fault.Fault // of the first request
		// the client's count, and its connections
		attempts    uint64
		connections int
		took        time.Duration
		effects     faultserver.Effects
	}{
		{"REFUSED_STREAM", fault.Fault{H2: fault.RSTRefused}, 2, 1, 0, faultserver.Effects{Done: 1}},
		{"GOAWAY that excludes it", fault.Fault{H2: fault.GoAwayExcluding}, 2, 2, 0, faultserver.Effects{Done: 1}},
		{"GOAWAY after it", fault.Fault{H2: fault.GoAwayGraceful}, 1, 1, 0, faultserver.Effects{Done: 1}},
		{"GOAWAY, ENHANCE_YOUR_CALM", fault.Fault{H2: fault.GoAwayCalm}, 2, 2, time.Second, faultserver.Effects{Done: 1}},
		{"INTERNAL_ERROR", fault.Fault{H2: fault.RSTInternal}, 2, 1, time.Second, faultserver.Effects{Done: 1}},
		// The work is done twice unless the key identifies the second request.
		{"INTERNAL_ERROR after the headers", fault.Fault{H2: fault.RSTAfterHeaders}, 2, 1, time.Second, faultserver.Effects{Done: 1, Resent: 1}},
		{"INTERNAL_ERROR within the body", fault.Fault{Cut: &fault.Cut{After: 10, By: fault.RST}}, 2, 1, time.Second, faultserver.Effects{Done: 1, Resent: 1}},
		{"a body that ends too early", fault.Fault{Cut: &fault.Cut{After: 10}}, 2, 1, time.Second, faultserver.Effects{Done: 1, Resent: 1}},
		{"a body that stalls", fault.Fault{Stall: &fault.Stall{After: 10}}, 2, 1, 11 * time.Second, faultserver.Effects{Done: 1, Resent: 1}},
		{"no answer", fault.Fault{Hang: fault.BeforeAnswer}, 2, 1, 11 * time.Second, faultserver.Effects{Done: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := overH2(t, first(tt.fault), holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 10 * time.Second}})
				began := time.Now()
				resp, err := c.Post(t.Context(), "/work", map[string]string{"some": "work"})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if resp.Proto != "HTTP/2.0" || resp.Status != 200 {
					t.Errorf("%s %d", resp.Proto, resp.Status)
				}
				if got := c.Stats().Attempts; got != tt.attempts || uint64(len(s.Record())) != tt.attempts {
					t.Errorf("%d attempts of which the server saw %d, want %d", got, len(s.Record()), tt.attempts)
				}
				if got := s.Connections(); got != tt.connections {
					t.Errorf("%d connections, want %d", got, tt.connections)
				}
				if got := s.Effects(); got != tt.effects {
					t.Errorf("%+v, want %+v", got, tt.effects)
				}
			})
		})
	}
}

// A request that the service has not processed is repeated as a normal attempt:
// counted, at once, and after a wait if that fails, too. net/http itself would repeat
// one without a body at once, uncounted, and about six hundred times a second if the
// server always refuses.
func TestGetsThatWereRefused(t *testing.T) {
	for name, f := range map[string]fault.Fault{"REFUSED_STREAM": {H2: fault.RSTRefused}, "GOAWAY that excludes it": {H2: fault.GoAwayExcluding}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := overH2(t, first(f), holdfast.Config{Retry: holdfast.Retry{Repeat: holdfast.RepeatNever}}) // the request was not executed, so it is repeated even so
				began := time.Now()
				resp, err := c.Get(t.Context(), "/work")
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != 0 || resp.Attempts != 2 || len(s.Record()) != 2 || s.Effects() != (faultserver.Effects{Done: 1}) {
					t.Errorf("took %s, %d attempts, %d requests, %+v", took, resp.Attempts, len(s.Record()), s.Effects())
				}
			})
			bubble(t, func(t *testing.T) {
				c, s := overH2(t, fault.Plan{Rules: []fault.Rule{{Fault: f}}}, holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
				if _, err := c.Get(t.Context(), "/work"); !errors.Is(err, holdfast.ErrConnection) || errors.Is(err, holdfast.ErrTimeout) {
					t.Error(err)
				}
				if len(s.Record()) != 2 || s.Connections() > 2 { // also without retries, once
					t.Errorf("%d requests over %d connections", len(s.Record()), s.Connections())
				}
			})
		})
	}
}

// A permanent fault does not cause endless attempts.
func TestHTTP2FaultsThatStay(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"REFUSED_STREAM":                   {H2: fault.RSTRefused},
		"GOAWAY that excludes it":          {H2: fault.GoAwayExcluding},
		"GOAWAY, ENHANCE_YOUR_CALM":        {H2: fault.GoAwayCalm},
		"INTERNAL_ERROR":                   {H2: fault.RSTInternal},
		"INTERNAL_ERROR after the headers": {H2: fault.RSTAfterHeaders},
		"INTERNAL_ERROR within the body":   {Cut: &fault.Cut{After: 10, By: fault.RST}},
		"a body that ends too early":       {Cut: &fault.Cut{After: 10}},
		"a body that never comes":          {Hang: fault.AfterHeaders},
		"an upload that stalls":            {Upload: fault.UploadStall},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := overH2(t, fault.Plan{Rules: []fault.Rule{{Fault: f}}}, holdfast.Config{Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}})
				began := time.Now()
				_, err := c.Post(t.Context(), "/work", make([]byte, 1<<20))
				if !errors.Is(err, holdfast.ErrConnection) {
					t.Errorf("%v", err)
				}
				// Four attempts, with waits of 1, 2 and 4 seconds.
				if took := time.Since(began); took > 4*5*time.Second+7*time.Second {
					t.Errorf("took %s", took)
				}
				if got := s.Effects(); got.Duplicates != 0 || len(s.Record()) != 4 {
					t.Errorf("%d attempts, %+v", len(s.Record()), got)
				}
			})
		})
	}
}

// A dead connection: its requests end at their limit, and holdfast's PING
// detects it within 30 seconds, so that the next request gets a live
// connection.
func TestADarkConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overH2(t, fault.Plan{
			Connections: []fault.ConnRule{{Nth: "1", Fault: fault.ConnFault{H2: fault.PingSilence}}},
			Rules:       []fault.Rule{{Nth: "1", Fault: fault.Fault{Hang: fault.BeforeAnswer}}},
		}, holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		began := time.Now()
		_, err := c.Post(t.Context(), "/work", "some work")
		if !errors.Is(err, holdfast.ErrConnection) {
			t.Error(err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
		if _, err := c.Post(t.Context(), "/work", "some work"); err != nil {
			t.Error(err)
		}
		if s.Connections() != 2 {
			t.Errorf("%d connections", s.Connections())
		}
	})
}

// One upload that the server has stopped reading neither blocks other streams
// of its connection nor exceeds its limit.
func TestAStalledUpload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overH2(t, first(fault.Fault{Upload: fault.UploadStall}), holdfast.Config{
			Timeouts: holdfast.Timeouts{Attempt: 5 * time.Second}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
		})
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Post(t.Context(), "/work", bytes.Repeat([]byte("x"), 4<<20))
			if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != 5*time.Second {
				t.Errorf("%v after %s", err, took)
			}
		})
		synctest.Wait()
		if _, err := c.Post(t.Context(), "/work", bytes.Repeat([]byte("x"), 4<<20)); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the other took %s", took)
		}
		wg.Wait()
		if s.Connections() != 1 {
			t.Errorf("%d connections", s.Connections())
		}
	})
}

// A caller that leaves ends its stream but not the connection.
func TestACallerThatLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overH2(t, first(fault.Fault{Hang: fault.BeforeAnswer}), holdfast.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Post(ctx, "/work", "some work"); !errors.Is(err, holdfast.ErrCanceled) {
			t.Error(err)
		}
		if _, err := c.Post(t.Context(), "/work", "some work"); err != nil || s.Connections() != 1 {
			t.Errorf("%v, %d connections", err, s.Connections())
		}
	})
}

// Many concurrent calls to a server with one stream at a time: refused streams
// are attempts like others, and no work is done twice.
func TestOneStreamAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := overH2(t, fault.Plan{
			Connections: []fault.ConnRule{{Fault: fault.ConnFault{H2: fault.MaxConcurrent1}}},
			Pace:        []fault.Pace{{Latency: fault.Latency{Fixed: 100 * time.Millisecond}}},
		}, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 50}})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, err := c.Post(t.Context(), "/work", i); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := s.Effects(); got != (faultserver.Effects{Done: 20}) {
			t.Errorf("%+v", got)
		}
	})
}

// Over real sockets and TLS, with ALPN: holdfast's transport speaks HTTP/2.
func TestHTTP2OverTLS(t *testing.T) {
	s := h2fault.Start(t, first(fault.Fault{H2: fault.GoAwayExcluding}), h2fault.TLS())
	c, err := holdfast.New(holdfast.Config{BaseURL: s.URL(), Retry: holdfast.Retry{BaseDelay: holdfast.Off}}, holdfast.WithTLSConfig(s.ClientTLS()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	resp, err := c.Post(t.Context(), "/work", "some work")
	if err != nil || resp.Proto != "HTTP/2.0" {
		t.Fatalf("%v, %v", err, resp)
	}
	if s.Connections() != 2 || c.Stats().Attempts != 2 || s.Effects() != (faultserver.Effects{Done: 1}) {
		t.Errorf("%d connections, %d attempts, %+v", s.Connections(), c.Stats().Attempts, s.Effects())
	}
}
