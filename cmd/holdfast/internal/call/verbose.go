package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// eventLog writes the events of one call, a line for each. A call emits its events in
// one goroutine.
type eventLog struct {
	out      io.Writer
	terminal term.Terminal
	began    time.Time
}

// Observe implements holdfast.Observer.
func (l *eventLog) Observe(_ context.Context, e holdfast.Event) {
	if l.began.IsZero() {
		l.began = e.Time
	}
	if text := describe(e); text != "" {
		l.write(e.Time, text)
	}
}

func (l *eventLog) write(at time.Time, text string) {
	elapsed := fmt.Sprintf("%7.3f s", at.Sub(l.began).Seconds())
	fmt.Fprintf(l.out, "%s  %s\n", l.terminal.Paint(term.Dim, elapsed), format.Printable(text))
}

// describe is the text of an event. It is empty if the text of another event has the
// same information.
func describe(e holdfast.Event) string {
	switch e.Kind {
	case holdfast.EventStarted:
		text := e.Method + " " + e.Path
		if e.Limit > 0 {
			text += fmt.Sprintf(" · %v for an attempt", e.Limit)
		}
		return text
	case holdfast.EventKeyGenerated:
		return "request " + e.RequestID
	case holdfast.EventAttempt:
		return fmt.Sprintf("attempt %d of %d", e.Attempt, e.Of) + probe(e)
	case holdfast.EventAttemptDone:
		text := fmt.Sprintf("attempt %d: ", e.Attempt) + describeResult(e)
		if e.Class != holdfast.ClassNone {
			text += " · " + e.Class.String()
		}
		return text
	case holdfast.EventRetrying:
		return fmt.Sprintf("waiting %v before attempt %d", brief(e.Delay), e.Attempt+1)
	case holdfast.EventCoolingDown:
		return fmt.Sprintf("cooling down for %v, as the service asked", brief(e.Delay))
	case holdfast.EventBreakerOpened:
		return fmt.Sprintf("%v after %s, for %v", e.Kind, format.Plural(e.Failures, "failed call"), e.Delay)
	case holdfast.EventBreakerHalfOpen, holdfast.EventBreakerClosed:
		return fmt.Sprintf("%v after %v", e.Kind, brief(e.Duration))
	case holdfast.EventPermitAcquired, holdfast.EventProbe, holdfast.EventSucceeded, holdfast.EventFailed:
		return ""
	}
	return e.Kind.String()
}

func probe(e holdfast.Event) string {
	if e.Probe {
		return ", a probe"
	}
	return ""
}

// describeResult is the result of an attempt.
func describeResult(e holdfast.Event) string {
	text := ""
	switch {
	case e.Status != 0:
		text = fmt.Sprintf("%d %s after %v", e.Status, http.StatusText(e.Status), brief(e.Duration))
	case e.Err != nil:
		text = fmt.Sprintf("%v (%v)", withoutURL(e.Err), brief(e.Duration))
		if !e.Sent {
			text += ", nothing was sent"
		}
	default:
		text = fmt.Sprintf("%v after %v", e.Outcome, brief(e.Duration))
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(", asks for %v (%s)", brief(e.RetryAfter), e.RetryAfterFrom)
	}
	return text
}

// withoutURL strips the URL from an error of net/http, because its query may hold a
// secret.
func withoutURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// brief rounds a duration to three digits.
func brief(d time.Duration) time.Duration {
	for unit := 10 * time.Second; unit >= time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
