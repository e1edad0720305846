package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/holdfast-go/holdfast/faultserver"
)

// Row is the result of one contender and one rule. A nil number is unknown, for
// example that of a program.
type Row struct {
	Fault       string  `json:"fault"` // the rule's ID
	Client      string  `json:"client"`
	Rule        string  `json:"rule"` // the expected result
	Right       bool    `json:"right"`
	Why         string  `json:"why"`             // the reason if not Right, else empty
	Known       string  `json:"known,omitempty"` // why the client cannot be Right, if the rule knows
	Attempts    int     `json:"attempts"`
	Millis      float64 `json:"ms"` // of the longest call
	Bounded     bool    `json:"bounded"`
	Duplicates  int     `json:"duplicates"`
	Reusable    bool    `json:"reusable"` // the next call used an open connection
	Goroutines  *int    `json:"goroutines"`
	Descriptors *int    `json:"descriptors"`
	Secrets     int     `json:"secrets"` // in its log, or sent to another origin
	// InError means that the error's text shows the credential of the query. No
	// rule checks it, since the caller decides about logging the error.
	InError bool `json:"in_error"`
}

// judge returns the row. notMet is the reason why the meeting failed, or nil.
func (m *meeting) judge(notMet error) Row {
	r := m.rule
	row := Row{
		Fault: r.ID(), Client: m.contender.Name, Rule: r.text(),
		Attempts: requests(m.record), Bounded: !m.lost,
		Duplicates: m.effects.Duplicates, Reusable: m.reused && isAnswered(m.after, m.afterCall),
		Secrets: m.log.secrets(),
	}
	if m.left.knowsGoroutines {
		row.Goroutines = &m.left.goroutines
	}
	if m.left.knowsDescriptors {
		row.Descriptors = &m.left.descriptors
	}
	if r.Fault == "http.redirect_elsewhere" {
		row.Secrets += m.leaked
	}
	var wrong []string
	fail := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(wrong, text) {
			wrong = append(wrong, text)
		}
	}
	if notMet != nil {
		fail("%v", notMet)
	}
	for i, call := range m.calls {
		took := m.took[i]
		row.Millis = max(row.Millis, float64(took.Microseconds())/1000)
		row.Bounded = row.Bounded && took <= Bound+m.Patience
		a := m.answers[i]
		row.InError = row.InError || a.Err != nil && strings.Contains(a.Err.Error(), canary)
		if problem := r.ending(a, call); problem != "" && !m.lost {
			fail("%s", problem)
		}
	}
	switch most := r.most(); {
	case row.Attempts < r.Least:
		fail("%s of at least %d", count(row.Attempts, "request"), r.Least)
	case row.Attempts > most:
		fail("%s of at most %d", count(row.Attempts, "request"), most)
	}
	for _, problem := range m.route.judge(m) {
		fail("%s", problem)
	}
	if r.Apart > 0 && len(m.record) > 1 {
		if gap := m.record[1].At - m.record[0].At; gap < r.Apart {
			fail("came back after %s, not %s", round(gap), r.Apart)
		}
	}
	switch {
	case m.lost:
		fail("did not return")
	case !row.Bounded:
		fail("took %s, more than %s", round(time.Duration(row.Millis*float64(time.Millisecond))), Bound+m.Patience)
	}
	if row.Duplicates > 0 {
		fail("done twice")
	}
	if r.KeepsConnection && !m.contender.Program && (m.opened != 1 || !m.reused) {
		fail("the connection was not kept")
	}
	if !m.lost && !isAnswered(m.after, m.afterCall) {
		fail("the next call: %s", describe(m.after, m.afterCall))
	}
	if n := m.left.goroutines; n > 0 {
		fail("leaves %s", count(n, "goroutine"))
	}
	if n := m.left.descriptors; n > 0 {
		fail("leaves %s", count(n, "connection"))
	}
	if row.Secrets > 0 {
		fail("shows a credential")
	}
	row.Why = strings.Join(wrong, "; ")
	row.Right = len(wrong) == 0
	if !row.Right {
		row.Known = r.Losses[row.Client]
	}
	return row
}

// ending returns the error in the end of a call, or "".
func (r *Rule) ending(a Answer, c Call) string {
	answered := isAnswered(a, c)
	refused := a.Err != nil || r.Status != 0 && a.Status == r.Status
	switch r.Want {
	case Undetectable:
		return ""
	case Answered:
		if answered {
			return ""
		}
	case Refused:
		if refused {
			return ""
		}
	case Honest:
		if answered || refused {
			return ""
		}
	}
	return describe(a, c)
}

func isAnswered(a Answer, c Call) bool {
	u, err := url.Parse(c.URL)
	return err == nil && a.Err == nil && a.Status == http.StatusOK && bytes.Equal(a.Body, answerTo(u.Path))
}

// describe returns the end of a call as a short text.
func describe(a Answer, c Call) string {
	switch {
	case isAnswered(a, c):
		return "answered"
	case a.Err != nil:
		return "fails: " + short(a.Err)
	case a.Status == http.StatusOK:
		return "passes off a wrong body as the answer"
	default:
		return fmt.Sprintf("ends with %d", a.Status)
	}
}

// maxWords limits an error's text in a row, in bytes.
const maxWords = 80

// short returns the start of an error's text without addresses, which differ
// between runs, and without control characters.
func short(err error) string {
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), canary, "…")), " ")
	text = addresses.ReplaceAllString(text, "…")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, text)
	if len(text) > maxWords {
		text = text[:maxWords] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

var addresses = regexp.MustCompile(`(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?(->\S+)?`)

// requests counts the requests that reached the service, and the connections
// that ended before their first request.
func requests(record []faultserver.Attempt) int {
	seen := map[int]bool{}
	n := 0
	for _, a := range record {
		if a.Method != "" {
			n++
			seen[a.Connection] = true
		}
	}
	for _, a := range record {
		if a.Method == "" && !seen[a.Connection] {
			n++
		}
	}
	return n
}

func (r *Rule) most() int {
	if r.Most > 0 {
		return r.Most
	}
	return max(1, r.Calls) * (Usual.Retries + 1)
}

// text returns the rule in one line.
func (r *Rule) text() string {
	parts := []string{string(r.Want)}
	if r.Want == Undetectable {
		parts[0] = "any ending"
	}
	switch most := r.most(); {
	case r.Least == most:
		parts = append(parts, count(most, "request"))
	case r.Fault == "conn.refuse":
	default:
		parts = append(parts, fmt.Sprintf("%d to %d requests", r.Least, most))
	}
	if r.Apart > 0 {
		parts = append(parts, fmt.Sprintf("%s apart", r.Apart))
	}
	if r.KeepsConnection {
		parts = append(parts, "one connection")
	}
	if r.Between != nil {
		parts = append(parts, r.Between.wants()...)
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
