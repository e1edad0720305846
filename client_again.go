package holdfast

import (
	"context"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Some answers are explained by the operation's own earlier attempts, or by a credential
// that Authorize would replace. Then the request is worth repeating once more.

// keyInUse reports whether an earlier attempt with the same Idempotency-Key may have been
// read: a 409 may be about that one.
func (a *clientAttempt) keyInUse() bool {
	return a.call.request.Header.Get("Idempotency-Key") != "" && a.call.mayHaveBeenSent()
}

// misplaced reports whether an earlier attempt was answered with 421 or 425, or as those:
// such a request is sent again once.
func (a *clientAttempt) misplaced() bool {
	return slices.ContainsFunc(a.call.failure().attempts, func(before Attempt) bool { return before.Class == ClassTooEarly })
}

// declinedKey is the key of the *StatusError in the context of Authorize.
type declinedKey struct{}

// Declined returns the 401 for which Authorize is called a second time within a call, nil
// the first time. Call it with the context of Authorize's request: a token that was
// declined is not to be taken from a cache.
func Declined(ctx context.Context) *StatusError {
	e, _ := ctx.Value(declinedKey{}).(*StatusError)
	return e
}

// authorizesAnew asks Authorize again after a 401, once in a call. It reports whether the
// result differs from what was declined, and keeps it for the next attempt.
func (a *clientAttempt) authorizesAnew(declined *StatusError) bool {
	o := a.call
	authorize := o.resolved.config.Authorize
	if authorize == nil || o.anew != nil {
		return false
	}
	o.anew = new(anew)
	req := o.request.WithContext(context.WithValue(o.Caller, declinedKey{}, declined))
	req.Header, req.Body = o.request.Header.Clone(), nil
	for name, values := range a.added {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	target := *o.request.URL
	req.URL = &target
	var until time.Time // like the limit of the attempt, since the context of that has ended
	if limit := o.AttemptLimit; limit > 0 {
		until = o.Now().Add(limit)
	}
	if ended, err := o.ask(o.Context, until, authorize, req); ended || err != nil || checkHeaders("header", req.Header) != nil {
		return false
	}
	if req.URL.String() == a.authorized.url && maps.EqualFunc(req.Header, a.authorized.header, slices.Equal) {
		return false
	}
	o.anew.request = req
	return true
}

// anew is that Authorize was asked a second time.
type anew struct {
	request *http.Request // what it gave, for the next attempt
}

// authorized is what Authorize made of a request.
type authorized struct {
	header http.Header
	url    string
}

// authorize calls Authorize, or takes what it gave after a 401.
func (a *clientAttempt) authorize(req *http.Request, authorize func(*http.Request) error) error {
	o := a.call
	if o.anew != nil && o.anew.request != nil {
		given := o.anew.request
		o.anew.request = nil
		req.Header, req.URL = given.Header.Clone(), given.URL
	} else if ended, err := o.ask(a.roundTrip, time.Time{}, authorize, req); ended {
		return &authorizeEnded{a.roundTrip.Err()}
	} else if err != nil {
		return wire.WithoutURL(err)
	}
	a.authorized = &authorized{maps.Clone(req.Header), req.URL.String()}
	return nil
}

// authorizeEnded is that an attempt ended before its Authorize did.
type authorizeEnded struct{ error }

func (e *authorizeEnded) Unwrap() error { return e.error }

// ask calls Authorize, in another goroutine since it may block for ever. ended is true if ctx
// ended first, or until came, zero for none: then req is Authorize's.
func (o *clientCall) ask(ctx context.Context, until time.Time, authorize func(*http.Request) error, req *http.Request) (ended bool, err error) {
	var answer struct {
		err      error
		panicked any
		returned bool
	}
	parker := o.World.Parker()
	o.World.Go(func() {
		defer parker.Wake()
		defer func() {
			if !answer.returned {
				answer.panicked = recover()
			}
		}()
		answer.err = authorize(req)
		answer.returned = true
	})
	if parker.Park(ctx, until) != world.ByWake {
		return true, nil // the parker is left to the goroutine
	}
	parker.Free()
	switch {
	case answer.panicked != nil:
		panic(answer.panicked)
	case !answer.returned:
		runtime.Goexit()
	}
	return ctx.Err() != nil, answer.err
}
