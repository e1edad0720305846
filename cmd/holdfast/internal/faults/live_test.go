package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults/record"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

func TestLiveLine(t *testing.T) {
	var out strings.Builder
	began := time.Now()
	l := live{line: term.Line{Out: &out, Terminal: term.Terminal{Live: true, Width: 51}}, began: began}
	l.draw(began.Add(2*time.Second), record.Summary{Attempts: 1200, Struck: 30})
	l.line.Clear()
	if want := "\r\x1b[K   2.0 s  1,200 requests, 600/s · 30 struck · done\r\x1b[K"; out.String() != want {
		t.Errorf("drew %q, want %q", &out, want)
	}
}
