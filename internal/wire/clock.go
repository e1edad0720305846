package wire

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Phase is a part of an attempt that has a limit of its own.
type Phase uint8

const (
	// Whole is the attempt itself, headers and, where it is read within, body.
	Whole Phase = iota
	// Connect is opening the connection, and again its TLS handshake.
	Connect
	// Write is sending one chunk of the request.
	Write
	// Read is waiting for the headers, or for one chunk of the body.
	Read
	// Pool is waiting for a connection that others use, or, over HTTP/2, for a
	// stream of one.
	Pool
)

// String names the phase as errors do.
func (p Phase) String() string {
	return [...]string{Whole: "attempt", Connect: "connect", Write: "write", Read: "read", Pool: "acquire"}[p]
}

// Limits are how long each phase may take; zero is no limit.
type Limits struct {
	Connect, Write, Read, Pool time.Duration
}

func (l *Limits) of(p Phase) time.Duration {
	switch p {
	case Connect:
		return l.Connect
	case Write:
		return l.Write
	case Read:
		return l.Read
	case Pool:
		return l.Pool
	}
	return 0
}

// A slot is one deadline of an attempt.
type slot uint8

const (
	whole      slot = iota // the attempt, and after the headers of a live answer the operation
	pooling                // until a connection is had, or dialled
	connecting             // until the connection is had
	writing                // a chunk of the request
	waiting                // for the headers
	reading                // a chunk of the body: the only one that counts once there are headers
	slots
)

var phases = [slots]Phase{Whole, Pool, Connect, Write, Read, Read}

const never = math.MaxInt64

// clock keeps the deadlines of one attempt with one timer, which is moved only
// to an earlier time: a deadline that is later than what the timer is set to costs
// two atomic words and a look at the clock, since the timer finds it when it fires.
//
// Deadlines are nanoseconds since the attempt began; zero is none.
type clock struct {
	began    time.Time
	limits   *Limits
	ctx      interface{ Expire() } // which ends at a deadline
	due      [slots]atomic.Int64
	armed    atomic.Int64 // when the timer fires
	answered atomic.Bool  // there are headers: hooks that come late no longer count

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	expired bool
	phase   Phase         // that has expired
	limit   time.Duration // its limit
	after   time.Duration // how long it had taken
}

// set begins a phase that ends by clear, or at its limit. One whose limit is not below
// the attempt's can never be what ends it, and costs no look at the clock: that is
// Read, unless it is chosen.
func (c *clock) set(s slot) {
	limit := c.limits.of(phases[s])
	if end := c.due[whole].Load(); limit <= 0 || end > 0 && int64(limit) >= end {
		return
	}
	c.setTo(s, int64(time.Since(c.began)+limit))
}

// start sets the timer once for whatever comes first: the deadline of the attempt,
// zero for none, or the shortest phase, if it began at once. Phases that begin
// later find it set, and a call that is over by then has set it once.
func (c *clock) start(due int64) {
	first := int64(never)
	if due > 0 {
		c.due[whole].Store(due)
		first = due
	}
	for _, limit := range [...]time.Duration{c.limits.Pool, c.limits.Connect, c.limits.Write, c.limits.Read} {
		if limit > 0 {
			first = min(first, int64(limit))
		}
	}
	c.armed.Store(never)
	if first < never {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.arm(first)
	}
}

// setTo gives a slot its deadline.
func (c *clock) setTo(s slot, due int64) {
	c.due[s].Store(due)
	// The order matters: fire marks the timer as unset before it looks at the
	// slots, so that one of the two sees the other.
	if c.armed.Load() <= due {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arm(due)
}

func (c *clock) clear(s slot) { c.due[s].Store(0) }

// arm sets the timer, unless it fires earlier. It is called under the lock.
func (c *clock) arm(due int64) {
	if c.stopped || c.armed.Load() <= due {
		return
	}
	c.armed.Store(due)
	wait := time.Until(c.began.Add(time.Duration(due)))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.fire)
		return
	}
	c.timer.Reset(wait)
}

// fire ends the attempt if a deadline has been reached, and else waits for the
// next one.
func (c *clock) fire() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.armed.Store(never)
	now := int64(time.Since(c.began))
	first, next := slots, int64(never)
	for s := range slots {
		due := c.due[s].Load()
		if due == 0 || c.answered.Load() && s != whole && s != reading {
			continue
		}
		if due < next {
			first, next = s, due
		}
	}
	switch {
	case first == slots: // nothing has a deadline
	case next > now:
		c.arm(next)
	default:
		c.stopped, c.expired = true, true
		c.phase, c.after = phases[first], time.Duration(now)
		if c.limit = c.limits.of(c.phase); c.limit > 0 {
			c.after = time.Duration(now-next) + c.limit
		}
		c.mu.Unlock()
		c.ctx.Expire()
		return
	}
	c.mu.Unlock()
}

// stop ends the clock with the attempt.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// Expired says which phase reached its limit, if one has: what the limit was, and
// how long the phase had taken. The limit of Whole is not known here.
func (c *clock) Expired() (p Phase, limit, after time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase, c.limit, c.after, c.expired
}
