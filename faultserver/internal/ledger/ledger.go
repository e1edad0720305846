// Package ledger records the attempts and the work of a fault server. It has no
// locks: the server's mutex guards it.
package ledger

import "net/http"

// Effects are the counts of faultserver.Effects.
type Effects struct {
	Done, Duplicates, Resent, Untracked int
}

// Bounds of the ledger. It forgets nothing, because a forgotten operation would
// look like a new one. When it is full, new operations are answered and counted
// as Untracked.
const (
	maxOperations  = 1 << 20  // operations and keys, each
	maxStoredBytes = 64 << 20 // of stored answers; when exceeded, a repeat gets a new answer
)

// Ledger holds the executed operations and their answers.
type Ledger[Answer any] struct {
	maxOperations, maxStoredBytes int

	effects Effects
	done    map[string]struct{}   // by operation
	answers map[execution]*Answer // nil: not stored for lack of space
	stored  int                   // bytes of the bodies in answers
}

// execution is an operation under a key. The same key with another operation is
// not a repeat but a client that uses one key for two things: both are done.
type execution struct{ key, operation string }

// New returns an empty Ledger.
func New[Answer any]() *Ledger[Answer] { return bounded[Answer](maxOperations, maxStoredBytes) }

func bounded[Answer any](maxOperations, maxStoredBytes int) *Ledger[Answer] {
	return &Ledger[Answer]{
		maxOperations:  maxOperations,
		maxStoredBytes: maxStoredBytes,
		done:           make(map[string]struct{}),
		answers:        make(map[execution]*Answer),
	}
}

// Key returns the value by which a repeat is recognised: the idempotency key if
// there is one, else the request id, which holdfast keeps in all attempts of an
// operation. Empty means none.
func Key(h http.Header) string {
	if key := h.Get("Idempotency-Key"); key != "" {
		return key
	}
	return h.Get("X-Request-ID")
}

// Effects returns the counts so far.
func (l *Ledger[Answer]) Effects() Effects { return l.effects }

// Arrived records a request before its execution.
func (l *Ledger[Answer]) Arrived(operation string) {
	if _, done := l.done[operation]; done {
		l.effects.Resent++
	}
}

// Execute does the work of a healthy answer with a body of the given size. If
// the work was done before under this key, it returns the answer of that time
// and false.
func (l *Ledger[Answer]) Execute(key, operation string, a Answer, bytes int) (Answer, bool) {
	d := execution{key, operation}
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
	case operation == "" || full: // also if only the keys are full: its repeat would look like a duplicate
		l.effects.Untracked++
	default:
		l.done[operation] = struct{}{}
		l.effects.Done++
	}
	if key != "" && len(l.answers) < l.maxOperations {
		l.answers[d] = nil
		if l.stored+bytes <= l.maxStoredBytes {
			l.stored += bytes
			kept := a // a copy, or every a would be on the heap
			l.answers[d] = &kept
		}
	}
	return a, true
}
