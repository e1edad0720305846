package holdfast

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
)

// fallbackRecord has the failures of the operations under the context of a function that
// a Fallback calls. An SDK makes an error of its own of an answer, so that the error that
// the function returns may not have the operation's.
type fallbackRecord struct {
	last atomic.Pointer[Error] // nil for none
}

// fallbackKey is the key of the *fallbackRecord in a context.
type fallbackKey struct{}

// noted returns err, the error of an operation under ctx, and keeps it for a Fallback. It
// is called for failures only.
func noted(ctx context.Context, err error) error {
	if r, ok := ctx.Value(fallbackKey{}).(*fallbackRecord); ok {
		if e, ok := err.(*Error); ok {
			r.note(e)
		}
	}
	return err
}

// note keeps e. The error of a policy that was not classified does not replace that of
// an operation within it, which tells more.
func (r *fallbackRecord) note(e *Error) {
	if _, known := e.anotherMayAnswer(); known {
		r.last.Store(e)
	} else {
		r.last.CompareAndSwap(nil, e)
	}
}

// anotherMayAnswer reports whether another service may answer after a function returned
// err.
func (r *fallbackRecord) anotherMayAnswer(err error) bool {
	e := classified(err)
	if e == nil {
		if isUnavailable(err) {
			return true
		}
		if e = r.last.Load(); e == nil && !errors.As(err, &e) {
			return false
		}
	}
	may, _ := e.anotherMayAnswer()
	return may
}

// classified returns the first *Error in the tree of err that is not a policy's error
// without a class, nil if there is none. Of joined errors the last one counts.
func classified(err error) *Error {
	if e, ok := err.(*Error); ok {
		if _, known := e.anotherMayAnswer(); known {
			return e
		}
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return classified(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range slices.Backward(err.Unwrap()) {
			if e := classified(err); e != nil {
				return e
			}
		}
	}
	return nil
}

// anotherMayAnswer reports whether another service may answer after this error. It is not
// known for a policy's error that was not classified: what decides is whether the policy
// took it for one that may pass.
func (e *Error) anotherMayAnswer() (may, known bool) {
	var last Attempt
	if n := len(e.Attempts); n > 0 {
		last = e.Attempts[n-1]
	}
	switch {
	case errors.Is(e.kind, ErrTimeout): // also one of the whole call, after an attempt that failed otherwise
		return anotherMayAnswer(ClassTimeout), true
	case e.kind == ErrCanceled, e.kind == ErrClosed:
		return anotherMayAnswer(ClassCanceled), true
	case e.kind == ErrDecode:
		return anotherMayAnswer(ClassContent), true
	case last.Class != ClassNone:
		return anotherMayAnswer(last.Class), true
	case e.kind != nil: // nothing was sent, or Classify of a policy chose it
		return isUnavailable(e.kind), true
	}
	return last.Outcome == Transient, false
}

// anotherMayAnswer reports whether another service may answer what failed with this class.
func anotherMayAnswer(c Class) bool {
	switch c {
	case ClassConnect, ClassStaleConnection, ClassLost, ClassTimeout, ClassProxy: // the way to this service
		return true
	case ClassOverloaded, ClassServer, ClassTooEarly, ClassContent: // this service
		return true
	case ClassThrottled, ClassQuota, ClassCredential: // the account with it
		return true
	case ClassInProgress: // it was done no more certainly than after ClassTimeout, which may lead here
		return true
	}
	return false // ClassRequest, ClassMistake, ClassCanceled, ClassNone
}

func isUnavailable(err error) bool {
	return errors.Is(err, ErrCircuitOpen) || errors.Is(err, ErrConnection) || errors.Is(err, ErrRateLimited) || errors.Is(err, ErrPoolTimeout)
}
