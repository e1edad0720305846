package holdfast

import (
	"context"
	"iter"
)

// FallbackStream is Fallback for answers that arrive in parts. It yields the parts of
// primary's answer or, after a failure before the first part, those of the next of the
// others, by the rules of Fallback. Once it has yielded a part, it calls no other
// function, so that its reader sees no text twice: a later failure is yielded as the
// error, and the loop ends. An answer that ends without a part is an answer.
//
// A function returns the loop over its answer, such as that of Stream.Lines, or the
// reason why there is none. Parts that are no content, such as an event that only
// announces the model, count as parts: leave them out in the function, and a failure
// after them still leads to the next service.
//
// The error is yielded last, with the zero T or what came with it, and joins those of all
// functions that failed. Leaving the loop ends the function's loop, too. Another range
// calls the functions again.
func FallbackStream[T any](ctx context.Context, primary func(context.Context) (iter.Seq2[T, error], error), others ...func(context.Context) (iter.Seq2[T, error], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f := fallback{ctx: ctx}
		part, begun, err := relay(f.context(), primary, yield)
		for _, next := range others {
			if err == nil || begun || !f.goesOn(err) {
				break
			}
			part, begun, err = relay(f.context(), next, yield)
		}
		if err != nil {
			yield(part, f.joined(err))
		}
	}
}

// relay yields the parts of an answer up to an error, which it returns with its part.
// begun means that it has yielded one. The error is nil if the reader left.
func relay[T any](ctx context.Context, answer func(context.Context) (iter.Seq2[T, error], error), yield func(T, error) bool) (part T, begun bool, err error) {
	parts, err := answer(ctx)
	if err != nil {
		return part, false, err
	}
	for part, err := range parts {
		if err != nil {
			return part, begun, err
		}
		begun = true
		if !yield(part, nil) {
			return part, begun, nil
		}
	}
	return part, begun, nil
}
