package demo

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
)

// observer records the events of the client. A call emits its events in the call's own
// goroutine, so its records need no lock. Instants are counted from begin.
type observer struct {
	begin time.Time
	tally *tally
	// timeline receives the changes of the breaker when they happen. A change for which
	// the channel has no room is missing in the timeline only.
	timeline chan<- stateChange

	mu      sync.Mutex
	changes []stateChange
}

// attempt is one attempt of a call.
type attempt struct {
	at     time.Duration // read before the breaker admitted the attempt
	probe  bool          // with a permit of a half-open breaker
	permit time.Duration // when that permit was requested
	// cooldown is the Retry-After of the answer. It begins when the client has read the
	// header, and its length counts from the arrival of the answer. It is zero without
	// a Retry-After.
	cooldown window
}

// permit is the permission of a half-open breaker to make an attempt.
type permit struct {
	at    time.Duration
	after int // attempts of the call before it
	used  int // attempts with it
}

// window is the time after from and before until.
type window struct{ from, until time.Duration }

func (w window) contains(at time.Duration) bool { return at > w.from && at < w.until }

// stateChange is a change of the breaker's state.
type stateChange struct {
	at       time.Duration
	epoch    uint64 // orders them
	to       holdfast.State
	failures int           // that opened the breaker
	retryAt  time.Duration // of an open breaker: the time of the first probe
}

type callKey struct{}

// withCall returns the context by which the events of c are assigned to it.
func (o *observer) withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// Observe implements holdfast.Observer.
func (o *observer) Observe(ctx context.Context, e holdfast.Event) {
	c := ctx.Value(callKey{}).(*call)
	at := e.Time.Sub(o.begin)
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
			c.attempts[len(c.attempts)-1].cooldown = window{at, e.RetryAt.Sub(o.begin)}
		}
	case holdfast.EventProbe:
		c.permits = append(c.permits, permit{at: at, after: len(c.attempts)})
	case holdfast.EventRetrying:
		o.tally.phases[c.phase].retries.Add(1)
	case holdfast.EventBreakerOpened:
		o.addChange(stateChange{at: at, epoch: e.Epoch, to: holdfast.Open, failures: e.Failures, retryAt: e.RetryAt.Sub(o.begin)})
	case holdfast.EventBreakerHalfOpen:
		o.addChange(stateChange{at: at, epoch: e.Epoch, to: holdfast.HalfOpen})
	case holdfast.EventBreakerClosed:
		o.addChange(stateChange{at: at, epoch: e.Epoch, to: holdfast.Closed})
	}
}

func (o *observer) addChange(c stateChange) {
	o.mu.Lock()
	o.changes = append(o.changes, c)
	o.mu.Unlock()
	select {
	case o.timeline <- c:
	default:
	}
}

// sorted returns the changes of the breaker in the order in which they happened.
func (o *observer) sorted() []stateChange {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.SortedFunc(slices.Values(o.changes), func(a, b stateChange) int { return cmp.Compare(a.epoch, b.epoch) })
}
