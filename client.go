package holdfast

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Client calls one service over HTTP. All its callers share one pool of connections,
// one breaker and one bulkhead. Make one for each service, keep it as long as the
// program runs, and close it at the end. It is safe for concurrent use.
//
// Every call blocks its goroutine, and its context bounds it. There are no
// asynchronous methods.
type Client struct {
	shared   shared
	resolved atomic.Pointer[resolved]
	running  running
	scopes   scopes // of Config.Scope
	dropping dropping
	holding  holding
	nested   atomic.Bool // EventNestedRetries was reported
	byID     atomic.Bool // EventRepeatedByID was reported
}

// resolved has a client's settings. An operation loads it once, and it never changes.
type resolved struct {
	engine.Rules
	config        Config        // resolved
	base          *url.URL      // config.BaseURL
	limits        wire.Limits   // of an attempt's phases, for a call without an option for them
	firstEvent    time.Duration // Timeouts.FirstEvent; zero for that of the attempt
	readIsAttempt bool          // Timeouts.Read follows the limit of the call's attempts
	transport     http.RoundTripper
	own           *wire.Transport // the same; nil for a transport of WithTransport
}

// New returns a client, which has to be closed. It opens no connection yet. The error
// names every field of cfg that is out of bounds.
func New(cfg Config, opts ...Option) (*Client, error) {
	readIsAttempt := cfg.Timeouts.Read == 0
	cfg, err := cfg.resolve()
	v := &validation{}
	all := v.options(opts, forClient)
	if err := errors.Join(err, v.err()); err != nil {
		return nil, err
	}
	t, c := &cfg.Timeouts, new(Client)
	r := &resolved{
		Rules:  engine.Rules{Retry: cfg.Retry.schedule(), Attempt: t.Attempt, Total: t.Total, Waiters: cooldownWaiters},
		config: cfg, base: parsed(cfg.BaseURL), readIsAttempt: readIsAttempt, transport: all.transport,
		limits:     wire.Limits{Connect: t.Connect, Write: t.Write, Read: t.Read, Acquire: t.Acquire, Event: t.Event},
		firstEvent: t.FirstEvent,
	}
	if r.transport == nil {
		r.own = wire.NewTransport(wire.TransportConfig{
			Connect: t.Connect, MaxConns: cfg.Pool.MaxConns, MaxIdleConns: cfg.Pool.MaxIdleConns,
			IdleExpiry: cfg.Pool.IdleExpiry, MaxAge: cfg.Pool.MaxAge, MaxStreams: cfg.Bulkhead.MaxStreams, Attempt: t.Attempt,
			Dial: all.dial, TLS: all.tls, Proxy: proxy(cfg.Proxy), UnencryptedHTTP2: cfg.UnencryptedHTTP2,
		})
		r.transport = r.own
	}
	var b *Breaker
	if cfg.Breaker.FailureThreshold > 0 {
		b = newBreaker(cfg.Breaker, all.observer)
	}
	var h *Bulkhead
	if cfg.Bulkhead.MaxConcurrent > 0 {
		h, r.Waiters = newBulkhead(cfg.Bulkhead), cfg.Bulkhead.MaxQueue
	}
	c.shared.init(cfg.Name, all, cfg.Retry, b, h)
	c.shared.Timed = true
	r.Fast = c.shared.FastPath(&r.Rules)
	c.resolved.Store(r)
	c.shared.record(all.recorder(Measured{Name: cfg.Name, Client: c}))
	if b != nil {
		b.recorder = c.shared.recorder
	}
	return c, nil
}

// Get calls path below the base URL and reads the whole answer, within the attempt. The
// error is an *Error, also for a redirect and for a status of 400 and above. The other
// methods do the same.
func (c *Client) Get(ctx context.Context, path string, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodGet, path, nil, opts)
}

// Post sends in, encoded as Call does, and reads the whole answer; see Get.
func (c *Client) Post(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPost, path, in, opts)
}

// Put sends in, encoded as Call does, and reads the whole answer; see Get.
func (c *Client) Put(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPut, path, in, opts)
}

// Patch sends in, encoded as Call does, and reads the whole answer; see Get.
func (c *Client) Patch(ctx context.Context, path string, in any, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodPatch, path, in, opts)
}

// Delete calls path below the base URL and reads the whole answer; see Get.
func (c *Client) Delete(ctx context.Context, path string, opts ...CallOption) (*Response, error) {
	return c.buffered(ctx, http.MethodDelete, path, nil, opts)
}

// Healthy checks the service with a GET of path, once. The error is nil for an answer
// that the caller can use, and otherwise that of any call. The breaker can reject the
// check, so a service that is known to be down is left alone, but the result of the
// check never counts for the breaker. Set a short limit with WithAttemptTimeout or the
// context.
func (c *Client) Healthy(ctx context.Context, path string, opts ...CallOption) error {
	check := func(o *callOptions) { o.healthCheck = true }
	_, err := c.buffered(ctx, http.MethodGet, path, nil, append([]CallOption{check}, opts...))
	return err
}

// Call sends in as JSON to path below the client's base URL, and decodes the answer into
// an Out. The answer is read within the attempt, so an answer that breaks off is
// repeated.
//
// in is nil for no body. A []byte or a json.RawMessage is sent unchanged. Use Client.Do
// to send a reader. The error is an *Error. ErrDecode means that the service answered,
// and that the answer cannot be decoded into an Out.
func Call[Out any](ctx context.Context, c *Client, method, path string, in any, opts ...CallOption) (Out, error) {
	var out Out
	resp, err := c.buffered(ctx, method, path, in, opts)
	if err != nil {
		return out, err
	}
	err = resp.Decode(&out)
	return out, err
}

// Get calls path and decodes the answer into an Out; see Call.
func Get[Out any](ctx context.Context, c *Client, path string, opts ...CallOption) (Out, error) {
	return Call[Out](ctx, c, http.MethodGet, path, nil, opts...)
}

// Post sends in and decodes the answer into an Out; see Call.
func Post[Out any](ctx context.Context, c *Client, path string, in any, opts ...CallOption) (Out, error) {
	return Call[Out](ctx, c, http.MethodPost, path, in, opts...)
}

// Do sends a request and returns the answer with its body unread: for uploads and
// downloads, and for answers that are too large for memory. The caller closes the body;
// until then the call keeps its permit.
//
// The URL of req may be relative to the base URL. An absolute URL must have the origin
// of the base URL, because the client's headers are sent with it. A retry sends the
// body again. It comes from memory for the readers that net/http knows, from a file, or
// from req.GetBody. Of any other reader the first MiB is kept, and a
// longer body is not sent again. The attempt's limit ends with the headers of the
// answer; from there the context, Timeouts.Read and Timeouts.Total bound the call.
//
// For a redirect, or a status of 400 and above, the error is an *Error with a
// *StatusError that has the beginning of the body.
func (c *Client) Do(req *http.Request, opts ...CallOption) (*http.Response, error) {
	_, resp, err := c.do(req, opts)
	return resp, err
}

// do is Do. The call is nil if the request cannot be made.
func (c *Client) do(req *http.Request, opts []CallOption) (*clientCall, *http.Response, error) {
	o, err := c.takeRequest(req, opts)
	if err != nil {
		return nil, nil, noted(req.Context(), err)
	}
	err = o.run()
	switch {
	case o.handedOver != nil: // with an error, too: a declining answer of the SDK transport
		return o, o.takeAnswer(), nil
	case o.declined != nil:
		return o, o.declined, nil
	}
	return o, nil, err
}

// takeRequest is requestCall. It closes the request's body, as a RoundTripper does, if there
// is no call that will: after an error, a panic or Goexit.
func (c *Client) takeRequest(req *http.Request, opts []CallOption) (o *clientCall, err error) {
	defer func() {
		if o == nil && req.Body != nil {
			_ = req.Body.Close()
		}
	}()
	return c.requestCall(req, opts)
}

// Breaker returns the client's circuit breaker, nil if it has none. With Config.Scope it is
// that of calls without a scope.
func (c *Client) Breaker() *Breaker { return c.shared.breaker }

// Closed reports whether Close or Shutdown was called, or a Router has closed the client.
func (c *Client) Closed() bool { return c.running.closed.Load() }

// Close ends the client at once: running calls end with ErrClosed, and so does every
// later call. It closes the connections. Calling it again does nothing.
func (c *Client) Close() error {
	c.running.close()
	c.running.abortAll()
	c.closeConnections()
	return nil
}

// Shutdown rejects new calls with ErrClosed, waits for the running ones, with the bodies
// that callers still read, and then closes the connections. If ctx ends first, Shutdown
// returns its error and the running calls go on; Close ends them.
func (c *Client) Shutdown(ctx context.Context) error {
	c.running.close()
	if !c.running.wait(ctx) {
		return fmt.Errorf("holdfast: %s: shutdown has left calls running (%d): %w", c.shared.name, c.running.count(), context.Cause(ctx))
	}
	c.closeConnections()
	return nil
}

// Format prints the client's name and address for every verb, since its settings have
// credentials.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "holdfast.Client{%s %s}", c.shared.name, wire.Shown(c.resolved.Load().base))
}

func (c *Client) closeConnections() {
	if own := c.resolved.Load().own; own != nil {
		own.Close()
	}
}
