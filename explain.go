package holdfast

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Explain describes the whole operation for people, with one line for each attempt: the
// wait for a permit before it, its class and its result, the wait that the service asked
// for and where it was read, the wait that followed, and the reason to stop. It has no
// credential and no query value.
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

	stopped := e.Stopped
	if waited := e.Queued - queued(e.Attempts); waited > 0 {
		stopped += " (" + queuedFor(waited) + ")"
	}
	rows := make([][5]string, len(e.Attempts))
	var widths [4]int // of all columns but the last; zero for one that is empty
	for i, a := range e.Attempts {
		rows[i] = [5]string{queuedFor(a.Queued), a.class(), a.result(), a.connection(), a.wait()}
		if i == len(rows)-1 {
			rows[i][4] = "stopped: " + stopped
		}
		for c := range widths {
			widths[c] = max(widths[c], utf8.RuneCountInString(rows[i][c]))
		}
	}
	for i, row := range rows {
		fmt.Fprintf(&b, "%3d  ", e.Attempts[i].Number)
		for c, width := range widths {
			if width > 0 {
				fmt.Fprintf(&b, "%-*s   ", width, row[c])
			}
		}
		b.WriteString(row[4] + "\n")
	}
	if len(rows) == 0 && e.Stopped != "" {
		b.WriteString("  nothing was sent: " + stopped + "\n")
	}
	b.WriteString(e.summary())
	return b.String()
}

// queuedFor is "waited 1.2s for a permit", for example, and empty without a wait.
func queuedFor(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return fmt.Sprintf("waited %v for a permit", rounded(d))
}

func (a Attempt) class() string {
	if a.Class == ClassNone {
		return ""
	}
	return a.Class.String()
}

func (a Attempt) result() string {
	text := a.end()
	if a.RetryAfter > 0 {
		text += fmt.Sprintf(", asks for %v", rounded(a.RetryAfter))
		if a.RetryAfterFrom != "" {
			text += " (" + a.RetryAfterFrom + ")"
		}
	}
	return text
}

// end is how the attempt ended, and after what time.
func (a Attempt) end() string {
	_, declined := errors.AsType[*StatusError](a.Err)
	switch {
	case a.Status == 0:
		return fmt.Sprintf("%s (%v)", text(a.Err), rounded(a.Took))
	case !declined || a.Outcome == Success: // the answer began well, or cannot be decoded
		return fmt.Sprintf("%d, but %s (%v)", a.Status, text(a.Err), rounded(a.Took))
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
