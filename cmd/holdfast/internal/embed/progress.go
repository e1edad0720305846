package embed

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// progress reports a batch on stderr: failures and a summary, and a live line on a
// terminal.
type progress struct {
	line     term.Line // on stderr
	began    time.Time
	attempts func() int
	rate     term.Rate

	total     int // texts; -1 if unknown
	before    int // texts with an embedding from an earlier run
	done      int // texts with an embedding from this run
	failed    int // texts
	shown     int // failed chunks that were reported
	abandoned int // chunks in flight at the end
}

// missing is the number of texts without an embedding, -1 if unknown.
func (p *progress) missing() int {
	if p.total < 0 {
		return -1
	}
	return p.total - p.before - p.done
}

// draw updates the live line.
func (p *progress) draw(now time.Time) {
	at := now.Sub(p.began)
	count := format.Number(p.before + p.done)
	if p.total >= 0 {
		count += " of " + format.Number(p.total)
	}
	line := fmt.Sprintf("%s  %s, %s/s · failed %s · attempts %s", format.Elapsed(at), count,
		format.Number(p.rate.Measure(at, int64(p.done))), format.Number(p.failed), format.Number(p.attempts()))
	p.line.Draw(line)
}

// note writes a message.
func (p *progress) note(text string) {
	p.line.Clear()
	fmt.Fprintf(p.line.Out, "holdfast: %s\n", format.Printable(text))
}

// fail reports a failed chunk. It reports only the first ones, because the others often
// fail for the same reason.
func (p *progress) fail(r result) {
	p.shown++
	switch {
	case p.shown <= maxShown:
		p.note(fmt.Sprintf("%s: %s", textRange(r.items), exit.Text(r.err)))
	case p.shown == maxShown+1:
		p.note("further failures are counted, but not reported")
	}
}

// textRange is the position of texts in the input.
func textRange(items []item) string {
	from, to := items[0].index+1, items[len(items)-1].index+1
	if from == to {
		return "text " + format.Number(from)
	}
	return fmt.Sprintf("texts %s to %s", format.Number(from), format.Number(to))
}

// summary is the last message.
func (p *progress) summary(now time.Time) string {
	parts := []string{"done " + format.Number(p.done)}
	if p.before > 0 {
		parts = append(parts, "there before "+format.Number(p.before))
	}
	parts = append(parts, "failed "+format.Number(p.failed))
	if left := p.missing() - p.failed; left > 0 {
		parts = append(parts, "left "+format.Number(left))
	}
	parts = append(parts, "attempts "+format.Number(p.attempts()), "took "+format.Duration(now.Sub(p.began)))
	return strings.Join(parts, " · ")
}
