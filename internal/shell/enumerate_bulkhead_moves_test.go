package shell

import (
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
)

// What a caller of the bulkhead can do.
const (
	moveLoad     uint8 = iota // TryTake: load the word and decide on it
	moveSwap                  // and, if a slot was free, take it
	moveJoin                  // step into the line
	moveGetSlot               // find that it was served
	moveTooLong               // give up, its wait is over
	moveUnwanted              // give up, its context ended
	movePut                   // Give: add
	moveGiven                 // and, if the word was not plain, the rest
	moveRound                 // fine: a round of serve
	moveOverdraw              // give back a slot that nobody has
)

var bulkheadMoves = [...]string{
	moveLoad: "looks for a free slot", moveSwap: "takes it", moveJoin: "steps into the line", moveGetSlot: "finds its slot",
	moveTooLong: "has waited too long", moveUnwanted: "is cancelled", movePut: "gives its slot back", moveGiven: "goes to serve the line",
	moveRound: "serves", moveOverdraw: "gives back a slot too many",
}

const (
	gotNothing = iota // nothing to say
	gotFree           // a slot is free; it is taken
	gotNone           // none is, or others wait for it
	gotRaced          // the word has changed since it was loaded
	gotInLine
	gotFull
	gotOut     // of the line
	gotServed  // in the same moment
	gotPlain   // nobody waits
	gotWaiting // somebody does
	gotOne     // served one in line
	gotTwo
	gotPanic
)

var bulkheadHows = [...]string{
	gotNothing: "", gotFree: "one is free", gotNone: "none is", gotRaced: "somebody was faster", gotInLine: "and waits",
	gotFull: "which is full", gotOut: "and leaves the line", gotServed: "and was served in the same moment",
	gotPlain: "and nobody waits", gotWaiting: "and somebody waits", gotOne: "one caller", gotTwo: "two callers", gotPanic: "and panics",
}

func (m *bulkheadModel) text(k kind) string {
	return fmt.Sprintf("%s | %s", bulkheadMoves[k.move], bulkheadHows[k.how])
}

func (m *bulkheadModel) moves(s *bulkheadState, to emit[bulkheadState]) {
	locked := slices.ContainsFunc(s.callers[:], func(c waiter) bool { return c.stage == serving })
	for i := range m.callers {
		do := &bulkheadStep{m: m, s: s, i: i, to: to}
		switch c := &s.callers[i]; c.stage {
		case away:
			do.run(do.load)
		case loaded:
			do.run(do.swap)
		case toJoin:
			if !locked {
				do.run(do.join)
			}
		case inLine:
			if c.served {
				do.run(do.getSlot)
			}
			if !locked { // also if it was served: select may choose either
				do.run(do.tooLong)
				do.run(do.unwanted)
			}
		case holding:
			do.run(do.put)
		case gave:
			if !locked {
				do.run(do.given)
			}
		case serving:
			do.run(do.round)
		}
	}
	if bulkhead.Word(s.word).InUse() == 0 && !locked {
		do := &bulkheadStep{m: m, s: s, i: -1, to: to}
		do.run(do.overdraw)
	}
}

// bulkheadStep is one caller's step from a state to the next.
type bulkheadStep struct {
	m  *bulkheadModel
	s  *bulkheadState
	i  int
	to emit[bulkheadState]
}

// run makes a step on a handle that is in the state, and takes the state over.
func (d *bulkheadStep) run(step func(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string)) {
	n := *d.s
	h, woken := d.m.on(d.s)
	var c *waiter
	if d.i >= 0 {
		c = &n.callers[d.i]
	}
	move, how, broken := step(h, &n, c)
	n.machine, n.word = h.machine, h.word.Load()
	served := 0
	for broken == "" {
		next := slices.IndexFunc(woken[:], func(ch chan struct{}) bool { return len(ch) > 0 })
		if next < 0 {
			break
		}
		// Several at once are woken in the order of the line, or it is no line.
		if first := int(n.line[0]) - 1; first >= 0 && len(woken[first]) > 0 {
			next = first
		} else {
			broken = ruleInOrder
		}
		<-woken[next]
		n.callers[next].served = true
		n.leaveLine(next)
		served++
	}
	if move == moveGiven || move == moveRound {
		how = []uint8{how, gotOne, gotTwo}[served]
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

func (d *bulkheadStep) load(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	w := h.load()
	if _, free := w.Take(h.slots); !free {
		*c = waiter{stage: toJoin}
		return moveLoad, gotNone, ""
	}
	*c = waiter{stage: loaded, word: w}
	return moveLoad, gotFree, ""
}

func (d *bulkheadStep) swap(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	next, _ := c.word.Take(h.slots)
	if !h.swap(c.word, next) {
		*c = waiter{} // it looks again
		return moveSwap, gotRaced, ""
	}
	*c = waiter{stage: holding}
	if n.line[0] != 0 {
		return moveSwap, gotFree, ruleInOrder
	}
	return moveSwap, gotFree, ""
}

func (d *bulkheadStep) join(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	full := h.machine.Waiting() >= d.m.queue
	woken := make(chan struct{}, 1) // nobody is served by joining
	t, _, joined := h.join(instant, woken)
	switch joined {
	case wasFull:
		*c = waiter{}
		if !full {
			broken = ruleQueueBound
		}
		return moveJoin, gotFull, broken
	case tookSlot:
		*c = waiter{stage: holding}
		if n.line[0] != 0 {
			broken = ruleInOrder
		}
		return moveJoin, gotFree, broken
	}
	*c = waiter{stage: inLine, ticket: t}
	n.line[slices.Index(n.line[:], 0)] = int8(d.i + 1)
	if full {
		broken = ruleQueueBound
	}
	return moveJoin, gotInLine, broken
}

func (d *bulkheadStep) getSlot(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	*c = waiter{stage: holding}
	return moveGetSlot, gotNothing, ""
}

func (d *bulkheadStep) tooLong(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	ended := h.tooLong(c.ticket)
	if (ended == Taken) != c.served {
		broken = ruleNoTrace
	}
	n.leaveLine(d.i)
	if ended == Taken {
		*c = waiter{stage: holding}
		return moveTooLong, gotServed, broken
	}
	*c = waiter{}
	return moveTooLong, gotOut, broken
}

// unwanted is one edge in the coarse model. In the fine one a caller that was
// served holds its slot, and gives it back like every other.
func (d *bulkheadStep) unwanted(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	n.leaveLine(d.i)
	how = gotOut
	if c.served {
		how = gotServed
	}
	if !d.m.fine {
		h.unwanted(c.ticket)
		*c = waiter{}
		return moveUnwanted, how, ""
	}
	left := h.leave(c.ticket)
	if left == c.served {
		broken = ruleNoTrace
	}
	if *c = (waiter{}); !left {
		c.stage = holding
	}
	return moveUnwanted, how, broken
}

func (d *bulkheadStep) put(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	w := h.put()
	if w.Plain() {
		*c = waiter{}
		return movePut, gotPlain, ""
	}
	*c = waiter{stage: gave, word: w}
	return movePut, gotWaiting, ""
}

func (d *bulkheadStep) given(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	if d.m.fine {
		*c = waiter{stage: serving}
		return moveGiven, gotNothing, ""
	}
	h.given(c.word)
	*c = waiter{}
	return moveGiven, gotNothing, ""
}

func (d *bulkheadStep) round(h *Bulkhead, n *bulkheadState, c *waiter) (move, how uint8, broken string) {
	if !h.serveFirst() {
		*c = waiter{}
	}
	return moveRound, gotNothing, ""
}

// overdraw: all at once, since what another caller sees between the addition and
// the panic is a program that is already wrong.
func (d *bulkheadStep) overdraw(h *Bulkhead, n *bulkheadState, _ *waiter) (move, how uint8, broken string) {
	defer func() {
		move, how = moveOverdraw, gotPanic
		if recover() == nil || h.word.Load() != d.s.word {
			broken = ruleOverdraw
		}
	}()
	h.Give()
	return
}
