package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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

// Texts come one by one, and are gone when their embedding is written: what is in
// memory of them are the chunks on their way.

// Bounds of the input.
const (
	maxText    = 1 << 20 // bytes of one line
	maxTexts   = 1 << 30 // of one batch
	maxRequest = 1 << 20 // bytes of the texts of one chunk, unless it has one text only
	maxShown   = 10      // bad lines, and failed chunks, that are told one by one
)

// item is a text, and what there is to find it by.
type item struct {
	index int             // among all texts of the input, from 0
	id    json.RawMessage // as it was given; nil if it was not
	text  string
}

// hash tells two items apart that have the same index: one of them was changed.
func (t item) hash() uint64 {
	sum := sha256.Sum256(slices.Concat(t.id, []byte{0}, []byte(t.text)))
	return binary.BigEndian.Uint64(sum[:])
}

// source is where texts come from.
type source struct {
	name   string
	args   []string  // the texts, if there is no reader
	in     io.Reader // of lines
	ndjson bool      // what a line is
	close  func()    // frees whoever reads
	rewind func() error
}

// openSource opens what the command line names, stdin if it names nothing.
func (o *embedder) openSource(args []string, stdin io.Reader) (*source, error) {
	s := &source{name: "standard input", args: args, ndjson: true, close: func() {}}
	switch {
	case len(args) > 0:
		s.name, s.rewind = "the arguments", func() error { return nil }
		return s, nil
	case o.file == "" || o.file == "-":
		s.in, s.ndjson = stdin, o.file == ""
	default:
		f, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			_ = f.Close()
			return nil, errors.New("is a directory")
		}
		s.name, s.in, s.close = o.file, f, func() { _ = f.Close() }
		s.ndjson = slices.Contains([]string{".ndjson", ".jsonl"}, strings.ToLower(filepath.Ext(o.file)))
	}
	if f, ok := s.in.(*os.File); !ok || !s.rewinds(f) {
		pipe, whole := files.Interruptible(s.in), s.close
		s.in, s.close = pipe, func() { _ = pipe.(io.Closer).Close(); whole() }
	}
	return s, nil
}

// rewinds finds out whether a file can be read twice, from where it stands.
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

// badLine is a line that is no text. The lines after it can be read.
type badLine struct {
	place string
	err   error
}

func (b *badLine) Error() string { return b.place + ": " + b.err.Error() }

// items reads one text after the other. Any error but a *badLine is the last.
func (s *source) items() iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for i, arg := range s.args {
			if err := isText(arg); !yield(item{index: i, text: arg}, bad(err, "text %d", i+1)) {
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
				line = bytes.TrimPrefix(line, []byte("\ufeff")) // a mark of some editors, and no text
			}
			t, err := s.parse(line)
			t.index = n
			if !yield(t, bad(err, "line %d", n+1)) {
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

func bad(err error, place string, n int) error {
	if err == nil {
		return nil
	}
	return &badLine{fmt.Sprintf(place, n), err}
}

func (s *source) parse(line []byte) (item, error) {
	if !s.ndjson || len(bytes.TrimSpace(line)) == 0 {
		return item{text: string(line)}, isText(string(line))
	}
	// Before it is decoded, which would put something else in place of what is none.
	if !utf8.Valid(line) {
		return item{}, isText(string(line))
	}
	var one struct {
		ID   json.RawMessage `json:"id"`
		Text any             `json:"text"`
	}
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(line), []byte{'{'}) {
		err = json.Unmarshal(line, &one)
	} else {
		err = json.Unmarshal(line, &one.Text)
	}
	text, isString := one.Text.(string)
	switch {
	case err != nil:
		return item{}, errors.New(`is no JSON: must be a string or {"id": …, "text": …}`)
	case !isString:
		return item{}, errors.New(`has no text: must be a string or {"id": …, "text": …}`)
	case len(one.ID) > 0 && strings.IndexByte("[{tf", one.ID[0]) >= 0:
		return item{}, errors.New("its id: must be a string or a number")
	case string(one.ID) == "null":
		one.ID = nil
	}
	return item{id: one.ID, text: text}, isText(text)
}

func isText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("is no UTF-8")
	case strings.TrimSpace(s) == "":
		return errors.New("is empty: must be a text")
	}
	return nil
}

// survey reads all texts before anything is sent, and says how many there are, and
// how many of them have an embedding: -1 and all if they can be read only once. What
// is wrong with them it says at once.
func (s *source) survey(ctx context.Context, before *embedded) (total, there int, err error) {
	if s.rewind == nil {
		return -1, before.n, nil
	}
	wrong := 0
	var shown strings.Builder
	for t, err := range s.items() {
		var line *badLine
		has := false
		if err == nil {
			has, err = before.has(t)
		}
		switch {
		case ctx.Err() != nil:
			return 0, 0, exit.With(exit.Interrupted, errors.New("interrupted; nothing was sent"))
		case has:
			there++
		case errors.As(err, &line):
			if wrong++; wrong <= maxShown {
				fmt.Fprintf(&shown, "\n  %v", err)
			}
		case err != nil:
			return 0, 0, exit.Errorf(exit.Config, "%s: %w; nothing was sent", s.name, err)
		}
		total++
	}
	if wrong > maxShown {
		fmt.Fprintf(&shown, "\n  and %s more", format.Number(wrong-maxShown))
	}
	if wrong > 0 {
		return 0, 0, exit.Errorf(exit.Config, "%s: %s; nothing was sent%s", s.name, format.Plural(wrong, "bad line"), &shown)
	}
	return total, there, exit.Reason(s.rewind())
}

// chunk are the texts of one call, and its key.
type chunk struct {
	items []item
	key   string
}

// chunks cuts the texts, and leaves out those that have an embedding. The cuts
// depend on the input alone, so that one that is made again has the same chunks,
// under the same keys: a service that knows them does no work twice, though the
// answer was lost.
func (s *source) chunks(size int, model string, before *embedded) iter.Seq2[chunk, error] {
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
			has := false
			if err == nil {
				has, err = before.has(t)
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
			if !has {
				open = append(open, t)
			}
		}
		cut()
	}
}

// keyOf names a call by what is asked, and where it stands: of two calls at once
// that have the same key, many a service refuses one.
func keyOf(model string, items []item) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d", model, items[0].index)
	for _, t := range items {
		fmt.Fprintf(h, " %q", t.text)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// embedded knows which texts have an embedding already: eight bytes for each, in
// pages, so that the file may be in any order. The zero one knows of none.
type embedded struct {
	pages map[int]*[page]uint64 // 0: it has none
	n     int
}

const page = 4096

// add notes one; false if it was there.
func (e *embedded) add(index int, hash uint64) bool {
	if e.pages == nil {
		e.pages = map[int]*[page]uint64{}
	}
	p := e.pages[index/page]
	if p == nil {
		p = new([page]uint64)
		e.pages[index/page] = p
	}
	slot := &p[index%page]
	if *slot != 0 {
		return false
	}
	*slot = kept(hash)
	e.n++
	return true
}

// kept is a hash that is not 0.
func kept(hash uint64) uint64 { return max(hash, 1) }

// has reports whether t has one. The error is a text that is not the one that was
// there when its embedding was made.
func (e *embedded) has(t item) (bool, error) {
	p := e.pages[t.index/page]
	if p == nil || p[t.index%page] == 0 {
		return false, nil
	}
	if p[t.index%page] != kept(t.hash()) {
		return false, &badLine{fmt.Sprintf("text %s", format.Number(t.index+1)), errors.New("was another when its embedding was made: must be the same input, or begin anew with --out")}
	}
	return true, nil
}
