package holdfast

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/holdfast-go/holdfast/internal/shell"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Client calls one service over HTTP: one pool of connections, one breaker, one
// bulkhead, shared by all who call. Make one for each service, keep it as long
// as the program runs, and Close it at the end. It is safe for any number of
// goroutines.
//
// A call blocks its goroutine, and its context bounds it; there are no other
// variants.
type Client struct {
	settings  settings
	rules     rules
	limits    wire.Limits // of an attempt's phases, for a call that has no limit of its own
	transport http.RoundTripper
	own       *wire.Transport // nil if the transport is somebody else's
	running   running
	counts    counters
}

// New makes a client, to be closed when it is no longer needed. It opens no
// connection yet. The error names every field of cfg that is out of bounds.
func New(cfg Config, opts ...Option) (*Client, error) {
	s, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	all := collect(opts)
	c := &Client{settings: s, transport: all.transport}
	if c.transport == nil {
		c.own = wire.NewTransport(wire.TransportConfig{
			Connect: s.timeouts.Connect, MaxConns: s.pool.MaxConns, MaxIdleConns: s.pool.MaxIdleConns,
			IdleExpiry: s.pool.IdleExpiry, Dial: all.dial, TLS: all.tls,
		})
		c.transport = c.own
	}
	c.rules = rules{
		name: s.name, retry: s.retry, attempt: s.timeouts.Attempt, total: s.timeouts.Total,
		pause: new(shell.Pause), mayHold: cmp.Or(s.bulkhead.Queue, 1000),
		observer: all.observer(), counts: &c.counts,
	}
	t := &s.timeouts
	c.limits = wire.Limits{Connect: t.Connect, Write: t.Write, Read: t.Read, Pool: t.Acquire}
	if s.readIsAttempt {
		c.limits.Read = t.Attempt
	}
	if s.breaker.Threshold > 0 {
		c.rules.breaker = newBreaker(s.breakerName, s.breaker, s.eachCounts, c.rules.observer)
	}
	if s.bulkhead.Slots > 0 {
		c.rules.bulkhead = newBulkhead(s.bulkheadName, s.bulkhead)
	}
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
	check := func(o *callOptions) { o.isCheck = true }
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
			Name: c.rules.name, Method: method, URL: shown(resp.target), RequestID: resp.RequestID,
			Stopped: "answered", Err: fmt.Errorf("decoding %T from %d bytes: %w", out, len(resp.Body), wire.Undecoded(err)), kind: ErrDecode,
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
	if err := o.run(); err != nil && o.spare == nil {
		return nil, err
	}
	return cmp.Or(o.raw, o.spare), nil
}

// Breaker is the client's circuit breaker, nil if it has none.
func (c *Client) Breaker() *Breaker { return c.rules.breaker }

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
	select {
	case <-c.running.none():
	case <-ctx.Done():
		return fmt.Errorf("holdfast: %s: shutdown has left calls running (%d): %w", c.rules.name, c.running.count(), context.Cause(ctx))
	}
	c.closeAll()
	return nil
}

// Format prints the client's name and address, whatever the verb: among its
// settings are credentials.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "holdfast.Client{%s %s}", c.rules.name, wire.Shown(c.settings.base))
}

func (c *Client) closeAll() {
	if c.own != nil {
		c.own.Close()
	}
}

func (c *Client) closeIdle() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// running is the calls that have begun and not ended, so that Close can end them
// and Shutdown can wait. A call is one of them until its body is closed.
type running struct {
	mu     sync.Mutex
	closed bool
	newest *exchange // the others hang on it
	calls  int
	empty  chan struct{} // made by who waits for the last; closed by it
	told   func()        // once, when it is closed; nil for nobody
}

// add is false if the client is closed.
func (r *running) add(o *exchange) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if o.older = r.newest; o.older != nil {
		o.older.newer = o
	}
	r.newest = o
	r.calls++
	return true
}

func (r *running) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

func (r *running) remove(o *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.newer != nil:
		o.newer.older = o.older
	case r.newest == o:
		r.newest = o.older
	default: // it is none of them
		return
	}
	if o.older != nil {
		o.older.newer = o.newer
	}
	o.newer, o.older = nil, nil
	r.calls--
	if r.calls == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

// close refuses whoever comes from now on.
func (r *running) close() {
	r.mu.Lock()
	r.closed = true
	told := r.told
	r.told = nil
	r.mu.Unlock()
	if told != nil {
		told()
	}
}

// whenClosed has f called when the client is closed.
func (r *running) whenClosed(f func()) {
	r.mu.Lock()
	r.told = f
	r.mu.Unlock()
}

func (r *running) endAll() {
	r.mu.Lock()
	all := make([]*exchange, 0, r.calls)
	for o := r.newest; o != nil; o = o.older {
		all = append(all, o)
	}
	r.mu.Unlock()
	for _, o := range all {
		o.abort()
	}
}

// none is closed when the last call has ended.
func (r *running) none() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.empty == nil {
		r.empty = make(chan struct{})
		if r.calls == 0 {
			done := r.empty
			r.empty = nil
			close(done)
			return done
		}
	}
	return r.empty
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}
