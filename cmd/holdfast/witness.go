package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
)

// witness is the observer that sees what holdfast does. An event of a call is
// told by that call's goroutine, so what it notes there needs no lock. All
// instants are counted from begin.
type witness struct {
	begin time.Time
	tally *tally
	// story gets the breaker's changes as they come. One that it has no room for
	// is missing in the story only.
	story chan<- change

	mu      sync.Mutex
	changes []change
}

// attempt is one attempt of a call.
type attempt struct {
	at     time.Duration // before the breaker's last yes to it
	probe  bool          // with a half-open permit, which was asked for at permit
	permit time.Duration
	// The answer asked to be left alone: silence has begun when the client knows,
	// and lasts for what was asked since the answer arrived. Zero if it did not
	// ask.
	silence window
}

// permit is one half-open permit of a call.
type permit struct {
	at    time.Duration
	after int // attempts that its call had made before
	used  int // attempts made with it
}

// window is the time after from and before until.
type window struct{ from, until time.Duration }

func (w window) holds(at time.Duration) bool { return at > w.from && at < w.until }

// change is a change of the breaker's state.
type change struct {
	at       time.Duration
	epoch    uint64 // orders them
	to       holdfast.State
	failures int           // that opened it
	retryAt  time.Duration // of an open one: when the first probe may go
}

type callKey struct{}

// follow gives the context under which the events of c find it.
func (w *witness) follow(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// Observe implements holdfast.Observer.
func (w *witness) Observe(ctx context.Context, e holdfast.Event) {
	c := ctx.Value(callKey{}).(*call)
	at := e.Time.Sub(w.begin)
	switch e.Kind {
	case holdfast.EventAttempt:
		a := attempt{at: at, probe: e.Probe}
		if e.Probe && len(c.permits) > 0 {
			p := &c.permits[len(c.permits)-1]
			p.used++
			a.permit = p.at
		}
		c.attempts = append(c.attempts, a)
	case holdfast.EventAttemptDone:
		c.done++
		if e.Outcome == holdfast.Throttled && e.RetryAfter > 0 {
			c.attempts[len(c.attempts)-1].silence = window{at, e.RetryAt.Sub(w.begin)}
		}
	case holdfast.EventProbe:
		c.permits = append(c.permits, permit{at: at, after: len(c.attempts)})
	case holdfast.EventRetrying:
		w.tally.phases[c.phase].retries.Add(1)
	case holdfast.EventBreakerOpened:
		w.changed(change{at: at, epoch: e.Epoch, to: holdfast.Open, failures: e.Failures, retryAt: e.RetryAt.Sub(w.begin)})
	case holdfast.EventBreakerHalfOpen:
		w.changed(change{at: at, epoch: e.Epoch, to: holdfast.HalfOpen})
	case holdfast.EventBreakerClosed:
		w.changed(change{at: at, epoch: e.Epoch, to: holdfast.Closed})
	}
}

func (w *witness) changed(c change) {
	w.mu.Lock()
	w.changes = append(w.changes, c)
	w.mu.Unlock()
	select {
	case w.story <- c:
	default:
	}
}

// inOrder gives the breaker's changes in the order in which they happened.
func (w *witness) inOrder() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(slices.Values(w.changes), func(a, b change) int { return cmp.Compare(a.epoch, b.epoch) })
}
