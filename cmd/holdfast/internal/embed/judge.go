package embed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// verdict is what follows from the result of a call.
type verdict int

const (
	succeeded verdict = iota
	declined          // the service would decline the texts again
	unusable          // it answered, but the answer is not the embeddings
	mayPass           // it failed, perhaps because of the texts
	passes            // it failed, but not because of the texts
	canceled          // the batch ended before the answer
	ends              // every other call would fail too
)

// contentError is an answer that is not the embeddings of the texts.
type contentError struct{ text string }

func (e *contentError) Error() string { return "content: " + e.text }

func contentErrorf(format string, args ...any) error {
	return &contentError{fmt.Sprintf(format, args...)}
}

// lengthError is a first answer with vectors that are not as long as those of the output file.
type lengthError struct{ file, answer int }

func (e *lengthError) Error() string {
	return fmt.Sprintf("content: the service answers with vectors of %s numbers, but those of the file have %s: must be the same model and service as before, or a new file with --out",
		format.Number(e.answer), format.Number(e.file))
}

// judge finds out what follows from an error.
type judge struct {
	maxRetryAfter time.Duration     // a longer wait ends the batch
	hide          *strings.Replacer // hides credentials; nil for none
}

// of is the verdict on the result of a call.
func (j judge) of(err error) verdict {
	var content *contentError
	var length *lengthError
	var status *holdfast.StatusError
	class := classOf(err)
	switch {
	case err == nil:
		return succeeded
	case errors.Is(err, holdfast.ErrCanceled):
		return canceled
	case errors.Is(err, holdfast.ErrCircuitOpen), errors.Is(err, holdfast.ErrCoolingDown), errors.As(err, &length), j.wait(err) > 0,
		class == holdfast.ClassQuota, class == holdfast.ClassCredential:
		return ends
	case errors.As(err, &content), errors.Is(err, holdfast.ErrDecode), errors.Is(err, holdfast.ErrContent):
		return unusable
	case errors.Is(err, holdfast.ErrBodyTooLarge):
		return declined // fewer texts have a shorter answer
	case class == holdfast.ClassRequest && errors.As(err, &status) && isAboutTexts(status.Status):
		return declined
	case class == holdfast.ClassServer, class == holdfast.ClassOverloaded, class == holdfast.ClassLost, class == holdfast.ClassTimeout,
		class == holdfast.ClassStaleConnection:
		return mayPass
	case errors.Is(err, holdfast.ErrConnection), errors.Is(err, holdfast.ErrRateLimited), errors.Is(err, holdfast.ErrPoolTimeout):
		return passes
	}
	return ends
}

// isAboutTexts reports whether a service can decline a request with this status because of
// a text. The others are about the address, the method or the protocol.
func isAboutTexts(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return false
	}
	return status < 300 || status >= 400 && status < 500 // an error within a 200 has no other status
}

// ending is why the batch ends, with its exit status.
func (j judge) ending(err error) error {
	var rejected *holdfast.RejectedError
	switch {
	case errors.Is(err, holdfast.ErrCircuitOpen): // nothing was sent
		text := "circuit breaker open"
		if errors.As(err, &rejected) && !rejected.RetryAt.IsZero() {
			text += " until " + rejected.RetryAt.Format(time.TimeOnly)
		}
		return exit.With(exit.TryAgain, errors.New("the service is down ("+text+")"))
	case classOf(err) == holdfast.ClassQuota:
		return exit.Errorf(exit.Failure, "the quota of the service is used up: %s", j.reason(err))
	case errors.Is(err, holdfast.ErrCoolingDown), j.wait(err) > 0:
		return exit.With(exit.TryAgain, &coolingDownError{j.until(err)})
	}
	return exit.With(exit.Failure, errors.New(j.text(err)))
}

// coolingDownError ends a batch because the service asked to wait.
type coolingDownError struct{ until time.Time }

func (e *coolingDownError) Error() string {
	return "the service asked to wait until " + clockTime(e.until, time.Now())
}

// clockTime is a time of day, with the time until then: "14:03 (58 min)".
func clockTime(t, now time.Time) string {
	left := t.Sub(now)
	layout := "15:04"
	if left < 10*time.Minute {
		layout = time.TimeOnly
	}
	if t = t.In(now.Location()); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "2 January " + layout
	}
	return fmt.Sprintf("%s (%s)", t.Format(layout), inWords(left))
}

// inWords is a duration as a clock on the wall shows it: "45 s", "58 min", "2 h 5 min".
func inWords(d time.Duration) string {
	minutes := int((d + time.Minute/2) / time.Minute)
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int((max(d, 0)+time.Second-1)/time.Second))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	}
	return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
}

// wait is the wait that the last answer asks for, if it is longer than a call may wait.
func (j judge) wait(err error) time.Duration {
	a := lastAttempt(err)
	if a == nil || a.RetryAfter <= j.maxRetryAfter || j.maxRetryAfter <= 0 {
		return 0
	}
	return a.RetryAfter
}

// until is the end of the wait that the service asked for.
func (j judge) until(err error) time.Time {
	var rejected *holdfast.RejectedError
	if wait := j.wait(err); wait > 0 {
		a := lastAttempt(err)
		return a.Start.Add(a.Took).Add(wait)
	}
	if errors.As(err, &rejected) {
		return rejected.RetryAt
	}
	return time.Time{}
}

// attempts are the attempts of a call.
func attempts(err error) []holdfast.Attempt {
	var e *holdfast.Error
	if errors.As(err, &e) {
		return e.Attempts
	}
	return nil
}

func lastAttempt(err error) *holdfast.Attempt {
	if all := attempts(err); len(all) > 0 {
		return &all[len(all)-1]
	}
	return nil
}

func classOf(err error) holdfast.Class {
	if a := lastAttempt(err); a != nil {
		return a.Class
	}
	return holdfast.ClassNone
}

// wasSent reports whether the service may have received a request.
func wasSent(err error) bool {
	return slices.ContainsFunc(attempts(err), func(a holdfast.Attempt) bool { return a.Sent })
}

// mayBeDone reports whether the service may have done the work of a call that failed.
func mayBeDone(err error) bool {
	return slices.ContainsFunc(attempts(err), func(a holdfast.Attempt) bool {
		switch a.Class {
		case holdfast.ClassThrottled, holdfast.ClassQuota, holdfast.ClassCredential, holdfast.ClassRequest, holdfast.ClassContent:
			return false
		}
		return a.Sent
	})
}

// text is the message of an error, with the reason of the service.
func (j judge) text(err error) string {
	text := exit.Text(err)
	if said := said(err); said != "" && !strings.Contains(text, said) {
		text += ": " + said
	}
	return j.printable(text)
}

// textFor is what is reported of a failure: of an answer that declines the texts its status
// and reason, otherwise the call too.
func (j judge) textFor(f failure) string {
	if f.verdict == declined || f.verdict == unusable {
		return j.reason(f.err)
	}
	return j.text(f.err)
}

// reason is why a text has no embedding: the status of the answer and the reason of the
// service, or what else has happened.
func (j judge) reason(err error) string {
	var status *holdfast.StatusError
	switch {
	case errors.Is(err, holdfast.ErrDecode):
		return j.printable("content: " + exit.Text(err))
	case !errors.As(err, &status):
		return j.printable(exit.Text(err))
	}
	text := status.Error()
	if said := said(err); said != "" && !strings.Contains(text, said) {
		text += ": " + said
	}
	return j.printable(text)
}

// maxReason bounds what is shown of a message, in columns.
const maxReason = 300

func (j judge) printable(text string) string {
	if j.hide != nil {
		text = j.hide.Replace(text)
	}
	return format.Truncate(format.Printable(text), maxReason)
}

// said is the reason in the body of an answer that declines the request. It is empty if
// the body has none in a usual form.
func said(err error) string {
	var status *holdfast.StatusError
	if !errors.As(err, &status) {
		return ""
	}
	body := bytes.TrimSpace(status.Body)
	if reason := cmp.Or(status.Text, status.Problem.Detail, status.Problem.Title, reasonIn(body, 0)); reason != "" {
		return reason
	}
	if strings.HasPrefix(status.Header.Get("Content-Type"), "text/plain") && string(body) != http.StatusText(status.Status) {
		return string(body)
	}
	return ""
}

// reasonIn finds the reason in a JSON value: in a string, in the first element of a list,
// or in a field of an object that is usual for it.
func reasonIn(value []byte, depth int) string {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	var text string
	switch {
	case len(value) == 0 || depth > 4:
	case value[0] == '"' && depth > 0:
		_ = json.Unmarshal(value, &text)
	case value[0] == '[' && json.Unmarshal(value, &list) == nil && len(list) > 0:
		return reasonIn(list[0], depth+1)
	case value[0] == '{' && json.Unmarshal(value, &object) == nil:
		for _, name := range []string{"error", "errors", "detail", "message", "msg", "title"} {
			if reason := reasonIn(object[name], depth+1); reason != "" {
				return reason
			}
		}
	}
	return strings.Join(strings.Fields(text), " ")
}
