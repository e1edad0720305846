package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
)

// Cooldown is the cooldown of one origin, safe for concurrent use.
type Cooldown struct {
	requested atomic.Bool // false until there is a cooldown to look up
	mu        sync.Mutex
	machine   cooldown.Cooldown // under mu
}

// Request records that at now the service asked to be left alone for d.
func (c *Cooldown) Request(now time.Time, d time.Duration) {
	c.mu.Lock()
	c.machine.Request(now, d)
	c.requested.Store(!c.machine.End().IsZero())
	c.mu.Unlock()
}

// Requested reports whether the service has ever requested a cooldown. If not, Until
// is false at any time, and callers need not look at the clock.
func (c *Cooldown) Requested() bool { return c.requested.Load() }

// Until gives the instant at which a caller that arrives at now may send, where u
// is chance in [0, 1). It is false if the caller may send at once.
func (c *Cooldown) Until(now time.Time, u float64) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Until(now, u)
}
