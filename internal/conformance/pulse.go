package conformance

import (
	"sync"
	"time"
)

// pulse detects when the machine was too busy: it wakes up regularly and
// records when it woke up late.
type pulse struct {
	end  chan struct{}
	done chan struct{}

	mu   sync.Mutex
	last time.Time // last late wake-up
}

const (
	beat = 10 * time.Millisecond
	// late is one fifth of the time that an attempt's limit leaves to a service
	// that takes 150 ms. A longer delay may make a client fail.
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

// stalled reports whether the machine has been late since then.
func (p *pulse) stalled(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.After(since)
}

func (p *pulse) stop() {
	close(p.end)
	<-p.done
}
