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
	Type  string        // message, unless the service named another
	Data  []byte        // its lines, with LF between them
	ID    string        // the last one that the service gave, with this event or before
	Retry time.Duration // likewise; zero if it gave none
}

// events is what a Splitter knows of an event stream: WHATWG HTML, 9.2.6.
type events struct {
	lines int  // of data, in the event that is being looked at
	found bool // it is whole

	kind  string // the last event's Type, which is likely to be the next one's
	id    string
	retry time.Duration
	data  []byte // of an event with several lines
}

// Event is the next event that has data. The error is ErrMore, ErrTooLong, io.EOF
// after the last one, or io.ErrUnexpectedEOF if the end came within an event,
// which is then not one (the standard has it discarded).
func (s *Splitter) Event() (Event, error) {
	if err := s.PeekEvent(); err != nil {
		return Event{}, err
	}
	return s.take(), nil
}

// PeekEvent is Event, but hands nothing out: the next Event, or Line, gives what
// it has found. What has no data before it is passed over.
func (s *Splitter) PeekEvent() error {
	for !s.found {
		begin, end, err := s.next(true)
		switch {
		case s.Max > 0 && begin < end && end-s.from > s.Max: // also if it goes on
			return ErrTooLong
		case err == io.EOF && s.begun():
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case begin == end && s.lines > 0:
			s.found = true
		case begin == end:
			s.take()
		case begin == s.from && s.buf[begin] == ':': // there is nothing yet that it would be a part of
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

// take reads the lines up to the empty one at which the Splitter stands.
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

// ends is where a line ends, by CR or LF. The second byte of a CRLF then ends an
// empty line, which within an event is no field.
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

// field cuts a line at its first colon, and a blank off what follows.
func field(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// milliseconds reads what is digits only. What is more than a Duration can hold
// is the longest one.
func milliseconds(digits []byte) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > most {
			n = most // and stays: ten times as much fits into an int64 still
		}
	}
	return time.Duration(n) * time.Millisecond, len(digits) > 0
}
