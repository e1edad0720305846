package holdfast

import (
	"bytes"
	"io"
	"net/http"
)

// The door for SDKs: code that has its own ideas of a request and of an answer
// calls through the client's rules, and sees what the service says.

// TransportOption changes what goes through HTTPClient and Transport.
type TransportOption func(*transport)

// RepeatPOST lets POST and PATCH be sent again after they may have reached the
// service, whether or not they carry a key: what most SDKs of model APIs do
// themselves. It has no effect if Retry.Repeat is RepeatNever.
func RepeatPOST() TransportOption {
	return func(t *transport) { t.repeatPOST = true }
}

// HTTPClient is the client for code that wants an *http.Client: an SDK gets
// breaker, bulkhead, retries, limits, events and logs by this one value. Switch
// the SDK's own retries off, or each of its attempts is an operation with
// retries of its own.
//
// Every answer comes back as an answer, whatever its status and however long its
// body, once no retry follows; an error is what never became an answer: an open
// breaker (*RejectedError), no slot, a lost connection, a limit. http.Client
// wraps it in a *url.Error, through which errors.Is and errors.As find it, and
// whose text has the URL's query: keys belong in headers.
//
// GET, HEAD, OPTIONS, TRACE, PUT and DELETE are repeated. POST and PATCH are
// where they provably never left, where the service refused to do them (429, 503
// with Retry-After), and where they carry a key of the caller's: Idempotency-Key,
// X-Idempotency-Key or Config.RequestIDHeader. RepeatPOST opts into the rest.
// Retry.Repeat can only restrict this.
//
// Timeouts.Attempt ends with the headers, whatever follows them; from there
// Timeouts.Read, Timeouts.Total and the request's context count. A body occupies
// its slot until it is read to its end or closed. Redirects come back as answers.
// A request has to be at the base URL's origin, at any path; Config.Header adds
// what the request does not have.
func (c *Client) HTTPClient(opts ...TransportOption) *http.Client {
	return &http.Client{
		Transport:     c.Transport(opts...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport is the same for code that wants an http.RoundTripper. An http.Client
// made of it follows redirects on its own, each as an operation of its own;
// HTTPClient does not.
func (c *Client) Transport(opts ...TransportOption) http.RoundTripper {
	t := &transport{client: c}
	for _, opt := range opts {
		opt(t)
	}
	return t
}

type transport struct {
	client     *Client
	repeatPOST bool
}

// RoundTrip is one operation.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(req, t.rules(req))
	if err != nil {
		return nil, err
	}
	asked := req // and not what the last attempt was given
	if last := resp.Request; last != nil && t.client.resolved.Load().redirects > 0 && last.URL.String() != req.URL.String() {
		asked = last.WithContext(req.Context()) // where redirects have led to
		asked.Body = nil
	}
	resp.Request = asked
	return resp, nil
}

// CloseIdleConnections is what http.Client's method of that name looks for.
func (t *transport) CloseIdleConnections() { t.client.closeIdle() }

// rules are those of an operation that comes through the door.
func (t *transport) rules(req *http.Request) CallOption {
	return func(o *callOptions) {
		o.receiver = viaTransport{}
		switch {
		case o.repeat == RepeatNever:
		case t.repeatPOST:
			o.repeat = RepeatKeyed
		case !t.hasKey(req.Header):
			o.repeat = RepeatSafe
		}
	}
}

// hasKey reports whether the caller has given the request a name of its own, by
// which the service can recognize the second one. The client's id does not count
// here: who wrote the SDK did not ask for it.
func (t *transport) hasKey(h http.Header) bool {
	return h.Get("Idempotency-Key") != "" || h.Get("X-Idempotency-Key") != "" || h.Get(t.client.resolved.Load().idHeader) != ""
}

// giveUp reads the beginning of a kept answer, for the error or for the case that
// there is no better answer, and frees its permit and its connection.
func (o *clientCall) giveUp() {
	a := o.out
	o.out = nil
	resp, body := a.answer.(*http.Response), a.live.ReadCloser
	refusal, whole := a.readRefusal(resp, body, true)
	a.roundTrip.Drain(body)
	a.live.giveBack()
	o.last().Err = refusal
	if whole {
		resp.Body = io.NopCloser(bytes.NewReader(refusal.Body))
		o.spare = resp
	}
}
