package holdfast

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/wire"
)

// TransportOption changes HTTPClient and Transport, of a Client or a Router.
type TransportOption func(*transport)

// RepeatPOST allows POST and PATCH to be sent again after they may have reached the
// service, with or without a key, as most SDKs of model APIs do. It has no effect if
// Retry.Repeat is RepeatNever.
func RepeatPOST() TransportOption {
	return func(t *transport) { t.repeatPOST = true }
}

// HTTPClient returns the client as an *http.Client, for an SDK: it gives the SDK the
// breaker, the bulkhead, retries, limits, events and logs. Switch off the SDK's own
// retries; otherwise each of its attempts is an operation with retries of its own.
//
// Every answer is returned as an answer once no retry follows, with any status and any
// length of its body. An error means that there is no answer: an open breaker
// (*RejectedError), no permit, a lost connection, a limit. http.Client wraps the error
// in a *url.Error, through which errors.Is and errors.As find it. The text of the
// *url.Error has the URL's query, so send keys in headers.
//
// GET, HEAD, OPTIONS, TRACE, PUT and DELETE are repeated. POST and PATCH are repeated if
// they certainly never left, if the service declined them (429, or 503 with
// Retry-After), or if the caller gave them a key: Idempotency-Key, X-Idempotency-Key or
// Config.RequestIDHeader. RepeatPOST allows all of them. Without it, RepeatSafe as
// Retry.Repeat forbids those with a key, too; RepeatNever always forbids all of them.
//
// Timeouts.Attempt ends with the headers; from there Timeouts.Read, Timeouts.Total and
// the request's context bound the call. A body keeps its permit until it is read to its
// end or closed. Redirects are returned as answers. A request must be at the base URL's
// origin, at any path. Config.Header adds the headers that the request does not have.
func (c *Client) HTTPClient(opts ...TransportOption) *http.Client {
	return &http.Client{
		Transport:     c.Transport(opts...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport returns the transport of HTTPClient, for code that takes an
// http.RoundTripper. An http.Client with this transport follows redirects itself, each
// as an operation of its own.
func (c *Client) Transport(opts ...TransportOption) http.RoundTripper {
	t := &transport{client: c}
	t.apply(opts)
	return t
}

// PlainErrors returns the error of net/http itself, in the place of an *Error, if exactly
// one attempt was made and no limit of the client ended it. It is for code that compares
// errors with == or by their type; see docs/sdks.md. Events, logs and statistics stay the
// same.
func PlainErrors() TransportOption {
	return func(t *transport) { t.plainErrors = true }
}

type transport struct {
	client      *Client
	repeatPOST  bool
	plainErrors bool
}

func (t *transport) apply(opts []TransportOption) {
	for _, opt := range opts {
		opt(t)
	}
}

// RoundTrip makes one operation. It has no pointer receiver, so that a Router can make a
// transport for one call without an allocation.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	o, resp, err := t.client.do(req, []CallOption{t.options(req)})
	if err != nil {
		if wrong, ok := errors.AsType[*mistake](err); ok {
			wrong.hint = ""
		}
		if plain := o.plainError(err); t.plainErrors && plain != nil {
			return nil, plain
		}
		return nil, err
	}
	asked := req // not the request of the last attempt
	if last := resp.Request; last != nil && t.client.resolved.Load().config.MaxRedirects > 0 && last.URL.String() != wire.WithoutBlanks(req.URL).String() {
		asked = last.WithContext(req.Context()) // the last redirect's
		asked.Body = nil
	}
	resp.Request = asked
	return resp, nil
}

// plainError is the error of net/http behind err, nil if there is none to return.
func (o *clientCall) plainError(err error) error {
	if o == nil {
		if wrong, ok := errors.AsType[*mistake](err); ok {
			return wrong
		}
		return nil
	}
	if o.Made != 1 {
		return nil
	}
	plain, _ := o.attempts.Load().answer.(error)
	return plain
}

// CloseIdleConnections is called by the method of that name of http.Client.
func (t transport) CloseIdleConnections() {
	if rt, ok := t.client.resolved.Load().transport.(interface{ CloseIdleConnections() }); ok {
		rt.CloseIdleConnections()
	}
}

func (t transport) options(req *http.Request) CallOption {
	return func(o *callOptions) {
		keyed := o.hasKey(req.Header)
		o.receiver = transportReceiver{keyed: keyed, plainErrors: t.plainErrors}
		o.nested = nestedRetries(req.Header)
		switch {
		case o.repeat == RepeatNever:
		case t.repeatPOST:
			o.repeat = RepeatKeyed
		case !keyed:
			o.repeat = RepeatSafe
		}
	}
}

// hasKey reports whether the caller gave the request a key, by which the service can
// recognize a repeat. The id that the client makes does not count, because the SDK did
// not ask for it.
func (o *callOptions) hasKey(h http.Header) bool {
	return h.Get("Idempotency-Key") != "" || h.Get("X-Idempotency-Key") != "" || h.Get(o.config.RequestIDHeader) != ""
}

var errRetryFollows = errors.New("a retry followed")

// keepDeclined reads the beginning of a declining answer, for the error and for the case
// that no better answer follows. It releases the permit and the connection.
func (o *clientCall) keepDeclined() {
	a := o.handedOver
	resp, body := a.answer.(*http.Response), a.live.ReadCloser
	e, whole := a.readStatusError(resp, body, true)
	a.roundTrip.Drain(body)
	a.live.releaseAttempt()
	o.answered.Store(0)
	o.handedOver = nil // until here, run closes the answer after a panic of its body
	if whole {
		a.live.tell(Success, ClassNone, nil)
	} else {
		a.live.tell(Canceled, ClassCanceled, errRetryFollows)
	}
	if before, ok := o.lastFailed().Err.(*StatusError); ok {
		e.Text = before.Text
	}
	o.lastFailed().Err = e
	o.failure().bound()
	if whole {
		resp.Body = http.NoBody
		if len(e.Body) > 0 {
			resp.Body = io.NopCloser(bytes.NewReader(e.Body))
		}
		o.declined = resp
	}
}
