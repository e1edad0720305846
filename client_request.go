package holdfast

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// buffered makes a call whose answer is read within the attempt.
func (c *Client) buffered(ctx context.Context, method, path string, in any, opts []CallOption) (*Response, error) {
	o, err := c.encoded(ctx, method, path, in, opts, buffered{}, acceptJSON)
	if err != nil {
		return nil, err
	}
	if err := o.run(); err != nil {
		return nil, err
	}
	resp := o.attempts.Load().answer.(*Response)
	resp.Attempts = o.Made
	return resp, nil
}

// acceptJSON is one for all calls, and so never written to.
var acceptJSON = []string{"application/json"}

// encoded prepares a call with a body that is in memory. http.NewRequest would
// parse the URL again.
func (c *Client) encoded(ctx context.Context, method, path string, in any, opts []CallOption, to receiver, accept []string) (*clientCall, error) {
	r := c.resolved.Load()
	target, err := wire.Target(r.base, path)
	if err != nil {
		return nil, c.misuse(method, wire.Shown(r.base), err)
	}
	body, mediaType, err := encode(in)
	if err != nil {
		return nil, c.misuse(method, wire.Shown(target), err)
	}
	with, err := c.with(r, method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.rejectEarly(ctx, method, target, nil, &with); err != nil {
		return nil, err
	}
	o := &clientCall{client: c, receiver: to}
	h := make(http.Header, 4)
	o.ask(&http.Request{Method: method, URL: target, Host: target.Host, Header: h})
	with.addHeaders(h)
	if h["Accept"] == nil {
		h["Accept"] = accept
	}
	if body != nil {
		if h["Content-Type"] == nil {
			h["Content-Type"] = []string{mediaType}
		}
		o.request.ContentLength = int64(len(body))
		o.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	o.prepare(ctx, &with)
	return o, nil
}

// live prepares a call whose body the caller reads.
func (c *Client) live(in *http.Request, opts []CallOption) (*clientCall, error) {
	ctx, r := in.Context(), c.resolved.Load()
	target, base := in.URL, r.base
	switch {
	case target == nil:
		return nil, c.misuse(in.Method, wire.Shown(base), errors.New("the request has no URL"))
	case target.Scheme == "" && target.Host == "":
		var err error
		if target, err = wire.Target(base, target.String()); err != nil {
			return nil, c.misuse(in.Method, wire.Shown(base), err)
		}
	case !wire.SameOrigin(target, base) && target.User != nil:
		// What was taken for a host may be a part of the password.
		return nil, c.misuse(in.Method, wire.Shown(base),
			fmt.Errorf("the request's URL has a user or password in it, and is not at the origin of the base URL, which is %s://%s", base.Scheme, base.Host))
	case !wire.SameOrigin(target, base):
		return nil, c.misuse(in.Method, wire.Shown(target),
			fmt.Errorf("%s://%s is not the origin of the base URL, which is %s://%s", target.Scheme, target.Host, base.Scheme, base.Host))
	}
	ck := check{}
	for name, values := range in.Header {
		ck.header("the request", name, values)
	}
	if err := ck.err(); err != nil {
		return nil, c.misuse(in.Method, wire.Shown(target), err)
	}
	method := cmp.Or(in.Method, http.MethodGet)
	with, err := c.with(r, method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.rejectEarly(ctx, method, target, in.Header, &with); err != nil {
		return nil, err
	}
	o := &clientCall{client: c, receiver: with.receiver, chunked: true}
	o.ask(in)
	req := o.request
	if req.Header = in.Header.Clone(); req.Header == nil {
		req.Header = http.Header{}
	}
	req.URL, req.Host, req.Body, req.GetBody = target, cmp.Or(in.Host, target.Host), nil, nil
	switch {
	case in.Body == nil || in.Body == http.NoBody:
	case in.GetBody != nil:
		first := in.Body
		o.body = func() (io.ReadCloser, error) {
			if body := first; body != nil {
				first = nil
				return body, nil
			}
			return in.GetBody()
		}
	default:
		o.upload = wire.NewUpload(in.Body, in.ContentLength, r.Retry.Retries > 0)
		o.body = o.upload.Open
	}
	with.addHeaders(req.Header)
	o.upgrade = req.Header["Upgrade"] != nil
	o.prepare(ctx, &with)
	return o, nil
}

// ask takes over the parts of a request. What they refer to is still the caller's.
func (o *clientCall) ask(req *http.Request) {
	o.initial = *req.WithContext(&o.first.once.wire)
	o.initial.Method = cmp.Or(req.Method, http.MethodGet)
	o.request = &o.initial
}

// prepare gives the operation its settings, its id, its time and its context.
func (o *clientCall) prepare(ctx context.Context, with *callOptions) {
	o.shared, o.with, o.repeat = &o.client.shared, with.resolved, with.repeat
	h := o.request.Header
	if ids := h[o.with.idHeader]; len(ids) > 0 {
		o.id = ids[0]
	}
	made := o.id == ""
	if made {
		if o.id = with.key; o.id == "" {
			o.id = newID(world.Of(ctx))
		}
		o.ids[0] = o.id
		h[o.with.idHeader] = o.ids[:]
	}
	switch {
	case with.key != "":
		h.Set("Idempotency-Key", with.key)
	case o.with.alsoAsKey && h.Get("Idempotency-Key") == "":
		h.Set("Idempotency-Key", o.id)
	}

	if o.with.authorize == nil { // which may add to each attempt's headers
		o.unpack = wire.AsksGzip(o.with.transport, o.request)
	}

	o.Begin(o.instrument(ctx), &o.shared.Engine, &o.with.Rules, o)
	o.AttemptLimit, o.Check = with.attempt, with.check
	if o.Check {
		o.Schedule = new(retry.Config) // without retries
	}
	o.limits = &o.with.limits
	if o.with.readIsAttempt && with.attempt != o.limits.Read {
		own := *o.limits
		own.Read = with.attempt
		o.limits = &own
	}
	o.own.Init(o.Caller, o.OwnDeadline())
	o.Context = &o.own
	if !o.Watched {
		return
	}
	if made && with.key == "" {
		o.tell(Event{Kind: EventKeyGenerated, Time: o.Began})
	}
	o.tell(Event{Kind: EventStarted, Time: o.Began, Limit: with.attempt})
}

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	*resolved // the client's settings
	attempt   time.Duration
	header    http.Header
	key       string
	repeat    Repeat
	check     bool     // of health: see Client.Healthy
	receiver  receiver // of Do
	problem   error
}

// with is the client's settings with a call's options.
func (c *Client) with(r *resolved, method string, target *url.URL, opts []CallOption) (callOptions, error) {
	all := callOptions{resolved: r, attempt: r.Attempt, repeat: r.repeat, receiver: handedOut{}}
	if len(opts) == 0 {
		return all, nil
	}
	chosen := new(callOptions) // of its own: a call without options allocates nothing
	*chosen = all
	for _, opt := range opts {
		opt(chosen)
	}
	if chosen.problem != nil {
		return all, c.misuse(method, wire.Shown(target), chosen.problem)
	}
	return *chosen, nil
}

// addHeaders gives a request the call's headers and the client's. The call's wins
// over the request's own, and that over the client's.
func (with *callOptions) addHeaders(h http.Header) {
	for name, values := range with.header {
		h[name] = values
	}
	for name, values := range with.resolved.header {
		if h[name] == nil {
			h[name] = values
		}
	}
}

// WithAttemptTimeout limits each attempt of this call, instead of
// Timeouts.Attempt; Off for no limit. The context bounds the whole call.
func WithAttemptTimeout(d time.Duration) CallOption {
	return func(o *callOptions) {
		switch {
		case d == Off:
			o.attempt = 0
		case d <= 0 || d > longest:
			o.problem = fmt.Errorf("holdfast: WithAttemptTimeout is %v: must be positive and at most %v, or Off", d, longest)
		default:
			o.attempt = d
		}
	}
}

// WithHeader sends a header with this call, instead of what Config.Header says of
// it.
func WithHeader(name, value string) CallOption {
	return func(o *callOptions) {
		ck := check{}
		ck.header("WithHeader", name, []string{value})
		if err := ck.err(); err != nil {
			o.problem = err
			return
		}
		if o.header == nil {
			o.header = http.Header{}
		}
		o.header.Set(name, value)
	}
}

// WithIdempotencyKey sends key as Idempotency-Key, and as the operation's id
// where no other was given: for a call that must not be made twice even by
// different processes.
func WithIdempotencyKey(key string) CallOption {
	return func(o *callOptions) {
		if key == "" || !plain(key) {
			o.problem = fmt.Errorf("holdfast: WithIdempotencyKey is empty or has a control character: must be printable")
			return
		}
		o.key = key
	}
}

// WithNoRepeat sends this call once if it may have reached the service, whatever
// its method; see RepeatNever.
func WithNoRepeat() CallOption {
	return func(o *callOptions) { o.repeat = RepeatNever }
}

// Response is an answer, read to its end: there is nothing to close.
type Response struct {
	Status    int
	Proto     string // HTTP/1.1 or HTTP/2.0
	Header    http.Header
	Body      []byte
	RequestID string // the operation's
	Attempts  int    // how many it took

	target *url.URL
}

// Decode decodes the body, which is JSON, into v.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return &Error{URL: shown(r.target), RequestID: r.RequestID, Err: wire.RedactedJSON(err), kind: ErrDecode}
	}
	return nil
}

// shown is an address as errors show it, empty for none.
func shown(u *url.URL) string {
	if u == nil {
		return ""
	}
	return wire.Shown(u)
}

// encode makes a body of what a caller hands in, and says what type it is.
func encode(in any) (body []byte, mediaType string, err error) {
	switch in := in.(type) {
	case nil:
		return nil, "", nil
	case []byte:
		return in, "application/octet-stream", nil
	case json.RawMessage:
		return in, "application/json", nil
	case io.Reader:
		return nil, "", fmt.Errorf("a %T cannot be encoded as JSON: send it with Client.Do", in)
	}
	body, err = json.Marshal(in)
	return body, "application/json", err
}

// newID is a UUIDv4 (RFC 9562, 5.4). The system is asked for each: bytes kept for
// the next id would be the same in every machine that starts from one snapshot, and
// two payments would have one key.
func newID(w world.World) string {
	var b [16]byte
	w.Random(b[:])
	return uuid(b)
}

// uuid makes a UUIDv4 of bytes of chance.
func uuid(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	const hex = "0123456789abcdef"
	id := make([]byte, 0, 36)
	for i, v := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			id = append(id, '-')
		}
		id = append(id, hex[v>>4], hex[v&15])
	}
	return string(id)
}

// misuse is a call that could not be made: the error of a caller's own mistake.
func (c *Client) misuse(method, shown string, err error) *Error {
	return &Error{
		Name: c.shared.name, Method: method, URL: shown, Err: err, kind: ErrInvalidRequest,
		Stopped: "the request cannot be made",
	}
}
