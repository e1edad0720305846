package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
)

// Cooldown is the cooldown of one origin, safe for concurrent use.
type Cooldown struct {
	requested atomic.Bool // true from a request until a look finds its end passed
	mu        sync.Mutex
	machine   cooldown.Cooldown // under mu
}

// Request records that at now the service asked to be left alone for d.
func (c *Cooldown) Request(now time.Time, d time.Duration) {
	c.mu.Lock()
	c.machine.Request(now, d)
	if _, cooling := c.machine.Until(now, 0); cooling {
		c.requested.Store(true)
	}
	c.mu.Unlock()
}

// Requested reports whether there is a cooldown to look up. If not, Until is false
// from now on, until the next Request, and callers need not look at the clock.
func (c *Cooldown) Requested() bool { return c.requested.Load() }

// Until gives the instant at which a caller that arrives at now may send, where u
// is chance in [0, 1). It is false if the caller may send at once.
func (c *Cooldown) Until(now time.Time, u float64) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, cooling := c.machine.Until(now, u)
	if !cooling {
		c.requested.Store(false)
	}
	return until, cooling
}
