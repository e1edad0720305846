package embed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
)

// chunk is the texts of one call, and their idempotency key.
type chunk struct {
	items []item
	key   string
}

// chunks cuts the input into chunks, and leaves out the texts that have an embedding. The
// cuts depend on the input only, so a later run has the same chunks with the same keys. A
// service that recognises the keys does no work twice, even if an answer was lost.
func (s *source) chunks(size int, model string, previous *doneSet) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		var open []item
		taken, bytes := 0, 0
		cut := func() bool {
			if len(open) == 0 {
				taken, bytes = 0, 0
				return true
			}
			c := chunk{open, keyOf(model, open)}
			open, taken, bytes = nil, 0, 0
			return yield(c, nil)
		}
		for t, err := range s.items() {
			done := false
			if err == nil {
				done, err = previous.contains(t)
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
			if !done {
				open = append(open, t)
			}
		}
		cut()
	}
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
