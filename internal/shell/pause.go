package shell

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/pause"
)

// Pause is the silence that one origin asked for, for any number of goroutines.
type Pause struct {
	asked   atomic.Bool // false until there is something to look up
	mu      sync.Mutex
	machine pause.Pause // under mu
}

// Ask records that the service asked at now to be left alone for d.
func (p *Pause) Ask(now time.Time, d time.Duration) {
	p.mu.Lock()
	p.machine.Ask(now, d)
	p.asked.Store(!p.machine.End().IsZero())
	p.mu.Unlock()
}

// Asked reports whether the service has ever asked: if not, nobody needs to look
// at the clock.
func (p *Pause) Asked() bool { return p.asked.Load() }

// Until gives the instant at which a caller that comes at now may send, and
// false if it may send at once.
func (p *Pause) Until(now time.Time, u float64) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.Until(now, u)
}
