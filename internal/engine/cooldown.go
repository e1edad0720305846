package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
)

// Cooldown has the cooldowns of one service, safe for concurrent use.
type Cooldown struct {
	requested atomic.Bool // true from a request until a look finds that all are over
	mu        sync.Mutex
	machine   cooldown.Cooldowns // under mu
}

// NewCooldown returns cooldowns that last longest at most; zero is for no bound.
func NewCooldown(longest time.Duration) *Cooldown {
	return &Cooldown{machine: cooldown.Cooldowns{Max: longest}}
}

// Request records that at now the service told an attempt of a scope to wait, which
// started with pass.
func (c *Cooldown) Request(now time.Time, of cooldown.Scope, told cooldown.Told, pass cooldown.Pass) {
	c.mu.Lock()
	c.machine.Request(now, of, told, pass)
	if !c.machine.Over(now) {
		c.requested.Store(true)
	}
	c.mu.Unlock()
}

// Requested reports whether there is a cooldown to look up. If not, Ask is true from now
// on, until the next Request, and callers need not look at the clock.
func (c *Cooldown) Requested() bool { return c.requested.Load() }

// Ask returns whether a caller of a scope may start at now, where u is chance in [0, 1).
// A pass that is held is given back by End. Otherwise wait says when to ask again.
func (c *Cooldown) Ask(now time.Time, of cooldown.Scope, u float64) (pass cooldown.Pass, wait cooldown.Wait, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pass, wait, ok = c.machine.Ask(now, of, u)
	if ok && c.machine.Over(now) {
		c.requested.Store(false)
	}
	return pass, wait, ok
}

// Blocks reports whether a cooldown forbids an attempt of a scope to start at now, with pass.
func (c *Cooldown) Blocks(now time.Time, of cooldown.Scope, pass cooldown.Pass) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.machine.Over(now) {
		c.requested.Store(false)
		return false
	}
	return c.machine.Blocks(now, of, pass)
}

// End gives back a pass; see cooldown.Cooldowns.
func (c *Cooldown) End(now time.Time, pass cooldown.Pass, succeeded bool) {
	c.mu.Lock()
	c.machine.End(now, pass, succeeded)
	c.mu.Unlock()
}
