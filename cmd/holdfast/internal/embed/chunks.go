package embed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
)

// chunk is the texts of one call.
type chunk struct {
	items []item
	entry *entry // in the journal; nil if an earlier run has not begun the call
}

// chunks cuts the input into chunks, and leaves out the texts that have an embedding. The
// cuts depend on the input only, so a later run has the same chunks with the same keys. A
// call that an earlier run has begun is cut as it was then, whatever the size is now, and
// with the texts that have an embedding: a service that recognises the key does no work
// twice, even if an answer was lost.
func (s *source) chunks(size int, model string, previous *previousRun) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		begun := map[int]*begunCall{} // by index
		for i := range previous.begun {
			for _, index := range previous.begun[i].indexes {
				begun[index] = &previous.begun[i]
			}
		}
		var open []item
		taken, bytes := 0, 0
		cut := func() bool {
			items := open
			open, taken, bytes = nil, 0, 0
			return len(items) == 0 || yield(chunk{items: items}, nil)
		}
		for t, err := range s.items() {
			if err == nil {
				t.written, err = previous.done.contains(t)
			}
			if err != nil {
				yield(chunk{}, fmt.Errorf("%s: %w", s.name, err))
				return
			}
			if full := taken == size || taken > 0 && bytes+len(t.text) > maxRequest; full && !cut() {
				return
			}
			taken++
			bytes += len(t.text)
			switch call := begun[t.index]; {
			case call != nil:
				call.items = append(call.items, t)
				if len(call.items) == len(call.indexes) && !yield(chunk{call.items, call.entry}, nil) {
					return
				}
			case !t.written:
				open = append(open, t)
			}
		}
		if !cut() {
			return
		}
		for _, call := range previous.begun { // the input has become shorter
			if n := len(call.items); n > 0 && n < len(call.indexes) && !yield(chunk{call.items, call.entry}, nil) {
				return
			}
		}
	}
}

// missing is the number of texts without an embedding.
func missing(items []item) (n int) {
	for _, t := range items {
		if !t.written {
			n++
		}
	}
	return n
}

// keyOf is the idempotency key of a call. It includes the position of the texts, because
// many services decline one of two concurrent calls with the same key.
func keyOf(model string, items []item) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d", model, items[0].index)
	for _, t := range items {
		fmt.Fprintf(h, " %q", t.text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
