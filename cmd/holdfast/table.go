package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// row is one line of the table: a value for each side, with a remark that may
// stand beside it.
type row struct {
	label          string
	bare, bareNote string
	held, heldNote string
}

// rows compares the two sides.
func rows(c counts) []row {
	share := func(n, of int) string {
		if of == 0 {
			return ""
		}
		return fmt.Sprintf("%3.0f %%", 100*float64(n)/float64(of))
	}
	refusal := ""
	if c.Rejected > 0 {
		refusal = "in " + short(time.Duration(c.RejectedP50*float64(time.Microsecond)))
	}
	ms := func(v float64) string { return short(time.Duration(v * float64(time.Millisecond))) }
	return []row{
		{"calls", number(c.BareCalls), "", number(c.Calls), ""},
		{"answered", number(c.BareSucceeded), share(c.BareSucceeded, c.BareCalls), number(c.Succeeded), share(c.Succeeded, c.Calls)},
		{"refused at once", "–", "", number(c.Rejected), refusal},
		{"failed", number(c.BareFailed), share(c.BareFailed, c.BareCalls), number(c.Failed), share(c.Failed, c.Calls)},
		{"requests sent", number(c.BareAttempts), "", number(c.Attempts), ""},
		{"  of these in the outage", number(c.BareAttemptsInOutage), "", number(c.AttemptsInOutage), ""},
		{"work done", number(c.BareEffects), "", number(c.Effects), ""},
		{"  though reported as failed", number(c.BareEffects - c.BareSucceeded), "", number(c.Effects - c.Succeeded), ""},
		{"  done twice", number(c.BareDuplicates), "", number(c.DuplicateEffects), fmt.Sprintf("of %s sent again", number(c.ResentAfterEffect))},
		{"answers within, half of them", ms(c.BareP50), "", ms(c.P50), ""},
		{"answers within, 99 in 100", ms(c.BareP99), "", ms(c.P99), ""},
		{"connections opened", number(c.BareConnectionsOpened), "", number(c.ConnectionsOpened), ""},
	}
}

func writeTable(w io.Writer, c counts) {
	// A value is flush right, its remark follows.
	line := func(r row) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-29s %9s  %-8s %9s  %s", r.label, r.bare, r.bareNote, r.held, r.heldNote), " "))
	}
	fmt.Fprintf(w, "%41s%20s\n", "bare http.Client", "holdfast")
	for _, r := range rows(c) {
		line(r)
	}
}

// number writes 12000 as 12,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a duration as a person says it: two digits, one unit.
func short(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if v := float64(d) / float64(u.unit); v >= 0.9995 {
			if v < 9.95 {
				return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + u.name
			}
			return strconv.FormatFloat(v, 'f', 0, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + " ns"
}
