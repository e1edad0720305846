package format

import (
	"strings"
	"unicode"
)

// Printable replaces control characters, which a terminal would interpret.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '�'
		}
		return c
	}, s)
}

// PrintableLines is Printable for a text of several lines.
func PrintableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Excerpt is the printable beginning of a text, at most 40 columns of it.
func Excerpt(s string) string { return Truncate(Printable(s), 40) }

// Truncate shortens a text to a number of columns. The last of them is an ellipsis
// if something is missing.
func Truncate(s string, columns int) string {
	if r := []rune(s); len(r) > columns {
		return string(r[:columns-1]) + "…"
	}
	return s
}
