package faults

import (
	"fmt"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/record"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// live shows the counters in a line that is rewritten in place on a terminal.
type live struct {
	line  term.Line
	began time.Time
	rate  term.Rate
}

// newLive begins at 0 seconds.
func newLive(out io.Writer) *live {
	return &live{line: term.Line{Out: out, Terminal: term.Of(out)}, began: time.Now()}
}

// draw updates the line.
func (l *live) draw(now time.Time, s record.Summary) {
	at := now.Sub(l.began)
	l.line.Draw(fmt.Sprintf("%s  %s, %s/s · %s struck · done twice %s", format.Elapsed(at), format.Plural(s.Attempts, "request"),
		format.Number(l.rate.Measure(at, int64(s.Attempts))), format.Number(s.Struck), format.Number(s.Effects.Duplicates)))
}
