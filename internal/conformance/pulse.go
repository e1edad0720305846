package conformance

import (
	"sync"
	"time"
)

// pulse knows when the machine did not keep up: it asks to be woken again and again,
// and notes when it was woken late.
type pulse struct {
	end  chan struct{}
	done chan struct{}

	mu   sync.Mutex
	last time.Time // of being late
}

const (
	beat = 10 * time.Millisecond
	// late is a fifth of what is left of an attempt's limit to a service that takes
	// 150 ms: what eats more of it may be what a client is blamed for.
	late = 70 * time.Millisecond
)

func newPulse() *pulse {
	p := &pulse{end: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *pulse) run() {
	defer close(p.done)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for before := time.Now(); ; {
		select {
		case <-p.end:
			return
		case <-ticker.C:
		}
		now := time.Now()
		if now.Sub(before) > beat+late {
			p.mu.Lock()
			p.last = now
			p.mu.Unlock()
		}
		before = now
	}
}

// stalled says whether the machine has been late since.
func (p *pulse) stalled(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.After(since)
}

func (p *pulse) stop() {
	close(p.end)
	<-p.done
}
