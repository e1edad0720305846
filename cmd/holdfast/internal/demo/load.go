package demo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// maxOutstanding limits the calls in flight. A further call fails at once, for either
// client: without the limit the demo would measure the memory of this machine.
const maxOutstanding = 1000

// call is one call. Only the goroutine that makes it writes to it. Instants are counted
// from the beginning of the run.
type call struct {
	due    time.Duration // the scheduled start, from which the latency is counted
	phase  int           // the phase of due
	began  time.Duration // the actual start
	ended  time.Duration
	result result

	// For calls through holdfast, from the observer.
	attempts []attempt
	permits  []permit // of a half-open breaker
	done     int      // attempts that ended
}

// lateStart is the delay behind the schedule from which on a call began late. It is more
// than an answer takes.
const lateStart = 20 * time.Millisecond

func (c *call) isLate() bool { return c.began-c.due > lateStart }

// result is the end of a call.
type result uint8

const (
	lost     result = iota // the call never ended
	answered               // with an embedding
	rejected               // by an open circuit breaker
	failed                 // with an error
	crowded                // not started because of maxOutstanding; counted as failed
)

// tally counts calls while they run.
type tally struct {
	started, outstanding atomic.Int64
	phases               [5]phaseTally
}

// phaseTally counts the calls that were scheduled in one phase.
type phaseTally struct {
	until                               time.Duration // its end; zero for the last one
	expected                            int64
	answered, rejected, failed, retries atomic.Int64
	late                                atomic.Int64 // began late
	crossed                             atomic.Int64 // ended after the phase
}

// generateLoad makes one call for each arrival, in a goroutine of its own and at its
// time, independently of earlier calls. It returns when all calls have ended. When ctx
// ends, it makes no further call and returns the error of ctx.
func generateLoad(ctx context.Context, begin time.Time, d comparison, t *tally, do func(ctx context.Context, name string, c *call) result) ([]call, error) {
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
		if t.outstanding.Add(1) > maxOutstanding {
			c.ended = time.Since(begin)
			c.began = c.ended
			t.end(c, crowded)
			continue
		}
		running.Go(func() {
			name := fmt.Sprintf("call-%05d", i)
			c.began = time.Since(begin)
			r := do(ctx, name, c)
			c.ended = time.Since(begin)
			t.end(c, r)
		})
	}
	running.Wait()
	return calls, ctx.Err()
}

func (t *tally) end(c *call, r result) {
	c.result = r
	p := &t.phases[c.phase]
	if c.isLate() {
		p.late.Add(1)
	}
	if p.until > 0 && c.ended > p.until {
		p.crossed.Add(1)
	}
	switch r {
	case answered:
		p.answered.Add(1)
	case rejected:
		p.rejected.Add(1)
	default:
		p.failed.Add(1)
	}
	t.outstanding.Add(-1)
}

// allEnded reports whether every call of the phase has ended.
func (p *phaseTally) allEnded() bool {
	return p.answered.Load()+p.rejected.Load()+p.failed.Load() == p.expected
}

// summary is the result of the phase. Of a phase without all answers it tells how many calls
// met the next one, and how many began late: their results are not those of the phase alone.
func (p *phaseTally) summary() string {
	text := "every call answered"
	if n := p.answered.Load(); n < p.expected {
		text = fmt.Sprintf("%s of %s calls answered", format.Number(int(n)), format.Number(int(p.expected)))
		if n := p.crossed.Load(); n > 0 {
			text += fmt.Sprintf(", %s ended in the next phase", format.Number(int(n)))
		}
	}
	if n := p.late.Load(); n > 0 {
		text += ", " + format.Plural(int(n), "late start")
	}
	if n := p.retries.Load(); n > 0 {
		text = format.Plural(int(n), "retry") + ", " + text
	}
	return text
}
