package holdfast

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Fallback calls primary and, after each failure that another service may not have, the
// next of the others. These are all failures of the service and of the way to it: a lost
// connection, a limit, a 5xx, a rate limit, a quota, a credential or a proxy that is
// declined, an answer that cannot be used, an open breaker, a cooldown, no permit. After
// a request that is wrong anywhere (a 400, a 404, a mistake), and after a cancellation,
// Fallback returns the error at once. docs/fallback.md has the list.
//
// The class of the last attempt decides, in the *Error that a function returns. An SDK
// may return an error of its own instead. For it decides the last call that failed under
// the function's context: of a Client, a Policy, a Router or a transport of theirs. So
// call with the context that the function gets. Of an error without an *Error or such a
// call, only those that are ErrConnection, ErrRateLimited, ErrCircuitOpen or
// ErrPoolTimeout go on.
//
// The first service may have done its part before it failed: use Fallback for calls that
// may be done twice.
//
// All functions have the values and the end of ctx, and Fallback returns when it ends.
// Give primary a shorter limit, such as Timeouts.Total of its client, so that time is
// left for the others.
//
// Each call starts with primary, so that primary gets its calls back as soon as its
// breaker admits them. An open breaker rejects within a microsecond. If more than one
// function failed, the error joins all of theirs. If the end of ctx kept it from the next
// one, the error has its cause, too.
func Fallback[T any](ctx context.Context, primary func(context.Context) (T, error), others ...func(context.Context) (T, error)) (T, error) {
	f := fallback{ctx: ctx}
	out, err := primary(f.context())
	for _, next := range others {
		if err == nil || !f.goesOn(err) {
			break
		}
		out, err = next(f.context())
	}
	if err != nil {
		err = f.joined(err)
	}
	return out, err
}

// fallback is one call of Fallback, or one loop over a FallbackStream.
type fallback struct {
	ctx    context.Context // the caller's
	record *fallbackRecord // of the running function
	failed []error         // of the functions that another one followed
	ended  error           // the reason why none followed, if ctx ended; nil otherwise
}

// context returns the context for the next function.
func (f *fallback) context() context.Context {
	f.record = new(fallbackRecord)
	return context.WithValue(f.ctx, fallbackKey{}, f.record)
}

// goesOn reports whether the next function is called after the error of the last one, and
// keeps the error if so.
func (f *fallback) goesOn(err error) bool {
	if !f.record.anotherMayAnswer(err) {
		return false
	}
	if cause := endOf(f.ctx); cause != nil {
		if !errors.Is(err, cause) {
			f.ended = fmt.Errorf("holdfast: no other service was called: %w", cause)
		}
		return false
	}
	f.failed = append(f.failed, err)
	return true
}

// joined is the error of all functions, err that of the last one. A Fallback around this
// one has notice of it.
func (f *fallback) joined(err error) error {
	if last := f.record.last.Load(); last != nil {
		_ = noted(f.ctx, last)
	}
	if len(f.failed) == 0 && f.ended == nil {
		return err
	}
	return errors.Join(append(slices.Clip(f.failed), err, f.ended)...)
}

// endOf is the cause of the end of ctx, nil if it has not ended. A call may notice the
// deadline earlier than ctx does.
func endOf(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok && world.Of(ctx).Until(deadline) <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}
