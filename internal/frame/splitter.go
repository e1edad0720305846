// Package frame finds the lines of NDJSON and the events of an event stream in
// bytes that arrive in pieces. How they are cut into pieces changes nothing, and
// what is found is handed out where it lies: nothing is copied but the data of an
// event that has several lines of it.
package frame

import (
	"bytes"
	"errors"
	"io"
)

var (
	// ErrMore means that there is no whole line or event yet.
	ErrMore = errors.New("frame: unfinished")
	// ErrTooLong is a line or an event longer than it may be.
	ErrTooLong = errors.New("frame: too long")
)

// firstRoom is how much is read at once; no line or event needs a larger buffer,
// unless it is larger itself.
const firstRoom = 16 << 10

// Splitter holds what has arrived and was not handed out. Whoever has it reads
// into Room, tells by Add how much that was, and by End that there is no more.
// Then Line or Event give what there is; with ErrMore they want to be called
// again when more has arrived.
//
// The zero Splitter is ready, and has no limit. What it hands out is good until
// it is asked again.
type Splitter struct {
	// Max is the longest line, without its end, or the longest event, with the
	// names of its fields and without the empty line that ends it; zero is no
	// limit. The buffer takes at most four times as much.
	Max int

	buf   []byte
	from  int  // what is before was handed out
	at    int  // where the next line begins; later than from within an event
	noLF  int  // there is no LF in buf[at:noLF]
	noCR  int  // and no CR in buf[at:noCR]; Event asks
	skip  bool // the last line ended with CR: a LF that follows belongs to it
	began bool // the byte order mark is behind us, or is none
	ended bool

	events
}

// Room is where the next bytes go: half of the buffer, or more.
func (s *Splitter) Room() []byte {
	switch rest, half := len(s.buf)-s.from, cap(s.buf)/2; {
	case half == 0, rest > half:
		s.move(make([]byte, max(firstRoom, 2*cap(s.buf))))
	case rest == 0, cap(s.buf)-len(s.buf) < half:
		s.move(s.buf[:cap(s.buf)])
	}
	return s.buf[len(s.buf):cap(s.buf)]
}

// move puts what is left at the beginning of to.
func (s *Splitter) move(to []byte) {
	by := s.from
	s.buf = to[:copy(to, s.buf[by:])]
	s.from, s.at, s.noLF, s.noCR = 0, s.at-by, max(0, s.noLF-by), max(0, s.noCR-by)
}

// Add says that n bytes have arrived in Room.
func (s *Splitter) Add(n int) { s.buf = s.buf[:len(s.buf)+n] }

// End says that no more will arrive: nothing was cut off.
func (s *Splitter) End() { s.ended = true }

// Rest is what was not handed out: the unfinished line or event, as it arrived,
// once Line or Event has asked for more.
func (s *Splitter) Rest() []byte { return s.buf[s.from:] }

// Line is the next line that has more in it than white space. It ends with LF or
// CRLF, and the last one also with the last byte; a CR alone is white space of
// JSON. The error is ErrMore, ErrTooLong, or io.EOF after the last one.
func (s *Splitter) Line() ([]byte, error) {
	begin, end, err := s.line()
	if err != nil {
		return nil, err
	}
	s.from = s.at
	return s.buf[begin:end:end], nil
}

// PeekLine is Line, but hands nothing out: the next Line, or Event, gives what it
// has found. White space before it is passed over.
func (s *Splitter) PeekLine() error {
	_, _, err := s.line()
	s.rewind()
	return err
}

func (s *Splitter) line() (begin, end int, err error) {
	s.rewind()
	for {
		begin, end, err = s.next(false)
		switch {
		case err == io.EOF && begin < end: // the last one
			s.at = end
		case err == ErrMore && s.Max > 0 && end-begin > s.Max+1: // one of them may be a CR
			return 0, 0, ErrTooLong
		case err != nil:
			return 0, 0, err
		}
		if begin < end && s.buf[end-1] == '\r' {
			end--
		}
		switch {
		case s.Max > 0 && end-begin > s.Max:
			return 0, 0, ErrTooLong
		case !blank(s.buf[begin:end]):
			return begin, end, nil
		}
		s.from = s.at
	}
}

// rewind goes back to what was not handed out, if Event has looked further.
func (s *Splitter) rewind() {
	if s.at == s.from {
		return
	}
	s.at, s.noLF, s.noCR, s.skip = s.from, s.from, s.from, false
	s.events.lines, s.events.found = 0, false
}

func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// mark is the byte order mark.
const mark = "\ufeff"

// begin passes over the mark that a stream may begin with. It is false as long
// as that cannot be told.
func (s *Splitter) begin() bool {
	switch {
	case bytes.HasPrefix(s.buf, []byte(mark)):
		s.from, s.at = len(mark), len(mark)
	case len(s.buf) < len(mark) && bytes.HasPrefix([]byte(mark), s.buf) && !s.ended:
		return false
	}
	s.began = true
	return true
}

// next finds the next line. It ends with LF, or, if a CR alone ends a line too,
// with CR, LF or CRLF. If there is no end, the error is ErrMore, or io.EOF if none
// will come, and the line is what there is of it.
func (s *Splitter) next(cr bool) (begin, end int, err error) {
	if !s.began && !s.begin() {
		return 0, 0, ErrMore
	}
	// The LF of a CRLF is passed over where it would begin a line, whether it has
	// come along with the CR or comes now.
	if s.skip && s.at < len(s.buf) {
		s.skip = false
		if s.buf[s.at] == '\n' {
			if s.from == s.at {
				s.from++
			}
			s.at++
		}
	}
	begin, end = s.at, len(s.buf)
	look := max(begin, s.noLF)
	lf := bytes.IndexByte(s.buf[look:], '\n')
	if lf >= 0 {
		end = look + lf
	}
	s.noLF = end
	if cr {
		look = max(begin, s.noCR)
		if i := bytes.IndexByte(s.buf[look:end], '\r'); i >= 0 {
			s.at, s.skip = look+i+1, true
			return begin, look + i, nil
		}
		s.noCR = end
	}
	switch {
	case lf >= 0:
		s.at = end + 1
		return begin, end, nil
	case s.ended:
		return begin, end, io.EOF
	}
	return begin, end, ErrMore
}
