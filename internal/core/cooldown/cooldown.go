// Package cooldown is the time for which a service asked to be left alone, as a
// pure machine. It has neither a clock nor a lock; the handle in
// internal/engine has the lock.
//
// One caller's 429 with Retry-After delays all callers. After the cooldown they
// start spread over a tenth of its length, so that they do not arrive in one wave.
package cooldown

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Cooldown is the cooldown of one origin. The zero value is none.
type Cooldown struct {
	until  time.Time
	length time.Duration
}

// Request records that at now the service asked to be left alone for d. It never
// shortens a cooldown.
func (c *Cooldown) Request(now time.Time, d time.Duration) {
	if until := now.Add(d); d > 0 && until.After(c.until) {
		c.until, c.length = until, d
	}
}

// Until returns the instant at which a caller that arrives at now may send,
// spread by u in [0, 1). It is false if the caller may send at once.
func (c *Cooldown) Until(now time.Time, u float64) (time.Time, bool) {
	if !now.Before(c.until) {
		return time.Time{}, false
	}
	return c.until.Add(time.Duration(u * float64(outcome.Spread(c.length)))), true
}

// End returns the end of the last cooldown, zero if there was none.
func (c *Cooldown) End() time.Time { return c.until }
