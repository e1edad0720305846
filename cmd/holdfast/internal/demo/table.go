package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// row is one line of the table: a value for each client, with an optional note.
type row struct {
	label                string
	bare, bareNote       string
	guarded, guardedNote string
}

// rows compares the two clients.
func rows(c counts) []row {
	share := func(n, of int) string {
		if of == 0 {
			return ""
		}
		return fmt.Sprintf("%3.0f %%", 100*float64(n)/float64(of))
	}
	rejection := ""
	if c.Rejected > 0 {
		rejection = "in " + format.Duration(time.Duration(c.RejectedP50*float64(time.Microsecond)))
	}
	ms := func(v float64) string { return format.Duration(time.Duration(v * float64(time.Millisecond))) }
	return []row{
		{"calls", format.Number(c.BareCalls), "", format.Number(c.Calls), ""},
		{"answered", format.Number(c.BareSucceeded), share(c.BareSucceeded, c.BareCalls), format.Number(c.Succeeded), share(c.Succeeded, c.Calls)},
		{"refused at once", "–", "", format.Number(c.Rejected), rejection},
		{"failed", format.Number(c.BareFailed), share(c.BareFailed, c.BareCalls), format.Number(c.Failed), share(c.Failed, c.Calls)},
		{"requests sent", format.Number(c.BareAttempts), "", format.Number(c.Attempts), ""},
		{"  of these in the outage", format.Number(c.BareAttemptsInOutage), "", format.Number(c.AttemptsInOutage), ""},
		{"work done", format.Number(c.BareEffects), "", format.Number(c.Effects), ""},
		{"  though reported as failed", format.Number(c.BareEffects - c.BareSucceeded), "", format.Number(c.Effects - c.Succeeded), ""},
		{"  done twice", format.Number(c.BareDuplicates), "", format.Number(c.DuplicateEffects), fmt.Sprintf("of %s sent again", format.Number(c.ResentAfterEffect))},
		{"answers within, half of them", ms(c.BareP50), "", ms(c.P50), ""},
		{"answers within, 99 in 100", ms(c.BareP99), "", ms(c.P99), ""},
		{"connections opened", format.Number(c.BareConnectionsOpened), "", format.Number(c.ConnectionsOpened), ""},
	}
}

func writeTable(w io.Writer, c counts) {
	fmt.Fprintf(w, "%41s%20s\n", "bare http.Client", "holdfast")
	for _, r := range rows(c) {
		line := fmt.Sprintf("  %-29s %9s  %-8s %9s  %s", r.label, r.bare, r.bareNote, r.guarded, r.guardedNote)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
