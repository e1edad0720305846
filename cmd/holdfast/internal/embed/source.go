package embed

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// Limits of the input. Only the chunks in flight are in memory.
const (
	maxText    = 1 << 20 // bytes in a line
	maxTexts   = 1 << 30 // lines in the input
	maxRequest = 1 << 20 // bytes in the texts of a chunk, unless it has only one text
	maxShown   = 10      // bad lines and failed chunks that are reported individually
)

// item is a text of the input.
type item struct {
	index int             // in the input, from 0
	id    json.RawMessage // unchanged; nil if the text has none
	text  string

	written bool // the output file has its embedding
}

// hash changes if the ID or the text changes.
func (t item) hash() uint64 {
	sum := sha256.Sum256(slices.Concat(t.id, []byte{0}, []byte(t.text)))
	return binary.BigEndian.Uint64(sum[:])
}

// source is the input.
type source struct {
	name   string
	args   []string     // the texts, if in is nil
	in     io.Reader    // lines
	ndjson bool         // the format of the lines
	close  func()       // ends a Read that blocks
	rewind func() error // nil if the input can be read only once
	twins  twins        // of survey
}

// openSource opens the input that the command line selects: the arguments, --file or
// stdin.
func (o *options) openSource(args []string, stdin io.Reader) (*source, error) {
	s := &source{name: "standard input", args: args, ndjson: true, close: func() {}}
	switch {
	case len(args) > 0:
		s.name, s.rewind = "the arguments", func() error { return nil }
		return s, nil
	case o.file == "" || o.file == "-":
		s.in, s.ndjson = stdin, o.file == ""
	default:
		info, err := os.Stat(o.file)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir(), info.Mode()&os.ModeSocket != 0:
			return nil, errors.New("is " + files.Kind(info.Mode()) + ": must be a file or a pipe")
		case info.Mode()&os.ModeNamedPipe != 0: // until it has a writer, to open it blocks
			s.name, s.in = o.file, &lateFile{path: o.file}
		default:
			f, err := os.Open(o.file)
			if err != nil {
				return nil, err
			}
			s.name, s.in, s.close = o.file, f, func() { _ = f.Close() }
		}
		s.ndjson = slices.Contains([]string{".ndjson", ".jsonl"}, strings.ToLower(filepath.Ext(o.file)))
	}
	if f, ok := s.in.(*os.File); !ok || !s.rewinds(f) {
		pipe, closeFile := files.Interruptible(s.in), s.close
		s.in, s.close = pipe, func() { _ = pipe.Close(); closeFile() }
	}
	return s, nil
}

// lateFile is opened at its first Read.
type lateFile struct {
	path string
	file *os.File
}

func (l *lateFile) Read(p []byte) (n int, err error) {
	if l.file == nil {
		if l.file, err = os.Open(l.path); err != nil {
			return 0, err
		}
	}
	return l.file.Read(p)
}

// rewinds reports whether a file can be read twice from its position, and sets rewind.
func (s *source) rewinds(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return false
	}
	s.rewind = func() error {
		_, err := f.Seek(at, io.SeekStart)
		return err
	}
	return true
}

// lineError is a line that is not a text. The lines after it can be read.
type lineError struct {
	place string
	err   error
}

func (e *lineError) Error() string { return e.place + ": " + e.err.Error() }

// items reads the texts in order. After an error that is not a *lineError it ends.
func (s *source) items() iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for i, arg := range s.args {
			if err := checkText(arg); !yield(item{index: i, text: arg}, lineErrorf(err, "text %d", i+1)) {
				return
			}
		}
		if s.in == nil {
			return
		}
		lines := bufio.NewScanner(s.in)
		lines.Buffer(nil, maxText)
		n := 0
		for ; n < maxTexts && lines.Scan(); n++ {
			line := lines.Bytes()
			if n == 0 {
				line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark, which some editors write
			}
			t, err := s.parse(line)
			t.index = n
			if !yield(t, lineErrorf(err, "line %d", n+1)) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(item{}, fmt.Errorf("line %d: has more than %s bytes", n+1, format.Number(maxText)))
		case err != nil:
			yield(item{}, exit.Reason(err))
		case n == maxTexts:
			yield(item{}, fmt.Errorf("has more than %s lines", format.Number(maxTexts)))
		}
	}
}

// lineErrorf adds a place to an error that is not nil.
func lineErrorf(err error, place string, n int) error {
	if err == nil {
		return nil
	}
	at := fmt.Sprintf(place, n)
	if c := (*columnError)(nil); errors.As(err, &c) {
		at += fmt.Sprintf(", column %d", c.column)
	}
	return &lineError{at, err}
}

// parse reads a text from a line.
func (s *source) parse(line []byte) (item, error) {
	if !s.ndjson || len(bytes.TrimSpace(line)) == 0 {
		return item{text: string(line)}, checkText(string(line))
	}
	// The decoder would replace invalid UTF-8.
	if !utf8.Valid(line) {
		return item{}, checkText(string(line))
	}
	return parseNDJSON(line)
}

// checkText checks that a text is not empty and can be sent.
func checkText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case strings.TrimSpace(s) == "":
		return errors.New("is empty: must be a text")
	}
	return nil
}

// survey checks all texts before anything is sent. It counts them, and those that have an
// embedding already. The error lists the bad lines. Input that can be read only once is
// not read: its total is -1, and its twins are unknown.
func (s *source) survey(ctx context.Context, previous *doneSet) (total, done int, err error) {
	if s.rewind == nil {
		return -1, previous.n, nil
	}
	bad := 0
	var shown strings.Builder
	for t, err := range s.items() {
		var badLine *lineError
		has := false
		if err == nil {
			has, err = previous.contains(t)
		}
		switch {
		case ctx.Err() != nil:
			return 0, 0, exit.With(exit.Interrupted, errors.New("interrupted; nothing was sent"))
		case has:
			done++
		case errors.As(err, &badLine):
			if bad++; bad <= maxShown {
				fmt.Fprintf(&shown, "\n  %v", err)
			}
		case err != nil:
			return 0, 0, exit.Errorf(exit.Config, "%s: %w; nothing was sent", s.name, err)
		}
		total++
		if err == nil {
			s.twins.add(t, has)
		}
	}
	if bad > maxShown {
		fmt.Fprintf(&shown, "\n  and %s more", format.Number(bad-maxShown))
	}
	if bad > 0 {
		return 0, 0, exit.Errorf(exit.Config, "%s: %s; nothing was sent%s", s.name, format.Plural(bad, "bad line"), &shown)
	}
	return total, done, exit.Reason(s.rewind())
}
