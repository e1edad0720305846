package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/wire"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Router is an http.RoundTripper for an SDK that calls several hosts: buckets, the
// endpoints of regions, an API and the host of its uploads. Each origin (scheme, host and
// port) has a Client of its own, with its own connections, breaker and bulkhead. Make one
// Router for each SDK, and close it at the end. It is safe for concurrent use.
//
// A credential in RouterConfig is sent only to the origin that it is listed for.
type Router struct {
	others     *Config // for origins that are not listed; nil for none
	opts       []Option
	maxHosts   int
	idleExpiry time.Duration // zero for no limit
	listed     int           // routes that stay

	routes   atomic.Pointer[map[wire.Origin]route] // never changed, but replaced under mu
	expireAt atomic.Pointer[time.Time]             // nil if no client can expire
	mu       sync.Mutex                            // of making and closing clients
	closed   bool
}

// route is the client of an origin.
type route struct {
	client *Client
	listed bool
}

// NewRouter returns a Router, which has to be closed. It makes the clients of
// RouterConfig.Hosts, and gives opts to each client. A transport of WithTransport gets the
// requests of all origins, so it must not add credentials.
func NewRouter(cfg RouterConfig, opts ...Option) (*Router, error) {
	v := &validation{in: "RouterConfig."}
	cfg, hosts := cfg.resolve(v)
	v.options(opts, forClient)
	if err := v.err(); err != nil {
		return nil, err
	}
	r := &Router{others: cfg.Default, opts: slices.Clip(opts), maxHosts: cfg.MaxHosts, idleExpiry: cfg.IdleExpiry, listed: len(hosts)}
	routes := make(map[wire.Origin]route, len(hosts))
	for origin, cfg := range hosts {
		routes[origin] = route{client: must(New(cfg, opts...)), listed: true} // resolve has checked it
	}
	r.routes.Store(&routes)
	return r, nil
}

// HTTPClient returns the Router as an *http.Client, for an SDK. Client.HTTPClient
// describes which requests are repeated, and what the SDK gets.
//
// It follows up to ten redirects, each with the client of its origin. So the headers of
// Config.Header stay at their origin. http.Client removes Authorization and Cookie on the
// way to another domain, but no other header that the SDK sets. A redirect from https to
// http is returned as an answer, and so is one from a public origin to a private, loopback
// or link-local address, unless that is listed or Default has AllowPrivateRedirects.
func (r *Router) HTTPClient(opts ...TransportOption) *http.Client {
	return &http.Client{Transport: r.Transport(opts...), CheckRedirect: r.checkRedirect}
}

// checkRedirect is the rule of http.Client, which would also follow from https to http, and from
// a public origin to a private address.
func (r *Router) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return http.ErrUseLastResponse
	case wire.IsPrivateHost(req.URL.Hostname()) && !wire.IsPrivateHost(via[0].URL.Hostname()) && !r.allowsPrivate(req.URL):
		return http.ErrUseLastResponse
	case len(via) >= 10:
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// allowsPrivate reports whether a redirect may lead to a private origin: it is listed, or
// Default allows all of them.
func (r *Router) allowsPrivate(to *url.URL) bool {
	return (*r.routes.Load())[wire.OriginOf(to)].listed || r.others != nil && r.others.AllowPrivateRedirects
}

// Transport returns the transport of HTTPClient, for code that takes an
// http.RoundTripper. Without options, it is the same as the Router itself.
func (r *Router) Transport(opts ...TransportOption) http.RoundTripper {
	t := &routerTransport{router: r}
	t.transport.apply(opts)
	return t
}

// RoundTrip sends the request with the client of its origin. An origin that is not in
// RouterConfig.Hosts is an ErrInvalidRequest if there is no Default, and an ErrPoolTimeout
// if MaxHosts other origins are in use. After Close it is ErrClosed.
func (r *Router) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.roundTrip(transport{}, req)
}

// Client returns the client of an origin, written as in RouterConfig.Hosts: for its
// breaker, or to call it without the SDK. It is nil if there is none: the client of an
// origin that is not listed is made by the first call and closed when it is idle, so do not
// keep it. Close the Router, not its clients.
func (r *Router) Client(origin string) *Client {
	u, rule := parseOrigin(origin)
	if rule != "" {
		return nil
	}
	return (*r.routes.Load())[wire.OriginOf(u)].client
}

// Origins returns the origins that have a client, in alphabetical order.
func (r *Router) Origins() []string { return slices.Sorted(maps.Keys(r.clients())) }

// Stats returns the statistics of all clients, by origin. They encode as JSON.
func (r *Router) Stats() map[string]ClientStats { return statistics(r.clients(), (*Client).Stats) }

// CloseIdleConnections closes the connections that no call uses. http.Client calls it.
func (r *Router) CloseIdleConnections() {
	for _, c := range r.clients() {
		transport{client: c}.CloseIdleConnections()
	}
}

// Close closes all clients at once: running calls end with ErrClosed, and so does every
// later call. Calling it again does nothing.
func (r *Router) Close() error {
	for _, c := range r.close() {
		_ = c.Close()
	}
	return nil
}

// Shutdown rejects new calls with ErrClosed, and shuts down all clients at once, each as
// Client.Shutdown does. The error joins those of the clients with calls that still ran
// when ctx ended; Close ends them.
func (r *Router) Shutdown(ctx context.Context) error {
	clients := r.close()
	failed := make([]error, len(clients))
	world.Of(ctx).Each(len(clients), func(i int) { failed[i] = clients[i].Shutdown(ctx) })
	return errors.Join(failed...)
}

// Format prints the number of clients for every verb, since their settings have
// credentials.
func (r *Router) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "holdfast.Router{%d listed, %d other}", r.listed, len(*r.routes.Load())-r.listed)
}

// routerTransport is a Router with options.
type routerTransport struct {
	router    *Router
	transport transport // without a client
}

func (t *routerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.router.roundTrip(t.transport, req)
}

// CloseIdleConnections is called by the method of that name of http.Client.
func (t *routerTransport) CloseIdleConnections() { t.router.CloseIdleConnections() }

func (r *Router) roundTrip(t transport, req *http.Request) (*http.Response, error) {
	found, err := r.find(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, noted(req.Context(), err)
	}
	if !found.listed {
		// From find to the release, the client cannot be closed for being idle. After it,
		// an answer that the caller reads is a running call.
		defer found.client.running.release()
	}
	if r.expireAt.Load() != nil {
		r.expire(world.Of(req.Context()).Now())
	}
	t.client = found.client
	return t.RoundTrip(req)
}

// find returns the route of a request. If it is not listed, its client is on hold.
func (r *Router) find(req *http.Request) (route, error) {
	u := req.URL
	if u == nil {
		return route{}, notRouted(req, errors.New("the request has no URL"))
	}
	routes := *r.routes.Load()
	found, ok := routes[wire.Origin{Scheme: u.Scheme, Host: u.Host}] // nearly always in the one spelling
	if !ok {
		found, ok = routes[wire.OriginOf(u)]
	}
	switch {
	case found.listed:
		return found, nil
	case u.User != nil: // and the host may be a part of the password
		return route{}, notRouted(req, errors.New("the request's URL has a user or password in it, and its origin is not in RouterConfig.Hosts"))
	case ok && found.client.running.hold(world.Of(req.Context()).Now()):
		return found, nil
	}
	return r.open(req)
}

// open makes the client of an origin that is not listed, and returns it on hold.
func (r *Router) open(req *http.Request) (route, error) {
	if rule := checkOrigin(req.URL); rule != "" {
		return route{}, notRouted(req, errors.New("the request's URL "+rule))
	}
	origin, now := wire.OriginOf(req.URL), world.Of(req.Context()).Now()
	var idle *Client
	defer func() { // after unlocking
		if idle != nil {
			idle.closeConnections()
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := (*r.routes.Load())[origin]
	switch {
	case r.closed:
		return route{}, &Error{
			Name: clientName(origin), Method: method(req), URL: wire.Shown(req.URL), Err: ErrClosed, kind: ErrClosed,
			Stopped: "the router was closed", Reason: ReasonClosed,
		}
	case r.others == nil:
		return route{}, notRouted(req, fmt.Errorf("%s is not in RouterConfig.Hosts: add it there, or set RouterConfig.Default", origin))
	case ok && found.client.running.hold(now): // made by another call at the same time
		return found, nil
	}
	routes := maps.Clone(*r.routes.Load())
	delete(routes, origin) // the program may have closed it
	if len(routes)-r.listed >= r.maxHosts {
		if idle = closeLongestIdle(routes); idle == nil {
			return route{}, &Error{
				Name: clientName(origin), Method: method(req), URL: wire.Shown(req.URL), kind: ErrPoolTimeout,
				Err:     fmt.Errorf("%s outside of RouterConfig.Hosts in use, the most that MaxHosts allows", plural(r.maxHosts, "origin")),
				Stopped: "no client of another origin is idle",
			}
		}
	}
	c, err := New(r.others.at(origin), append(r.opts, withoutCredentials)...)
	if err != nil {
		return route{}, notRouted(req, err)
	}
	c.running.timed = true
	c.running.hold(now)
	found = route{client: c}
	routes[origin] = found
	r.routes.Store(&routes)
	if r.idleExpiry > 0 && r.expireAt.Load() == nil {
		at := now.Add(r.idleExpiry)
		r.expireAt.Store(&at)
	}
	return found, nil
}

// closeLongestIdle closes the client for calls that has been idle for the longest time,
// and removes it from routes. It returns nil if none is idle.
func closeLongestIdle(routes map[wire.Origin]route) *Client {
	type candidate struct {
		origin wire.Origin
		since  time.Time
	}
	var idle []candidate
	for origin, rt := range routes {
		if since, ok := rt.client.running.idle(); ok && !rt.listed {
			idle = append(idle, candidate{origin, since})
		}
	}
	slices.SortFunc(idle, func(a, b candidate) int { return a.since.Compare(b.since) })
	for _, next := range idle {
		if c := routes[next.origin].client; c.running.closeIdle(next.since) { // false if a call has begun
			delete(routes, next.origin)
			return c
		}
	}
	return nil
}

// expire closes the clients that have been idle for too long, if it is time to look for
// them. It waits for no other call.
func (r *Router) expire(now time.Time) {
	if at := r.expireAt.Load(); at == nil || now.Before(*at) || !r.mu.TryLock() {
		return
	}
	var expired []*Client
	defer func() { // after unlocking
		for _, c := range expired {
			c.closeConnections()
		}
	}()
	defer r.mu.Unlock()
	routes, next := maps.Clone(*r.routes.Load()), now.Add(r.idleExpiry)
	for origin, rt := range routes {
		if rt.listed {
			continue
		}
		if rt.client.running.closeIdle(now.Add(-r.idleExpiry)) {
			delete(routes, origin)
			expired = append(expired, rt.client)
			continue
		}
		since, idle := rt.client.running.idle()
		if at := since.Add(r.idleExpiry); idle && at.Before(next) {
			next = at
		}
	}
	r.routes.Store(&routes)
	if len(routes) > r.listed {
		r.expireAt.Store(&next)
	} else {
		r.expireAt.Store(nil)
	}
}

// close rejects later calls of other origins, and returns all clients.
func (r *Router) close() []*Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.expireAt.Store(nil)
	return slices.Collect(maps.Values(r.clients()))
}

// clients returns all clients, by origin.
func (r *Router) clients() map[string]*Client {
	routes := *r.routes.Load()
	all := make(map[string]*Client, len(routes))
	for origin, rt := range routes {
		all[origin.String()] = rt.client
	}
	return all
}

// notRouted is the error of a request that no client gets.
func notRouted(req *http.Request, err error) *Error {
	e := &Error{Method: method(req), Err: err, kind: ErrInvalidRequest, Stopped: "the request cannot be made"}
	if u := req.URL; u != nil && u.User == nil && checkOrigin(u) == "" { // otherwise all of it may be a part of a password
		e.Name, e.URL = clientName(wire.OriginOf(u)), wire.Shown(u)
	}
	return e
}

func method(req *http.Request) string { return cmp.Or(req.Method, http.MethodGet) }
