package otelholdfast

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// call is an operation, and its context.
type call struct {
	context.Context // with the span
	of              *Instrument
	span            trace.Span
	client          string
	hides           bool          // it only hides the call above, and has no span and no metrics
	retry           bool          // the attempt that runs is one
	attempts        time.Duration // the sum of theirs
	unread          bool          // the span waits for the end of an answer
}

// callKey and attemptKey are the keys of a context of the Instrument.
type (
	callKey    Instrument
	attemptKey Instrument
)

func (c *call) Value(key any) any {
	if key == any((*callKey)(c.of)) {
		return c
	}
	return c.Context.Value(key)
}

// callOf is the call of a context, nil for none.
func (i *Instrument) callOf(ctx context.Context) *call {
	c, _ := ctx.Value((*callKey)(i)).(*call)
	return c
}

// describe adds what is known of an operation before its first attempt: one that is rejected
// has no other span.
func (c *call) describe(op holdfast.Operation, route string) {
	if op.URL == nil {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	attrs = appendMethod(attrs, op.Method)
	attrs = appendServer(attrs, op.URL)
	if route != "" {
		attrs = append(attrs, attribute.String("url.template", route))
	}
	c.span.SetAttributes(attrs...)
}

// measure measures an attempt without a span.
func (c *call) measure(e holdfast.Event) { c.measureIn(c.Context, e) }

// measureIn measures an attempt. ctx has its span.
func (c *call) measureIn(ctx context.Context, e holdfast.Event) {
	c.attempts += e.Duration
	if m := c.of.metrics; m != nil {
		m.attemptEnded(ctx, c.client, c.attemptType(), e)
	}
}

func (c *call) attemptType() string {
	if c.retry {
		return "retry"
	}
	return "original"
}

func (c *call) end(e holdfast.Event) {
	outcome := outcomeOf(e)
	if m := c.of.metrics; m != nil {
		m.callEnded(c.Context, c.client, outcome, e)
	}
	if !c.span.IsRecording() {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs,
		attribute.String("holdfast.outcome", outcome),
		attribute.Int("holdfast.attempts", e.Attempt),
		attribute.Float64("holdfast.waited", max(0, e.Duration-c.attempts).Seconds()),
	)
	if e.Breaker != "" {
		attrs = append(attrs, attribute.String("holdfast.breaker.state", e.Breaker))
	}
	if e.Kind == holdfast.EventFailed {
		if reason := reasonOf(e); reason != "" {
			attrs = append(attrs, attribute.String("holdfast.stopped", reason))
		}
		attrs = append(attrs, attribute.String("error.type", errorType(e)))
		if outcome != canceled {
			c.span.SetStatus(codes.Error, textOf(e))
		}
	}
	c.span.SetAttributes(attrs...)
	if c.unread = e.Unread; !c.unread {
		c.span.End()
	}
}

// The outcomes of a call.
const (
	succeeded = "success"
	failed    = "failed"
	rejected  = "rejected" // nothing was sent, because a rule forbade it
	canceled  = "canceled" // by the caller
)

func outcomeOf(e holdfast.Event) string {
	switch {
	case e.Kind == holdfast.EventSucceeded:
		return succeeded
	case errors.Is(e.Err, holdfast.ErrCanceled):
		return canceled
	case e.Attempt == 0 && ruleOf(e) != "":
		return rejected
	}
	return failed
}

func reasonOf(e holdfast.Event) string { return e.Reason.String() }

// ruleOf is the rule that rejected a call, empty for none.
func ruleOf(e holdfast.Event) string {
	switch {
	case errors.Is(e.Err, holdfast.ErrCircuitOpen):
		return "breaker"
	case errors.Is(e.Err, holdfast.ErrCoolingDown):
		return "cooldown"
	case errors.Is(e.Err, holdfast.ErrPoolTimeout):
		return "bulkhead"
	}
	return ""
}

// errorType is error.type of an operation or an attempt that failed: the class of the
// failure, or the rule that rejected the call.
func errorType(e holdfast.Event) string {
	if e.Class != holdfast.ClassNone {
		return e.Class.String()
	}
	if e.Kind == holdfast.EventFailed {
		if rule := ruleOf(e); rule != "" {
			return rule
		}
		switch {
		case errors.Is(e.Err, holdfast.ErrCanceled):
			return holdfast.ClassCanceled.String()
		case errors.Is(e.Err, holdfast.ErrTimeout):
			return holdfast.ClassTimeout.String()
		}
	}
	return "_OTHER"
}

// The ends of an answer that the caller reads.
const (
	complete = "complete"
	cut      = "cut"
	stalled  = "stalled" // a limit between two parts of it was reached
	left     = "left"    // by the caller, or by the end of its context
)

func endingOf(e holdfast.Event) string {
	switch {
	case e.Outcome == holdfast.Success:
		return complete
	case e.Outcome == holdfast.Canceled, e.Outcome == holdfast.Unknown && e.Class == holdfast.ClassTimeout: // the caller's limit
		return left
	case e.Class == holdfast.ClassTimeout:
		return stalled
	}
	return cut
}

// endAnswer ends a span that has waited for the end of an answer.
func endAnswer(span trace.Span, e holdfast.Event, ending string) {
	span.SetAttributes(attribute.String("holdfast.answer", ending))
	if ending == cut || ending == stalled {
		span.SetAttributes(attribute.String("error.type", errorType(e)))
		span.SetStatus(codes.Error, textOf(e))
	}
	span.End()
}
