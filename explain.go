package holdfast

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Explain describes the whole operation for people, with one line for each attempt:
// its result, the wait that followed, and the reason to stop. It has no credential and
// no query value.
func (e *Error) Explain() string {
	var b strings.Builder
	if e.Method != "" {
		b.WriteString(e.request())
	} else {
		b.WriteString(e.Name)
	}
	if id := e.RequestID; id != "" {
		b.WriteString(" · request " + id[:min(len(id), 8)]) // enough to find it in a log
	}
	if e.Allowed > 0 {
		fmt.Fprintf(&b, " · %v allowed", rounded(e.Allowed))
	}
	b.WriteByte('\n')

	rows := make([][3]string, len(e.Attempts))
	var widths [2]int
	for i, a := range e.Attempts {
		rows[i] = [3]string{a.result(), a.connection(), a.wait()}
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

func (a Attempt) result() string {
	_, declined := errors.AsType[*StatusError](a.Err)
	switch {
	case a.Status == 0:
		return fmt.Sprintf("%s (%v)", text(a.Err), rounded(a.Took))
	case !declined || a.Outcome == Success: // the answer began well, or cannot be decoded
		return fmt.Sprintf("%d, but %s (%v)", a.Status, text(a.Err), rounded(a.Took))
	case a.RetryAfter > 0:
		return fmt.Sprintf("%d after %v, Retry-After %v", a.Status, rounded(a.Took), rounded(a.RetryAfter))
	}
	return fmt.Sprintf("%d after %v", a.Status, rounded(a.Took))
}

func (a Attempt) connection() string {
	if a.Reused {
		return "reused connection"
	}
	if _, declined := errors.AsType[*StatusError](a.Err); declined {
		return "new connection"
	}
	return ""
}

func (a Attempt) wait() string {
	if a.MaxWait == 0 {
		return ""
	}
	return fmt.Sprintf("waited %v of at most %v", rounded(a.Wait), rounded(a.MaxWait))
}

// rounded is a duration in three digits.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second * 10; unit >= time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
