package embed

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// maxTwins bounds the texts that are compared with each other: 24 bytes of memory for each.
const maxTwins = 1 << 20

// twins finds texts and IDs that occur twice in the input.
type twins struct {
	texts []uint64 // hashes of those without an embedding
	ids   []placedID
	more  bool // there are further texts, which are not compared
}

// placedID is a hash of an ID, and the index of its text.
type placedID struct {
	hash  uint64
	index int
}

func (t *twins) add(text item, paidFor bool) {
	if len(t.texts) >= maxTwins || len(t.ids) >= maxTwins {
		t.more = true
		return
	}
	hash := func(s []byte) uint64 {
		sum := sha256.Sum256(s)
		return binary.BigEndian.Uint64(sum[:])
	}
	if text.id != nil {
		t.ids = append(t.ids, placedID{hash(text.id), text.index})
	}
	if !paidFor {
		t.texts = append(t.texts, hash([]byte(text.text)))
	}
}

// notes are the messages about twins. Those about texts are for a service that is paid.
func (t *twins) notes(noun string, paid bool) (notes []string) {
	among := ""
	if t.more {
		among = " (of the first " + format.Number(maxTwins) + ")"
	}
	slices.SortFunc(t.ids, func(a, b placedID) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.index, b.index)) })
	repeated, earlier, later := 0, 0, 0
	for i := 1; i < len(t.ids); i++ {
		if a, b := t.ids[i-1], t.ids[i]; a.hash == b.hash {
			if repeated++; repeated == 1 || b.index < later {
				earlier, later = a.index, b.index
			}
		}
	}
	if repeated > 0 {
		notes = append(notes, fmt.Sprintf("%s the id of an earlier one%s: the id of %s %d is that of %s %d", repeat(repeated, noun), among, noun, later+1, noun, earlier+1))
	}
	slices.Sort(t.texts)
	all := len(t.texts)
	if repeated = all - len(slices.Compact(t.texts)); repeated > 0 && paid {
		notes = append(notes, fmt.Sprintf("%s the text of an earlier one%s, and each is paid for", repeat(repeated, noun), among))
	}
	return notes
}

func repeat(n int, noun string) string {
	if n == 1 {
		return format.Plural(n, noun) + " repeats"
	}
	return format.Plural(n, noun) + " repeat"
}
