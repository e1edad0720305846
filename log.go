package holdfast

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// log is an observer that writes to a slog.Logger. Messages are constant, and values
// are attributes. Nothing is formatted for a level that is off.
type log struct {
	logger     *slog.Logger
	retryLevel slog.Level
	rejected   atomic.Int64 // time of the last rejection that was logged, in Unix nanoseconds
}

// rejectedEvery is the shortest time between two logged rejections: an open breaker may
// reject thousands of calls a second, and the message has their number.
const rejectedEvery = time.Second

// repeatSettings are the settings that change what EventRepeatedByID reports.
const repeatSettings = "IdempotencyKey: true sends it as Idempotency-Key too; Retry.Repeat: RepeatSafe does not repeat"

func (l *log) Observe(ctx context.Context, e Event) {
	level, ok := l.level(e)
	if !ok || !l.logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 6)
	attrs = append(attrs, slog.String("client", e.Name))
	if e.RequestID != "" && e.Kind != EventKeyGenerated {
		attrs = append(attrs, slog.String("request_id", e.RequestID))
	}
	switch e.Kind {
	case EventBreakerOpened:
		attrs = append(attrs, slog.Int("failures", e.Failures), slog.Duration("open_for", e.Delay))
		if e.Err != nil {
			attrs = append(attrs, slog.String("last_error", text(e.Err)))
		}
	case EventBreakerHalfOpen, EventBreakerClosed:
		attrs = append(attrs, slog.Duration("after", e.Duration))
	case EventRejected:
		if !l.due(e.Time) {
			return
		}
		attrs = append(attrs, slog.Time("retry_at", e.RetryAt), slog.Uint64("rejected", e.Rejected))
	case EventStarted:
		attrs = append(attrs, slog.String("method", e.Method), slog.String("path", e.Path), slog.Duration("timeout", e.Limit))
	case EventSucceeded:
		attrs = append(attrs, slog.Int("attempts", e.Attempt), slog.Duration("duration", e.Duration))
	case EventFailed, EventBrokeOff:
		attrs = append(attrs, slog.Int("attempts", e.Attempt), slog.Duration("duration", e.Duration), slog.String("error", text(e.Err)))
	case EventRetrying:
		attrs = append(attrs, slog.String("error", text(e.Err)), slog.Duration("delay", e.Delay),
			slog.Int("attempt", e.Attempt), slog.Int("of", e.Of))
	case EventPermitAcquired:
		attrs = append(attrs, slog.Int("remaining", e.Remaining), slog.Duration("waited", e.Duration))
	case EventCoolingDown:
		attrs = append(attrs, slog.Duration("delay", e.Delay))
	case EventNestedRetries:
		attrs = append(attrs, slog.Int("sdk_attempt", e.Attempt), slog.Int("most_requests", e.Of))
	case EventRepeatedByID:
		attrs = append(attrs, slog.String("method", e.Method), slog.String("path", e.Path), slog.String("settings", repeatSettings))
	case EventAnswersHeld:
		attrs = append(attrs, slog.Int("held", e.Held), slog.Duration("for_at_least", e.Duration))
	case EventAnswerDropped:
		attrs = append(attrs, slog.String("method", e.Method), slog.String("path", e.Path), slog.Duration("after", e.Duration))
	case EventKeyGenerated:
		attrs = append(attrs, slog.String("key", e.RequestID))
	}
	// Whether a failed request may have reached the service decides what a second one
	// would do. A policy has no request.
	if e.Method != "" && (e.Kind == EventFailed || e.Kind == EventRetrying) {
		attrs = append(attrs, slog.Bool("sent", e.Sent))
	}
	if e.Class != ClassNone {
		attrs = append(attrs, slog.String("class", e.Class.String()))
	}
	if e.Reason != ReasonNone {
		attrs = append(attrs, slog.String("reason", e.Reason.String()))
	}
	l.logger.LogAttrs(ctx, level, e.Kind.String(), attrs...)
}

// level returns an event's level, and false for an event that is not logged.
func (l *log) level(e Event) (slog.Level, bool) {
	switch e.Kind {
	case EventBreakerOpened, EventRejected, EventAnswersHeld, EventAnswerDropped, EventNestedRetries:
		return slog.LevelWarn, true
	case EventBreakerHalfOpen, EventBreakerClosed, EventRepeatedByID:
		return slog.LevelInfo, true
	case EventRetrying:
		return l.retryLevel, true
	case EventAttempt, EventAttemptDone, EventProbe, EventAnswerEnded:
		return 0, false
	}
	return slog.LevelDebug, true
}

// due reports whether a rejection at now is logged, and if so records it.
func (l *log) due(now time.Time) bool {
	last, at := l.rejected.Load(), now.UnixNano()
	return at-last >= int64(rejectedEvery) && l.rejected.CompareAndSwap(last, at)
}
