package holdfast

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// The door for SDKs: code that has its own ideas of a request and of an answer
// calls through the client's rules, and sees what the service says.

// DoorOption changes what goes through HTTPClient and Transport.
type DoorOption func(*door)

// RepeatPOST lets POST and PATCH be sent again after they may have reached the
// service, whether or not they carry a key: what most SDKs of model APIs do
// themselves. It has no effect if Retry.Repeat is RepeatNever.
func RepeatPOST() DoorOption {
	return func(d *door) { d.repeatPOST = true }
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
func (c *Client) HTTPClient(opts ...DoorOption) *http.Client {
	return &http.Client{
		Transport:     c.Transport(opts...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport is the same for code that wants an http.RoundTripper. An http.Client
// made of it follows redirects on its own, each as an operation of its own;
// HTTPClient does not.
func (c *Client) Transport(opts ...DoorOption) http.RoundTripper {
	d := &door{client: c}
	for _, opt := range opts {
		opt(d)
	}
	return d
}

type door struct {
	client     *Client
	repeatPOST bool
}

// RoundTrip is one operation.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.client.Do(req, d.rules(req))
	if err != nil {
		return nil, err
	}
	asked := req // and not what the last attempt was given
	if last := resp.Request; last != nil && d.client.settings.redirects > 0 && last.URL.String() != req.URL.String() {
		asked = last.WithContext(req.Context()) // where redirects have led to
		asked.Body = nil
	}
	resp.Request = asked
	return resp, nil
}

// CloseIdleConnections is what http.Client's method of that name looks for.
func (d *door) CloseIdleConnections() { d.client.closeIdle() }

// rules are those of an operation that comes through the door.
func (d *door) rules(req *http.Request) CallOption {
	return func(o *callOptions) {
		o.isDoor = true
		switch {
		case o.repeat == RepeatNever:
		case d.repeatPOST:
			o.repeat = RepeatKeyed
		case !d.hasKey(req.Header):
			o.repeat = RepeatSafe
		}
	}
}

// hasKey reports whether the caller has given the request a name of its own, by
// which the service can recognize the second one. The client's id does not count
// here: who wrote the SDK did not ask for it.
func (d *door) hasKey(h http.Header) bool {
	return h.Get("Idempotency-Key") != "" || h.Get("X-Idempotency-Key") != "" || h.Get(d.client.settings.idHeader) != ""
}

// keep is turnedDown at the door, where a refusal is an answer like others. Only
// the schedule knows whether it is the last one: until then nothing of its body
// is read, and it owns its slot like any live answer.
func (o *exchange) keep(trip *wire.Trip, resp *http.Response) outcome.Result {
	arrived := time.Now()
	o.handOut(trip, resp)
	return o.weighed(trip, &StatusError{Status: resp.StatusCode, Header: resp.Header}, arrived)
}

// Backoff gives up the answer that was kept before it waits for a better one.
func (o *exchange) Backoff(d retry.Decision) retry.Reason {
	if o.raw != nil {
		o.giveUp()
	}
	return o.operation.Backoff(d)
}

// giveUp reads the answer's beginning for the error, or for the case that there
// is no better answer, and frees its slot and its connection.
func (o *exchange) giveUp() {
	resp, b := o.raw, &o.bodyRead
	o.raw = nil
	refusal, whole := readRefusal(resp, b.ReadCloser, b.trip.End)
	wire.Drain(b.ReadCloser, b.trip.End)
	b.yield()
	*b = liveBody{}
	o.last().Err = refusal
	if whole {
		resp.Body = io.NopCloser(bytes.NewReader(refusal.Body))
		o.spare = resp
	}
}
