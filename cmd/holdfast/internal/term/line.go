package term

import (
	"fmt"
	"io"
)

// Line is a line that is rewritten in place on a terminal. Elsewhere it writes
// nothing.
type Line struct {
	Out      io.Writer
	Terminal Terminal
}

// rewrite goes back to the beginning of the line and clears it.
const rewrite = "\r\x1b[K"

// Draw replaces the line.
func (l Line) Draw(text string) {
	if l.Terminal.Live {
		fmt.Fprint(l.Out, rewrite+l.Terminal.Paint(Dim, l.Terminal.Fit(text)))
	}
}

// Clear removes the line, so that other output can follow.
func (l Line) Clear() {
	if l.Terminal.Live {
		fmt.Fprint(l.Out, rewrite)
	}
}
