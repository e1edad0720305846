package holdfast

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// errRequestCanceled has net/http's words.
var errRequestCanceled = errors.New("net/http: request canceled")

// cancelOf is Request.Cancel. SDKs and http.Client.Timeout still use it.
//
//lint:ignore SA1019 see above
func cancelOf(in *http.Request) <-chan struct{} { return in.Cancel }

// watchCancel returns the context of the caller of in. It also ends when in.Cancel is
// closed. http.Client.Timeout sets both, a deadline and this channel.
func (o *clientCall) watchCancel(in *http.Request) context.Context {
	ctx, gone := in.Context(), cancelOf(in)
	if gone == nil || !world.Of(ctx).IsReal() {
		return ctx
	}
	watched, cancel := context.WithCancelCause(ctx)
	o.stopWatch = func() { cancel(context.Canceled) }
	left := func() {
		// At a deadline, which of the two comes first is chance. The deadline tells more.
		if deadline, ok := ctx.Deadline(); ok && world.Of(ctx).Until(deadline) < 20*time.Millisecond {
			<-ctx.Done()
			return
		}
		cancel(errRequestCanceled)
	}
	select {
	case <-gone:
		left()
		return watched
	default:
	}
	world.Of(ctx).Go(func() {
		select {
		case <-gone:
			left()
		case <-watched.Done():
		}
	})
	return watched
}

// hasLeft reports whether the caller has left by Request.Cancel or http.Client.Timeout. As
// with a cancellation of the context, that says nothing of the service.
func (o *clientCall) hasLeft() bool {
	return o.stopWatch != nil && (o.Caller.Err() != nil || o.pastDeadline(o.Now()))
}
