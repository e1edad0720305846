package holdfast

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/latency"
)

const (
	windowLength = time.Minute
	windowStep   = 20 * time.Second
	windowTicks  = int(windowLength/windowStep) + 1
)

// window keeps what a client had counted at some moments of the last minute, so that the
// difference to now is what happened since. The calls keep it up to date: the first call
// of each windowStep.
type window struct {
	due   atomic.Int64 // when the next tick is, in Unix nanoseconds
	mu    sync.Mutex
	ticks [windowTicks]*tick // the oldest first; nil before the first calls
}

// tick is what had been counted at a moment.
type tick struct {
	at                   int64 // Unix nanoseconds
	counts               Counts
	operations, attempts *latency.Snapshot
}

// began notes that a call begins at a time, in Unix nanoseconds.
func (w *window) began(now int64, s *shared) {
	if now >= w.due.Load() {
		w.tick(now, s)
	}
}

func (w *window) tick(now int64, s *shared) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now < w.due.Load() {
		return
	}
	w.due.Store(now + int64(windowStep))
	copy(w.ticks[:], w.ticks[1:])
	t := &tick{at: now}
	t.counts, t.operations, t.attempts = s.read()
	w.ticks[windowTicks-1] = t
}

// start returns the tick from which on the last minute, or a little more, is counted. It is
// nil if no call has begun since.
func (w *window) start(now int64) (start *tick) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range w.ticks {
		switch {
		case t == nil:
			continue
		case start == nil && i == 0, start == nil && w.ticks[i-1] == nil, t.at <= now-int64(windowLength):
			start = t
		case start.at < now-int64(windowLength+windowStep): // no call has begun between start and t
			return t
		}
	}
	if start != nil && start.at < now-int64(windowLength+windowStep) {
		return nil
	}
	return start
}

// since returns what was counted after a tick.
func (c Counts) since(before Counts) Counts {
	return Counts{
		Operations: c.Operations - before.Operations, Succeeded: c.Succeeded - before.Succeeded, Failed: c.Failed - before.Failed,
		Attempts: c.Attempts - before.Attempts, Retries: c.Retries - before.Retries, Timeouts: c.Timeouts - before.Timeouts,
		Throttled: c.Throttled - before.Throttled, BrokeOff: c.BrokeOff - before.BrokeOff, Rejected: c.Rejected - before.Rejected,
		PoolTimeouts: c.PoolTimeouts - before.PoolTimeouts, Waits: c.Waits - before.Waits, Waited: c.Waited - before.Waited,
		Cooldowns: c.Cooldowns - before.Cooldowns,
	}
}
