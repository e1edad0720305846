package term

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks a text at blanks into lines of at most width columns. The first line
// begins with head, the others are indented by its width. A word that is too long
// gets a line of its own.
func Wrap(width int, head, text string) string {
	var b strings.Builder
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	at := utf8.RuneCountInString(head)
	b.WriteString(head)
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}
