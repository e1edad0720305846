// Package ledger is what a fault server writes down of its callers: every attempt,
// and what work was done. It locks nothing: the server's mutex guards it.
package ledger

import "net/http"

// Effects counts work: faultserver.Effects, where each count is explained.
type Effects struct {
	Done, Duplicates, Resent, Untracked int
}

// Bounds of the ledger. It forgets nothing, because a forgotten operation would
// look like a new one: when it is full, new operations are answered and counted
// as Untracked.
const (
	maxOperations  = 1 << 20  // operations, and keys
	maxStoredBytes = 64 << 20 // of stored answers; beyond it a repeat is answered afresh
)

// Ledger knows what was done, and what was answered to it.
type Ledger[Answer any] struct {
	maxOperations, maxStoredBytes int

	effects Effects
	done    map[string]struct{} // by operation
	answers map[deed]*Answer    // nil: there was no room for it
	stored  int                 // bytes of the bodies in answers
}

// deed is an operation under a key. The same key with another operation is not a
// repeat, but a client that uses one key for two things: both are done.
type deed struct{ key, operation string }

// New makes an empty Ledger.
func New[Answer any]() *Ledger[Answer] { return bounded[Answer](maxOperations, maxStoredBytes) }

func bounded[Answer any](maxOperations, maxStoredBytes int) *Ledger[Answer] {
	return &Ledger[Answer]{
		maxOperations:  maxOperations,
		maxStoredBytes: maxStoredBytes,
		done:           make(map[string]struct{}),
		answers:        make(map[deed]*Answer),
	}
}

// Key is the name under which a caller may ask again for the same answer: the key
// if it has one, else the request's id, which holdfast keeps the same over all
// attempts of an operation. Empty: none.
func Key(h http.Header) string {
	if key := h.Get("Idempotency-Key"); key != "" {
		return key
	}
	return h.Get("X-Request-ID")
}

// Effects so far.
func (l *Ledger[Answer]) Effects() Effects { return l.effects }

// Arrived notes a request before anything is done about it.
func (l *Ledger[Answer]) Arrived(operation string) {
	if _, done := l.done[operation]; done {
		l.effects.Resent++
	}
}

// Execute does the work of a healthy answer, whose body has so many bytes, unless it
// was done under this key before; then it gives the answer of that time and false.
func (l *Ledger[Answer]) Execute(key, operation string, a Answer, bytes int) (Answer, bool) {
	d := deed{key, operation}
	if stored, known := l.answers[d]; known {
		if stored == nil {
			return a, false
		}
		return *stored, false
	}
	full := len(l.done) >= l.maxOperations || len(l.answers) >= l.maxOperations
	switch _, done := l.done[operation]; {
	case done:
		l.effects.Duplicates++
	case operation == "" || full: // also if only the key has no room: its repeat would look like a duplicate
		l.effects.Untracked++
	default:
		l.done[operation] = struct{}{}
		l.effects.Done++
	}
	if key != "" && len(l.answers) < l.maxOperations {
		l.answers[d] = nil
		if l.stored+bytes <= l.maxStoredBytes {
			l.stored += bytes
			kept := a // a of its own, or every a would be on the heap
			l.answers[d] = &kept
		}
	}
	return a, true
}
