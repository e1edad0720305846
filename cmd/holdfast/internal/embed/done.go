package embed

import (
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// doneSet is the set of texts that have an embedding. It takes eight bytes for each text,
// in pages, so that an output file can have any order. The zero doneSet is empty.
type doneSet struct {
	pages map[int]*[page]uint64 // hashes; 0 for a text without an embedding
	n     int                   // texts
}

// page is the number of texts in a page.
const page = 4096

// add adds a text, and returns false if the set contained it.
func (s *doneSet) add(index int, hash uint64) bool {
	if s.pages == nil {
		s.pages = map[int]*[page]uint64{}
	}
	p := s.pages[index/page]
	if p == nil {
		p = new([page]uint64)
		s.pages[index/page] = p
	}
	entry := &p[index%page]
	if *entry != 0 {
		return false
	}
	*entry = nonzero(hash)
	s.n++
	return true
}

// hash is the hash of the text with this index, 0 if the set has none.
func (s *doneSet) hash(index int) uint64 {
	if p := s.pages[index/page]; p != nil {
		return p[index%page]
	}
	return 0
}

// has reports whether the set has a text with this index.
func (s *doneSet) has(index int) bool { return s.hash(index) != 0 }

// contains reports whether the set contains a text. It is an error if the text has changed
// since its embedding was made.
func (s *doneSet) contains(t item) (bool, error) {
	switch s.hash(t.index) {
	case 0:
		return false, nil
	case nonzero(t.hash()):
		return true, nil
	}
	return false, &lineError{fmt.Sprintf("text %s", format.Number(t.index+1)), errors.New("has changed since its embedding was made: must be the same input, or a new run with --out")}
}

// nonzero is a hash that differs from the 0 of an absent text.
func nonzero(hash uint64) uint64 { return max(hash, 1) }
