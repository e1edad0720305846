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

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// previousRun is the output file of an earlier run.
type previousRun struct {
	file           *os.File
	done           doneSet
	wholeBytes     int64 // in complete lines
	partialBytes   int64 // in an incomplete last line
	missingNewline bool  // the last line is complete except for its newline
}

// openPrevious opens and reads the file, without changing it.
func openPrevious(ctx context.Context, path, model string) (*previousRun, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, exit.Reason(err)
	}
	p := &previousRun{file: f}
	if err := p.read(ctx, model); err != nil {
		_ = f.Close()
		return nil, err
	}
	return p, nil
}

func (p *previousRun) read(ctx context.Context, model string) error {
	if info, err := p.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.New("must be a file that holdfast embed has written")
	}
	lines := bufio.NewScanner(p.file)
	lines.Buffer(nil, maxVector)
	lines.Split(withNewline)
	for n := 1; ctx.Err() == nil && lines.Scan(); n++ {
		line := lines.Bytes()
		index, hash, err := readVector(line, model)
		complete := line[len(line)-1] == '\n'
		switch {
		case err != nil && !complete && isVectorStart(line):
			p.partialBytes = int64(len(line))
			return nil
		case err != nil:
			return fmt.Errorf("line %d %w", n, err)
		}
		p.done.add(index, hash)
		p.wholeBytes += int64(len(line))
		p.missingNewline = !complete
	}
	return cmp.Or(ctx.Err(), exit.Reason(lines.Err()))
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

// createOutput opens a new output file. It does not overwrite embeddings, because they are
// paid for.
func createOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, exit.Reason(err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		_ = f.Close()
		return nil, errors.New("exists, and is not empty: use --resume to append to it")
	}
	return f, nil
}
