package embed

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// previousRun is the output file of an earlier run.
type previousRun struct {
	file           *os.File
	done           doneSet
	length         int         // of the vectors; 0 if there is none
	begun          []begunCall // calls with an embedding that is not in the file
	wholeBytes     int64       // in complete lines
	partialBytes   int64       // in an incomplete last line
	missingNewline bool        // the last line is complete except for its newline
	twins          int         // lines of texts that a line before is of
	last           []int       // the indexes of the last lines, at most one chunk
}

// errInUse is the error for an output file that another process writes.
var errInUse = errors.New("is in use by another run of holdfast embed: wait until it ends, or interrupt it")

// openPrevious opens, locks and reads the file, without changing it.
func openPrevious(ctx context.Context, path, model string) (*previousRun, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is " + files.Kind(info.Mode()) + ": must be a file that holdfast embed has written")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, exit.Reason(err)
	}
	p := &previousRun{file: f}
	if err = lockFile(f); err == nil {
		err = p.read(ctx, model)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return p, nil
}

// lockFile locks an output file against other runs. A file system without locks is no error.
func lockFile(f *os.File) error {
	if err := lock(f); errors.Is(err, errInUse) {
		return err
	}
	return nil
}

// openStatus is the exit status for an output file that cannot be opened.
func openStatus(err error) int {
	if errors.Is(err, errInUse) {
		return exit.TryAgain
	}
	return exit.Config
}

func (p *previousRun) read(ctx context.Context, model string) error {
	lines := bufio.NewScanner(p.file)
	lines.Buffer(nil, maxVector)
	lines.Split(withNewline)
	for n := 1; ctx.Err() == nil && lines.Scan(); n++ {
		line := lines.Bytes()
		index, hash, length, err := readVector(line, model)
		complete := line[len(line)-1] == '\n'
		switch {
		case err != nil && !complete && isVectorStart(line):
			p.partialBytes = int64(len(line))
			return nil
		case err != nil:
			return fmt.Errorf("line %d %w", n, err)
		case p.length != 0 && length != p.length:
			return fmt.Errorf("line %d has a vector of %s numbers: must be %s, as in the lines before", n, format.Number(length), format.Number(p.length))
		}
		p.length = length
		if !p.done.add(index, hash) {
			if p.done.hash(index) != nonzero(hash) {
				return fmt.Errorf("line %d has the index %d of a line before, but is of another text: one of the two must be removed", n, index)
			}
			p.twins++
		}
		if p.last = append(p.last, index); len(p.last) > 2*mixedbread.MaxTexts {
			p.last = slices.Delete(p.last, 0, mixedbread.MaxTexts)
		}
		p.wholeBytes += int64(len(line))
		p.missingNewline = !complete
	}
	return cmp.Or(ctx.Err(), exit.Reason(lines.Err()))
}

// begunBefore are the calls that an earlier run has begun: those of its journal of which a
// text has no embedding yet. If the file ends within a line, and the journal has not its
// call, it is found by the lines before.
func (p *previousRun) begunBefore(noted []begunCall, size int) (begun []begunCall, finished []*entry) {
	taken := map[int]bool{}
	take := func(call begunCall) bool {
		open := slices.ContainsFunc(call.indexes, func(index int) bool { return !p.done.has(index) })
		if !open || slices.ContainsFunc(call.indexes, func(index int) bool { return taken[index] }) {
			return false
		}
		for _, index := range call.indexes {
			taken[index] = true
		}
		begun = append(begun, call)
		return true
	}
	slices.SortStableFunc(noted, func(a, b begunCall) int { return len(b.indexes) - len(a.indexes) }) // a whole before its halves
	for _, call := range noted {
		if !take(call) {
			finished = append(finished, call.entry)
		}
	}
	if p.partialBytes > 0 && len(p.last) > 0 {
		take(p.tornCall(size))
	}
	return begun, finished
}

// tornCall is the call that wrote the last lines of the file, if its chunk had this size. The texts
// of the chunk that are missing are those of its lines that were not written.
func (p *previousRun) tornCall(size int) (call begunCall) {
	last := p.last[len(p.last)-1]
	first := last - last%size
	written := map[int]bool{}
	for i := len(p.last) - 1; i >= 0 && p.last[i] >= first && (i == len(p.last)-1 || p.last[i] < p.last[i+1]); i-- {
		written[p.last[i]] = true
	}
	for index := first; index < first+size; index++ {
		if written[index] || !p.done.has(index) {
			call.indexes = append(call.indexes, index)
		}
	}
	return call
}

// isVectorStart reports whether an incomplete line may be the beginning of a vector.
func isVectorStart(line []byte) bool {
	start := []byte(`{"index":`)
	n := min(len(line), len(start))
	return bytes.Equal(line[:n], start[:n])
}

// withNewline splits lines as bufio.ScanLines does, but keeps the newlines.
func withNewline(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// repair makes the file end with a complete line.
func (p *previousRun) repair() error {
	switch {
	case p.partialBytes > 0:
		return exit.Reason(p.file.Truncate(p.wholeBytes))
	case p.missingNewline:
		_, err := io.WriteString(p.file, "\n")
		return exit.Reason(err)
	}
	return nil
}

// createOutput opens and locks a new output file. It does not overwrite embeddings, because
// they are paid for.
func createOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, exit.Reason(err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return f, nil
	}
	err = lockFile(f)
	if info, _ := f.Stat(); err == nil && info != nil && info.Size() > 0 {
		err = errors.New("exists, and is not empty: use --resume to append to it")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	syncFolder(path)
	return f, nil
}
