package term

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		terminal Terminal
		want     string
	}{
		{Terminal{}, ""},
		{Terminal{Live: true, Width: 5}, "\r\x1b[Kabcd\r\x1b[K"},
		{Terminal{Live: true, Color: true, Width: 80}, "\r\x1b[K\x1b[2mabcdef\x1b[0m\r\x1b[K"},
	} {
		var out strings.Builder
		l := Line{&out, tt.terminal}
		l.Draw("abcdef")
		l.Clear()
		if out.String() != tt.want {
			t.Errorf("%+v: wrote %q, want %q", tt.terminal, &out, tt.want)
		}
	}
}
