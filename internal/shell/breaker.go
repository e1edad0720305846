// Package shell holds the handles that put the pure machines to work: each is
// {mutex, machine, word}, and this is the only place where locking can be wrong.
//
// A machine's quiet path does not pay for the lock: it answers from one atomic
// word that the last locked step published. So every method is made of three
// kinds of step: load the word, step the machine under the lock, publish. The
// enumeration in this package's tests interleaves these very steps in every
// order.
//
// Nothing here calls back: what a step changed is returned, for the caller to
// tell others after the lock is released.
package shell

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Breaker is a circuit breaker for any number of goroutines.
type Breaker struct {
	word    atomic.Uint64
	mu      sync.Mutex
	machine breaker.Breaker // under mu
}

// NewBreaker returns a closed breaker.
func NewBreaker(cfg breaker.Config) *Breaker {
	return &Breaker{machine: breaker.New(cfg)}
}

// Load gives the word that the last step published. It answers Admit, Confirms
// and Quiet; where it does not, the methods below do.
func (b *Breaker) Load() breaker.Word { return breaker.Word(b.word.Load()) }

// publish is called under the lock, after each step of the machine.
func (b *Breaker) publish() { b.word.Store(uint64(b.machine.Word())) }

// Allow asks the machine; see breaker.Breaker.Allow.
func (b *Breaker) Allow(now time.Time, limit time.Duration) (breaker.Ticket, time.Time, breaker.Change, bool) {
	b.mu.Lock()
	t, retryAt, c, ok := b.machine.Allow(now, limit)
	b.publish()
	b.mu.Unlock()
	return t, retryAt, c, ok
}

// Confirm asks the machine again; see breaker.Breaker.Confirm.
func (b *Breaker) Confirm(now time.Time, t breaker.Ticket, limit time.Duration) (breaker.Ticket, time.Time, breaker.Change, bool) {
	b.mu.Lock()
	t, retryAt, c, ok := b.machine.Confirm(now, t, limit)
	b.publish()
	b.mu.Unlock()
	return t, retryAt, c, ok
}

// Done returns a ticket; see breaker.Breaker.Done.
func (b *Breaker) Done(now time.Time, t breaker.Ticket, o outcome.Outcome) breaker.Change {
	b.mu.Lock()
	c := b.machine.Done(now, t, o)
	b.publish()
	b.mu.Unlock()
	return c
}

// Note counts an outcome and keeps the ticket; see breaker.Breaker.Note.
func (b *Breaker) Note(now time.Time, t breaker.Ticket, o outcome.Outcome) breaker.Change {
	b.mu.Lock()
	c := b.machine.Note(now, t, o)
	b.publish()
	b.mu.Unlock()
	return c
}

// Snapshot reads the machine.
func (b *Breaker) Snapshot(now time.Time) breaker.Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.Snapshot(now)
}
