// Package term writes to terminals: colours, wrapped text and a line that is
// rewritten in place. On other outputs it writes plain lines.
package term

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal describes an output. The zero Terminal is not a terminal: it gets lines
// only.
type Terminal struct {
	Live  bool // a line can be rewritten in place
	Color bool
	Width int
}

// Of describes an output. There is no colour if NO_COLOR is set
// (https://no-color.org).
func Of(w io.Writer) Terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Terminal{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	capable := os.Getenv("TERM") != "dumb"
	return Terminal{Live: capable, Color: capable && os.Getenv("NO_COLOR") == "", Width: width}
}

// Columns is the width for wrapped text. It is at most 100, for readability.
func (t Terminal) Columns() int {
	if t.Width == 0 {
		return 80
	}
	return min(max(t.Width, 40), 100)
}

// The colours in use. None carries a meaning that the words do not.
const (
	Dim   = "2"
	Bold  = "1"
	Green = "32"
	Red   = "31"
)

// Paint colours a text if the terminal has colours.
func (t Terminal) Paint(color, s string) string {
	if !t.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// Fit cuts a line that would wrap: a wrapped line cannot be rewritten in place.
func (t Terminal) Fit(s string) string {
	if r := []rune(s); len(r) >= t.Width {
		return string(r[:max(t.Width-1, 0)])
	}
	return s
}
