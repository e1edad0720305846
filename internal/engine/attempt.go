package engine

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
)

// Attempt is one attempt. Making it writes to nothing but the Attempt: what
// follows from its end is done by the operation.
//
// It ends with a conclusion, by Conclude, or without one if the function that it
// calls panics or calls Goexit.
type Attempt struct {
	lazyctx.Context
	Number  int       // from 1
	Started time.Time // zero if it was not timed
	Took    time.Duration

	judge.Meaning
	Class   judge.Class
	Err     error     // why it failed; nil for success
	Status  int       // of an answer; zero if there was none
	Arrived time.Time // when a declining answer arrived; zero if none did

	Probe      bool // it is a half-open breaker's probe
	Reused     bool // it went over a connection that was used before
	Sent       bool // its request may have reached the service
	Free       bool // the repetition is free: see outcome.Result
	concluded  bool
	permit     bool // it holds a permit of the bulkhead
	handedOver bool // the answer holds the permit until Operation.ReleaseHeld
	stream     bool // or the place of a stream
}

// Conclude ends the attempt with what its end means. err is nil for success.
func (a *Attempt) Conclude(m judge.Meaning, err error) {
	a.Meaning, a.Err, a.concluded = m, err, true
}

// Concluded reports whether the attempt has ended with a conclusion.
func (a *Attempt) Concluded() bool { return a.concluded }

// HandOver leaves permit and context to the attempt's answer: the attempt ends,
// and they are given back by Operation.ReleaseHeld and End.
func (a *Attempt) HandOver() { a.handedOver = true }

// HandedOver reports whether the attempt's answer has them.
func (a *Attempt) HandedOver() bool { return a.handedOver }

// RetryAt is the end of the cooldown that the attempt began; zero if it began none.
func (a *Attempt) RetryAt() time.Time {
	if a.Cooldown {
		return a.Arrived.Add(a.RetryAfter)
	}
	return time.Time{}
}
