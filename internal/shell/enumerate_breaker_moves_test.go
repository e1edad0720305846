package shell

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// What a caller of the breaker can do. Each move begins with a load of the word,
// as in production; where the word does not answer, the caller is on its way to
// the lock, and anything may happen before it gets there.

// Moves: the first six are the outcomes, with which a ticket is returned.
const (
	moveAsk = uint8(outcome.Canceled) + 1 + iota
	moveConfirm
	moveNote      // an attempt of an operation that goes on, or a body that broke
	moveGetLost   // never return the ticket
	moveReturn2   // return it again
	moveNoteAfter // note a failure although the ticket was returned: a body that broke
	moveWait      // time passes, but no answer changes by it
	moveReach     // time passes to the instant that Next named
	movePass      // time passes beyond all instants
	movePublish   // fine: the word of the step before
)

var moveNames = [...]string{
	outcome.Unknown: "panics", outcome.Success: "succeeds", outcome.Transient: "fails", outcome.Throttled: "is throttled",
	outcome.Permanent: "is refused (404)", outcome.Canceled: "is cancelled",
	moveAsk: "asks", moveConfirm: "confirms", moveNote: "notes", moveGetLost: "gets lost",
	moveReturn2: "returns again", moveNoteAfter: "notes after the return",
	moveWait: "time passes", moveReach: "time reaches Next", movePass: "time passes beyond everything",
	movePublish: "publishes",
}

// Where: the machine's state at the step, and whether an open one's time is over.
const (
	inClosed = uint8(breaker.Closed)
	inOpen   = uint8(breaker.Open)
	inHalf   = uint8(breaker.HalfOpen)
	inRipe   = inHalf + 1
)

var whereNames = [...]string{inClosed: "closed", inOpen: "open", inHalf: "half-open", inRipe: "open, its time over"}

// How: the ticket, and what became of it.
const (
	howPlain     = iota
	howToLock    // the word did not answer: on the way to the lock
	howWord      // a ticket of the closed state; the word answered, nothing was locked
	howOvertaken // fine: the same, while the machine had moved on
	howCurrent   // a ticket of the closed state; the machine answered
	howOld       // a ticket of an older epoch
	howPermit    // a permit that is out
	howLate      // a permit that has expired
	howReturned  // a permit that was returned
	howAdmitted  // asks, confirms: a new ticket
	howRefused   // asks, confirms
)

var howNames = [...]string{
	howPlain: "", howToLock: "goes to the lock", howWord: "answered by the word", howCurrent: "a ticket of this epoch", howOld: "an old ticket",
	howPermit: "a permit", howLate: "an expired permit", howReturned: "a returned permit",
	howAdmitted: "admitted", howRefused: "refused", howOvertaken: "answered by a word that the machine has overtaken",
}

func (m *breakerModel) text(k kind) string {
	return fmt.Sprintf("%s | %s | %s", moveNames[k.move], whereNames[k.where], howNames[k.how])
}

func (m *breakerModel) moves(s *breakerState, to emit[breakerState]) {
	for i := range m.callers {
		switch c := &s.callers[i]; {
		case c.publishing:
			m.publish(s, i, to)
		case c.phase == idle:
			m.ask(s, i, to)
		case c.phase == admitted && !c.returned:
			m.confirm(s, i, to)
			for o := outcome.Unknown; o <= outcome.Canceled; o++ {
				m.giveBack(s, i, o, to)
			}
			m.note(s, i, outcome.Transient, to)
			m.note(s, i, outcome.Throttled, to)
			m.getLost(s, i, to)
		case c.phase == admitted:
			m.ask(s, i, to)
			for o := outcome.Unknown; o <= outcome.Canceled; o++ {
				m.giveBack(s, i, o, to)
			}
			m.note(s, i, outcome.Transient, to)
		case !s.locked:
			m.lockedStep(s, i, to)
		}
	}
	m.pass(s, tick, to)
	m.pass(s, beyond, to)
}

// ask: a new operation. A ticket that the caller still has is forgotten; it was
// returned.
func (m *breakerModel) ask(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	t, answered := m.on(s).Load().Admit()
	if answered {
		n.callers[i] = caller{phase: admitted, ticket: t}
		to(edge{kind{moveAsk, s.where(), s.byWord()}, i}, &n, m.wordAdmitted(s, t))
	}
	n.callers[i] = caller{phase: asking}
	m.toLock(moveAsk, s, n, i, answered, to)
}

// confirm: an attempt of an admitted operation is about to start.
func (m *breakerModel) confirm(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().Confirms(s.callers[i].ticket)
	if answered {
		to(edge{kind{moveConfirm, s.where(), s.byWord()}, i}, &n, m.wordConfirmed(s, i))
	}
	n.callers[i].phase = confirming
	m.toLock(moveConfirm, s, n, i, answered, to)
}

// giveBack: the operation is over, and the ticket comes back; perhaps not for
// the first time.
func (m *breakerModel) giveBack(s *breakerState, i int, o outcome.Outcome, to emit[breakerState]) {
	n := *s
	move := uint8(o)
	if s.callers[i].returned {
		move = moveReturn2
	}
	answered := m.on(s).Load().Quiet(s.callers[i].ticket, o)
	if answered {
		n.callers[i].returned = true
		to(edge{kind{move, s.where(), s.byWord()}, i}, &n, m.wordWasQuiet(s, i, o))
	}
	n.callers[i] = s.callers[i]
	n.callers[i].phase, n.callers[i].outcome = returning, o
	m.toLock(move, s, n, i, answered, to)
}

func (m *breakerModel) note(s *breakerState, i int, o outcome.Outcome, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().Quiet(s.callers[i].ticket, o)
	if answered {
		to(edge{kind{s.noteMove(i), s.where(), s.byWord()}, i}, &n, m.wordWasQuiet(s, i, o))
	}
	n.callers[i].phase, n.callers[i].outcome = noting, o
	m.toLock(s.noteMove(i), s, n, i, answered, to)
}

func (s *breakerState) noteMove(i int) uint8 {
	if s.callers[i].returned {
		return moveNoteAfter
	}
	return moveNote
}

// getLost: the goroutine died without its defers, or hangs for ever. The caller
// begins anew; its ticket stays out.
func (m *breakerModel) getLost(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	for j := range n.lost {
		if n.lost[j].IsZero() {
			n.lost[j] = n.callers[i].permit
			break
		}
	}
	n.callers[i] = caller{}
	to(edge{kind{moveGetLost, s.where(), s.how(i)}, i}, &n, "")
}

// toLock: the word has not answered, and caller i is on its way to the lock; n
// says what for.
//
// With three callers and two probes there are 800,000 states: some seconds, but
// minutes under the race detector. The merged model, which is for that, has no
// such way: a caller goes to the lock whenever it likes, whatever a load may have
// said. That allows everything that the other model allows, since a load that did
// not answer leaves nothing behind but the intent; and a little more, which must
// break no rule either.
func (m *breakerModel) toLock(move uint8, s *breakerState, n breakerState, i int, answered bool, to emit[breakerState]) {
	switch {
	case !m.merged && !answered:
		to(edge{kind{move, s.where(), howToLock}, i}, &n, "")
	case m.merged && !s.locked:
		m.lockedStep(&n, i, to)
	}
}

// lockedStep is what a caller does who has come to the lock.
func (m *breakerModel) lockedStep(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	c := &n.callers[i]
	h := m.on(s)
	r := m.step(h, c, s.now)
	n.take(h)
	n.locked, c.publishing = m.fine, m.fine

	k := kind{move: uint8(c.outcome), where: s.where(), how: s.how(i)}
	switch {
	case c.phase == asking, c.phase == confirming:
		k.move = moveAsk
		if c.phase == confirming {
			k.move = moveConfirm
		}
		switch {
		case !r.ok:
			k.how = howRefused
		case c.phase == asking || c.ticket != r.ticket:
			k.how = howAdmitted
		}
	case c.phase == noting:
		k.move = s.noteMove(i)
	case c.returned:
		k.move = moveReturn2
	}
	broken := r.panicked
	if broken == "" {
		broken = m.stepped(s, &n, i, r)
	}
	n.settle(s, i, r)
	to(edge{k, i}, &n, broken)
}

// answer is what a locked step answered.
type answer struct {
	ticket   breaker.Ticket
	retryAt  time.Time
	change   breaker.Change
	ok       bool
	panicked string
}

// step is the production method in the coarse model, and the machine's part of
// it in the fine one.
func (m *breakerModel) step(h *Breaker, c *caller, now time.Time) (r answer) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = fmt.Sprintf("a step of the machine panicked: %v", p)
			h.mu.TryLock()
			h.mu.Unlock()
		}
	}()
	switch b := &h.machine; {
	case c.phase == asking && m.fine:
		r.ticket, r.retryAt, r.change, r.ok = b.Allow(now, limit)
	case c.phase == asking:
		r.ticket, r.retryAt, r.change, r.ok = h.Allow(now, limit)
	case c.phase == confirming && m.fine:
		r.ticket, r.retryAt, r.change, r.ok = b.Confirm(now, c.ticket, limit)
	case c.phase == confirming:
		r.ticket, r.retryAt, r.change, r.ok = h.Confirm(now, c.ticket, limit)
	case c.phase == returning && m.fine:
		r.change = b.Done(now, c.ticket, c.outcome)
	case c.phase == returning:
		r.change = h.Done(now, c.ticket, c.outcome)
	case c.phase == noting && m.fine:
		r.change = b.Note(now, c.ticket, c.outcome)
	case c.phase == noting:
		r.change = h.Note(now, c.ticket, c.outcome)
	}
	return r
}

// settle writes down what the model knows after a locked step.
func (n *breakerState) settle(s *breakerState, i int, r answer) {
	if look(&n.machine).epoch != look(&s.machine).epoch { // nothing of the epoch that is over is out any more
		n.lost = [most]time.Time{}
		for j := range n.callers {
			n.callers[j].permit = time.Time{}
		}
	}
	c := &n.callers[i]
	switch c.phase {
	case asking, confirming:
		switch {
		case r.ok && (c.phase == asking || c.ticket != r.ticket):
			c.ticket, c.permit = r.ticket, time.Time{}
			if r.ticket.Probe() {
				c.permit = s.now.Add(expiry)
			}
			c.phase = admitted
		case c.phase == asking && !r.ok:
			*c = caller{publishing: c.publishing}
		default: // the same ticket, or a refusal: the operation still has the one it came with
			c.phase = admitted
		}
	case returning:
		c.phase, c.outcome, c.returned, c.permit = admitted, 0, true, time.Time{}
	case noting:
		c.phase, c.outcome = admitted, 0
	}
}

func (m *breakerModel) publish(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	h := m.on(s)
	h.publish()
	n.take(h)
	n.locked, n.callers[i].publishing = false, false
	to(edge{kind{movePublish, s.where(), howPlain}, i}, &n, "")
}

// pass: time goes on.
func (m *breakerModel) pass(s *breakerState, d time.Duration, to emit[breakerState]) {
	n := *s
	n.now = s.now.Add(d)
	move := moveWait
	if d == beyond {
		move = movePass
	} else if next, ok := s.machine.Next(s.now); ok && !n.now.Before(next) {
		move = moveReach
	}
	for j := range n.lost {
		if !n.lost[j].After(n.now) {
			n.lost[j] = time.Time{}
		}
		if !n.callers[j].permit.After(n.now) {
			n.callers[j].permit = time.Time{}
		}
	}
	to(edge{kind{move, s.where(), howPlain}, -1}, &n, "")
}

// where is the machine's state, as it was before a step.
func (s *breakerState) where() uint8 {
	if b := look(&s.machine); b.state == breaker.Open && !s.now.Before(b.retryAt) {
		return inRipe
	}
	return uint8(look(&s.machine).state)
}

// byWord: the word has answered. In the fine model the machine may have moved on
// by then, and the answer is that of a moment before.
func (s *breakerState) byWord() uint8 {
	if s.locked && s.word != uint64(s.machine.Word()) {
		return howOvertaken
	}
	return howWord
}

// how is what caller i's ticket is, before a step.
func (s *breakerState) how(i int) uint8 {
	c := &s.callers[i]
	switch w := s.worth(c); {
	case w == none:
		return howPlain
	case w == old || w == overtaken:
		return howOld
	case w == current:
		return howCurrent
	case !c.permit.IsZero():
		return howPermit
	case c.returned:
		return howReturned
	}
	return howLate
}
