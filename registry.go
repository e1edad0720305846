package holdfast

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Registry keeps one client for each provider, so that all who call a service
// share its connections and its breaker. The zero Registry is empty and ready;
// it is safe for any number of goroutines.
//
// Names are independent of each other: one provider's breaker says nothing about
// another's service.
type Registry struct {
	clients sync.Map   // name to *registered
	opening sync.Mutex // one at a time: two who ask first get the same client
}

type registered struct {
	client   *Client
	settings settings
}

// DefaultRegistry is for programs that want one for all.
var DefaultRegistry = new(Registry)

// ErrConfigConflict means that a name is open already, with other settings.
var ErrConfigConflict error = &sentinel{text: "already open with other settings"}

// Open gives the client of that name, and makes it if there is none, once,
// however many goroutines ask. An empty Config.Name becomes the name.
//
// To ask again with the same settings gives the same client; with others the
// error is ErrConfigConflict and names what differs. Compared is what can be
// compared: not the values of headers, so that a rotated key is no conflict, and
// not functions and options. The options count for the first who asks.
//
// Close on the client takes it out of the registry.
func (r *Registry) Open(name string, cfg Config, opts ...Option) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = name
	}
	s, err := cfg.resolve()
	if err != nil {
		return nil, fmt.Errorf("holdfast: opening %q: %w", name, err)
	}
	if known, ok := r.lookup(name); ok {
		return known.sameAs(name, s)
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	if known, ok := r.lookup(name); ok {
		return known.sameAs(name, s)
	}
	c, err := New(cfg, opts...)
	if err != nil {
		return nil, fmt.Errorf("holdfast: opening %q: %w", name, err)
	}
	entry := &registered{client: c, settings: s}
	c.running.whenClosed(func() { r.clients.CompareAndDelete(name, entry) })
	r.clients.Store(name, entry)
	return c, nil
}

// Get gives the client of that name, if there is one.
func (r *Registry) Get(name string) (*Client, bool) {
	known, ok := r.lookup(name)
	if !ok {
		return nil, false
	}
	return known.client, true
}

func (r *Registry) lookup(name string) (*registered, bool) {
	v, ok := r.clients.Load(name)
	if !ok {
		return nil, false
	}
	return v.(*registered), true
}

// Names gives the names of all clients, in order.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.all())) }

// Stats gives the statistics of all clients, by name. It can be written as JSON.
func (r *Registry) Stats() map[string]ClientStats {
	stats := map[string]ClientStats{}
	for name, c := range r.all() {
		stats[name] = c.Stats()
	}
	return stats
}

func (r *Registry) all() map[string]*Client {
	all := map[string]*Client{}
	r.clients.Range(func(name, entry any) bool {
		all[name.(string)] = entry.(*registered).client
		return true
	})
	return all
}

// Shutdown shuts down all clients at once, each as Client.Shutdown does, and
// empties the registry. The error is that of every client whose calls were still
// running when ctx ended.
func (r *Registry) Shutdown(ctx context.Context) error {
	all := r.all()
	errs := make(chan error, len(all))
	for _, c := range all {
		go func() { errs <- c.Shutdown(ctx) }()
	}
	var failed []error
	for range all {
		if err := <-errs; err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Reset closes all clients and empties the registry, now and when the test ends,
// so that one test's breakers are not another's.
func (r *Registry) Reset(tb interface {
	Helper()
	Cleanup(func())
}) {
	tb.Helper()
	closeAll := func() {
		for _, c := range r.all() {
			_ = c.Close()
		}
	}
	closeAll()
	tb.Cleanup(closeAll)
}

// sameAs gives the client if it was opened with the same settings.
func (e *registered) sameAs(name string, s settings) (*Client, error) {
	if differ := e.settings.differences(s); len(differ) > 0 {
		return nil, fmt.Errorf("holdfast: opening %q: %w: %w", name, ErrConfigConflict, errors.Join(differ...))
	}
	return e.client, nil
}

// differences names each setting in which t differs from s, with both values.
// Values of headers are not among them: they may be credentials.
func (s settings) differences(t settings) (differ []error) {
	for _, f := range []struct {
		field     string
		was, asks any
	}{
		{"Name", s.name, t.name},
		{"BaseURL", s.base.String(), t.base.String()},
		{"Header", fmt.Sprint(headerNames(s)), fmt.Sprint(headerNames(t))},
		{"Timeouts.Connect", s.timeouts.Connect, t.timeouts.Connect},
		{"Timeouts.Write", s.timeouts.Write, t.timeouts.Write},
		{"Timeouts.Read", s.timeouts.Read, t.timeouts.Read},
		{"Timeouts.Acquire", s.timeouts.Acquire, t.timeouts.Acquire},
		{"Timeouts.Attempt", s.timeouts.Attempt, t.timeouts.Attempt},
		{"Timeouts.Total", s.timeouts.Total, t.timeouts.Total},
		{"Pool.MaxConns", s.pool.MaxConns, t.pool.MaxConns},
		{"Pool.MaxIdleConns", s.pool.MaxIdleConns, t.pool.MaxIdleConns},
		{"Pool.IdleExpiry", s.pool.IdleExpiry, t.pool.IdleExpiry},
		{"Retry.MaxRetries", s.retry.Retries, t.retry.Retries},
		{"Retry.BaseDelay", s.retry.Base, t.retry.Base},
		{"Retry.MaxDelay", s.retry.Max, t.retry.Max},
		{"Retry.MaxRetryAfter", s.retry.MaxRetryAfter, t.retry.MaxRetryAfter},
		{"Retry.Jitter", s.retry.Jitter, t.retry.Jitter},
		{"Retry.Repeat", s.repeat, t.repeat},
		{"Breaker.Name", s.breakerName, t.breakerName},
		{"Breaker.FailureThreshold", s.breaker.Threshold, t.breaker.Threshold},
		{"Breaker.OpenTimeout", s.breaker.OpenFor, t.breaker.OpenFor},
		{"Breaker.HalfOpenMaxCalls", s.breaker.Probes, t.breaker.Probes},
		{"Breaker.CountAttempts", s.eachCounts, t.eachCounts},
		{"Bulkhead.Name", s.bulkheadName, t.bulkheadName},
		{"Bulkhead.MaxConcurrent", s.bulkhead.Slots, t.bulkhead.Slots},
		{"Bulkhead.MaxQueue", s.bulkhead.Queue, t.bulkhead.Queue},
		{"RequestIDHeader", s.idHeader, t.idHeader},
		{"IdempotencyKey", s.alsoAsKey, t.alsoAsKey},
		{"MaxResponseBytes", s.maxBody, t.maxBody},
		{"MaxRedirects", s.redirects, t.redirects},
		{"MaxEventBytes", s.maxEvent, t.maxEvent},
	} {
		if f.was != f.asks {
			differ = append(differ, fmt.Errorf("its Config.%s is %s, asked for is %s", f.field, meant(f.was), meant(f.asks)))
		}
	}
	return differ
}

// meant is a value that was resolved as a reader of Config knows it.
func meant(v any) string {
	switch v := v.(type) {
	case Repeat:
		return [...]string{"RepeatKeyed", "RepeatSafe", "RepeatNever"}[v]
	case int, int64, time.Duration:
		if text := fmt.Sprint(v); text != "0" && text != "0s" {
			return text
		}
		return "none"
	}
	return fmt.Sprint(v)
}

func headerNames(s settings) []string { return slices.Sorted(maps.Keys(s.header)) }
