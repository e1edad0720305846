package frame

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// message encodes a message with string headers.
func message(payload string, headers ...string) string {
	var h []byte
	for i := 0; i < len(headers); i += 2 {
		h = append(h, byte(len(headers[i])))
		h = append(append(h, headers[i]...), 7)
		h = append(binary.BigEndian.AppendUint16(h, uint16(len(headers[i+1]))), headers[i+1]...)
	}
	return raw(h, payload)
}

func raw(headers []byte, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(leastMessage+len(headers)+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)))
	b = append(append(b, 0, 0, 0, 0), headers...)
	return string(append(append(b, payload...), 0, 0, 0, 0))
}

// messages returns all messages, then the error.
func (p *pieces) messages() string {
	return p.all(func() (string, error) {
		e, err := p.Message()
		return e.Type + " " + string(e.Data), err
	})
}

func TestMessages(t *testing.T) {
	event := message(`{"a":1}`, ":message-type", "event", ":event-type", "chunk", ":content-type", "application/json")
	exception := message(`{"message":"slow down"}`, ":exception-type", "throttlingException", ":message-type", "exception")
	others := string([]byte{1, 'a', 0, 1, 'b', 1, 1, 'c', 2, 9, 1, 'd', 3, 9, 9, 1, 'e', 4, 9, 9, 9, 9, 1, 'f', 5, 9, 9, 9, 9, 9, 9, 9, 9, 1, 'g', 6, 0, 1, 9}) +
		"\x01h\x08" + strings.Repeat("x", 8) + "\x01i\x09" + strings.Repeat("x", 16) + "\x0b:event-type\x07\x00\x02ok"
	for _, tt := range []struct{ name, in, want string }{
		{"none", "", `EOF, left ""`},
		{"two", event + exception, "chunk {\"a\":1}\nthrottlingException {\"message\":\"slow down\"}\n" + `EOF, left ""`},
		{"an error", message("", ":error-code", "InternalError"), "InternalError \n" + `EOF, left ""`},
		{"without headers", message("x"), " x\n" + `EOF, left ""`},
		{"headers of every type", raw([]byte(others), "x"), "ok x\n" + `EOF, left ""`},
		{"ends within the prelude", event[:8], "unexpected EOF, left " + quoted(event[:8])},
		{"ends within the payload", event[:len(event)-5], "unexpected EOF, left " + quoted(event[:len(event)-5])},
		{"no message", "HTTP/1.1 200 OK\r\n", "frame: malformed message, left " + quoted("HTTP/1.1 200 OK\r\n")},
		{"headers that are too long", raw([]byte{200, 'x', 'y'}, ""), `frame: malformed message, left ""`},
		{"an unknown type of header", raw([]byte{1, 'x', 77}, ""), `frame: malformed message, left ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := in(tt.in).messages(); got != tt.want {
				t.Errorf("in one piece:\n%s\nwant\n%s", got, tt.want)
			}
			if got := in(strings.Split(tt.in, "")...).messages(); got != tt.want && tt.name != "no message" {
				t.Errorf("byte by byte:\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	p := in(event)
	p.Max = len(event) - 1
	p.more()
	if _, err := p.Message(); err != ErrTooLong {
		t.Error(err)
	}
}

func quoted(s string) string {
	p := in(s)
	p.more()
	rest := p.all(func() (string, error) { return "", io.ErrNoProgress })
	return strings.TrimPrefix(rest, io.ErrNoProgress.Error()+", left ")
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(message("x", ":event-type", "chunk")), 3)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		whole := in(string(stream)).messages()
		if n := len(stream); n > 0 && piece > 0 && piece < n {
			if parts := in(string(stream[:piece]), string(stream[piece:])).messages(); parts != whole && !strings.Contains(whole, "malformed") {
				t.Errorf("in two pieces\n%s\nin one\n%s", parts, whole)
			}
		}
	})
}
