package embed

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	began := time.Now()
	p := &progress{line: term.Line{Out: &out}, began: began, attempts: func() int { return 48 }, total: 10_000, before: 1000, done: 3200, failed: 100}
	p.draw(began.Add(2 * time.Second))
	if out.Len() > 0 {
		t.Errorf("on no terminal it draws %q", &out)
	}
	p.line.Terminal = term.Terminal{Live: true, Width: 80}
	p.draw(began.Add(2 * time.Second))
	p.fail([]item{{index: 41}}, "a\x1b[2Jb")
	if want := "\r\x1b[K   2.0 s  4,200 of 10,000, 1,600/s · failed 100 · attempts 48\r\x1b[Kholdfast: text 42: a�[2Jb\n"; out.String() != want {
		t.Errorf("it writes %q, want %q", &out, want)
	}
	out.Reset()
	p.noun = "line"
	for i := range maxNamed + 2 {
		p.name(item{index: 1999 + i, text: strings.Repeat("rye ", 100)}, "400 Bad Request")
	}
	if got := strings.ReplaceAll(out.String(), "\r\x1b[K", ""); !strings.HasPrefix(got, `holdfast: line 2000 "rye rye rye rye rye rye rye rye rye rye…": 400 Bad Request`+"\n") ||
		strings.Count(got, "Bad Request") != maxNamed || !strings.HasSuffix(got, ": 400 Bad Request\nholdfast: further texts at fault are counted, but not named: the output has no embedding of them\n") {
		t.Errorf("it names %q", got)
	}
	for _, tt := range []struct {
		total int
		want  string
	}{
		{10_000, "done 3,200 · there before 1,000 · failed 100 · left 5,700 · attempts 48 · took 2.5 s"},
		{-1, "done 3,200 · there before 1,000 · failed 100 · attempts 48 · took 2.5 s"},
	} {
		p.total = tt.total
		if got := p.summary(began.Add(2500 * time.Millisecond)); got != tt.want {
			t.Errorf("of %d: %q, want %q", tt.total, got, tt.want)
		}
	}
	if got := p.place(item{index: 99}, item{index: 1299}); got != "lines 100 to 1300" {
		t.Error(got)
	}
}
