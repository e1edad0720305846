// Package engine has the handles that make the pure machines safe for concurrent
// use. Each is {snapshot, mutex, machine}.
//
// The common case takes no lock: it is answered by an atomic snapshot, which the
// last locked step published. So every method consists of three kinds of step: load
// the snapshot, step the machine under the lock, publish. The enumeration in this
// package's tests runs these steps in every order.
//
// No method calls back under a lock: each returns its change of state, and the
// caller reports it.
package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Breaker is a circuit breaker that is safe for concurrent use.
type Breaker struct {
	snapshot atomic.Uint64
	mu       sync.Mutex
	machine  breaker.Breaker // under mu
}

// NewBreaker returns a closed breaker.
func NewBreaker(cfg breaker.Config) *Breaker {
	return &Breaker{machine: breaker.New(cfg)}
}

// Load gives the published snapshot. Where its Admit, Confirms or NoOp is false, call
// the method of the handle.
func (b *Breaker) Load() breaker.Snapshot { return breaker.Snapshot(b.snapshot.Load()) }

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

// AnswerBegan returns a ticket for an answer that has begun; see breaker.Breaker.AnswerBegan.
func (b *Breaker) AnswerBegan(now time.Time, t breaker.Ticket) breaker.Change {
	b.mu.Lock()
	c := b.machine.AnswerBegan(now, t)
	b.publish()
	b.mu.Unlock()
	return c
}

// AnswerEnded counts the end of an answer; see breaker.Breaker.AnswerEnded.
func (b *Breaker) AnswerEnded(now time.Time, t breaker.Ticket, o outcome.Outcome) breaker.Change {
	b.mu.Lock()
	c := b.machine.AnswerEnded(now, t, o)
	b.publish()
	b.mu.Unlock()
	return c
}

// Note counts an outcome and leaves the ticket valid; see breaker.Breaker.Note.
func (b *Breaker) Note(now time.Time, t breaker.Ticket, o outcome.Outcome) breaker.Change {
	b.mu.Lock()
	c := b.machine.Note(now, t, o)
	b.publish()
	b.mu.Unlock()
	return c
}

// Stats reads the machine.
func (b *Breaker) Stats(now time.Time) breaker.Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.Stats(now)
}

// publish is called under the lock, after each step of the machine.
func (b *Breaker) publish() { b.snapshot.Store(uint64(b.machine.Snapshot())) }
