package holdfast

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Fallback calls primary and, if its service cannot be had, each of the others
// in turn until one answers. A service cannot be had if the error is
// ErrCircuitOpen, ErrConnection, ErrRateLimited or ErrPoolTimeout. Any other
// error is an answer, which another service must not hide: it is returned at
// once, and so is whatever ends with the caller's context.
//
// The primary is asked first each time, so that it has the calls back as soon as
// its breaker lets them through; while the breaker is open that costs a
// microsecond. If more than one failed, the error is all of theirs, joined.
func Fallback[T any](ctx context.Context, primary func(context.Context) (T, error), others ...func(context.Context) (T, error)) (T, error) {
	out, err := primary(ctx)
	if err == nil {
		return out, nil
	}
	failures := []error{err}
	for _, next := range others {
		if isOver(ctx) || !cannotBeHad(err) {
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

// isOver reports whether ctx has ended. A call that is bound by its deadline may
// notice that before ctx itself does.
func isOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && world.Of(ctx).Until(deadline) <= 0
}

func cannotBeHad(err error) bool {
	return errors.Is(err, ErrCircuitOpen) || errors.Is(err, ErrConnection) || errors.Is(err, ErrRateLimited) || errors.Is(err, ErrPoolTimeout)
}
