package engine

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The moves of a caller of the breaker. Each begins with a load of the snapshot, as
// in production. Where the snapshot does not answer, the caller is on its way to the
// lock, and other callers may step first.

// The first six moves return a ticket with that outcome.
const (
	moveAsk = uint8(outcome.Canceled) + 1 + iota
	moveConfirm
	moveNote    // an attempt of an operation that goes on
	moveBegin   // return the ticket for an answer that has begun
	moveGetLost // never return the ticket
	moveReturn2 // return it again
	moveEndWell // after the return: the answer has ended, or
	moveBreak   // has broken off
	moveWait    // time passes, but no answer changes
	moveReach   // time passes to the instant of Next
	movePass    // time passes beyond all instants
	movePublish // fine: publish the last step
)

var moveNames = [...]string{
	outcome.Unknown: "panics", outcome.Success: "succeeds", outcome.Transient: "fails", outcome.Throttled: "is throttled",
	outcome.Permanent: "is answered 404", outcome.Canceled: "is cancelled",
	moveAsk: "asks", moveConfirm: "confirms", moveNote: "notes", moveGetLost: "gets lost",
	moveBegin: "begins an answer", moveReturn2: "returns again", moveEndWell: "ends its answer", moveBreak: "breaks its answer off",
	moveWait: "time passes", moveReach: "time reaches Next", movePass: "time passes beyond everything",
	movePublish: "publishes",
}

// The machine's state before the step, and whether its open time is over.
const (
	inClosed = uint8(breaker.Closed)
	inOpen   = uint8(breaker.Open)
	inHalf   = uint8(breaker.HalfOpen)
	inRipe   = inHalf + 1
)

var whereNames = [...]string{inClosed: "closed", inOpen: "open", inHalf: "half-open", inRipe: "open, its time over"}

// The ticket, and the result.
const (
	howPlain     = iota
	howToLock    // the snapshot did not answer: on the way to the lock
	howSnapshot  // a ticket of the closed state; the snapshot answered, without the lock
	howOvertaken // fine: the same, but the machine has stepped since
	howCurrent   // a ticket of the closed state; the machine answered
	howOld       // a ticket of an older epoch
	howOldProbe  // a probe of an older epoch
	howProbe     // a probe that is out
	howLate      // a probe that has expired
	howReturned  // a probe that was returned
	howAdmitted  // asks, confirms: a new ticket
	howRejected  // asks, confirms
)

var howNames = [...]string{
	howPlain: "", howToLock: "goes to the lock", howSnapshot: "answered by the snapshot", howCurrent: "a ticket of this epoch", howOld: "an old ticket", howOldProbe: "a probe of an older epoch",
	howProbe: "a probe", howLate: "an expired probe", howReturned: "a returned probe",
	howAdmitted: "admitted", howRejected: "rejected", howOvertaken: "answered by a snapshot of the step before",
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
			m.begin(s, i, to)
			m.getLost(s, i, to)
		case c.phase == admitted:
			m.ask(s, i, to)
			for o := outcome.Unknown; o <= outcome.Canceled; o++ {
				m.giveBack(s, i, o, to)
			}
			m.end(s, i, outcome.Success, to)
			m.end(s, i, outcome.Transient, to)
		case !s.locked:
			m.lockedStep(s, i, to)
		}
	}
	m.pass(s, tick, to)
	m.pass(s, beyond, to)
}

// ask: a new operation. The ticket of the last one was returned.
func (m *breakerModel) ask(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	t, answered := m.on(s).Load().Admit()
	if answered {
		n.callers[i] = caller{phase: admitted, ticket: t}
		to(edge{kind{moveAsk, s.where(), s.bySnapshot()}, i}, &n, m.snapshotAdmitted(s, t))
	}
	n.callers[i] = caller{phase: asking}
	m.toLock(moveAsk, s, n, i, answered, to)
}

// confirm: an attempt of an admitted operation is about to start.
func (m *breakerModel) confirm(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().Confirms(s.callers[i].ticket)
	if answered {
		to(edge{kind{moveConfirm, s.where(), s.bySnapshot()}, i}, &n, m.snapshotConfirmed(s, i))
	}
	n.callers[i].phase = confirming
	m.toLock(moveConfirm, s, n, i, answered, to)
}

// giveBack: the operation is over and returns its ticket, perhaps a second time.
func (m *breakerModel) giveBack(s *breakerState, i int, o outcome.Outcome, to emit[breakerState]) {
	n := *s
	move := uint8(o)
	if s.callers[i].returned {
		move = moveReturn2
	}
	answered := m.on(s).Load().NoOp(s.callers[i].ticket, o)
	if answered {
		n.callers[i].returned = true
		to(edge{kind{move, s.where(), s.bySnapshot()}, i}, &n, m.snapshotWasNoOp(s, i, o))
	}
	n.callers[i] = s.callers[i]
	n.callers[i].phase, n.callers[i].outcome = returning, o
	m.toLock(move, s, n, i, answered, to)
}

func (m *breakerModel) note(s *breakerState, i int, o outcome.Outcome, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().NoOp(s.callers[i].ticket, o)
	if answered {
		to(edge{kind{moveNote, s.where(), s.bySnapshot()}, i}, &n, m.snapshotWasNoOp(s, i, o))
	}
	n.callers[i].phase, n.callers[i].outcome = noting, o
	m.toLock(moveNote, s, n, i, answered, to)
}

// begin: the answer has begun, and the ticket is returned.
func (m *breakerModel) begin(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().Confirms(s.callers[i].ticket)
	if answered {
		n.callers[i].returned = true
		to(edge{kind{moveBegin, s.where(), s.bySnapshot()}, i}, &n, m.snapshotBegan(s, i))
	}
	n.callers[i] = s.callers[i]
	n.callers[i].phase = beginning
	m.toLock(moveBegin, s, n, i, answered, to)
}

// end: an answer has ended, well or not, after its ticket was returned.
func (m *breakerModel) end(s *breakerState, i int, o outcome.Outcome, to emit[breakerState]) {
	n := *s
	answered := m.on(s).Load().AnswerEndedNoOp(o)
	if answered {
		to(edge{kind{endMove(o), s.where(), s.bySnapshot()}, i}, &n, m.snapshotEnded(s, i, o))
	}
	n.callers[i].phase, n.callers[i].outcome = ending, o
	m.toLock(endMove(o), s, n, i, answered, to)
}

func endMove(o outcome.Outcome) uint8 {
	if o == outcome.Success {
		return moveEndWell
	}
	return moveBreak
}

// getLost: the goroutine hangs for ever. The caller starts anew; the ticket is never
// returned.
func (m *breakerModel) getLost(s *breakerState, i int, to emit[breakerState]) {
	n := *s
	for j := range n.lost {
		if n.lost[j].IsZero() {
			n.lost[j] = n.callers[i].expires
			break
		}
	}
	n.callers[i] = caller{}
	to(edge{kind{moveGetLost, s.where(), s.how(i)}, i}, &n, "")
}

// toLock: the snapshot has not answered, and caller i is on its way to the lock, in
// the phase that n has.
//
// With three callers and two probes there are millions of states. For that there is the
// merged model: a caller steps under the lock at any time, without a load before. It
// allows all that the other model allows, and a little more, which must not break a rule
// either.
func (m *breakerModel) toLock(move uint8, s *breakerState, n breakerState, i int, answered bool, to emit[breakerState]) {
	switch {
	case !m.merged && !answered:
		to(edge{kind{move, s.where(), howToLock}, i}, &n, "")
	case m.merged && !s.locked:
		m.lockedStep(&n, i, to)
	}
}

// lockedStep is the step of a caller that has the lock.
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
			k.how = howRejected
		case c.phase == asking || c.ticket != r.ticket:
			k.how = howAdmitted
		}
	case c.phase == noting:
		k.move = moveNote
	case c.phase == beginning:
		k.move = moveBegin
	case c.phase == ending:
		k.move = endMove(c.outcome)
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

// answer is the result of a locked step.
type answer struct {
	ticket   breaker.Ticket
	retryAt  time.Time
	change   breaker.Change
	ok       bool
	panicked string
}

// step calls the production method in the coarse model, and the machine alone in
// the fine one.
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
	case c.phase == beginning && m.fine:
		r.change = b.AnswerBegan(now, c.ticket)
	case c.phase == beginning:
		r.change = h.AnswerBegan(now, c.ticket)
	case c.phase == ending && m.fine:
		r.change = b.AnswerEnded(now, c.ticket, c.outcome)
	case c.phase == ending:
		r.change = h.AnswerEnded(now, c.ticket, c.outcome)
	}
	return r
}

// settle updates the model's own knowledge after a locked step.
func (n *breakerState) settle(s *breakerState, i int, r answer) {
	if look(&n.machine).epoch != look(&s.machine).epoch { // no probe of the old epoch is out any more
		n.lost = [most]time.Time{}
		for j := range n.callers {
			n.callers[j].expires = time.Time{}
		}
	}
	c := &n.callers[i]
	switch c.phase {
	case asking, confirming:
		switch {
		case r.ok && (c.phase == asking || c.ticket != r.ticket):
			c.ticket, c.expires = r.ticket, time.Time{}
			if r.ticket.Probe() {
				c.expires = s.now.Add(expiry)
			}
			c.phase = admitted
		case c.phase == asking && !r.ok:
			*c = caller{publishing: c.publishing}
		default: // the same ticket, or a rejection: the operation keeps its ticket
			c.phase = admitted
		}
	case returning, beginning:
		c.phase, c.outcome, c.returned, c.expires = admitted, 0, true, time.Time{}
	case noting, ending:
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

// pass: time passes.
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
		if !n.callers[j].expires.After(n.now) {
			n.callers[j].expires = time.Time{}
		}
	}
	to(edge{kind{move, s.where(), howPlain}, -1}, &n, "")
}

// where is the state of the machine.
func (s *breakerState) where() uint8 {
	if b := look(&s.machine); b.state == breaker.Open && !s.now.Before(b.retryAt) {
		return inRipe
	}
	return uint8(look(&s.machine).state)
}

// bySnapshot: the snapshot has answered. In the fine model the machine may have
// stepped since.
func (s *breakerState) bySnapshot() uint8 {
	if s.locked && s.snapshot != uint64(s.machine.Snapshot()) {
		return howOvertaken
	}
	return howSnapshot
}

// how classifies the ticket of caller i.
func (s *breakerState) how(i int) uint8 {
	c := &s.callers[i]
	switch v := s.validity(c); {
	case v == none:
		return howPlain
	case v == old || v == overtaken:
		return howOld
	case v == oldProbe:
		return howOldProbe
	case v == current:
		return howCurrent
	case !c.expires.IsZero():
		return howProbe
	case c.returned:
		return howReturned
	}
	return howLate
}
