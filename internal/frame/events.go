package frame

import (
	"bytes"
	"io"
	"math"
	"slices"
	"time"
)

// Event is one event of an event stream.
type Event struct {
	Type  string        // "message" unless the service sent another
	Data  []byte        // its lines, joined by LF
	ID    string        // the last one sent so far
	Retry time.Duration // the last one sent so far; zero for none
}

// events is the state of an event stream (WHATWG HTML, 9.2.6).
type events struct {
	lines int  // data lines in the current event
	found bool // the current event is complete

	kind  string // the last event's Type, reused if the next one is equal
	id    string
	retry time.Duration
	data  []byte // buffer for an event with several data lines
}

// Event returns the next event with data. The error is ErrMore, ErrTooLong,
// io.EOF after the last event, or io.ErrUnexpectedEOF if the stream ends within
// an event. The standard discards such an event.
func (s *Splitter) Event() (Event, error) {
	if err := s.PeekEvent(); err != nil {
		return Event{}, err
	}
	return s.take(), nil
}

// PeekEvent finds the next event without taking it: the next Event or Line
// returns it. It skips events without data.
func (s *Splitter) PeekEvent() error {
	for !s.found {
		begin, end, err := s.next(true)
		switch {
		case s.Max > 0 && begin < end && end-s.from > s.Max: // also if the line is incomplete
			return ErrTooLong
		case err == io.EOF && s.begun():
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case begin == end && s.lines > 0:
			s.found = true
		case begin == end:
			s.take()
		case begin == s.from && s.buf[begin] == ':': // a comment before the event
			s.from = s.at
		case isData(s.buf[begin:end]):
			s.lines++
		}
	}
	return nil
}

func isData(line []byte) bool {
	name, _ := field(line)
	return string(name) == "data"
}

// begun reports whether there is more than a comment after the last event.
func (s *Splitter) begun() bool { return s.from < len(s.buf) && s.buf[s.from] != ':' }

// take decodes the lines up to the empty line before s.at.
func (s *Splitter) take() Event {
	e := Event{}
	block := s.buf[s.from:s.at]
	several := s.lines > 1
	s.data = s.data[:0]
	for len(block) > 0 {
		var line []byte
		i := ends(block)
		line, block = block[:i], block[i+1:]
		switch name, value := field(line); string(name) {
		case "data":
			if several {
				s.data = append(append(s.data, value...), '\n')
			} else {
				e.Data = slices.Clip(value)
			}
		case "event":
			if string(value) != s.kind {
				s.kind = string(value)
			}
			e.Type = s.kind
		case "id":
			if string(value) != s.id && bytes.IndexByte(value, 0) < 0 {
				s.id = string(value)
			}
		case "retry":
			if d, ok := milliseconds(value); ok {
				s.retry = d
			}
		}
	}
	if several {
		e.Data = slices.Clip(s.data[:len(s.data)-1])
	}
	if e.Type == "" {
		e.Type = "message"
	}
	e.ID, e.Retry = s.id, s.retry
	s.from, s.lines, s.found = s.at, 0, false
	return e
}

// ends returns the end of a line, at CR or LF. The LF of a CRLF then ends an
// empty line, which is not a field.
func ends(block []byte) int {
	lf := bytes.IndexByte(block, '\n')
	if lf >= 0 {
		block = block[:lf]
	}
	if cr := bytes.IndexByte(block, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// field splits a line at its first colon and removes one blank after it.
func field(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// milliseconds parses digits. A value that a Duration cannot hold becomes the
// longest Duration.
func milliseconds(digits []byte) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > most {
			n = most // and stays: ten times most still fits into an int64
		}
	}
	return time.Duration(n) * time.Millisecond, len(digits) > 0
}
