package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// Lengths of a message of Amazon's event stream
// (docs.aws.amazon.com, Amazon Transcribe, "Event stream encoding").
const (
	preludeLength = 12 // total length, length of the headers, checksum
	leastMessage  = preludeLength + 4
	maxMessage    = 24 << 20 // the limit of the AWS SDKs
)

// ErrMalformed means that the bytes are no message of Amazon's event stream.
var ErrMalformed = errors.New("frame: malformed message")

// Message returns the next message of Amazon's event stream. Its Type is that of the event,
// or of the exception or the error that the message tells. Checksums are not checked. The
// error is ErrMore, ErrTooLong, ErrMalformed, io.EOF, or io.ErrUnexpectedEOF if the stream
// ends within a message. Do not mix it with Line and Event.
func (s *Splitter) Message() (Event, error) {
	rest := s.buf[s.from:]
	switch {
	case len(rest) >= preludeLength:
	case !s.ended:
		return Event{}, ErrMore
	case len(rest) == 0:
		return Event{}, io.EOF
	default:
		return Event{}, io.ErrUnexpectedEOF
	}
	total, headers := uint64(binary.BigEndian.Uint32(rest)), uint64(binary.BigEndian.Uint32(rest[4:]))
	switch {
	case total < leastMessage || total > maxMessage || headers > total-leastMessage:
		return Event{}, ErrMalformed
	case s.Max > 0 && total > uint64(s.Max):
		return Event{}, ErrTooLong
	case uint64(len(rest)) < total && s.ended:
		return Event{}, io.ErrUnexpectedEOF
	case uint64(len(rest)) < total:
		return Event{}, ErrMore
	}
	s.from += int(total)
	s.at = s.from
	kind, ok := messageType(rest[preludeLength : preludeLength+headers])
	if !ok {
		return Event{}, ErrMalformed
	}
	return Event{Type: kind, Data: slices.Clip(rest[preludeLength+headers : total-4])}, nil
}

// messageType reads the type of a message from its headers, of which those that matter are
// strings. ok is false if they are malformed.
func messageType(headers []byte) (kind string, ok bool) {
	for len(headers) > 0 {
		n := int(headers[0])
		if len(headers) < n+2 {
			return "", false
		}
		name, valueType := string(headers[1:1+n]), headers[1+n]
		headers = headers[2+n:]
		size := 0
		switch valueType {
		case 0, 1: // true, false
		case 2:
			size = 1
		case 3:
			size = 2
		case 4:
			size = 4
		case 5, 8: // an integer, a time
			size = 8
		case 9: // a UUID
			size = 16
		case 6, 7: // bytes, a string
			if len(headers) < 2 {
				return "", false
			}
			size = 2 + int(binary.BigEndian.Uint16(headers))
		default:
			return "", false
		}
		if len(headers) < size {
			return "", false
		}
		if valueType == 7 && (name == ":event-type" || name == ":exception-type" || name == ":error-code") {
			kind = string(headers[2:size])
		}
		headers = headers[size:]
	}
	return kind, true
}
