package frame

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// pieces feeds a Splitter piece by piece.
type pieces struct {
	Splitter
	left [][]byte
}

func in(pieces_ ...string) *pieces {
	p := &pieces{}
	for _, s := range pieces_ {
		p.left = append(p.left, []byte(s))
	}
	return p
}

// more adds as much of the next piece as fits into Room.
func (p *pieces) more() {
	if len(p.left) == 0 {
		p.End()
		return
	}
	n := copy(p.Room(), p.left[0])
	p.Add(n)
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
}

// lines returns all lines, then the error and the rest.
func (p *pieces) lines() string {
	return p.all(func() (string, error) {
		line, err := p.Line()
		if cap(line) > len(line) {
			return "", fmt.Errorf("capacity of %d bytes for a line of %d", cap(line), len(line))
		}
		return string(line), err
	})
}

// events returns all events, then the error and the rest.
func (p *pieces) events() string {
	return p.all(func() (string, error) {
		e, err := p.Event()
		if cap(e.Data) > len(e.Data) {
			return "", fmt.Errorf("capacity of %d bytes for data of %d", cap(e.Data), len(e.Data))
		}
		return shown(e), err
	})
}

func shown(e Event) string { return fmt.Sprintf("%s %q %q %v", e.Type, e.Data, e.ID, e.Retry) }

func (p *pieces) all(next func() (string, error)) string {
	var b strings.Builder
	for {
		s, err := next()
		switch err {
		case nil:
			b.WriteString(s + "\n")
		case ErrMore:
			p.more()
		default:
			fmt.Fprintf(&b, "%v, left %q", err, p.Rest())
			return b.String()
		}
	}
}

func TestLines(t *testing.T) {
	for in_, want := range map[string]string{
		"":                        "EOF",
		"a":                       "a EOF",
		"a\nb":                    "a b EOF",
		"a\r\nb\r\n":              "a b EOF",
		"\n\n \t\r\na\n\r\n\nb\n": "a b EOF",
		"a\rb\n":                  "a\rb EOF", // white space of JSON
		"a\r":                     "a EOF",
		"\ufeffa\n":               "a EOF",
		"\ufeff":                  "EOF",
		"\xef\xbb":                "\xef\xbb EOF",
		"a\n  ":                   "a EOF",
		"a\n\ufeffb\n":            "a \ufeffb EOF",
	} {
		got := in(in_).lines()
		got = strings.ReplaceAll(strings.TrimSuffix(got, `, left ""`), "\n", " ")
		if got != want {
			t.Errorf("%q: %q, want %q", in_, got, want)
		}
	}
}

// The examples of WHATWG HTML, 9.2.6, and other cases.
func TestEvents(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", `EOF, left ""`},
		{"stocks", "data: YHOO\ndata: +2\ndata: 10\n\n", `message "YHOO\n+2\n10" "" 0s` + "\n" + `EOF, left ""`},
		{"comment, id, and its end", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			`message "first event" "1" 0s` + "\n" + `message "second event" "" 0s` + "\n" + `message " third event" "" 0s` + "\n" + `EOF, left ""`},
		{"data without a value", "data\n\ndata\ndata\n\ndata:",
			`message "" "" 0s` + "\n" + `message "\n" "" 0s` + "\n" + `unexpected EOF, left "data:"`},
		{"with a blank and without", "data:test\n\ndata: test\n\n",
			`message "test" "" 0s` + "\n" + `message "test" "" 0s` + "\n" + `EOF, left ""`},
		{"types", "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 1\n\ndata: 2\n\n",
			`add "73857293" "" 0s` + "\n" + `remove "2153" "" 0s` + "\n" + `add "1" "" 0s` + "\n" + `message "2" "" 0s` + "\n" + `EOF, left ""`},
		{"a type without data is none", "event: add\n\ndata: 2\n\n", `message "2" "" 0s` + "\n" + `EOF, left ""`},
		{"an id without data counts", "id: 7\nretry: 10\n\ndata: 2\n\n", `message "2" "7" 10ms` + "\n" + `EOF, left ""`},
		{"an id with NUL does not", "id: 7\n\nid: 8\x00\ndata: 2\n\n", `message "2" "7" 0s` + "\n" + `EOF, left ""`},
		{"retry is digits", "retry: 3000\ndata: 1\n\nretry: 1s\nretry:\nretry: -1\ndata: 2\n\nretry: 99999999999999999999\ndata: 3\n\n",
			`message "1" "" 3s` + "\n" + `message "2" "" 3s` + "\n" + `message "3" "" 2562047h47m16.854s` + "\n" + `EOF, left ""`},
		{"unknown fields and other cases", "Data: 1\nfoo: 2\n data: 3\ndata: 4\n\n", `message "4" "" 0s` + "\n" + `EOF, left ""`},
		{"colons in the value", "data: a: b\n\n", `message "a: b" "" 0s` + "\n" + `EOF, left ""`},
		{"CR", "data: 1\rdata: 2\r\rdata: 3\r\r", `message "1\n2" "" 0s` + "\n" + `message "3" "" 0s` + "\n" + `EOF, left ""`},
		{"CRLF", "data: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n", `message "1\n2" "" 0s` + "\n" + `message "3" "" 0s` + "\n" + `EOF, left ""`},
		{"each after the other", "data: 1\rdata: 2\ndata: 3\r\n\rdata: 4\n\r\ndata: 5\n\n",
			`message "1\n2\n3" "" 0s` + "\n" + `message "4" "" 0s` + "\n" + `message "5" "" 0s` + "\n" + `EOF, left ""`},
		{"a byte order mark", "\ufeffdata: 1\n\n\ufeffdata: 2\n\n", `message "1" "" 0s` + "\n" + `EOF, left ""`},
		{"ends within an event", "data: 1\n\nid: 3\ndata: 2\n", `message "1" "" 0s` + "\n" + `unexpected EOF, left "id: 3\ndata: 2\n"`},
		{"ends within a line", "data: 1\n\ndat", `message "1" "" 0s` + "\n" + `unexpected EOF, left "dat"`},
		{"ends within a comment", "data: 1\n\n: pi", `message "1" "" 0s` + "\n" + `EOF, left ": pi"`},
		{"ends after a comment", "data: 1\n\n: ping\n", `message "1" "" 0s` + "\n" + `EOF, left ""`},
		{"a comment within", "data: 1\n: ping\ndata: 2\n\n", `message "1\n2" "" 0s` + "\n" + `EOF, left ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := in(tt.in).events(); got != tt.want {
				t.Errorf("in one piece:\n%s\nwant\n%s", got, tt.want)
			}
			if got := in(strings.Split(tt.in, "")...).events(); got != tt.want {
				t.Errorf("byte by byte:\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// An event is complete at the first byte that ends it. Waiting for the LF of a
// CRLF would delay each event to the next one.
func TestEventsAreNotDelayed(t *testing.T) {
	p := in("data: 1\r\n\r", "\ndata: 2\r\n\r\n")
	p.more()
	if e, err := p.Event(); err != nil || shown(e) != `message "1" "" 0s` {
		t.Errorf("%s, %v", shown(e), err)
	}
	if _, err := p.Event(); err != ErrMore {
		t.Error(err)
	}
	p.more()
	if e, err := p.Event(); err != nil || shown(e) != `message "2" "" 0s` {
		t.Errorf("%s, %v", shown(e), err)
	}
}

// The limit is exact for every kind of line end.
func TestTooLong(t *testing.T) {
	x := strings.Repeat("x", 10)
	lines := map[string]string{
		x + "\n" + x + "\r\n" + x:         x + "\n" + x + "\n" + x + "\n" + `EOF, left ""`,
		x + "\r":                          x + "\n" + `EOF, left ""`,
		x + "\nx" + x + "\n":              x + "\n" + `frame: too long, left "x` + x + `\n"`,
		"x" + x:                           `frame: too long, left "x` + x + `"`,
		"x" + x + "\r\n":                  `frame: too long, left "x` + x + `\r\n"`,
		strings.Repeat(" ", 11) + "\nx\n": `frame: too long, left "           \nx\n"`,
	}
	events := map[string]string{ // the length includes "data:"
		"data:12345\n\n":             `message "12345" "" 0s` + "\n" + `EOF, left ""`,
		"data:12345\r\n\r\n":         `message "12345" "" 0s` + "\n" + `EOF, left ""`,
		"data:12345\r\r":             `message "12345" "" 0s` + "\n" + `EOF, left ""`,
		":123456789\ndata:12345\n\n": `message "12345" "" 0s` + "\n" + `EOF, left ""`, // the comment does not count
		"data:123456\n\n":            `frame: too long, left "data:123456\n\n"`,
		"data:1234\nid\n\n":          `frame: too long, left "data:1234\nid\n\n"`,
		"data\r\ndata\r\n\r\n":       `message "\n" "" 0s` + "\n" + `EOF, left ""`,
		"data\r\ndata:\r\n\r\n":      `frame: too long, left "data\r\ndata:\r\n\r\n"`,
		":1234567890\n\n":            `frame: too long, left ":1234567890\n\n"`,
	}
	check := func(text, want string, all func(*pieces) string) {
		t.Helper()
		whole, bytewise := in(text), in(strings.Split(text, "")...)
		whole.Max, bytewise.Max = 10, 10
		if got := all(whole); got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
		// Byte by byte, the rest is shorter: no bytes are read after the limit.
		if got, want := begins(all(bytewise)), begins(want); got != want {
			t.Errorf("%q byte by byte: %s\nwant %s", text, got, want)
		}
	}
	for text, want := range lines {
		check(text, want, (*pieces).lines)
	}
	for text, want := range events {
		check(text, want, (*pieces).events)
	}
}

// begins returns s without the rest.
func begins(s string) string { return s[:strings.LastIndex(s, ", left")] }

// A peek does not change the result of the next read, of lines or of events.
func TestPeek(t *testing.T) {
	const text = "\ufeff: hello\r\n\r\nid: 5\r\n\r\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n"
	const asEvents = `x "1\n2" "5" 0s` + "\n" + `message "3" "5" 0s` + "\n" + `EOF, left ""`
	peek := func(p *pieces, look func() error) {
		t.Helper()
		for err := look(); err != nil; err = look() {
			if err != ErrMore {
				t.Fatal(err)
			}
			p.more()
		}
		if err := look(); err != nil {
			t.Errorf("a second look: %v", err)
		}
	}
	for _, split := range [][]string{{text}, strings.Split(text, "")} {
		p := in(split...)
		peek(p, p.PeekEvent)
		if got := p.events(); got != asEvents {
			t.Error(got)
		}
		p = in(split...)
		peek(p, p.PeekLine)
		if got := p.events(); got != asEvents {
			t.Error(got)
		}
		p = in(split...)
		peek(p, p.PeekEvent)
		if got, want := p.lines(), "event: x\ndata: 1\ndata: 2\ndata: 3\n"+`EOF, left ""`; got != want {
			t.Error(got)
		}
		p = in(split...)
		peek(p, p.PeekLine)
		if got, want := p.lines(), ": hello\nid: 5\nevent: x\ndata: 1\ndata: 2\ndata: 3\n"+`EOF, left ""`; got != want {
			t.Error(got)
		}
	}
}

// After Line has taken one line of a found event, Event returns the rest of it.
func TestLineOutOfAnEvent(t *testing.T) {
	p := in("data: 1\ndata: 2\n\nevent: x\n\n")
	p.more()
	if err := p.PeekEvent(); err != nil {
		t.Error(err)
	}
	if line, err := p.Line(); string(line) != "data: 1" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if got, want := p.events(), `message "2" "" 0s`+"\n"+`EOF, left ""`; got != want {
		t.Error(got)
	}
}

// A long stream of short lines needs the first buffer, one long event a few
// times its own size.
func TestBufferIsBounded(t *testing.T) {
	p := in(strings.Repeat("some line\n", 100_000))
	p.lines()
	if n := cap(p.buf); n != firstRoom {
		t.Errorf("%d bytes for short lines", n)
	}
	p = in(strings.Repeat("x", 8<<20))
	p.Max = 1 << 20
	p.lines()
	if n := cap(p.buf); n > 4<<20 {
		t.Errorf("%d bytes for lines of at most %d", n, p.Max)
	}
}

// The common case does not allocate.
func TestAllocations(t *testing.T) {
	for name, text := range map[string]string{
		"line": `{"some":"line"}` + "\n", "event": "event: delta\nid: 1\ndata: {}\n\n", "several lines": "data: 1\r\ndata: 2\r\n\r\n",
	} {
		p := &Splitter{}
		piece := []byte(strings.Repeat(text, 10))
		round := func() {
			p.Add(copy(p.Room(), piece))
			for range 10 {
				var err error
				if name == "line" {
					_, err = p.Line()
				} else {
					_, err = p.Event()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		round()
		if n := testing.AllocsPerRun(1000, round); n != 0 {
			t.Errorf("%s: %v allocations for ten", name, n)
		}
	}
}

// splits cuts text at random places.
func splits(text []byte, seed uint64) *pieces {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &pieces{}
	for len(text) > 0 {
		n := 1 + r.IntN(min(len(text), 1+r.IntN(20)))
		p.left, text = append(p.left, text[:n:n]), text[n:]
	}
	return p
}

func FuzzEvents(f *testing.F) {
	for _, text := range []string{
		"", "\ufeffdata: 1\r\n\r\ndata", "data: 1\rdata: 2\n\r\ndata:3\r\r", ":\n\nevent:\xff\ndata\ndata\nid: \x00\nretry: 09\n\n", "id: 1\n\ndata\n\n\n\r\r\n",
	} {
		f.Add([]byte(text), uint64(len(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		whole := in(string(text)).events()
		if naive := naiveEvents(text); begins(whole) != naive {
			t.Errorf("%q:\n%s\nthe naive reader\n%s", text, whole, naive)
		}
		if cut := splits(text, seed).events(); cut != whole {
			t.Errorf("%q, cut with seed %d:\n%s\nin one piece\n%s", text, seed, cut, whole)
		}
		small, one := splits(text, seed), in(string(text))
		small.Max, one.Max = 16, 16
		if cut, whole := begins(small.events()), begins(one.events()); cut != whole {
			t.Errorf("%q, at most 16 bytes, cut with seed %d:\n%s\nin one piece\n%s", text, seed, cut, whole)
		}
	})
}

func FuzzLines(f *testing.F) {
	for _, text := range []string{"", "{}\n{}", "\ufeff1\r\n\r\n2\r\r\n", " \n\t3\n\xef\xbb\xbf\n", "\xef\xbb"} {
		f.Add([]byte(text), uint64(len(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		whole := in(string(text)).lines()
		if naive := naiveLines(text); begins(whole) != naive {
			t.Errorf("%q:\n%s\nthe naive reader\n%s", text, whole, naive)
		}
		if cut := splits(text, seed).lines(); cut != whole {
			t.Errorf("%q, cut with seed %d:\n%s\nin one piece\n%s", text, seed, cut, whole)
		}
		small, one := splits(text, seed), in(string(text))
		small.Max, one.Max = 16, 16
		if cut, whole := begins(small.lines()), begins(one.lines()); cut != whole {
			t.Errorf("%q, at most 16 bytes, cut with seed %d:\n%s\nin one piece\n%s", text, seed, cut, whole)
		}
	})
}

// naiveLines reads the whole text at once.
func naiveLines(text []byte) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.Trim(line, " \t\r") != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String() + io.EOF.Error()
}

// naiveEvents follows the standard step by step.
func naiveEvents(text []byte) string {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	lines := strings.Split(string(text), "\n")
	last := lines[len(lines)-1] // without an end

	var b strings.Builder
	var data, kind, id string
	var retry time.Duration
	begun := false
	for _, line := range lines[:len(lines)-1] {
		name, value, colon := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		begun = line != "" && (begun || name != "" || !colon)
		switch {
		case line == "" && data == "":
			kind = ""
		case line == "":
			if kind == "" {
				kind = "message"
			}
			b.WriteString(shown(Event{kind, []byte(strings.TrimSuffix(data, "\n")), id, retry}) + "\n")
			data, kind = "", ""
		case name == "data":
			data += value + "\n"
		case name == "event":
			kind = value
		case name == "id" && !strings.Contains(value, "\x00"):
			id = value
		case name == "retry" && value != "" && !slices.ContainsFunc([]byte(value), func(c byte) bool { return c < '0' || c > '9' }):
			var n int64
			if _, err := fmt.Sscan(strings.TrimLeft(value, "0")+" ", &n); err != nil && strings.Trim(value, "0") != "" || n > 9223372036854 {
				n = 9223372036854
			}
			retry = time.Duration(n) * time.Millisecond
		}
	}
	if begun || last != "" && last[0] != ':' {
		return b.String() + io.ErrUnexpectedEOF.Error()
	}
	return b.String() + io.EOF.Error()
}
