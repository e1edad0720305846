// Package call is one call's way through all the rules, written once. The order
// is the point, so it is straight code that can be read like a recipe; what each
// line does to the world is an effect, which blocks in production and yields in
// virtual time.
//
//	breaker                     one verdict an operation, however many attempts
//	└ deadline                  the whole operation, waits included
//	  └ retry                   attempts, until one of a dozen reasons stops them
//	    └ silence, bulkhead     held back while the service asked for it; then one slot an attempt
//	      └ breaker, again      while it is open nothing starts, whoever was admitted when
//	        └ attempt
package call

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Effects is what a call does to the world. An effect that waits says why it
// gave up, and Go if it did not; whoever implements it keeps the error to it.
type Effects interface {
	Now() time.Time
	Chance() float64     // a number of chance in [0, 1)
	Deadline() time.Time // of the whole operation; zero if it has none

	Admit() bool             // ask the breaker whether the operation may start
	Admits(t time.Time) bool // whether the breaker, as it is, would let an attempt start at t
	Confirm() bool           // ask again: an attempt is about to start
	Probe() bool             // whether the permit is a half-open probe
	Verdict(outcome.Outcome) // give the permit back

	Silence() retry.Reason // wait out a silence that the service asked for
	Silent() bool          // whether it asks for one now
	Slot() retry.Reason    // wait for a slot
	Free()                 // give the slot back, unless the attempt handed it over

	Attempt(n int) outcome.Result        // make attempt n, counted from 1
	Backoff(retry.Decision) retry.Reason // wait until the next one
}

// Run takes one operation through the rules and says how it ended: why there
// was no further attempt, and, where a wait was the reason, how long it would
// have been. The results of the attempts stay with the effects.
//
// The permit and the slot come back whatever happens, a panic or a Goexit in
// the attempt included.
func Run(e Effects, cfg *retry.Config) retry.Decision {
	if !e.Admit() {
		return retry.Decision{Why: retry.BreakerOpened}
	}
	verdict := outcome.Unknown // of an operation without an attempt
	defer func() { e.Verdict(verdict) }()

	schedule := retry.Start(cfg)
	for n := 1; ; n++ {
		if why := turn(e); why != retry.Go {
			return retry.Decision{Why: why}
		}
		result, made := attempt(e, n, &verdict)
		if !made {
			return retry.Decision{Why: retry.BreakerOpened}
		}
		if result.Outcome == outcome.Success {
			return retry.Decision{Why: retry.Answered}
		}
		d := schedule.Next(e.Now(), e.Deadline(), result, e.Chance())
		switch {
		case !d.Again:
			return d
		case e.Probe(): // retries inside probes multiply the load on a service that is getting up
			return retry.Decision{Why: retry.WasProbe}
		case !e.Admits(d.At): // why wait for a refusal
			return retry.Decision{Why: retry.BreakerOpened}
		}
		if why := e.Backoff(d); why != retry.Go {
			d.Again, d.Why = false, why
			return d
		}
	}
}

// turn waits until an attempt may go, and has its slot. A silence is waited out
// without a slot, since the slots are for what is on the wire; so one that began
// during the wait for a slot sends the caller back.
func turn(e Effects) retry.Reason {
	for {
		if why := e.Silence(); why != retry.Go {
			return why
		}
		if why := e.Slot(); why != retry.Go {
			return why
		}
		if !e.Silent() {
			return retry.Go
		}
		e.Free()
	}
}

// attempt makes one attempt and frees its slot. made is false if the breaker
// opened while the operation waited.
func attempt(e Effects, n int, verdict *outcome.Outcome) (r outcome.Result, made bool) {
	defer e.Free()
	if !e.Confirm() {
		return r, false
	}
	*verdict = outcome.Unknown // a panic says nothing about the service
	r = e.Attempt(n)
	*verdict = r.Outcome
	return r, true
}
