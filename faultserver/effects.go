package faultserver

// Effects counts work. Work is known by its operation (see [Answer]), which is
// noted before any deduplication, so that a client that repeats an operation
// under a fresh key is caught.
type Effects struct {
	// Done is how many different operations were executed.
	Done int
	// Duplicates is how many executions there were beyond the first of an
	// operation. A client that keeps its key over all attempts has none.
	Duplicates int
	// Resent is how many requests arrived for an operation that had been executed
	// already: how often a client has put the deduplication to the test.
	Resent int
	// Untracked is how many executions are in none of these counts, since their
	// operation was not known or the server's tables were full.
	Untracked int
}

// Bounds of the ledger. It forgets nothing, because a forgotten operation would
// look like a new one: when it is full, new operations are answered and counted
// as Untracked.
const (
	maxOperations  = 1 << 20  // operations, and keys
	maxStoredBytes = 64 << 20 // of stored answers; beyond it a repeat is answered afresh
)

// ledger knows what was done. The server's mutex guards it.
type ledger struct {
	maxOperations, maxStoredBytes int

	effects Effects
	done    map[string]struct{} // by operation
	answers map[deed]Answer
	stored  int // bytes of the bodies in answers
}

func newLedger(maxOperations, maxStoredBytes int) *ledger {
	return &ledger{
		maxOperations:  maxOperations,
		maxStoredBytes: maxStoredBytes,
		done:           make(map[string]struct{}),
		answers:        make(map[deed]Answer),
	}
}

// deed is an operation under a key. The same key with another operation is not a
// repeat, but a client that uses one key for two things: both are done.
type deed struct{ key, operation string }

// arrived notes a request before anything is done about it.
func (l *ledger) arrived(operation string) {
	if _, done := l.done[operation]; done {
		l.effects.Resent++
	}
}

// execute does the work of a healthy answer, unless it was done under this key
// before; then it gives the answer of that time and false.
func (l *ledger) execute(key string, a Answer) (Answer, bool) {
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
		l.store(d, a)
	}
	return a, true
}

func (l *ledger) store(d deed, a Answer) {
	if l.stored+len(a.Body) > l.maxStoredBytes {
		a.Body = nil
	}
	l.stored += len(a.Body)
	l.answers[d] = a
}
