package promholdfast

import (
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast"
)

// live reads the statistics of the sources, under Metrics.collecting.
func (s *series) live() live {
	s.metrics.mu.Lock()
	sources := slices.Clone(s.sources)
	s.metrics.mu.Unlock()
	now := live{states: make([]bool, len(states)), ofScope: map[string]*scopeNow{}}
	for _, of := range sources {
		if c := of.client.Value(); c != nil && !c.Closed() {
			stats := c.Stats()
			now.add(stats.BreakerState, stats.Permits, stats.MaxPermits, stats.Queued)
			now.streams += stats.Streams
			s.addScopes(&now, c)
		}
		if p := of.policy.Value(); p != nil {
			stats := p.Stats()
			now.add(stats.BreakerState, stats.Permits, stats.MaxPermits, stats.Queued)
		}
		if b := of.breaker.Value(); b != nil {
			now.add(b.State().String(), 0, 0, 0)
		}
	}
	now.scopes = slices.Sorted(maps.Keys(now.ofScope))
	return now
}

func (n *live) add(state string, permits, limit, queued int) {
	if i := slices.Index(states, state); i >= 0 {
		n.hasBreaker, n.states[i] = true, true
	}
	n.isLimited = n.isLimited || limit > 0
	n.permits, n.limit, n.queued = n.permits+permits, n.limit+limit, n.queued+queued
}

// addScopes adds the scopes of a client. The first ones have series of their own.
func (s *series) addScopes(now *live, c *holdfast.Client) {
	if s.metrics.options.Scopes == 0 {
		return
	}
	for _, scope := range c.Scopes() {
		name := scope.Name
		switch {
		case s.scopes[name]:
		case len(s.scopes) < s.metrics.options.Scopes:
			s.scopes[name] = true
		default:
			name = Other
		}
		of := now.ofScope[name]
		if of == nil {
			of = &scopeNow{states: make([]bool, len(states))}
			now.ofScope[name] = of
		}
		if i := slices.Index(states, scope.BreakerState); i >= 0 {
			of.states[i] = true
		}
		of.rejected += scope.Rejected
	}
}
