package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// mostOutstanding is how many calls may be unfinished. One that arrives when
// there are as many fails at once, whichever client it was meant for: callers
// without a limit would only measure this machine's memory.
const mostOutstanding = 1000

// call is one call as its own goroutine saw it; nobody else writes to it.
// Instants are counted from the beginning.
type call struct {
	due    time.Duration // when it was to start; its latency counts from here
	phase  int           // that due lies in
	began  time.Duration // when it did
	ended  time.Duration
	ending ending

	// What the observer saw, of a call through holdfast; see witness.
	attempts []attempt
	permits  []permit // half-open ones
	done     int      // attempts that were told to have ended
}

// ending is what a call came to.
type ending uint8

const (
	lost     ending = iota // it never ended
	answered               // with what was asked for
	refused                // by an open circuit breaker
	failed                 // with an error
	crowded                // never started, since too many were outstanding; counted as failed
)

// tally counts what goes on, for whoever watches.
type tally struct {
	started, outstanding atomic.Int64
	phases               [5]phaseTally
}

// phaseTally counts the calls that were to start in one phase.
type phaseTally struct {
	expected                           int64
	answered, refused, failed, retries atomic.Int64
}

// drive makes one call for each arrival, in a goroutine of its own and at its
// time, whatever became of those before it. It returns when all have ended. If
// ctx ends, no further call is made, and the error is ctx's.
func drive(ctx context.Context, begin time.Time, d demo, t *tally, do func(ctx context.Context, name string, c *call) ending) ([]call, error) {
	calls := make([]call, len(d.due))
	var running sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range calls {
		c := &calls[i]
		c.due = d.due[i]
		c.phase = d.script.at(c.due)
		timer.Reset(time.Until(begin.Add(c.due)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			running.Wait()
			return nil, ctx.Err()
		}
		t.started.Add(1)
		if t.outstanding.Add(1) > mostOutstanding {
			c.ended = time.Since(begin)
			c.began = c.ended
			t.end(c, crowded)
			continue
		}
		running.Go(func() {
			name := fmt.Sprintf("call-%05d", i)
			c.began = time.Since(begin)
			how := do(ctx, name, c)
			c.ended = time.Since(begin)
			t.end(c, how)
		})
	}
	running.Wait()
	return calls, ctx.Err()
}

func (t *tally) end(c *call, how ending) {
	c.ending = how
	p := &t.phases[c.phase]
	switch how {
	case answered:
		p.answered.Add(1)
	case refused:
		p.refused.Add(1)
	default:
		p.failed.Add(1)
	}
	t.outstanding.Add(-1)
}

// ended says whether every call of the phase has.
func (p *phaseTally) ended() bool {
	return p.answered.Load()+p.refused.Load()+p.failed.Load() == p.expected
}

// result says what came of the phase.
func (p *phaseTally) result() string {
	said := "every call answered"
	if n := p.answered.Load(); n < p.expected {
		said = fmt.Sprintf("%s of %s calls answered", format.Number(int(n)), format.Number(int(p.expected)))
	}
	if n := p.retries.Load(); n > 0 {
		said = format.Plural(int(n), "retry") + ", " + said
	}
	return said
}
