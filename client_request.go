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

	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// buffered makes a call and reads its answer within the attempt.
func (c *Client) buffered(ctx context.Context, method, path string, in any, opts []CallOption) (*Response, error) {
	o, err := c.encodedCall(ctx, method, path, in, opts, bufferedReceiver{}, acceptJSON)
	if err != nil {
		return nil, noted(ctx, err)
	}
	if err := o.run(); err != nil {
		return nil, err
	}
	last := o.attempts.Load()
	resp := last.answer.(*Response)
	resp.Attempts, resp.took = int(o.Made), last.Took
	return resp, nil
}

// acceptJSON is shared by all calls and never changed.
var acceptJSON = []string{"application/json"}

// encodedCall prepares a call with its body in memory. It does not use
// http.NewRequest, which would parse the URL again.
func (c *Client) encodedCall(ctx context.Context, method, path string, in any, opts []CallOption, to receiver, accept []string) (*clientCall, error) {
	r := c.resolved.Load()
	target, err := wire.Target(r.base, path)
	if err != nil {
		return nil, c.invalid(method, wire.Shown(r.base), err)
	}
	if err := cmp.Or(checkMethod(method), checkTarget(target)); err != nil {
		return nil, c.invalid(shownName(method), wire.Shown(target), err)
	}
	body, mediaType, err := encode(in)
	if err != nil {
		return nil, c.invalid(method, wire.Shown(target), err)
	}
	with, err := c.options(r, method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.rejectEarly(ctx, method, target, nil, &with); err != nil {
		return nil, err
	}
	o := &clientCall{client: c, receiver: to}
	h := make(http.Header, 4)
	o.setRequest(&http.Request{Method: method, URL: target, Host: target.Host, Header: h})
	with.addHeaders(o.request)
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
	o.begin(ctx, &with, o.body)
	return o, nil
}

// requestCall prepares a call of the caller's own request.
func (c *Client) requestCall(in *http.Request, opts []CallOption) (*clientCall, error) {
	ctx, r := in.Context(), c.resolved.Load()
	target, base := in.URL, r.base
	var err error
	shown := base
	switch {
	case target == nil:
		err = errors.New("the request has no URL")
	case checkTarget(target) != nil:
		err = checkTarget(target)
	case target.Scheme == "" && target.Host == "":
		target, err = wire.Target(base, target.String())
	case !wire.SameOrigin(target, base) && target.User != nil: // the host may be a part of the password
		err = fmt.Errorf("the request's URL has a user or password in it, and is not at the origin of the base URL, which is %s://%s", base.Scheme, base.Host)
	case !wire.SameOrigin(target, base):
		shown, err = target, fmt.Errorf("%s://%s is not the origin of the base URL, which is %s://%s", target.Scheme, target.Host, base.Scheme, base.Host)
	}
	if err == nil {
		shown, err = target, checkRequest(in, target)
	}
	if err != nil {
		return nil, c.invalid(shownName(in.Method), wire.Shown(shown), err)
	}
	method := cmp.Or(in.Method, http.MethodGet)
	with, err := c.options(r, method, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.rejectEarly(ctx, method, target, in.Header, &with); err != nil {
		return nil, err
	}
	o := &clientCall{client: c, receiver: with.receiver, chunked: true}
	o.setRequest(in)
	req := o.request
	if req.Header = in.Header.Clone(); req.Header == nil {
		req.Header = http.Header{}
	}
	req.URL, req.Host, req.Body, req.GetBody = wire.WithoutBlanks(target), cmp.Or(in.Host, target.Host), nil, nil
	req.Cancel = nil //lint:ignore SA1019 watchCancel has the caller's
	if _, ofSDK := with.receiver.(transportReceiver); ofSDK {
		delete(req.Header, "Host") // net/http does not send it
	} else if err = checkFraming(req.Header); err == nil {
		err = moveHost(req)
	}
	if in.Body == nil || in.Body == http.NoBody {
		req.ContentLength = 0
	} else if err == nil {
		o.takeBody(in, r.Retry.Retries > 0)
	}
	with.addHeaders(req)
	if err != nil {
		return nil, c.invalid(method, wire.Shown(target), err)
	}
	o.upgrade = req.Header["Upgrade"] != nil
	o.begin(o.watchCancel(in), &with, o.bodyForScope(in))
	return o, nil
}

// bodyForScope gives the body of a caller's request without touching it, nil if that is not
// possible.
func (o *clientCall) bodyForScope(in *http.Request) func() (io.ReadCloser, error) {
	switch {
	case o.body == nil:
		return nil
	case o.spend != nil: // it is in memory
		return o.body
	}
	return in.GetBody
}

// takeBody takes over the body of a caller's request. Its length is sent if it is known: of
// a body in memory, and of a file, unless trailers follow it. If it is not the one that the
// request announces, the attempt fails before it sends anything.
func (o *clientCall) takeBody(in *http.Request, repeat bool) {
	length, known := int64(0), false
	if memory, ok := wire.InMemory(in.Body); ok {
		o.chunked = in.ContentLength < 0 || in.Header["Expect"] != nil
		o.body, o.spend = func() (io.ReadCloser, error) { return memory.Open(), nil }, memory.Spend
		length, known = memory.Length, true
	} else if in.GetBody != nil {
		first := in.Body
		o.body = func() (io.ReadCloser, error) {
			if body := first; body != nil {
				first = nil
				return body, nil
			}
			return in.GetBody()
		}
	} else {
		o.upload = wire.NewUpload(in.Body, in.ContentLength, repeat)
		o.body = o.upload.Open
		length, known = o.upload.Size()
	}
	chosen := in.ContentLength == 0 && len(in.TransferEncoding) == 0 && len(in.Trailer) == 0 // by the client
	switch {
	case !known || in.ContentLength < 0:
	case in.ContentLength > 0 && in.ContentLength != length:
		o.body = func() (io.ReadCloser, error) {
			return nil, mistaken("http: ContentLength=%d with Body length %d", in.ContentLength, length)
		}
	case chosen && length == 0:
		if o.upload != nil {
			o.upload.Close()
		}
		o.upload, o.body = nil, nil
	case chosen:
		o.request.ContentLength = length
	}
}

// encode returns in as a body and its media type.
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

// invalid is the error of a call that cannot be made.
func (c *Client) invalid(method, shown string, err error) *Error {
	return &Error{
		Name: c.shared.name, Method: method, URL: shown, Err: err, kind: ErrInvalidRequest,
		Stopped: "the request cannot be made",
	}
}

// recordRejection is not inlined, because an Event is large.
//
//go:noinline
func (c *Client) recordRejection(ctx context.Context, w world.World, target *url.URL, e *Error) {
	c.shared.recorder.Observe(ctx, Event{
		Kind: EventFailed, Time: w.Now(), Name: e.Name, RequestID: e.RequestID, Method: e.Method, Path: target.EscapedPath(),
		Of: c.resolved.Load().Retry.Most() + 1, Err: e, Reason: e.Reason,
	})
}

// rejectEarly returns the error of a call that an open breaker rejects, before the call
// has a request: in an outage nearly every call is rejected, each with a small stack
// and a cold cache. It returns nil if the call has to take the full path, which returns
// the same error: an observer receives its events, the client is closed, or the breaker
// may admit it.
func (c *Client) rejectEarly(ctx context.Context, method string, target *url.URL, h http.Header, with *callOptions) error {
	b := c.shared.breaker
	if b == nil || with.config.Scope != nil {
		return nil
	}
	if _, open := b.handle.Load().Open(); !open || c.shared.Listener.Wants(ctx) || c.running.closed.Load() {
		return nil
	}
	w := world.Of(ctx)
	r := b.hooks().rejects(w)
	if r == nil {
		return nil
	}
	c.shared.window.began(r.RetryAt.UnixNano()-int64(w.Until(r.RetryAt)), &c.shared)
	allowed := with.Total
	if deadline, ok := ctx.Deadline(); ok {
		if left := w.Until(deadline); allowed == 0 || left < allowed {
			allowed = left
		}
	}
	e := &Error{
		Name: c.shared.name, Method: method, URL: wire.Shown(target), RequestID: with.givenID(h),
		Stopped: breakerIsOpen, Reason: ReasonBreaker, Allowed: allowed, Err: b.hooks().reject(ctx, w, r), kind: ErrCircuitOpen,
	}
	if e.RequestID == "" {
		e.RequestID = unsentID(w)
	}
	c.shared.counts.operation(false, 0, 0)
	if c.shared.recorder != nil {
		c.recordRejection(ctx, w, target, e)
	}
	return e
}

// givenID is the id in the call's options or headers, h among them, empty if there is
// none.
func (o *callOptions) givenID(h http.Header) string {
	for _, h := range [...]http.Header{o.header, h, o.config.Header} {
		if ids := h[o.config.RequestIDHeader]; len(ids) > 0 {
			return cmp.Or(ids[0], o.key)
		}
	}
	return o.key
}

// unsentID is an id for a call that is not sent: it needs no secure random numbers.
//
//go:noinline
func unsentID(w world.World) string {
	return uuid(w.Noise())
}

// newID returns a UUIDv4 (RFC 9562, 5.4). It asks the system for each: machines that
// start from one snapshot would share stored random numbers, and then ids, and two
// payments would have the same key.
func newID(w world.World) string {
	return uuid(w.Random())
}

// uuid makes a UUIDv4 of random bytes.
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
