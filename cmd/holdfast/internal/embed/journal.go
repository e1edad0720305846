package embed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// Limits of a journal.
const (
	maxCalls  = 1024           // calls without an answer; further ones replace the oldest
	entrySize = 128            // bytes of a line
	maxUntil  = 24 * time.Hour // the longest wait that a later run keeps to
)

// journal notes beside the output file what a later run must know, even after a SIGKILL:
// the calls without their answer in the file, and the time until which the service asked to
// be left alone. The lines of the file have a fixed length, and each is written at once: the
// first is a journalHead, the others are calls or blank. The nil journal notes nothing.
type journal struct {
	path    string
	service string
	file    *os.File // nil until there is something to note
	entries []*entry
	kept    []*entry // in the order in which their calls failed
	unused  []*entry
	until   time.Time
	err     error // the first one; after it nothing is noted
}

// entry is a line of a journal, from 1.
type entry struct{ n int }

// journalHead is the first line of a journal.
type journalHead struct {
	Version int       `json:"holdfast embed"`
	Service string    `json:"service"`        // a hash of its address and of the model
	Until   time.Time `json:"until,omitzero"` // no call may be made before
}

// callLine is the line of a call.
type callLine struct {
	From  int    `json:"from"`  // the index of a text
	Texts string `json:"texts"` // a hexadecimal bit for each text from there, the lowest first
}

// begunCall is a call of an earlier run, if an embedding of it is not in the output file. It
// is made again with the same texts, and so with the same key.
type begunCall struct {
	indexes []int
	entry   *entry
	items   []item // while the input is read
}

// serviceHash identifies a service. It is a hash, because an address may have a token in
// its path.
func serviceHash(baseURL, model string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", baseURL, model))
	return hex.EncodeToString(sum[:8])
}

// journalPath is the file of the journal.
func journalPath(output string) string { return output + ".state" }

// openJournal reads the journal of an output file, if there is one.
func openJournal(output, service string, now time.Time) (j *journal, begun []begunCall, err error) {
	j = &journal{path: journalPath(output), service: service}
	data, err := readJournal(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil, nil
	}
	var head journalHead
	first, rest := data[:min(len(data), entrySize)], data[min(len(data), entrySize):]
	if err == nil && (json.Unmarshal(first, &head) != nil || head.Version != 1) {
		err = errors.New("was not written by holdfast embed: must be moved away, because the name is needed")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s %w", j.path, exit.Reason(err))
	}
	if j.file, err = os.OpenFile(j.path, os.O_RDWR, 0); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", j.path, exit.Reason(err))
	}
	if head.Service == service && head.Until.After(now) && head.Until.Before(now.Add(maxUntil+time.Minute)) {
		j.until = head.Until
	}
	for line := range slices.Chunk(rest, entrySize) {
		s := &entry{n: len(j.entries) + 1}
		j.entries = append(j.entries, s)
		if indexes := callIndexes(line); len(indexes) > 0 {
			begun = append(begun, begunCall{indexes: indexes, entry: s})
		} else {
			j.unused = append(j.unused, s)
		}
	}
	if j.until.IsZero() {
		j.writeHead() // of this service
	}
	return j, begun, j.err
}

// readJournal reads the file, without what is after its last entry.
func readJournal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	return io.ReadAll(io.LimitReader(f, (1+maxCalls)*entrySize))
}

// callIndexes reads the line of a call. It is empty for any other line.
func callIndexes(line []byte) (indexes []int) {
	var c callLine
	bits, err := []byte(nil), json.Unmarshal(line, &c)
	if err == nil {
		bits, err = hex.DecodeString(c.Texts)
	}
	if err != nil || c.From < 0 || c.From > maxTexts {
		return nil
	}
	for i, b := range bits {
		for bit := range 8 {
			if b&(1<<bit) != 0 {
				indexes = append(indexes, c.From+8*i+bit)
			}
		}
	}
	return indexes
}

// begin notes a call that is about to be made, in its former entry if it has one.
func (j *journal) begin(s *entry, items []item) *entry {
	if j == nil {
		return nil
	}
	switch n := len(j.unused); {
	case s != nil:
	case n > 0:
		s = j.unused[n-1]
		j.unused = j.unused[:n-1]
	case len(j.entries) < maxCalls:
		s = &entry{n: len(j.entries) + 1}
		j.entries = append(j.entries, s)
	case len(j.kept) > 0:
		s = j.kept[0]
		j.kept = j.kept[1:]
	default:
		return nil
	}
	from := items[0].index
	bits := make([]byte, (items[len(items)-1].index-from)/8+1)
	for _, t := range items {
		bits[(t.index-from)/8] |= 1 << ((t.index - from) % 8)
	}
	j.writeLine(s.n, callLine{from, hex.EncodeToString(bits)})
	return s
}

// keep leaves a call in the journal, because the service may have done its work.
func (j *journal) keep(s *entry) {
	if j != nil && s != nil {
		j.kept = append(j.kept, s)
	}
}

// free removes a call.
func (j *journal) free(s *entry) {
	if j != nil && s != nil {
		j.kept = slices.DeleteFunc(j.kept, func(kept *entry) bool { return kept == s })
		j.unused = append(j.unused, s)
		j.writeLine(s.n, nil)
	}
}

// wait notes the time before which no call may be made.
func (j *journal) wait(until, now time.Time) {
	if j != nil {
		if latest := now.Add(maxUntil); until.After(latest) {
			until = latest
		}
		j.until = until
		j.writeHead()
	}
}

func (j *journal) writeHead() {
	j.writeLine(0, journalHead{Version: 1, Service: j.service, Until: j.until.UTC().Truncate(time.Second)})
}

// writeLine writes a line, and a blank one for nil.
func (j *journal) writeLine(n int, v any) {
	if j.file == nil && j.err == nil {
		if j.file, j.err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o666); j.err == nil && n > 0 {
			j.writeHead()
		}
	}
	if j.err != nil {
		return
	}
	var text []byte
	if v != nil {
		text, j.err = json.Marshal(v)
	}
	line := append(bytes.Repeat([]byte{' '}, entrySize-1), '\n')
	if copy(line[:entrySize-1], text) < len(text) && j.err == nil {
		j.err = fmt.Errorf("a line of %d bytes", len(text))
	}
	if j.err == nil {
		_, j.err = j.file.WriteAt(line, int64(n)*entrySize)
	}
}

// close ends the journal. It removes its file if a later run needs nothing from it: if the
// output is complete, or nothing is noted.
func (j *journal) close(complete bool, now time.Time) error {
	switch {
	case j == nil:
		return nil
	case j.file == nil:
		return j.err
	}
	err := j.file.Close()
	if complete || len(j.unused) == len(j.entries) && !j.until.After(now) {
		err = cmp.Or(err, os.Remove(j.path))
	}
	return cmp.Or(j.err, err)
}
