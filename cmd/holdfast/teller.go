package main

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

// teller says what happens to a call while it happens, a line for each event. One
// call is one goroutine, and so is its teller.
type teller struct {
	out   io.Writer
	term  term.Terminal
	began time.Time
}

// Observe is called for every event.
func (t *teller) Observe(_ context.Context, e holdfast.Event) {
	if t.began.IsZero() {
		t.began = e.Time
	}
	if said := sayEvent(e); said != "" {
		t.line(e.Time, said)
	}
}

func (t *teller) line(at time.Time, said string) {
	fmt.Fprintf(t.out, "%s  %s\n", t.term.Paint(term.Dim, fmt.Sprintf("%7.3f s", at.Sub(t.began).Seconds())), format.Printable(said))
}

// sayEvent is empty for what another line says as well.
func sayEvent(e holdfast.Event) string {
	switch e.Kind {
	case holdfast.EventStarted:
		said := e.Method + " " + e.Path
		if e.Limit > 0 {
			said += fmt.Sprintf(" · %v for an attempt", e.Limit)
		}
		return said
	case holdfast.EventKeyGenerated:
		return "request " + e.RequestID
	case holdfast.EventAttempt:
		return fmt.Sprintf("attempt %d of %d", e.Attempt, e.Of) + probe(e)
	case holdfast.EventAttemptDone:
		return fmt.Sprintf("attempt %d: ", e.Attempt) + sayResult(e)
	case holdfast.EventRetrying:
		return fmt.Sprintf("waiting %v before attempt %d", brief(e.Delay), e.Attempt+1)
	case holdfast.EventHeldBack:
		return fmt.Sprintf("held back for %v, as the service asked", brief(e.Delay))
	case holdfast.EventBreakerOpened:
		return fmt.Sprintf("%v after %s, for %v", e.Kind, format.Plural(e.Failures, "failed call"), e.Delay)
	case holdfast.EventBreakerHalfOpen, holdfast.EventBreakerClosed:
		return fmt.Sprintf("%v after %v", e.Kind, brief(e.Duration))
	case holdfast.EventSlotAcquired, holdfast.EventProbe, holdfast.EventSucceeded, holdfast.EventFailed:
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

// sayResult says what an attempt came to.
func sayResult(e holdfast.Event) string {
	said := ""
	switch {
	case e.Status != 0:
		said = fmt.Sprintf("%d %s after %v", e.Status, http.StatusText(e.Status), brief(e.Duration))
	case e.Err != nil:
		said = fmt.Sprintf("%v (%v)", withoutURL(e.Err), brief(e.Duration))
		if !e.Sent {
			said += ", nothing was sent"
		}
	default:
		said = fmt.Sprintf("%v after %v", e.Outcome, brief(e.Duration))
	}
	if e.RetryAfter > 0 {
		said += fmt.Sprintf(", Retry-After %v", brief(e.RetryAfter))
	}
	return said
}

// withoutURL is an error without the URL that net/http's own carry, whose query
// may hold a secret.
func withoutURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// brief is a duration in three digits.
func brief(d time.Duration) time.Duration {
	for unit := 10 * time.Second; unit >= time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
