package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// The demo's settings: those of the provider, scaled down from minutes to a
// quarter of one.
const (
	maxRetries  = 3
	baseDelay   = 20 * time.Millisecond
	maxDelay    = 200 * time.Millisecond
	threshold   = 15 // failures that open the breaker
	probes      = 3
	connections = 32              // and slots
	attemptTime = 2 * time.Second // also the whole of a bare call
)

// seen is what one side came to.
type seen struct {
	calls []call
	// What its server saw.
	record      []faultserver.Attempt
	dropped     int // of the record
	effects     faultserver.Effects
	connections int
	// What holdfast says; empty for the bare client.
	changes []change
	stats   holdfast.ClientStats
}

// look reads a server at the end.
func look(server *faultserver.Server, calls []call) seen {
	return seen{calls: calls, record: server.Record(), dropped: server.Dropped(),
		effects: server.Effects(), connections: server.Connections()}
}

// withHoldfast makes the calls through provider/mixedbread. Nothing that it
// started is left when it returns.
func withHoldfast(ctx context.Context, d demo, server *faultserver.Server, show *show) (seen, error) {
	w := &witness{tally: &show.tally, story: show.changes}
	cfg := mixedbread.Config("no secret")
	cfg.BaseURL = server.URL() + "/v1"
	cfg.Timeouts.Attempt = attemptTime
	cfg.Pool = holdfast.Pool{MaxConns: connections, MaxIdleConns: connections}
	cfg.Retry.MaxRetries, cfg.Retry.BaseDelay, cfg.Retry.MaxDelay = maxRetries, baseDelay, maxDelay
	cfg.Breaker.FailureThreshold, cfg.Breaker.OpenTimeout, cfg.Breaker.HalfOpenMaxCalls = threshold, d.script.openFor, probes
	opts := []holdfast.Option{holdfast.WithObserver(w)}
	if d.plant == plantFreshKey {
		transport := pooled()
		defer transport.CloseIdleConnections()
		opts = append(opts, holdfast.WithTransport(freshKey{transport}))
	}
	client, err := holdfast.New(cfg, opts...)
	if err != nil {
		return seen{}, err
	}
	defer client.Close()
	provider := mixedbread.New(client, "")

	w.begin = time.Now()
	server.Begin()
	show.begin(w.begin, client.Breaker())
	calls, err := drive(ctx, w.begin, d, &show.tally, func(ctx context.Context, name string, c *call) ending {
		ctx = w.follow(ctx, c)
		c.began = time.Since(w.begin) // again: the witness's cost is not holdfast's
		_, err := provider.Embed(ctx, []string{name + " of the demo"})
		switch {
		case err == nil:
			return answered
		case errors.Is(err, holdfast.ErrCircuitOpen):
			return refused
		}
		return failed
	})
	if err != nil {
		show.abandon()
		return seen{}, err
	}
	_, broken := silences(calls)
	show.end(format.Plural(broken, "request") + " sent inside the window")
	s := look(server, calls)
	s.changes, s.stats = w.inOrder(), client.Stats()
	return s, nil
}

// withNothing makes the same calls through an http.Client as one would write it
// who knows net/http and uses nothing else: its connections are pooled, a call
// has a time limit, the answer is read and checked.
func withNothing(ctx context.Context, d demo, server *faultserver.Server, show *show) (seen, error) {
	transport := pooled()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: attemptTime}

	begin := time.Now()
	server.Begin()
	show.begin(begin, nil)
	calls, err := drive(ctx, begin, d, &show.tally, func(ctx context.Context, name string, _ *call) ending {
		if err := embed(ctx, client, server.URL(), name+" of the demo"); err != nil {
			return failed
		}
		return answered
	})
	if err != nil {
		show.abandon()
		return seen{}, err
	}
	show.end("")
	return look(server, calls), nil
}

// pooled is a transport with as many connections as holdfast has.
func pooled() *http.Transport {
	return &http.Transport{MaxConnsPerHost: connections, MaxIdleConns: connections, MaxIdleConnsPerHost: connections}
}

// embed asks for one embedding.
func embed(ctx context.Context, client *http.Client, url, text string) error {
	body, err := json.Marshal(map[string]any{"model": mixedbread.DefaultModel, "input": []string{text}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/embeddings", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	var out struct {
		Data []struct{ Embedding []float32 }
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return err
	}
	if len(out.Data) != 1 || len(out.Data[0].Embedding) == 0 {
		return errors.New("no embedding")
	}
	return nil
}

// plantFreshKey is the mistake that the demo must notice.
const plantFreshKey = "fresh-key"

// freshKey gives every attempt a request id of its own, so that the service
// cannot know a repeat.
type freshKey struct{ next http.RoundTripper }

func (f freshKey) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-Request-ID", rand.Text())
	return f.next.RoundTrip(req)
}
