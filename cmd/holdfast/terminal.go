package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminal is what may be done with an output beside writing lines to it. The
// zero terminal is a file: lines only.
type terminal struct {
	live  bool // one line may be written again and again
	color bool
	width int
}

// terminalOf looks at an output. Colour is for terminals, and not for whoever has
// set NO_COLOR (https://no-color.org).
func terminalOf(w io.Writer) terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return terminal{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	able := os.Getenv("TERM") != "dumb"
	return terminal{live: able, color: able && os.Getenv("NO_COLOR") == "", width: width}
}

// columns is how wide a text is set: readable on a wide terminal, too.
func (t terminal) columns() int {
	if t.width == 0 {
		return 80
	}
	return min(max(t.width, 40), 100)
}

// The colours that are used. None carries a meaning that the words do not.
const (
	dim   = "2"
	bold  = "1"
	green = "32"
	red   = "31"
)

func (t terminal) paint(color, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// rewrite goes back to the beginning of the line and clears it.
const rewrite = "\r\x1b[K"

// fit cuts a line that would wrap: a wrapped one cannot be written again.
func (t terminal) fit(s string) string {
	if r := []rune(s); len(r) >= t.width {
		return string(r[:max(t.width-1, 0)])
	}
	return s
}
