package holdfast

import (
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/engine"
)

const (
	maxScopes    = 128 // of a client
	maxScopeName = 100 // bytes; a longer name is replaced by a hash
)

// scopes are the scopes of Config.Scope: the machines of each.
type scopes struct {
	mu     sync.Mutex
	all    map[string]*scope
	lookup uint64 // counts the calls, for the least recently used scope
	full   atomic.Uint64
}

// scope is a part of the service with a breaker and a cooldown of its own.
type scope struct {
	engine.Engine
	breaker *Breaker
	used    uint64
}

// engineOf returns the machines for a call. body gives the request's body, if it can be had
// without the attempt's.
func (c *Client) engineOf(req *http.Request, r *resolved, body func() (io.ReadCloser, error)) *engine.Engine {
	if r.config.Scope == nil {
		return &c.shared.Engine
	}
	shown := *req
	shown.Body, shown.GetBody = nil, body
	name := scopeName(r.config.Scope(&shown))
	if name == "" {
		return &c.shared.Engine
	}
	ss := &c.scopes
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.lookup++
	s := ss.all[name]
	if s == nil {
		if len(ss.all) == maxScopes && !ss.forget() {
			ss.full.Add(1)
			return &c.shared.Engine
		}
		s = c.newScope(name, r)
		if ss.all == nil {
			ss.all = map[string]*scope{}
		}
		ss.all[name] = s
	}
	s.used = ss.lookup
	return &s.Engine
}

// newScope makes a scope, which shares all but breaker and cooldown with the client.
func (c *Client) newScope(name string, r *resolved) *scope {
	s := new(scope)
	s.Name = c.shared.name + "/" + name
	s.Bulkhead, s.Listener, s.Timed = c.shared.Bulkhead, c.shared.Listener, c.shared.Timed
	s.Cooldown = engine.NewCooldown(r.config.Retry.MaxCooldown)
	if c.shared.breaker != nil {
		cfg := r.config.Breaker
		cfg.Name += "/" + name
		s.breaker = newBreaker(cfg, c.shared.observer)
		s.breaker.recorder = c.shared.recorder
		s.Breaker = s.breaker.gate()
	}
	return s
}

// forget drops the scope that was not used for longest, of those with nothing to remember.
func (ss *scopes) forget() bool {
	oldest := ""
	for name, s := range ss.all {
		if b := s.breaker; s.Cooldown.Requested() || b != nil && (b.State() != Closed || b.handle.Stats(realWorld.Now()).Failures > 0) {
			continue
		}
		if oldest == "" || s.used < ss.all[oldest].used {
			oldest = name
		}
	}
	delete(ss.all, oldest)
	return oldest != ""
}

// scopeName is a name that can be shown.
func scopeName(name string) string {
	if len(name) <= maxScopeName && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return name
	}
	return fmt.Sprintf("%016x", maphash.String(scopeSeed, name))
}

// ScopeStats are the statistics of a scope of Config.Scope at one moment.
type ScopeStats struct {
	Name         string `json:"name"`
	BreakerState string `json:"circuit_breaker_state"` // StateOff without a breaker
	Rejected     uint64 `json:"rejected"`              // calls that its breaker rejected
}

// Scopes returns the statistics of the scopes of Config.Scope, in the order of their names.
func (c *Client) Scopes() (all []ScopeStats) {
	ss := &c.scopes
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(ss.all)) {
		s := ScopeStats{Name: name, BreakerState: StateOff}
		if b := ss.all[name].breaker; b != nil {
			s.BreakerState, s.Rejected = b.State().String(), b.rejected.Load()
		}
		all = append(all, s)
	}
	return all
}

// ScopeBreaker returns the breaker of a scope of Config.Scope, nil if the client has no
// such scope or no breaker. Client.Breaker is that of calls without a scope.
func (c *Client) ScopeBreaker(name string) *Breaker {
	c.scopes.mu.Lock()
	defer c.scopes.mu.Unlock()
	if s := c.scopes.all[scopeName(name)]; s != nil {
		return s.breaker
	}
	return nil
}

// Scope is the part of the service that the call belongs to, for its cooldown: the method
// and the path, without ids. A scope of Config.Scope has one cooldown.
func (o *clientCall) Scope() cooldown.Scope {
	if o.Engine != &o.shared.Engine {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(scopeSeed)
	_, _ = h.WriteString(o.request.Method)
	for segment := range strings.SplitSeq(o.request.URL.Path, "/") {
		_ = h.WriteByte('/')
		if !isID(segment) {
			_, _ = h.WriteString(segment)
		}
	}
	return cooldown.Scope(h.Sum64())
}

var scopeSeed = maphash.MakeSeed()

// Told is the wait that an answer asks for, and which calls it concerns if the answer says it.
func (o *clientCall) Told(a *engine.Attempt) cooldown.Told {
	told := cooldown.Told{For: a.RetryAfter}
	if declined, ok := a.Err.(*StatusError); ok {
		of := judge.ReadConcerned(declined.Header)
		if told.All = of.All; of.Name != "" {
			told.Bucket = maphash.String(scopeSeed, of.Name)
		}
	}
	return told
}

// isID reports whether a segment of a path looks like the id of one thing: a number, a
// UUID, a hash, or a text like ch_3LmzzQ2eZvKYlo2C. A guess that is wrong costs a few
// requests, or delays a few.
func isID(segment string) bool {
	digits, letters := 0, 0
	hex := true
	for i := 0; i < len(segment); i++ {
		switch c := segment[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters++
			hex = hex && (c|0x20) <= 'f'
		case c != '-' && c != '_':
			return false
		default:
			hex = hex && c == '-'
		}
	}
	switch {
	case digits == 0:
		return false
	case letters == 0:
		return true
	case hex:
		return len(segment) >= 8
	}
	return digits >= 2 && len(segment) >= 16 && !strings.Contains(segment, "-")
}
