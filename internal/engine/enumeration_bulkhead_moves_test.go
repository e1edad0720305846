package engine

import (
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/world"
)

// The moves of a caller of the bulkhead.
const (
	moveLoad     uint8 = iota // TryAcquire: load the snapshot
	moveSwap                  // and, if a permit was free, swap
	moveEnqueue               // start to wait
	moveGranted               // see the grant
	moveTimedOut              // give up: the wait is over
	moveEnded                 // give up: the context has ended
	moveRelease               // Release: add
	moveGrant                 // and, if there were waiters, the rest
	moveRound                 // fine: a round of grant
	moveExcess                // release a permit that no caller has
)

var bulkheadMoves = [...]string{
	moveLoad: "looks for a free permit", moveSwap: "acquires it", moveEnqueue: "enters the queue", moveGranted: "sees its grant",
	moveTimedOut: "has waited too long", moveEnded: "is cancelled", moveRelease: "releases its permit", moveGrant: "grants to the waiters",
	moveRound: "grants", moveExcess: "releases a permit too many",
}

const (
	gotNothing = iota
	gotFree    // a permit
	gotNone    // none is free, or others wait
	gotRaced   // the snapshot has changed since the load
	gotQueued
	gotFull
	gotOut     // of the queue
	gotGrant   // at the same moment
	gotAlone   // no waiter
	gotWaiting // a waiter
	gotOne     // granted one
	gotTwo
	gotPanic
)

var bulkheadHows = [...]string{
	gotNothing: "", gotFree: "one is free", gotNone: "none is", gotRaced: "another caller was faster", gotQueued: "and waits",
	gotFull: "which is full", gotOut: "and leaves the queue", gotGrant: "and was granted a permit at the same moment",
	gotAlone: "and no caller waits", gotWaiting: "and another waits", gotOne: "to one", gotTwo: "to two", gotPanic: "and panics",
}

func (m *bulkheadModel) text(k kind) string {
	return fmt.Sprintf("%s | %s", bulkheadMoves[k.move], bulkheadHows[k.how])
}

func (m *bulkheadModel) moves(s *bulkheadState, to emit[bulkheadState]) {
	locked := slices.ContainsFunc(s.callers[:], func(c acquirer) bool { return c.stage == granting })
	for i := range m.callers {
		do := &bulkheadStep{m: m, s: s, i: i, to: to}
		switch c := &s.callers[i]; c.stage {
		case away:
			do.run(do.load)
		case looked:
			do.run(do.swap)
		case toEnqueue:
			if !locked {
				do.run(do.enqueue)
			}
		case waiting:
			if c.granted {
				do.run(do.seeGrant)
			}
			if !locked { // also after a grant: either may be seen first
				do.run(do.timedOut)
				do.run(do.contextEnded)
			}
		case holding:
			do.run(do.release)
		case gave:
			if !locked {
				do.run(do.grant)
			}
		case granting:
			do.run(do.round)
		}
	}
	if bulkhead.Snapshot(s.snapshot).InUse() == 0 && !locked {
		do := &bulkheadStep{m: m, s: s, i: -1, to: to}
		do.run(do.excess)
	}
}

// bulkheadStep is a step of one caller.
type bulkheadStep struct {
	m  *bulkheadModel
	s  *bulkheadState
	i  int
	to emit[bulkheadState]
}

// run makes the step on a handle with the state, and copies the state of the handle.
func (d *bulkheadStep) run(step func(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string)) {
	n := *d.s
	h, granted := d.m.on(d.s)
	var c *acquirer
	if d.i >= 0 {
		c = &n.callers[d.i]
	}
	move, how, broken := step(h, &n, c)
	n.machine, n.snapshot = h.machine, h.snapshot.Load()
	count := 0
	for broken == "" {
		next := slices.IndexFunc(granted[:], func(g grants) bool { return g > 0 })
		if next < 0 {
			break
		}
		// Several at once are woken in the order of the queue.
		if first := int(n.line[0]) - 1; first >= 0 && granted[first] > 0 {
			next = first
		} else {
			broken = ruleInOrder
		}
		granted[next]--
		n.callers[next].granted = true
		n.leaveLine(next)
		count++
	}
	if move == moveGrant || move == moveRound {
		how = []uint8{how, gotOne, gotTwo}[count]
	}
	if broken == "" {
		broken = d.m.traces(&n, h)
	}
	d.to(edge{kind{move: move, how: how}, d.i}, &n, broken)
}

func (n *bulkheadState) leaveLine(i int) {
	if at := slices.Index(n.line[:], int8(i+1)); at >= 0 {
		copy(n.line[at:], n.line[at+1:])
		n.line[crowd-1] = 0
	}
}

func (d *bulkheadStep) load(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	s := h.load()
	if _, free := s.Acquire(h.permits); !free {
		*c = acquirer{stage: toEnqueue}
		return moveLoad, gotNone, ""
	}
	*c = acquirer{stage: looked, loaded: s}
	return moveLoad, gotFree, ""
}

func (d *bulkheadStep) swap(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	next, _ := c.loaded.Acquire(h.permits)
	if !h.swap(c.loaded, next) {
		*c = acquirer{} // it loads again
		return moveSwap, gotRaced, ""
	}
	*c = acquirer{stage: holding}
	if n.line[0] != 0 {
		return moveSwap, gotFree, ruleInOrder
	}
	return moveSwap, gotFree, ""
}

func (d *bulkheadStep) enqueue(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	full := h.machine.Waiting() >= d.m.queue
	p := new(parked)
	w, _, result := h.enqueue(world.From(p), instant)
	switch result {
	case rejected:
		*c = acquirer{}
		if !full {
			broken = ruleQueueBound
		}
		return moveEnqueue, gotFull, broken
	case acquired:
		*c = acquirer{stage: holding}
		if n.line[0] != 0 {
			broken = ruleInOrder
		}
		return moveEnqueue, gotFree, broken
	}
	*c = acquirer{stage: waiting, ticket: w.ticket}
	n.line[slices.Index(n.line[:], 0)] = int8(d.i + 1)
	switch {
	case full:
		broken = ruleQueueBound
	case p.grants != 0: // enqueue grants nothing
		broken = ruleAllBack
	}
	return moveEnqueue, gotQueued, broken
}

func (d *bulkheadStep) seeGrant(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	*c = acquirer{stage: holding}
	return moveGranted, gotNothing, ""
}

func (d *bulkheadStep) timedOut(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	ended := h.timedOut(c.ticket)
	if (ended == Acquired) != c.granted {
		broken = ruleNoTrace
	}
	n.leaveLine(d.i)
	if ended == Acquired {
		*c = acquirer{stage: holding}
		return moveTimedOut, gotGrant, broken
	}
	*c = acquirer{}
	return moveTimedOut, gotOut, broken
}

// contextEnded is one edge in the coarse model. In the fine model a caller that was
// granted a permit has it, and releases it in further steps.
func (d *bulkheadStep) contextEnded(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	n.leaveLine(d.i)
	how = gotOut
	if c.granted {
		how = gotGrant
	}
	if !d.m.fine {
		h.contextEnded(c.ticket)
		*c = acquirer{}
		return moveEnded, how, ""
	}
	left := h.remove(c.ticket)
	if left == c.granted {
		broken = ruleNoTrace
	}
	if *c = (acquirer{}); !left {
		c.stage = holding
	}
	return moveEnded, how, broken
}

func (d *bulkheadStep) release(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	s := h.giveBack()
	if s.Uncontended() {
		*c = acquirer{}
		return moveRelease, gotAlone, ""
	}
	*c = acquirer{stage: gave, loaded: s}
	return moveRelease, gotWaiting, ""
}

func (d *bulkheadStep) grant(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	if d.m.fine {
		*c = acquirer{stage: granting}
		return moveGrant, gotNothing, ""
	}
	h.released(c.loaded)
	*c = acquirer{}
	return moveGrant, gotNothing, ""
}

func (d *bulkheadStep) round(h *Bulkhead, n *bulkheadState, c *acquirer) (move, how uint8, broken string) {
	if !h.grantNext() {
		*c = acquirer{}
	}
	return moveRound, gotNothing, ""
}

// excess is one edge: between the addition and the panic the program is wrong already.
func (d *bulkheadStep) excess(h *Bulkhead, n *bulkheadState, _ *acquirer) (move, how uint8, broken string) {
	defer func() {
		move, how = moveExcess, gotPanic
		if recover() == nil || h.snapshot.Load() != d.s.snapshot {
			broken = ruleExcess
		}
	}()
	h.Release()
	return
}
