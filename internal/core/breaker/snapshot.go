package breaker

import "github.com/holdfast-go/holdfast/internal/outcome"

// Snapshot is the part of a machine that answers the most frequent questions,
// packed into one word that a handle can publish atomically. It answers for a
// closed breaker without failures to count or to reset; for all else its methods
// are false, and the caller asks the machine under the lock.
//
// The two lowest bits are the state, the next is set if there are failures in a
// row, the rest is the epoch.
type Snapshot uint64

const (
	stateMask   = 3
	failingBit  = 4
	epochShift  = 3
	closedState = Snapshot(Closed)
)

// Snapshot packs the machine. That of a new machine is zero.
func (b *Breaker) Snapshot() Snapshot {
	s := Snapshot(b.epoch)<<epochShift | Snapshot(b.state)
	if b.failures > 0 {
		s |= failingBit
	}
	return s
}

// Admit answers Allow for a closed breaker.
func (s Snapshot) Admit() (Ticket, bool) {
	return Ticket{epoch: uint64(s >> epochShift)}, s&stateMask == closedState
}

// Open reports whether the breaker is open, and since which epoch: a rejection
// that was made for this epoch can be used again.
func (s Snapshot) Open() (epoch uint64, open bool) {
	return uint64(s >> epochShift), s&stateMask == Snapshot(Open)
}

// Confirms answers Confirm for a ticket of a breaker that is still closed.
func (s Snapshot) Confirms(t Ticket) bool {
	return s&^failingBit == Snapshot(t.epoch)<<epochShift|closedState && t.probe == 0
}

// AnswerEndedNoOp reports whether AnswerEnded with this outcome would change nothing: a good end, and
// the breaker is closed and has no failures to forget. AnswerBegan changes nothing where
// Confirms is true.
func (s Snapshot) AnswerEndedNoOp(o outcome.Outcome) bool {
	return o == outcome.Success && s&(stateMask|failingBit) == closedState
}

// NoOp reports whether Done with this ticket and outcome would change nothing, so
// that the caller can leave it out: the breaker is closed, in the ticket's epoch,
// and the outcome does not count there.
func (s Snapshot) NoOp(t Ticket, o outcome.Outcome) bool {
	switch o {
	case outcome.Transient:
		return false
	case outcome.Success:
		return s == Snapshot(t.epoch)<<epochShift|closedState
	default:
		return s.Confirms(t)
	}
}
