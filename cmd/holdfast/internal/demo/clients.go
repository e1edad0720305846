package demo

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

// The settings of the client: those of the provider, scaled down to 15 seconds.
const (
	maxRetries  = 3
	baseDelay   = 20 * time.Millisecond
	maxDelay    = 200 * time.Millisecond
	threshold   = 15 // failures that open the breaker
	probes      = 3
	connections = 32              // and the limit of concurrent calls
	attemptTime = 2 * time.Second // of one attempt
)

// measurement is the result of one client.
type measurement struct {
	calls []call
	// From the server.
	record      []faultserver.Attempt
	dropped     int // of the record
	effects     faultserver.Effects
	connections int
	// From holdfast; empty for the other clients.
	changes []stateChange
	stats   holdfast.ClientStats
}

// measure reads the results of a server.
func measure(server *faultserver.Server, calls []call) measurement {
	return measurement{calls: calls, record: server.Record(), dropped: server.Dropped(),
		effects: server.Effects(), connections: server.Connections()}
}

// runHoldfast makes the calls through provider/mixedbread. Everything that it started
// has ended when it returns.
func runHoldfast(ctx context.Context, d comparison, server *faultserver.Server, events *timeline) (measurement, error) {
	obs := &observer{tally: &events.tally, timeline: events.changes}
	cfg := mixedbread.Config("no secret")
	cfg.BaseURL = server.URL() + "/v1"
	cfg.Timeouts.Attempt = attemptTime
	cfg.Pool = holdfast.Pool{MaxConns: connections, MaxIdleConns: connections}
	cfg.Retry.MaxRetries, cfg.Retry.BaseDelay, cfg.Retry.MaxDelay = maxRetries, baseDelay, maxDelay
	cfg.Breaker.FailureThreshold, cfg.Breaker.OpenTimeout, cfg.Breaker.HalfOpenMaxCalls = threshold, d.script.openFor, probes
	opts := []holdfast.Option{holdfast.WithObserver(obs)}
	if d.plant == plantFreshKey {
		transport := pooled()
		defer transport.CloseIdleConnections()
		opts = append(opts, holdfast.WithTransport(freshKey{transport}))
	}
	client, err := d.page.open(cfg, opts...)
	if err != nil {
		return measurement{}, err
	}
	defer client.Close()
	provider := mixedbread.New(client, "")

	obs.begin = time.Now()
	server.Begin()
	events.begin(obs.begin, client.Breaker())
	calls, err := generateLoad(ctx, obs.begin, d, &events.tally, func(ctx context.Context, name string, c *call) result {
		ctx = obs.withCall(ctx, c)
		c.began = time.Since(obs.begin) // again, without the time of withCall
		_, err := provider.Embed(ctx, []string{name + " of the demo"})
		switch {
		case err == nil:
			return answered
		case errors.Is(err, holdfast.ErrCircuitOpen):
			return rejected
		}
		return failed
	})
	if err != nil {
		events.abandon()
		return measurement{}, err
	}
	_, violations := countCooldowns(calls)
	events.end(format.Plural(violations, "request") + " sent inside the window")
	m := measure(server, calls)
	m.changes, m.stats = obs.sorted(), client.Stats()
	return m, nil
}

// runPlain makes the same calls through an http.Client that is used well: it pools
// connections, an attempt has a time limit, and the answer is read and checked. With
// retries it calls in a plain loop, as many programs do: after a lost connection, a 5xx or
// a 429 it waits for baseDelay, and each time twice as long. It has no jitter, sends no key
// and does not read Retry-After.
func runPlain(ctx context.Context, d comparison, server *faultserver.Server, events *timeline, retries int) (measurement, error) {
	transport := pooled()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: attemptTime}

	begin := time.Now()
	server.Begin()
	events.begin(begin, nil)
	calls, err := generateLoad(ctx, begin, d, &events.tally, func(ctx context.Context, name string, c *call) result {
		for n := 0; ; n++ {
			err := embed(ctx, client, server.URL(), name+" of the demo")
			switch {
			case err == nil:
				return answered
			case n == retries || !mayPass(err) || !sleep(ctx, baseDelay<<n):
				return failed
			}
			events.tally.phases[c.phase].retries.Add(1)
		}
	})
	if err != nil {
		events.abandon()
		return measurement{}, err
	}
	events.end("")
	return measure(server, calls), nil
}

// mayPass reports whether an error of embed may pass.
func mayPass(err error) bool {
	var s status
	return !errors.As(err, &s) || s >= 500 || s == http.StatusTooManyRequests
}

// sleep waits, and reports whether ctx did not end meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// status is an answer's status as an error.
type status int

func (s status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// pooled is a transport with as many connections as holdfast uses.
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
		return status(resp.StatusCode)
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

// plantFreshKey is the deliberate mistake that the counts must reveal.
const plantFreshKey = "fresh-key"

// freshKey gives every attempt a request ID of its own, so that the service cannot
// recognise a repeat.
type freshKey struct{ next http.RoundTripper }

func (f freshKey) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-Request-ID", rand.Text())
	return f.next.RoundTrip(req)
}
