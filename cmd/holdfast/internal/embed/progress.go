package embed

import (
	"cmp"
	"fmt"
	"strings"
	"time"

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

	total     int    // texts; -1 if unknown
	before    int    // texts with an embedding from an earlier run
	done      int    // texts with an embedding from this run
	failed    int    // texts of calls that failed
	declined  int    // texts that the service declined, or with which it fails alone
	unusable  int    // texts of answers that cannot be used
	noun      string // a text of the input: "line"; empty for "text"
	shown     int    // failures that were reported
	named     int    // texts at fault
	abandoned int    // chunks in flight at the end
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
		format.Number(p.rate.Measure(at, int64(p.done))), format.Number(p.failed+p.declined+p.unusable), format.Number(p.attempts()))
	p.line.Draw(line)
}

// note writes a message.
func (p *progress) note(text string) {
	p.line.Clear()
	fmt.Fprintf(p.line.Out, "holdfast: %s\n", format.Printable(text))
}

// maxNamed bounds the texts at fault that are named.
const maxNamed = 100

// name reports a text at fault, with its beginning.
func (p *progress) name(t item, reason string) {
	p.named++
	switch {
	case p.named <= maxNamed:
		p.note(fmt.Sprintf("%s %q: %s", p.place(t, t), format.Excerpt(t.text), reason))
	case p.named == maxNamed+1:
		p.note("further texts at fault are counted, but not named: the output has no embedding of them")
	}
}

// fail reports texts that failed together. It reports only the first failures, because the
// others often have the same reason.
func (p *progress) fail(items []item, reason string) {
	p.shown++
	switch {
	case p.shown <= maxShown:
		p.note(p.place(items[0], items[len(items)-1]) + ": " + reason)
	case p.shown == maxShown+1:
		p.note("further failures are counted, but not reported")
	}
}

// count counts texts without an embedding.
func (p *progress) count(v verdict, texts int) {
	switch v {
	case declined:
		p.declined += texts
	case unusable:
		p.unusable += texts
	default:
		p.failed += texts
	}
}

// place is the position of texts in the input.
func (p *progress) place(first, last item) string {
	noun := cmp.Or(p.noun, "text")
	if first.index == last.index {
		return fmt.Sprintf("%s %d", noun, first.index+1) // as editors have it, without a comma
	}
	return fmt.Sprintf("%ss %d to %d", noun, first.index+1, last.index+1)
}

// summary is the last message.
func (p *progress) summary(now time.Time) string {
	parts := []string{"done " + format.Number(p.done)}
	if p.before > 0 {
		parts = append(parts, "there before "+format.Number(p.before))
	}
	if p.declined > 0 {
		parts = append(parts, "declined "+format.Number(p.declined))
	}
	if p.unusable > 0 {
		parts = append(parts, "unusable "+format.Number(p.unusable))
	}
	parts = append(parts, "failed "+format.Number(p.failed))
	if left := p.missing() - p.failed - p.declined - p.unusable; left > 0 {
		parts = append(parts, "left "+format.Number(left))
	}
	parts = append(parts, "attempts "+format.Number(p.attempts()), "took "+format.Duration(now.Sub(p.began)))
	return strings.Join(parts, " · ")
}
