package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// vector is one line of the output. It has all that is needed to go on after an
// interruption: which text it is of, whether that is still the same one, and
// whose numbers they are.
type vector struct {
	Index     int             `json:"index"`
	ID        json.RawMessage `json:"id,omitempty"`
	Hash      string          `json:"hash"`
	Model     string          `json:"model"`
	Embedding []float32       `json:"embedding"`
}

// maxVector bounds a line of a file that is read again: an id as long as a text
// may be, and four times the numbers of the longest vectors there are.
const maxVector = maxText + 1<<18

// embeddedLines makes the lines of a chunk.
func embeddedLines(items []item, vectors [][]float32, model string) ([]byte, error) {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false) // an id comes out as it came in
	for i, t := range items {
		if err := enc.Encode(vector{t.index, t.id, hexHash(t.hash()), model, vectors[i]}); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

func hexHash(hash uint64) string { return fmt.Sprintf("%016x", hash) }

// earlier is a file that an earlier run has written to.
type earlier struct {
	file    *os.File
	has     embedded
	whole   int64 // bytes of its whole lines
	cutOff  int64 // bytes of a last line that is none, since its writing was interrupted
	missing bool  // only the newline of its last line is
}

// openEarlier reads what is there, and changes nothing.
func openEarlier(ctx context.Context, path, model string) (*earlier, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, exit.Reason(err)
	}
	e := &earlier{file: f}
	if err := e.read(ctx, model); err != nil {
		_ = f.Close()
		return nil, err
	}
	return e, nil
}

func (e *earlier) read(ctx context.Context, model string) error {
	if info, err := e.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.New("must be a file that holdfast embed has written")
	}
	lines := bufio.NewScanner(e.file)
	lines.Buffer(nil, maxVector)
	lines.Split(withNewline)
	for n := 1; ctx.Err() == nil && lines.Scan(); n++ {
		line := lines.Bytes()
		index, hash, err := readVector(line, model)
		complete := line[len(line)-1] == '\n'
		switch {
		case err != nil && !complete && begins(line):
			e.cutOff = int64(len(line))
			return nil
		case err != nil:
			return fmt.Errorf("line %d %w", n, err)
		}
		e.has.add(index, hash)
		e.whole += int64(len(line))
		e.missing = !complete
	}
	return cmp.Or(ctx.Err(), exit.Reason(lines.Err()))
}

// readVector reads a line, and sees whether this run might have written it.
func readVector(line []byte, model string) (index int, hash uint64, err error) {
	var v struct {
		vector
		Embedding json.RawMessage `json:"embedding"` // looked at, not decoded
	}
	v.Index = -1
	notOurs := errors.New("was not written by holdfast embed: must be the file that its --out has written")
	if err := json.Unmarshal(line, &v); err != nil || v.Index < 0 || v.Index >= maxTexts || len(v.Embedding) < 3 || v.Embedding[0] != '[' {
		return 0, 0, notOurs
	}
	if hash, err = strconv.ParseUint(v.Hash, 16, 64); err != nil || len(v.Hash) != 16 {
		return 0, 0, notOurs
	}
	if v.Model != model {
		return 0, 0, fmt.Errorf("is of model %s: must be %s, as vectors of two models do not compare", format.Excerpt(v.Model), format.Excerpt(model))
	}
	return v.Index, hash, nil
}

// begins reports whether a line that is not whole may be the beginning of one.
func begins(line []byte) bool {
	start := []byte(`{"index":`)
	n := min(len(line), len(start))
	return bytes.Equal(line[:n], start[:n])
}

// withNewline splits lines as bufio.ScanLines does, and leaves them their end.
func withNewline(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// mend makes the file end with a whole line.
func (e *earlier) mend() error {
	switch {
	case e.cutOff > 0:
		return exit.Reason(e.file.Truncate(e.whole))
	case e.missing:
		_, err := io.WriteString(e.file, "\n")
		return exit.Reason(err)
	}
	return nil
}

// begin makes a file for embeddings. One that has any is not written to: they were
// paid for.
func beginFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, exit.Reason(err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		_ = f.Close()
		return nil, errors.New("is there, and is not empty: --resume goes on with it")
	}
	return f, nil
}
