package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/holdfast-go/holdfast/internal/world"

	"github.com/holdfast-go/holdfast/internal/setting"
)

// Registry keeps one client for each service, by name, so that all callers share its
// connections and its breaker. It keeps policies in the same way. The zero Registry
// is empty and ready to use. A Registry is safe for concurrent use.
type Registry struct {
	clients  entries[Client, Config]
	policies entries[Policy, PolicyConfig]

	mu      sync.Mutex
	options []Option // of Use
}

// DefaultRegistry is one Registry for the whole program.
var DefaultRegistry = new(Registry)

// ErrConfigConflict is the error of Registry.Open and Registry.OpenPolicy for a name
// that is already open with other settings.
var ErrConfigConflict error = &sentinel{text: "already open with other settings"}

// Use adds options to all clients and policies that the registry makes from now on, before
// those of Open and OpenPolicy: metrics, or a logger. A program calls it at its start.
func (r *Registry) Use(opts ...Option) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.options = append(r.options, opts...)
}

// with returns the options of Use, and opts after them.
func (r *Registry) with(opts []Option) []Option {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.options, opts)
}

// Open returns the client of that name. It makes the client if there is none, once
// for any number of goroutines. The default of Config.Name is name.
//
// If the client exists, its settings must equal cfg; otherwise the error is
// ErrConfigConflict and names the settings that differ. The values of headers,
// functions and opts are not compared, so that a new key is no conflict. opts have an
// effect only in the call that makes the client.
//
// Closing the client removes it from the registry.
func (r *Registry) Open(name string, cfg Config, opts ...Option) (*Client, error) {
	cfg.Name = cmp.Or(cfg.Name, name)
	resolved, err := cfg.resolve()
	return r.clients.open(name, resolved, err, Config.differences, func() (*Client, error) {
		c, err := New(cfg, r.with(opts)...)
		if err == nil {
			c.running.onClose = func() { r.clients.remove(name, c) }
		}
		return c, err
	})
}

// OpenPolicy returns the policy of that name, and makes it if there is none, as Open
// does for clients. A policy and a client may have the same name. Retry.On and
// Classify are not compared. Breaker and Bulkhead must be the same pointers.
func (r *Registry) OpenPolicy(name string, cfg PolicyConfig, opts ...Option) (*Policy, error) {
	cfg.Name = cmp.Or(cfg.Name, name)
	v := &validation{in: "PolicyConfig."}
	resolved := cfg.resolve(v)
	return r.policies.open(name, resolved, v.err(), PolicyConfig.differences, func() (*Policy, error) { return NewPolicy(cfg, r.with(opts)...) })
}

// Get returns the client of that name, and false if there is none.
func (r *Registry) Get(name string) (*Client, bool) { return r.clients.get(name) }

// GetPolicy returns the policy of that name, and false if there is none.
func (r *Registry) GetPolicy(name string) (*Policy, bool) { return r.policies.get(name) }

// Names returns the names of all clients in alphabetical order.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.clients.all())) }

// Stats returns the statistics of all clients, by name. They encode as JSON.
func (r *Registry) Stats() map[string]ClientStats {
	return statistics(r.clients.all(), (*Client).Stats)
}

// PolicyStats returns the statistics of all policies, by name. They encode as JSON.
func (r *Registry) PolicyStats() map[string]PolicyStats {
	return statistics(r.policies.all(), (*Policy).Stats)
}

// Shutdown shuts down all clients at once, each as Client.Shutdown does, and removes
// them. The error joins those of the clients with calls that still ran when ctx ended.
func (r *Registry) Shutdown(ctx context.Context) error {
	all := r.clients.all()
	names := slices.Sorted(maps.Keys(all))
	failed := make([]error, len(names))
	world.Of(ctx).Each(len(names), func(i int) { failed[i] = all[names[i]].Shutdown(ctx) })
	return errors.Join(failed...)
}

// Reset closes all clients, empties the registry and forgets the options of Use, now and at the end of the test,
// so that tests do not share breakers.
func (r *Registry) Reset(tb interface {
	Helper()
	Cleanup(func())
}) {
	tb.Helper()
	closeAll := func() {
		for _, c := range r.clients.all() {
			_ = c.Close()
		}
		r.policies.byName.Clear()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.options = nil
	}
	closeAll()
	tb.Cleanup(closeAll)
}

// entries are the clients or the policies of a registry, of type T with resolved
// settings of type S.
type entries[T, S any] struct {
	byName sync.Map   // to entry[T, S]
	making sync.Mutex // so that two first calls get the same T
}

type entry[T, S any] struct {
	value    *T
	settings S
}

// open returns the T of that name, and calls build if there is none. invalid is what is
// wrong with the settings.
func (es *entries[T, S]) open(name string, settings S, invalid error, differences func(S, S) []error, build func() (*T, error)) (*T, error) {
	known, ok := es.byName.Load(name)
	if !ok {
		es.making.Lock()
		defer es.making.Unlock()
		known, ok = es.byName.Load(name)
	}
	var made *T
	err := invalid
	switch {
	case !ok:
		if made, err = build(); err == nil {
			es.byName.Store(name, &entry[T, S]{made, settings})
		}
	case invalid == nil:
		e := known.(*entry[T, S])
		made = e.value
		if differ := differences(e.settings, settings); len(differ) > 0 {
			err = fmt.Errorf("%w: %w", ErrConfigConflict, errors.Join(differ...))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("holdfast: opening %q: %w", name, err)
	}
	return made, nil
}

func (es *entries[T, S]) get(name string) (*T, bool) {
	if e, ok := es.byName.Load(name); ok {
		return e.(*entry[T, S]).value, true
	}
	return nil, false
}

// remove removes the entry of that name if it still is t.
func (es *entries[T, S]) remove(name string, t *T) {
	if e, ok := es.byName.Load(name); ok && e.(*entry[T, S]).value == t {
		es.byName.CompareAndDelete(name, e)
	}
}

func (es *entries[T, S]) all() map[string]*T {
	all := map[string]*T{}
	es.byName.Range(func(name, e any) bool {
		all[name.(string)] = e.(*entry[T, S]).value
		return true
	})
	return all
}

func statistics[T, S any](all map[string]*T, of func(*T) S) map[string]S {
	stats := make(map[string]S, len(all))
	for name, t := range all {
		stats[name] = of(t)
	}
	return stats
}

func (c Config) differences(d Config) []error { return differences(table, "Config.", &c, &d) }

func (c PolicyConfig) differences(d PolicyConfig) []error {
	const in = "PolicyConfig."
	differ := differences(table, in, &Config{Retry: c.Retry}, &Config{Retry: d.Retry})
	differ = append(differ, differences(policyTable, in, &c, &d)...)
	if c.Breaker != d.Breaker {
		differ = append(differ, differs(in+"Breaker", "one", "another"))
	}
	if c.Bulkhead != d.Bulkhead {
		differ = append(differ, differs(in+"Bulkhead", "one", "another"))
	}
	return differ
}

// differences returns an error for each setting that differs between open and asked.
func differences[C any](rows []setting.Setting[C], in string, open, asked *C) (differ []error) {
	for _, row := range rows {
		if was, is, other := row.Difference(open, asked); other {
			differ = append(differ, differs(in+row.Info().Name, was, is))
		}
	}
	return differ
}

func differs(field, was, is string) error {
	return fmt.Errorf("its %s is %s, this call has %s", field, was, is)
}
