package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress says on stderr how a batch goes on: a live line on a terminal, failures
// and the sums anywhere.
type progress struct {
	out      io.Writer
	term     terminal
	began    time.Time
	attempts func() int
	speeds   speedometer

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
	if !p.term.live {
		return
	}
	at := now.Sub(p.began)
	said := number(p.there + p.done)
	if p.total >= 0 {
		said += " of " + number(p.total)
	}
	line := fmt.Sprintf("%s  %s, %s/s · failed %s · attempts %s", clock(at), said,
		number(p.speeds.measure(at, int64(p.done))), number(p.failed), number(p.attempts()))
	fmt.Fprint(p.out, rewrite+p.term.paint(dim, p.term.fit(line)))
}

// note writes a line of its own.
func (p *progress) note(said string) {
	p.clear()
	fmt.Fprintf(p.out, "holdfast: %s\n", printable(said))
}

func (p *progress) clear() {
	if p.term.live {
		fmt.Fprint(p.out, rewrite)
	}
}

// fail tells of a chunk that failed: of the first ones each, for all the same
// reason may hold.
func (p *progress) fail(r returned) {
	p.shown++
	switch {
	case p.shown <= maxShown:
		p.note(fmt.Sprintf("%s: %s", places(r.items), withoutPrefix(r.err)))
	case p.shown == maxShown+1:
		p.note("further failures are counted, and not told")
	}
}

// places says which texts of the input a chunk is of.
func places(items []item) string {
	from, to := items[0].index+1, items[len(items)-1].index+1
	if from == to {
		return "text " + number(from)
	}
	return fmt.Sprintf("texts %s to %s", number(from), number(to))
}

// sums is the closing line.
func (p *progress) sums(now time.Time) string {
	each := []string{"done " + number(p.done)}
	if p.there > 0 {
		each = append(each, "there before "+number(p.there))
	}
	each = append(each, "failed "+number(p.failed))
	if left := p.missing() - p.failed; left > 0 {
		each = append(each, "left "+number(left))
	}
	each = append(each, "attempts "+number(p.attempts()), "took "+short(now.Sub(p.began)))
	return strings.Join(each, " · ")
}
