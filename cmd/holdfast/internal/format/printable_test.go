package format

import (
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	if got, want := Printable("déjà\x1b[31m\nb"), "déjà�[31m�b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := PrintableLines("a\x1b[31m\nb"), "a�[31m\nb"; got != want {
		t.Errorf("lines: %q, want %q", got, want)
	}
}

func TestExcerpt(t *testing.T) {
	for s, want := range map[string]string{
		"":                      "",
		"a\nb":                  "a�b",
		strings.Repeat("ä", 40): strings.Repeat("ä", 40),
		strings.Repeat("ä", 41): strings.Repeat("ä", 39) + "…",
	} {
		if got := Excerpt(s); got != want {
			t.Errorf("Excerpt(%q) = %q, want %q", s, got, want)
		}
	}
}
