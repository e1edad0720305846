package holdfast

import (
	"sync/atomic"
	"time"
)

// counters are what a client counts. A nil one counts nothing, so that a policy
// pays nothing for them.
type counters struct {
	succeeded, failed        atomic.Uint64
	attempts, retries, waits atomic.Uint64
	waitedFor                atomic.Int64
}

func (c *counters) attempt() {
	if c != nil {
		c.attempts.Add(1)
	}
}

func (c *counters) retried() {
	if c != nil {
		c.retries.Add(1)
	}
}

func (c *counters) waited(d time.Duration) {
	if c != nil {
		c.waits.Add(1)
		c.waitedFor.Add(int64(d))
	}
}

func (c *counters) ended(ok bool) {
	switch {
	case c == nil:
	case ok:
		c.succeeded.Add(1)
	default:
		c.failed.Add(1)
	}
}
