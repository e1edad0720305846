package wire

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Phase is a part of a round trip that has a limit of its own.
type Phase uint8

const (
	PhaseAttempt Phase = iota // all of it, up to the headers or the end of a body that is read within
	PhaseConnect              // the dial, and again the TLS handshake
	PhaseWrite                // sending one chunk of the request
	PhaseRead                 // waiting for the headers, or for one chunk of the body
	PhaseAcquire              // waiting for a connection that is in use, or for a stream of HTTP/2
	PhaseEvent                // waiting for an event of a stream
)

// String returns the phase's name in errors.
func (p Phase) String() string {
	return [...]string{PhaseAttempt: "attempt", PhaseConnect: "connect", PhaseWrite: "write", PhaseRead: "read", PhaseAcquire: "acquire", PhaseEvent: "event"}[p]
}

// Limits bound the phases; zero is no limit.
type Limits struct {
	Connect, Write, Read, Acquire, Event time.Duration
}

func (l *Limits) of(p Phase) time.Duration {
	return [...]time.Duration{PhaseConnect: l.Connect, PhaseWrite: l.Write, PhaseRead: l.Read, PhaseAcquire: l.Acquire, PhaseEvent: l.Event}[p]
}

// deadline identifies one of the deadlines of a round trip.
type deadline uint8

const (
	dueAttempt deadline = iota // of the attempt, and after a live answer's headers of the operation
	dueAcquire                 // until the request has a connection, or a dial of its own
	dueConnect                 // until a dialled connection is ready
	dueWrite                   // a chunk of the request
	dueHeaders                 // of the answer
	dueChunk                   // of the answer's body; after the headers only this one, the next and the first count
	dueEvent                   // of the answer's body
	deadlineCount
)

var phaseOf = [deadlineCount]Phase{PhaseAttempt, PhaseAcquire, PhaseConnect, PhaseWrite, PhaseRead, PhaseRead, PhaseEvent}

const never = math.MaxInt64

// deadlines keeps all deadlines of a round trip with one timer. The timer only moves
// to an earlier time: a later deadline costs two atomic words and a look at the
// clock, and the timer finds it when it fires.
//
// Deadlines are nanoseconds since the start; zero is none.
type deadlines struct {
	world   world.World // of the round trip's context
	started time.Time
	limits  *Limits
	ctx     expiring // ends at a deadline
	due     [deadlineCount]atomic.Int64
	armed   atomic.Int64 // when the timer fires

	// In this order, the small fields share a word with answer.
	mu      sync.Mutex
	stopped bool
	expired bool
	phase   Phase         // that has expired
	empty   uint8         // reads of a body in a row that read nothing; of its reader
	answer  atomic.Uint32 // not under mu: how much has arrived
	timer   world.Timer
	limit   time.Duration // of the phase that has expired
	after   time.Duration // its duration
}

// How much of an answer has arrived.
const (
	answerAwaited uint32 = iota
	answerBegun          // the headers: a hook that is called later sets nothing
	answerRead           // all of it
)

// expiring is the part of a Context that deadlines use.
type expiring interface {
	Err() error
	Expire()
}

// Expired returns the phase that reached its limit, if one has, its limit and its
// duration. The limit of PhaseAttempt is not known here.
func (d *deadlines) Expired() (p Phase, limit, after time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.phase, d.limit, d.after, d.expired
}

// begin sets the timer once for whatever comes first: the attempt's deadline, zero
// for none, or the shortest phase, as if it began at once. Later phases find the
// timer set, and most calls set it once.
func (d *deadlines) begin(due int64) {
	first := int64(never)
	if due > 0 {
		d.due[dueAttempt].Store(due)
		first = due
	}
	for _, limit := range [...]time.Duration{d.limits.Acquire, d.limits.Connect, d.limits.Write, d.limits.Read} {
		if limit > 0 {
			first = min(first, int64(limit))
		}
	}
	d.armed.Store(never)
	if first < never {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.arm(first)
	}
}

// at converts a time to a deadline.
func (d *deadlines) at(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, int64(t.Sub(d.started)))
}

// elapsed is the time since the start.
func (d *deadlines) elapsed() time.Duration { return d.world.Since(d.started) }

// set begins a phase, which ends by clear or at its limit. A limit that is not below
// the attempt's can never strike, and costs no look at the clock: by default that is
// Limits.Read.
func (d *deadlines) set(which deadline) {
	limit := d.limits.of(phaseOf[which])
	if end := d.due[dueAttempt].Load(); limit <= 0 || end > 0 && int64(limit) >= end {
		return
	}
	d.setTo(which, int64(d.elapsed()+limit))
}

func (d *deadlines) setTo(which deadline, due int64) {
	d.due[which].Store(due)
	// The order matters: fire marks the timer as unset before it reads the
	// deadlines, so that one of the two sees the other.
	if d.armed.Load() <= due {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arm(due)
}

func (d *deadlines) clear(which deadline) { d.due[which].Store(0) }

// arm sets the timer, unless it fires earlier. The lock is held.
func (d *deadlines) arm(due int64) {
	if d.stopped || d.armed.Load() <= due {
		return
	}
	d.armed.Store(due)
	wait := time.Duration(due) - d.elapsed()
	if d.timer == nil {
		d.timer = d.world.AfterFunc(wait, d.fire)
		return
	}
	d.timer.Reset(wait)
}

// fire ends the round trip if a deadline has passed, and else waits for the next.
func (d *deadlines) fire() {
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		return
	}
	d.armed.Store(never)
	elapsed := int64(d.elapsed())
	first, next := deadlineCount, int64(never)
	for which := range deadlineCount {
		due := d.due[which].Load()
		if due == 0 || d.answer.Load() >= answerBegun && which != dueAttempt && which != dueChunk && which != dueEvent {
			continue
		}
		if due < next {
			first, next = which, due
		}
	}
	switch {
	case first == deadlineCount: // there is none
	case next > elapsed:
		d.arm(next)
	default:
		d.stopped, d.expired = true, true
		d.phase, d.after = phaseOf[first], time.Duration(elapsed)
		if d.limit = d.limits.of(d.phase); d.limit > 0 {
			d.after = time.Duration(elapsed-next) + d.limit
		}
		d.mu.Unlock()
		d.ctx.Expire()
		return
	}
	d.mu.Unlock()
}

// stop ends the timer.
func (d *deadlines) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	if d.timer != nil {
		d.timer.Stop()
	}
}
