package term

import (
	"bytes"
	"os"
	"testing"
)

func TestOf(t *testing.T) {
	if got := Of(&bytes.Buffer{}); got != (Terminal{}) {
		t.Errorf("a buffer: %+v, want lines only", got)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if got := Of(null); got != (Terminal{}) {
		t.Errorf("%s: %+v, want lines only", os.DevNull, got)
	}
}

func TestPaint(t *testing.T) {
	if got := (Terminal{}).Paint(Red, "x"); got != "x" {
		t.Errorf("without colour: %q", got)
	}
	if got := (Terminal{Color: true}).Paint(Red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
}

func TestFit(t *testing.T) {
	if got := (Terminal{Width: 4}).Fit("äöüß"); got != "äöü" {
		t.Errorf("%q, want one less than the width", got)
	}
}

func TestColumns(t *testing.T) {
	for width, want := range map[int]int{0: 80, 20: 40, 90: 90, 200: 100} {
		if got := (Terminal{Width: width}).Columns(); got != want {
			t.Errorf("width %d: %d columns, want %d", width, got, want)
		}
	}
}
