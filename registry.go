package holdfast

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Registry keeps one client for each provider, so that all who call a service
// share its connections and its breaker. The zero Registry is empty and ready;
// it is safe for any number of goroutines.
//
// Names are independent of each other: one provider's breaker says nothing about
// another's service.
type Registry struct {
	clients  sync.Map   // name to *registered
	policies sync.Map   // name to *registeredPolicy
	opening  sync.Mutex // one at a time: two first calls get the same client
}

type registered struct {
	client   *Client
	settings settings
}

type registeredPolicy struct {
	policy *Policy
	config PolicyConfig // resolved
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

// OpenPolicy gives the policy of that name, and makes it if there is none, as Open
// does for clients. Policies and clients have names of their own. Retry.On and
// Classify are not compared; Breaker and Bulkhead have to be the same.
func (r *Registry) OpenPolicy(name string, cfg PolicyConfig, opts ...Option) (*Policy, error) {
	if cfg.Name == "" {
		cfg.Name = name
	}
	r.opening.Lock()
	defer r.opening.Unlock()
	if v, ok := r.policies.Load(name); ok {
		known := v.(*registeredPolicy)
		ck := &check{in: "PolicyConfig."}
		if ck.policy(&cfg); ck.err() != nil {
			return nil, fmt.Errorf("holdfast: opening %q: %w", name, ck.err())
		}
		if differ := known.config.differences(&cfg); len(differ) > 0 {
			return nil, fmt.Errorf("holdfast: opening %q: %w: %w", name, ErrConfigConflict, errors.Join(differ...))
		}
		return known.policy, nil
	}
	p, err := NewPolicy(cfg, opts...)
	if err != nil {
		return nil, fmt.Errorf("holdfast: opening %q: %w", name, err)
	}
	(&check{}).policy(&cfg)
	r.policies.Store(name, &registeredPolicy{p, cfg})
	return p, nil
}

// GetPolicy gives the policy of that name, if there is one.
func (r *Registry) GetPolicy(name string) (*Policy, bool) {
	v, ok := r.policies.Load(name)
	if !ok {
		return nil, false
	}
	return v.(*registeredPolicy).policy, true
}

// PolicyStats gives the statistics of all policies, by name. It can be written as
// JSON.
func (r *Registry) PolicyStats() map[string]PolicyStats {
	stats := map[string]PolicyStats{}
	r.policies.Range(func(name, entry any) bool {
		stats[name.(string)] = entry.(*registeredPolicy).policy.Stats()
		return true
	})
	return stats
}

// Shutdown shuts down all clients at once, each as Client.Shutdown does, and
// empties the registry. The error is that of every client whose calls were still
// running when ctx ended.
func (r *Registry) Shutdown(ctx context.Context) error {
	all := r.all()
	names := slices.Sorted(maps.Keys(all))
	failed := make([]error, len(names))
	world.Of(ctx).Each(len(names), func(i int) { failed[i] = all[names[i]].Shutdown(ctx) })
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
		r.policies.Clear()
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
func (s settings) differences(t settings) (differ []error) {
	for _, row := range table {
		if was, asks, other := row.Difference(&s.config, &t.config); other {
			differ = append(differ, fmt.Errorf("its Config.%s is %s, asked for is %s", row.Info().Name, was, asks))
		}
	}
	return differ
}

// differences names each setting in which d differs from c, with both values.
func (c *PolicyConfig) differences(d *PolicyConfig) (differ []error) {
	add := func(field string, was, asks any) {
		differ = append(differ, fmt.Errorf("its PolicyConfig.%s is %v, asked for is %v", field, was, asks))
	}
	for _, row := range table {
		if name := row.Info().Name; strings.HasPrefix(name, "Retry.") {
			if was, asks, other := row.Difference(&Config{Retry: c.Retry}, &Config{Retry: d.Retry}); other {
				add(name, was, asks)
			}
		}
	}
	for _, row := range policyTable {
		if was, asks, other := row.Difference(c, d); other {
			add(row.Info().Name, was, asks)
		}
	}
	if c.Breaker != d.Breaker {
		add("Breaker", "one", "another")
	}
	if c.Bulkhead != d.Bulkhead {
		add("Bulkhead", "one", "another")
	}
	return differ
}
