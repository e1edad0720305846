package holdfast

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Fallback calls primary and, while the service is unavailable, each of the others in
// turn. A service is unavailable if the error is ErrCircuitOpen, ErrConnection,
// ErrRateLimited or ErrPoolTimeout. Any other error is an answer, which a fallback must
// not hide: Fallback returns it at once. An error of another library, from a Policy, has
// one of these kinds only if Classify returns Transient or Throttled for it, or if a
// time limit ended the attempt.
//
// All functions share ctx, and Fallback returns when it ends. Give primary a shorter
// limit, such as Timeouts.Total of its client, so that time is left for the others.
//
// Each call starts with primary, so that primary gets its calls back as soon as its
// breaker admits them. An open breaker rejects within a microsecond. If more than one
// function failed, the error joins all of theirs.
func Fallback[T any](ctx context.Context, primary func(context.Context) (T, error), others ...func(context.Context) (T, error)) (T, error) {
	out, err := primary(ctx)
	if err == nil {
		return out, nil
	}
	failures := []error{err}
	for _, next := range others {
		if hasEnded(ctx) || !isUnavailable(err) {
			break
		}
		if out, err = next(ctx); err == nil {
			return out, nil
		}
		failures = append(failures, err)
	}
	if len(failures) == 1 {
		return out, err
	}
	return out, errors.Join(failures...)
}

// hasEnded reports whether ctx has ended. A call may notice the deadline earlier than
// ctx does.
func hasEnded(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && world.Of(ctx).Until(deadline) <= 0
}

func isUnavailable(err error) bool {
	return errors.Is(err, ErrCircuitOpen) || errors.Is(err, ErrConnection) || errors.Is(err, ErrRateLimited) || errors.Is(err, ErrPoolTimeout)
}
