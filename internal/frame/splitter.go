// Package frame finds the lines of NDJSON and the events of an event stream in
// bytes that arrive in pieces. The result does not depend on the pieces.
// Results are slices of the buffer; only the data of an event with several data
// lines is copied.
package frame

import (
	"bytes"
	"errors"
	"io"
)

var (
	// ErrMore means that there is no complete line or event yet.
	ErrMore = errors.New("frame: unfinished")
	// ErrTooLong means that a line or an event exceeds Max.
	ErrTooLong = errors.New("frame: too long")
)

// firstRoom is the first size of the buffer. It grows only for a longer line or
// event.
const firstRoom = 16 << 10

// Splitter holds the bytes that have arrived and were not returned. The caller
// reads into Room, reports the number of bytes with Add and the end with End.
// Then it calls Line or Event until ErrMore asks for more bytes.
//
// The zero Splitter is ready and has no limit. A result is valid until the next
// call.
type Splitter struct {
	// Max limits a line, without its end, or an event, with its field names and
	// without the empty line at its end. Zero means no limit. The buffer takes
	// at most four times Max.
	Max int

	buf   []byte
	from  int  // bytes before it were returned
	at    int  // start of the next line; later than from within an event
	noLF  int  // no LF in buf[at:noLF]
	noCR  int  // no CR in buf[at:noCR], for Event
	skip  bool // the last line ended with CR: skip a LF after it
	began bool // the byte order mark is checked
	ended bool

	events
}

// Room returns the buffer for the next bytes: at least half of the whole buffer.
func (s *Splitter) Room() []byte {
	switch rest, half := len(s.buf)-s.from, cap(s.buf)/2; {
	case half == 0, rest > half:
		s.move(make([]byte, max(firstRoom, 2*cap(s.buf))))
	case rest == 0, cap(s.buf)-len(s.buf) < half:
		s.move(s.buf[:cap(s.buf)])
	}
	return s.buf[len(s.buf):cap(s.buf)]
}

// move copies the remaining bytes to the start of to.
func (s *Splitter) move(to []byte) {
	by := s.from
	s.buf = to[:copy(to, s.buf[by:])]
	s.from, s.at, s.noLF, s.noCR = 0, s.at-by, max(0, s.noLF-by), max(0, s.noCR-by)
}

// Add reports that n bytes have arrived in Room.
func (s *Splitter) Add(n int) { s.buf = s.buf[:len(s.buf)+n] }

// End reports that no more bytes will arrive and that none were cut off.
func (s *Splitter) End() { s.ended = true }

// Rest returns the bytes that were not returned: the incomplete line or event,
// once Line or Event has asked for more.
func (s *Splitter) Rest() []byte { return s.buf[s.from:] }

// Line returns the next line that is not blank. A line ends with LF or CRLF;
// the last one may end without. A CR alone is white space of JSON. The error is
// ErrMore, ErrTooLong, or io.EOF after the last line.
func (s *Splitter) Line() ([]byte, error) {
	begin, end, err := s.line()
	if err != nil {
		return nil, err
	}
	s.from = s.at
	return s.buf[begin:end:end], nil
}

// PeekLine finds the next line without taking it: the next Line or Event
// returns it. It skips white space before the line.
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
		case err == io.EOF && begin < end: // the last line
			s.at = end
		case err == ErrMore && s.Max > 0 && end-begin > s.Max+1: // one byte may be a CR
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

// rewind returns to the first byte that was not returned, if Event has looked
// ahead.
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

// begin skips a byte order mark at the start of the stream. It returns false
// until it has enough bytes to decide.
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

// next finds the next line. It ends with LF or, if cr is set, with CR, LF or
// CRLF. Without an end, the line is the rest of the buffer and the error is
// ErrMore, or io.EOF if no more bytes will arrive.
func (s *Splitter) next(cr bool) (begin, end int, err error) {
	if !s.began && !s.begin() {
		return 0, 0, ErrMore
	}
	// Skip the LF of a CRLF, whether it arrived with the CR or later.
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
