package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// progress says on stderr how a batch goes on: a live line on a terminal, failures
// and the sums anywhere.
type progress struct {
	line     term.Line // on stderr
	began    time.Time
	attempts func() int
	speeds   term.Rate

	total  int // texts; -1 if nobody knows
	there  int // have had an embedding before
	done   int // have one now
	failed int
	shown  int // chunks that failed, and were told
	cutOff int // chunks whose answer was not waited for
}

// missing is how many texts have no embedding, -1 if nobody knows.
func (p *progress) missing() int {
	if p.total < 0 {
		return -1
	}
	return p.total - p.there - p.done
}

func (p *progress) draw(now time.Time) {
	at := now.Sub(p.began)
	said := format.Number(p.there + p.done)
	if p.total >= 0 {
		said += " of " + format.Number(p.total)
	}
	line := fmt.Sprintf("%s  %s, %s/s · failed %s · attempts %s", format.Elapsed(at), said,
		format.Number(p.speeds.Measure(at, int64(p.done))), format.Number(p.failed), format.Number(p.attempts()))
	p.line.Draw(line)
}

// note writes a line of its own.
func (p *progress) note(said string) {
	p.line.Clear()
	fmt.Fprintf(p.line.Out, "holdfast: %s\n", format.Printable(said))
}

// fail tells of a chunk that failed: of the first ones each, for all the same
// reason may hold.
func (p *progress) fail(r returned) {
	p.shown++
	switch {
	case p.shown <= maxShown:
		p.note(fmt.Sprintf("%s: %s", places(r.items), exit.Text(r.err)))
	case p.shown == maxShown+1:
		p.note("further failures are counted, and not told")
	}
}

// places says which texts of the input a chunk is of.
func places(items []item) string {
	from, to := items[0].index+1, items[len(items)-1].index+1
	if from == to {
		return "text " + format.Number(from)
	}
	return fmt.Sprintf("texts %s to %s", format.Number(from), format.Number(to))
}

// sums is the closing line.
func (p *progress) sums(now time.Time) string {
	each := []string{"done " + format.Number(p.done)}
	if p.there > 0 {
		each = append(each, "there before "+format.Number(p.there))
	}
	each = append(each, "failed "+format.Number(p.failed))
	if left := p.missing() - p.failed; left > 0 {
		each = append(each, "left "+format.Number(left))
	}
	each = append(each, "attempts "+format.Number(p.attempts()), "took "+format.Duration(now.Sub(p.began)))
	return strings.Join(each, " · ")
}
