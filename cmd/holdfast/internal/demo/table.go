package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// cell is a value with an optional note.
type cell struct{ value, note string }

// row is one line of the table: a cell for each client.
type row struct {
	label               string
	bare, loop, guarded cell
}

// rows compares the clients.
func rows(c counts) []row {
	number := func(n int) cell { return cell{value: format.Number(n)} }
	share := func(n, of int) cell {
		if of == 0 {
			return number(n)
		}
		return cell{format.Number(n), fmt.Sprintf("%3.0f %%", 100*float64(n)/float64(of))}
	}
	noted := func(n int, note string) cell { return cell{format.Number(n), note} }
	ms := func(v float64) cell {
		return cell{value: format.Duration(time.Duration(v * float64(time.Millisecond)))}
	}
	rejection, none, l := "", cell{value: "–"}, &c.Loop
	if c.Rejected > 0 {
		rejection = "in " + format.Duration(time.Duration(c.RejectedP50*float64(time.Microsecond)))
	}
	return []row{
		{"calls", number(c.BareCalls), number(l.Calls), number(c.Calls)},
		{"  late starts", number(c.BareLateStarts), number(l.LateStarts), number(c.LateStarts)},
		{"answered", share(c.BareSucceeded, c.BareCalls), share(l.Succeeded, l.Calls), share(c.Succeeded, c.Calls)},
		{"rejected at once", none, none, noted(c.Rejected, rejection)},
		{"failed", share(c.BareFailed, c.BareCalls), share(l.Failed, l.Calls), share(c.Failed, c.Calls)},
		{"requests sent", number(c.BareAttempts), number(l.Attempts), number(c.Attempts)},
		{"  of these in the outage", number(c.BareAttemptsInOutage), number(l.AttemptsInOutage), number(c.AttemptsInOutage)},
		{"work done", number(c.BareEffects), number(l.Effects), number(c.Effects)},
		{"  though reported as failed", number(c.BareEffects - c.BareSucceeded), number(l.Effects - l.Succeeded), number(c.Effects - c.Succeeded)},
		{"  done twice", number(c.BareDuplicates), number(l.Duplicates), noted(c.DuplicateEffects, fmt.Sprintf("of %s sent again", format.Number(c.ResentAfterEffect)))},
		{"answers within, half of them", ms(c.BareP50), ms(l.P50), ms(c.P50)},
		{"answers within, 99 in 100", ms(c.BareP99), ms(l.P99), ms(c.P99)},
		{"connections opened", number(c.BareConnectionsOpened), number(l.ConnectionsOpened), number(c.ConnectionsOpened)},
	}
}

func writeTable(w io.Writer, c counts) {
	fmt.Fprintf(w, "%41s%23s%18s\n", "bare http.Client", "http.Client in a loop", "holdfast")
	for _, r := range rows(c) {
		line := fmt.Sprintf("  %-29s %9s  %-7s %13s  %-6s %9s  %s", r.label, r.bare.value, r.bare.note, r.loop.value, r.loop.note, r.guarded.value, r.guarded.note)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
