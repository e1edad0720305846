package h2fault

import (
	"slices"

	"github.com/holdfast-go/holdfast/faultserver"
)

// record keeps the last attempts in a ring that grows up to keep.
type record struct {
	keep int
	ring []faultserver.Attempt
	next uint64 // number of the next attempt, from 0; it lies at number % keep
}

// add notes an attempt and gives its number.
func (r *record) add(a faultserver.Attempt) uint64 {
	seq := r.next
	r.next++
	switch {
	case r.keep == 0:
	case len(r.ring) < r.keep:
		r.ring = append(r.ring, a)
	default:
		r.ring[seq%uint64(r.keep)] = a
	}
	return seq
}

// amend changes an attempt, unless it has been dropped meanwhile.
func (r *record) amend(seq uint64, change func(*faultserver.Attempt)) {
	if r.next-seq <= uint64(len(r.ring)) {
		change(&r.ring[seq%uint64(r.keep)])
	}
}

func (r *record) all() []faultserver.Attempt {
	if len(r.ring) < r.keep || r.keep == 0 {
		return slices.Clone(r.ring)
	}
	oldest := r.next % uint64(r.keep)
	return slices.Concat(r.ring[oldest:], r.ring[:oldest])
}

func (r *record) dropped() int { return int(r.next) - len(r.ring) }

// Bounds of the ledger, which forgets nothing: a forgotten operation would look
// like a new one.
const (
	maxOperations  = 1 << 20  // operations, and keys; more are counted as Untracked
	maxStoredBytes = 64 << 20 // of stored answers; beyond it a repeat is answered afresh
)

// ledger knows what was done, as faultserver's does.
type ledger struct {
	maxOperations, maxStoredBytes int

	effects faultserver.Effects
	done    map[string]struct{} // by operation
	answers map[deed]faultserver.Answer
	stored  int // bytes of the bodies in answers
}

// deed is an operation under a key. The same key with another operation is not a
// repeat, but a client that uses one key for two things: both are done.
type deed struct{ key, operation string }

func newLedger(maxOperations, maxStoredBytes int) *ledger {
	return &ledger{
		maxOperations:  maxOperations,
		maxStoredBytes: maxStoredBytes,
		done:           make(map[string]struct{}),
		answers:        make(map[deed]faultserver.Answer),
	}
}

// arrived notes a request before anything is done about it.
func (l *ledger) arrived(operation string) {
	if _, done := l.done[operation]; done {
		l.effects.Resent++
	}
}

// execute does the work of a healthy answer, unless it was done under this key
// before; then it gives the answer of that time and false.
func (l *ledger) execute(key string, a faultserver.Answer) (faultserver.Answer, bool) {
	d := deed{key, a.Operation}
	if stored, known := l.answers[d]; known {
		if stored.Body == nil { // there was no room for it
			return a, false
		}
		return stored, false
	}
	full := len(l.done) >= l.maxOperations || len(l.answers) >= l.maxOperations
	switch _, done := l.done[a.Operation]; {
	case done:
		l.effects.Duplicates++
	case a.Operation == "" || full: // also if only the key has no room: its repeat would look like a duplicate
		l.effects.Untracked++
	default:
		l.done[a.Operation] = struct{}{}
		l.effects.Done++
	}
	if key != "" && len(l.answers) < l.maxOperations {
		kept := a
		if l.stored+len(a.Body) > l.maxStoredBytes {
			kept.Body = nil
		}
		l.stored += len(kept.Body)
		l.answers[d] = kept
	}
	return a, true
}
