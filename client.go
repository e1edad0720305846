package holdfast

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Client calls one service over HTTP: one pool of connections, one breaker, one
// bulkhead, shared by all who call. Make one for each service, keep it as long
// as the program runs, and Close it at the end. It is safe for any number of
// goroutines.
//
// A call blocks its goroutine, and its context bounds it; there are no other
// variants.
type Client struct {
	shared   shared
	resolved atomic.Pointer[resolved]
	running  running
}

// resolved is a client's settings as operations need them. An operation loads them
// once, and they never change.
type resolved struct {
	engine.Rules
	settings
	limits    wire.Limits // of an attempt's phases, for a call without a limit of its own
	transport http.RoundTripper
	own       *wire.Transport // nil for a transport of WithTransport
}

// New makes a client, to be closed when it is no longer needed. It opens no
// connection yet. The error names every field of cfg that is out of bounds.
func New(cfg Config, opts ...Option) (*Client, error) {
	ck := check{}
	all := ck.collect(opts, forClient)
	s, err := cfg.resolve()
	if err := errors.Join(err, ck.err()); err != nil {
		return nil, err
	}
	c := new(Client)
	r := &resolved{settings: s, transport: all.transport}
	if r.transport == nil {
		r.own = wire.NewTransport(wire.TransportConfig{
			Connect: s.timeouts.Connect, MaxConns: s.pool.MaxConns, MaxIdleConns: s.pool.MaxIdleConns,
			IdleExpiry: s.pool.IdleExpiry, Dial: all.dial, TLS: all.tls,
		})
		r.transport = r.own
	}
	t := &s.timeouts
	r.limits = wire.Limits{Connect: t.Connect, Write: t.Write, Read: t.Read, Acquire: t.Acquire}
	if s.readIsAttempt {
		r.limits.Read = t.Attempt
	}
	var b *Breaker
	if s.breaker.Threshold > 0 {
		b = newBreaker(s.breakerName, s.breaker, s.eachCounts, all.observer())
	}
	var h *Bulkhead
	if s.bulkhead.Permits > 0 {
		h = newBulkhead(s.bulkheadName, s.bulkhead)
	}
	c.shared.init(s.name, all, b, h)
	c.shared.Timed = true
	r.Rules = engine.Rules{Retry: s.retry, Attempt: t.Attempt, Total: t.Total, Waiters: s.bulkhead.Queue}
	r.Fast = c.shared.FastPath(&r.Rules)
	c.resolved.Store(r)
	return c, nil
}

// Get calls path below the base URL and reads the whole answer, within the attempt.
// The error, also of an answer of 400 and above and of a redirect, is an *Error.
// The other methods do the same.
func (c *Client) Get(ctx context.Context, path string, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodGet, path, nil, opts)
}

// Post sends in, as JSON or as Call says, and reads the whole answer; see Get.
func (c *Client) Post(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPost, path, in, opts)
}

// Put sends in, as JSON or as Call says, and reads the whole answer; see Get.
func (c *Client) Put(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPut, path, in, opts)
}

// Patch sends in, as JSON or as Call says, and reads the whole answer; see Get.
func (c *Client) Patch(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPatch, path, in, opts)
}

// Delete calls path below the base URL and reads the whole answer; see Get.
func (c *Client) Delete(ctx context.Context, path string, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodDelete, path, nil, opts)
}

// Healthy asks the service whether it is well: a GET of path, once. The error is
// nil for an answer that the caller could use, and otherwise what any call's
// would be. It asks the breaker, so that a service which is known to be down is
// left alone, and never feeds it: a health check says nothing of the calls that
// are made for somebody. Give it a limit of its own, by WithAttemptTimeout or the
// context; there is no point in waiting long for a service that is not well.
func (c *Client) Healthy(ctx context.Context, path string, opts ...CallOption) error {
	check := func(o *callOptions) { o.check = true }
	_, err := c.buffered(ctx, http.MethodGet, path, nil, append([]CallOption{check}, opts...))
	return err
}

// Call sends in as JSON to path below the client's base URL, and decodes the
// answer into an Out. The answer is read within the attempt, so that one which
// breaks off is repeated.
//
// in may be nil for no body, and a []byte or json.RawMessage is sent as it is.
// A body that is a reader goes through Client.Do. The error is an *Error; one
// that is ErrDecode means that the call was made and answered.
func Call[Out any](ctx context.Context, c *Client, method, path string, in any, opts ...CallOption) (Out, error) {
	var out Out
	resp, err := c.buffered(ctx, method, path, in, opts)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(resp.Body, &out); err != nil {
		return out, &Error{
			Name: c.shared.name, Method: method, URL: shown(resp.target), RequestID: resp.RequestID,
			Stopped: "answered", Err: fmt.Errorf("decoding %T from %d bytes: %w", out, len(resp.Body), wire.RedactedJSON(err)), kind: ErrDecode,
		}
	}
	return out, nil
}

// Get calls path and decodes the answer into an Out; see Call.
func Get[Out any](ctx context.Context, c *Client, path string, opts ...CallOption) (Out, error) {
	return Call[Out](ctx, c, http.MethodGet, path, nil, opts...)
}

// Post sends in and decodes the answer into an Out; see Call.
func Post[Out any](ctx context.Context, c *Client, path string, in any, opts ...CallOption) (Out, error) {
	return Call[Out](ctx, c, http.MethodPost, path, in, opts...)
}

// Do makes a request of the caller's own and hands out the answer with its body
// still to be read: for uploads and downloads, and for what must not be held in
// memory. The caller closes the body; until then it occupies its slot.
//
// req's URL may be relative, and is then below the base URL; an absolute one has
// to be at the base URL's origin, since the client's headers go with it. A body
// is repeated if req.GetBody is set, as http.NewRequest does for readers that it
// knows; one that can be read once is sent once. The attempt's limit ends with
// the headers; from there the context and Timeouts.Total count.
//
// An answer of 400 and above, or a redirect, is an *Error whose *StatusError has
// the beginning of its body.
func (c *Client) Do(req *http.Request, opts ...CallOption) (*http.Response, error) {
	o, err := c.live(req, opts)
	if err != nil {
		if req.Body != nil { // a RoundTripper would close it, whatever happens
			_ = req.Body.Close()
		}
		return nil, err
	}
	err = o.run()
	switch {
	case o.out != nil: // with an error, too: a declining answer of the SDK transport
		return o.out.answer.(*http.Response), nil
	case o.spare != nil:
		return o.spare, nil
	}
	return nil, err
}

// Breaker is the client's circuit breaker, nil if it has none.
func (c *Client) Breaker() *Breaker { return c.shared.breaker }

// Close ends the client at once: running calls end with ErrClosed, their
// connections are closed, and so does every later call. Calling it again does
// nothing.
func (c *Client) Close() error {
	c.running.close()
	c.running.endAll()
	c.closeAll()
	return nil
}

// Shutdown refuses new calls with ErrClosed, waits for the running ones, bodies
// that callers still read among them, and then closes the connections. If ctx ends
// first, Shutdown returns its error, and the running calls go on; Close ends
// them.
func (c *Client) Shutdown(ctx context.Context) error {
	c.running.close()
	if !c.running.wait(ctx) {
		return fmt.Errorf("holdfast: %s: shutdown has left calls running (%d): %w", c.shared.name, c.running.count(), context.Cause(ctx))
	}
	c.closeAll()
	return nil
}

// Format prints the client's name and address, whatever the verb: among its
// settings are credentials.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "holdfast.Client{%s %s}", c.shared.name, wire.Shown(c.resolved.Load().base))
}

func (c *Client) closeAll() {
	if own := c.resolved.Load().own; own != nil {
		own.Close()
	}
}

func (c *Client) closeIdle() {
	if own := c.resolved.Load().own; own != nil {
		own.CloseIdleConnections()
	}
}

// rejectEarly returns the error of a call that an open breaker rejects, nil if the
// call has to take the long way. In an outage nearly every call is rejected, each
// with a small stack and a cold cache: so it is rejected before it has a request.
// A call that an observer listens to, a closed client, and a breaker whose time is
// over have the long way, which returns the same error.
func (c *Client) rejectEarly(ctx context.Context, method string, target *url.URL, h http.Header, with *callOptions) error {
	b := c.shared.breaker
	if b == nil {
		return nil
	}
	if _, open := b.handle.Load().Open(); !open || c.shared.Listener.Wants(ctx) || c.running.closed.Load() {
		return nil
	}
	w := world.Of(ctx)
	r := b.rejects(w)
	if r == nil {
		return nil
	}
	allowed := with.Total
	if theirs, ok := ctx.Deadline(); ok {
		if left := w.Until(theirs); allowed == 0 || left < allowed {
			allowed = left
		}
	}
	e := rejected(b.reject(ctx, w, r), allowed)
	e.Name, e.Method, e.URL, e.RequestID = c.shared.name, method, wire.Shown(target), with.givenID(h)
	if e.RequestID == "" {
		e.RequestID = unsentID(w)
	}
	c.shared.counts.ended(false, 0, 0)
	return e
}

// unsentID is an id that no service sees, so that the system's source of chance is
// not needed.
//
//go:noinline
func unsentID(w world.World) string {
	var b [16]byte
	w.Noise(&b)
	return uuid(b)
}

// givenID is the id that a call's options or its header h bring along; empty if it
// is to be made.
func (with *callOptions) givenID(h http.Header) string {
	for _, h := range [...]http.Header{with.header, h, with.resolved.header} {
		if ids := h[with.idHeader]; len(ids) > 0 {
			return cmp.Or(ids[0], with.key)
		}
	}
	return with.key
}
