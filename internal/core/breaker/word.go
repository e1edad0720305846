package breaker

import "github.com/holdfast-go/holdfast/internal/outcome"

// Word is what a machine's last step published: as much of it as is needed to
// answer on the quiet path, in one atomic load, without the lock. All else (an
// open breaker, a half-open one, a failure to count, a count to reset) says
// "not here" and goes to the machine.
//
// Two low bits hold the state, one says that there is something to remember
// (failures in a row), the rest is the epoch.
type Word uint64

const (
	wordState   = 3
	wordFailing = 4
	wordEpoch   = 3 // the shift
)

// Word publishes the machine as it stands. The zero Word is that of a new one.
func (b *Breaker) Word() Word {
	w := Word(b.epoch)<<wordEpoch | Word(b.state)
	if b.failures > 0 {
		w |= wordFailing
	}
	return w
}

// Admit answers Allow for a closed breaker.
func (w Word) Admit() (Ticket, bool) {
	return Ticket{epoch: uint64(w >> wordEpoch)}, w&wordState == Word(Closed)
}

// Open reports whether the breaker was open, and since when in terms of epochs:
// a refusal that was prepared for that epoch may be given out again.
func (w Word) Open() (epoch uint64, open bool) {
	return uint64(w >> wordEpoch), w&wordState == Word(Open)
}

// Confirms answers Confirm for a ticket of a breaker that is still closed.
func (w Word) Confirms(t Ticket) bool {
	return w&^wordFailing == Word(t.epoch)<<wordEpoch|Word(Closed) && t.probe == 0
}

// Quiet reports whether Done with this ticket and outcome would change nothing,
// so that it need not be said: the breaker is closed, in the ticket's epoch, and
// the outcome is none that counts there.
func (w Word) Quiet(t Ticket, o outcome.Outcome) bool {
	switch o {
	case outcome.Transient:
		return false
	case outcome.Success:
		return w == Word(t.epoch)<<wordEpoch|Word(Closed)
	default:
		return w.Confirms(t)
	}
}
