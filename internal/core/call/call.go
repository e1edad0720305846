// Package call is the order of the rules, written once: one operation's way
// through breaker, cooldown, bulkhead and retries. It is straight code over an
// interface of effects. An effect blocks in production and yields in virtual time.
//
//	breaker                     one verdict per operation, however many attempts
//	└ deadline                  the whole operation, waits included
//	  └ retry                   attempts, until the schedule stops them
//	    └ cooldown, bulkhead    no attempt while the service asked to be left alone; one permit per attempt
//	      └ breaker, again      no attempt while it is open, even for an operation that was admitted
//	        └ attempt
package call

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Effects is what an operation does to the world. An effect that waits returns
// the reason why it gave up, and Go if it did not. The implementation keeps the
// error that belongs to it.
type Effects interface {
	Ended() time.Time    // when the latest attempt ended
	Chance() float64     // in [0, 1)
	Deadline() time.Time // of the whole operation; zero if it has none

	Admit() bool               // ask the breaker for a ticket
	Admits(t time.Time) bool   // whether the breaker, as it stands, admits an attempt at t
	Confirm() bool             // ask again, right before an attempt
	Probe() bool               // whether the ticket is a half-open probe
	Settle(outcome.Outcome)    // give the ticket back with the operation's verdict
	Note(outcome.Outcome) bool // count one failed attempt of an operation that goes on; false if operations are counted

	Cooldown() retry.Reason // wait until the cooldown is over
	CoolingDown() bool      // whether there is one now
	Acquire() retry.Reason  // wait for a permit of the bulkhead
	Release()               // give it back, unless the attempt's answer holds it

	Attempt(n int) outcome.Result        // make attempt n, counted from 1
	Backoff(retry.Decision) retry.Reason // wait until the next one
}

// Run takes one operation through the rules and returns how it ended: why there
// was no further attempt and, where a wait was the reason, how long it would have
// been. A check is an operation without a verdict: it asks the breaker and never
// feeds it.
//
// Ticket and permit come back even if the attempt panics or calls Goexit.
func Run(e Effects, cfg *retry.Config, check bool) retry.Decision {
	if !e.Admit() {
		return retry.Decision{Why: retry.BreakerOpened}
	}
	verdict := outcome.Unknown // of an operation without an attempt
	defer func() {
		if check {
			verdict = outcome.Unknown
		}
		e.Settle(verdict)
	}()

	schedule := retry.Start(cfg)
	for n := 1; ; n++ {
		if why := wait(e); why != retry.Go {
			return retry.Decision{Why: why}
		}
		result, made := attempt(e, n, &verdict)
		if !made {
			return retry.Decision{Why: retry.BreakerOpened}
		}
		if result.Outcome == outcome.Success {
			return retry.Decision{Why: retry.Answered}
		}
		d := schedule.Next(e.Ended(), e.Deadline(), result, e.Chance())
		switch {
		case !d.Again:
			return d
		case e.Probe() && (!result.AtOnce || d.Wait > 0): // retries inside probes multiply the load on a service that recovers
			return retry.Decision{Why: retry.WasProbe}
		case !e.Admits(d.At): // the wait would end in a rejection
			return retry.Decision{Why: retry.BreakerOpened}
		}
		if !result.Stands && e.Note(result.Outcome) {
			verdict = outcome.Unknown // it is counted
		}
		if why := e.Backoff(d); why != retry.Go {
			d.Again, d.Why = false, why
			return d
		}
	}
}

// wait returns Go once an attempt may start and holds a permit. A cooldown is
// waited out without a permit, since permits are for what is on the wire: one
// that began during the wait for a permit starts the wait again.
func wait(e Effects) retry.Reason {
	for {
		if why := e.Cooldown(); why != retry.Go {
			return why
		}
		if why := e.Acquire(); why != retry.Go {
			return why
		}
		if !e.CoolingDown() {
			return retry.Go
		}
		e.Release()
	}
}

// attempt makes one attempt and releases its permit. made is false if the breaker
// opened during the wait.
func attempt(e Effects, n int, verdict *outcome.Outcome) (r outcome.Result, made bool) {
	defer e.Release()
	if !e.Confirm() {
		return r, false
	}
	before := *verdict
	*verdict = outcome.Unknown // a panic says nothing about the service
	r = e.Attempt(n)
	if *verdict = r.Outcome; r.Stands {
		*verdict = before
	}
	return r, true
}
