package holdfast

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Explain tells the whole operation, a line for each attempt: what it came to,
// what was waited and why it ended. It has no credential and no query value.
func (e *Error) Explain() string {
	var b strings.Builder
	head := e.Name
	if e.Method != "" {
		head = e.Method + " " + e.URL
	}
	b.WriteString(head)
	if e.RequestID != "" {
		b.WriteString(" · request " + shortID(e.RequestID))
	}
	if e.Allowed > 0 {
		fmt.Fprintf(&b, " · %v allowed", rounded(e.Allowed))
	}
	b.WriteByte('\n')

	rows := make([][3]string, len(e.Attempts))
	var widths [2]int
	for i, a := range e.Attempts {
		rows[i] = [3]string{a.what(), a.connection(), a.then()}
		if i == len(rows)-1 {
			rows[i][2] = "stopped: " + e.Stopped
		}
		for c := range widths {
			widths[c] = max(widths[c], utf8.RuneCountInString(rows[i][c]))
		}
	}
	for i, row := range rows {
		fmt.Fprintf(&b, "%3d  %-*s   ", e.Attempts[i].Number, widths[0], row[0])
		if widths[1] > 0 {
			fmt.Fprintf(&b, "%-*s   ", widths[1], row[1])
		}
		b.WriteString(row[2] + "\n")
	}
	if len(rows) == 0 && e.Stopped != "" {
		b.WriteString("  nothing was sent: " + e.Stopped + "\n")
	}
	b.WriteString(e.summary())
	return b.String()
}

func (a Attempt) what() string {
	var refusal *StatusError
	switch {
	case a.Status != 0 && !errors.As(a.Err, &refusal): // it had begun well
		return fmt.Sprintf("%d, but %s (%v)", a.Status, text(a.Err), rounded(a.Took))
	case a.Status != 0:
		s := fmt.Sprintf("%d after %v", a.Status, rounded(a.Took))
		if a.RetryAfter > 0 {
			s += fmt.Sprintf(", Retry-After %v", rounded(a.RetryAfter))
		}
		return s
	}
	return fmt.Sprintf("%s (%v)", text(a.Err), rounded(a.Took))
}

func (a Attempt) connection() string {
	var status *StatusError
	switch {
	case a.Reused:
		return "reused connection"
	case errors.As(a.Err, &status):
		return "new connection"
	}
	return ""
}

func (a Attempt) then() string {
	if a.MaxWait == 0 {
		return ""
	}
	return fmt.Sprintf("waited %v of at most %v", rounded(a.Wait), rounded(a.MaxWait))
}

// shortID is the part of a request id that is enough to find it in a log.
func shortID(id string) string { return id[:min(len(id), 8)] }

// rounded is a duration as a person reads it: three digits, not nine.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second * 10; unit >= time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
