package holdfast

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// RedirectError is a redirect that was not followed although redirects are: it
// leads in a circle, too far, or where a request must not go.
type RedirectError struct {
	// Hops are the addresses asked, in order, and then the one that was not, all
	// without userinfo and query.
	Hops []string
	// Reason says why it was not.
	Reason string

	answer *StatusError
}

// Error gives the reason and the way.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s: %s", e.Reason, strings.Join(e.Hops, " → "))
}

// Unwrap gives the *StatusError of the redirect itself.
func (e *RedirectError) Unwrap() error { return e.answer }

// unmadeError is a request that a redirect asks for and that could not be made.
type unmadeError struct{ error }

func (e *unmadeError) Unwrap() error { return e.error }

// hop is where an attempt stands among its redirects.
type hop struct {
	request     http.Request
	crossOrigin bool // it has left the origin of the base URL, and stays without its headers
	noBody      bool
	visited     []string // method and address, to find circles
	shown       []string
}

// follow makes the requests that redirects ask for, within the attempt and its
// limits, until there is another answer, or a redirect that is not followed and so
// is one.
func (a *clientAttempt) follow(resp *http.Response) (*http.Response, error) {
	o := a.call
	h := &hop{request: o.initial}
	h.request.Body = nil // each hop has a body of its own
	h.arrived()
	for {
		next, ok := h.next(resp)
		if !ok || !next.noBody && o.upload != nil && !(o.upload.Again() && o.upload.Settled()) {
			return resp, nil
		}
		next.crossOrigin = next.crossOrigin || !wire.SameOrigin(next.request.URL, o.with.base)
		if next.crossOrigin {
			next.request.Header = crossOriginHeader(next.request.Header)
		}
		next.arrived()
		if reason := h.forbids(next, o.with.redirects); reason != "" {
			refusal, _ := a.readRefusal(resp, resp.Body, false)
			return resp, &RedirectError{Hops: next.shown, Reason: reason, answer: refusal}
		}
		deadline, _ := a.roundTrip.Deadline()
		a.roundTrip.Drain(resp.Body)
		a.roundTrip.End()
		h, a.redirected, a.crossOrigin = next, true, next.crossOrigin

		ctx := new(lazyctx.Context)
		ctx.Init(o.Caller, deadline)
		a.begin(ctx, new(roundTrip))
		req, err := a.request(h)
		if err != nil {
			return nil, &unmadeError{err}
		}
		if resp, err = a.roundTrip.Do(o.with.transport, req); err != nil {
			return nil, fmt.Errorf("after a redirect to %s: %w", h.shown[len(h.shown)-1], wire.Redacted(err))
		}
	}
}

// forbids returns why a redirect from h to next is not followed, empty if it is.
func (h *hop) forbids(next *hop, most int) string {
	switch to := next.request.URL.Scheme; {
	case to != "https" && to != "http":
		return "a redirect leads out of HTTP"
	case h.request.URL.Scheme == "https" && to == "http":
		return "a redirect leads from https to http"
	case slices.Contains(h.visited, next.visited[len(next.visited)-1]):
		return "redirects lead in a circle"
	case len(next.shown)-1 > most:
		return fmt.Sprintf("more than %d redirects (Config.MaxRedirects)", most)
	}
	return ""
}

func (h *hop) arrived() {
	u := *h.request.URL
	u.Fragment, u.RawFragment = "", ""
	h.visited = append(slices.Clip(h.visited), h.request.Method+" "+u.String())
	h.shown = append(slices.Clip(h.shown), wire.Shown(&u))
}

// next is the request that a redirect asks for (RFC 9110, 15.4); false if the
// answer is none.
func (h *hop) next(resp *http.Response) (*hop, bool) {
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, false
	}
	target, err := h.request.URL.Parse(location)
	if err != nil {
		return nil, false
	}
	target.User = nil // whoever sends us away does not say who we are
	n := &hop{request: h.request, crossOrigin: h.crossOrigin, noBody: h.noBody, visited: h.visited, shown: h.shown}
	switch method := h.request.Method; resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound:
		if method == http.MethodPost {
			n.request.Method = http.MethodGet
		}
	case http.StatusSeeOther:
		if method != http.MethodHead {
			n.request.Method = http.MethodGet
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, false
	}
	n.request.Header = maps.Clone(h.request.Header)
	if n.request.Method != h.request.Method {
		n.noBody, n.request.ContentLength = true, 0
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Location"} {
			n.request.Header.Del(name)
		}
	}
	if !wire.SameOrigin(target, h.request.URL) {
		n.request.Host = target.Host
	}
	n.request.URL = target
	return n, true
}

// crossOriginHeaders are the headers that another origin gets: what the answer may
// be, and what the body is. Any other header may carry a credential.
var crossOriginHeaders = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Language", "Content-Type",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "User-Agent",
}

// crossOriginHeader is the part of a header that another origin gets.
func crossOriginHeader(h http.Header) http.Header {
	left := http.Header{}
	for _, name := range crossOriginHeaders {
		if values, ok := h[name]; ok {
			left[name] = values
		}
	}
	return left
}
