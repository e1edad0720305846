package rivals

import (
	"context"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// Sender is a client that works like http.Client.Do: it takes a request and returns
// an answer, and the caller reads and closes the body.
type Sender interface {
	// Send sends a request. It does not retry a call that is not repeatable, unless
	// the library has no setting for that.
	Send(req *http.Request, repeatable bool) (*http.Response, error)
}

// sender makes an adapter of a Sender: it reads each answer in the terms' bounds.
type sender struct {
	Sender
	terms conformance.Terms
	close func()
	told  func() int64 // attempts so far; nil if the library does not tell
}

func (s sender) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	req, err := call.Request(ctx)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	resp, err := s.Send(req, call.Repeatable())
	return read(resp, err, s.terms)
}

func (s sender) Close() { s.close() }

func (s sender) Attempts() (int64, bool) {
	if s.told == nil {
		return 0, false
	}
	return s.told(), true
}

// httpClients are two clients of one library. One of them retries. The other does
// not: it is for calls that are not repeatable, if the library has no hook for them.
type httpClients struct{ repeating, single doer }

// doer has the method of *http.Client that sends a request.
type doer interface {
	Do(*http.Request) (*http.Response, error)
}

func (c httpClients) Send(req *http.Request, repeatable bool) (*http.Response, error) {
	if repeatable {
		return c.repeating.Do(req)
	}
	return c.single.Do(req)
}
