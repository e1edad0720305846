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
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// Limits of a journal.
const (
	maxCalls  = 1024           // calls without an answer; further ones replace the oldest
	entrySize = 128            // bytes of a line
	firstRoom = 31             // calls for which a new journal has room, in case the disk is full later
	maxUntil  = 24 * time.Hour // the longest wait that a later run keeps to
)

// journal notes beside the output file what a later run must know, even after a SIGKILL:
// the calls without their answer in the file, and the time until which the service asked to
// be left alone. The lines of the file have a fixed length, and each is written at once: the
// first is a journalHead, the others are calls or blank. A call is on the disk before it is
// made, and is removed after its embeddings are on the disk. The nil journal notes nothing.
type journal struct {
	path    string
	service string
	file    journalFile // nil until there is something to note
	entries []*entry
	kept    []*entry // in the order in which their calls failed
	unused  []*entry
	until   time.Time
	err     error // the first one; after it nothing is noted
}

// journalFile is what a journal does with its *os.File.
type journalFile interface {
	io.WriterAt
	io.Closer
	Sync() error
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
	if err == nil && len(data) > 0 {
		begun, err = j.parse(data, now)
	}
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && len(data) == 0: // empty after a SIGKILL within create
		for n := firstRoom; n > 0; n-- {
			s := &entry{n}
			j.entries, j.unused = append(j.entries, s), append(j.unused, s)
		}
		return j, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("%s %w", j.path, exit.Reason(err))
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", j.path, exit.Reason(err))
	}
	j.file = f
	if j.until.IsZero() {
		j.writeHead() // of this service
	}
	return j, begun, j.err
}

// readJournal reads the file, which must not be larger than a journal can be.
func readJournal(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // to open a pipe would block
		return nil, errors.New("is " + files.Kind(info.Mode()) + ": must be moved away, because the name is needed")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = (1 + maxCalls) * entrySize
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		return nil, fmt.Errorf("has more than %s bytes: %w", format.Number(most), errForeignJournal)
	}
	return data, err
}

var errForeignJournal = errors.New("was not written by holdfast embed: must be moved away, because the name is needed")

// parse reads the lines of a journal.
func (j *journal) parse(data []byte, now time.Time) (begun []begunCall, err error) {
	var head journalHead
	first, rest := data[:min(len(data), entrySize)], data[min(len(data), entrySize):]
	if len(first) < entrySize || json.Unmarshal(first, &head) != nil || head.Version != 1 {
		return nil, errForeignJournal
	}
	if head.Service == j.service && head.Until.After(now) && head.Until.Before(now.Add(maxUntil+time.Minute)) {
		j.until = head.Until
	}
	for line := range slices.Chunk(rest, entrySize) {
		s := &entry{n: len(j.entries) + 1}
		j.entries = append(j.entries, s)
		indexes, ok := callIndexes(line)
		switch {
		case len(line) < entrySize, // cut off by a loss of power, before its call
			len(bytes.Trim(line, " \n")) == 0:
			j.unused = append(j.unused, s)
		case ok:
			begun = append(begun, begunCall{indexes: indexes, entry: s})
		default:
			return nil, fmt.Errorf("is damaged in line %d: without it a call may be paid for again; to continue so, remove it", s.n+1)
		}
	}
	return begun, nil
}

// callIndexes reads the line of a call.
func callIndexes(line []byte) (indexes []int, ok bool) {
	var c callLine
	if json.Unmarshal(line, &c) != nil || c.From < 0 || c.From >= maxTexts {
		return nil, false
	}
	bits, err := hex.DecodeString(c.Texts)
	if err != nil {
		return nil, false
	}
	for i, b := range bits {
		for bit := range 8 {
			if b&(1<<bit) != 0 {
				indexes = append(indexes, c.From+8*i+bit)
			}
		}
	}
	return indexes, len(indexes) > 0 && len(indexes) <= mixedbread.MaxTexts
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
	if j.err == nil {
		j.err = syncFile(j.file)
	}
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

func (j *journal) head() journalHead {
	return journalHead{Version: 1, Service: j.service, Until: j.until.UTC().Truncate(time.Second)}
}

func (j *journal) writeHead() { j.writeLine(0, j.head()) }

// writeLine writes a line, and a blank one for nil.
func (j *journal) writeLine(n int, v any) {
	if j.file == nil && j.err == nil {
		j.create()
	}
	if j.err != nil {
		return
	}
	var text []byte
	if v != nil {
		text, j.err = json.Marshal(v)
	}
	line := blankLines(1)
	if copy(line[:entrySize-1], text) < len(text) && j.err == nil {
		j.err = fmt.Errorf("a line of %d bytes", len(text))
	}
	if j.err == nil {
		_, j.err = j.file.WriteAt(line, int64(n)*entrySize)
	}
}

// create makes the file, with room for the first calls.
func (j *journal) create() {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		j.err = err
		return
	}
	j.file = f
	block := blankLines(1 + len(j.entries))
	head, err := json.Marshal(j.head())
	if copy(block, head); err == nil {
		_, err = j.file.WriteAt(block, 0) // at once: it is never without its head
	}
	j.err = err
	syncFolder(j.path)
}

func blankLines(n int) []byte {
	return bytes.Repeat(append(bytes.Repeat([]byte{' '}, entrySize-1), '\n'), n)
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
