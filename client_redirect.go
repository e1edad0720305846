package holdfast

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/wire"
)

// RedirectError is a redirect that must not be followed: it leads in a circle, through
// more than Config.MaxRedirects hops, to another scheme than http and https, from https
// to http, or from a public origin to a private address.
type RedirectError struct {
	// Hops are the addresses that were called, in order, and then the one that was not.
	// They have no user, password or query. The service has chosen the paths after the
	// first, so that a path may repeat a secret: the text of the error leaves them out.
	Hops []string
	// Reason is the reason, for people to read.
	Reason string

	answer *StatusError
}

// Error returns the reason and the hops: the first in full, and of the others the scheme and
// the host.
func (e *RedirectError) Error() string {
	shown := slices.Clone(e.Hops)
	for i := 1; i < len(shown); i++ {
		shown[i] = withoutPath(shown[i])
	}
	return fmt.Sprintf("%s: %s", e.Reason, strings.Join(shown, " → "))
}

// GoString is the text for %#v, with the text of Error in the place of the hops.
func (e *RedirectError) GoString() string {
	return fmt.Sprintf("&holdfast.RedirectError{%q}", e.Error())
}

// withoutPath is the scheme and the host of an address that a service has chosen, with an
// ellipsis for the rest.
func withoutPath(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme != "http" && scheme != "https" {
		return "…"
	}
	host, path, _ := strings.Cut(rest, "/")
	if path != "" {
		host += "/…"
	}
	return scheme + "://" + host
}

// Unwrap returns the *StatusError of the redirect.
func (e *RedirectError) Unwrap() error { return e.answer }

// notMadeError is a request that a redirect asks for and that cannot be made.
type notMadeError struct{ error }

func (e *notMadeError) Unwrap() error { return e.error }

// hop is one request of an attempt that is redirected.
type hop struct {
	request     http.Request
	crossOrigin bool // a hop left the origin of the base URL: all later ones are without its headers
	noBody      bool
	visited     []string // the method and the address of each hop so far
	shown       []string // the addresses as RedirectError.Hops has them
}

// follow follows redirects, within the attempt and its limits. It returns the first
// answer that is no redirect, or a redirect that cannot be followed.
func (a *clientAttempt) follow(resp *http.Response) (*http.Response, error) {
	o := a.call
	h := &hop{request: o.initial}
	h.request.Body = nil // each hop has a body of its own
	h.visit()
	publicOnly := a.publicOnly()
	for {
		next, ok := h.next(resp)
		if !ok || !next.noBody && o.upload != nil && !(o.upload.Again() && o.upload.Settled()) {
			return resp, nil
		}
		next.crossOrigin = next.crossOrigin || !wire.SameOrigin(next.request.URL, o.resolved.base)
		if next.crossOrigin {
			next.request.Header = crossOriginHeader(next.request.Header)
		}
		next.visit()
		reason := h.forbids(next, o.resolved.config.MaxRedirects)
		if reason == "" && publicOnly && wire.IsPrivateHost(next.request.URL.Hostname()) {
			reason = toPrivate
		}
		if reason != "" {
			answer, _ := a.readStatusError(resp, resp.Body, false)
			return resp, &RedirectError{Hops: next.shown, Reason: reason, answer: answer}
		}
		a.roundTrip.Drain(resp.Body)
		a.roundTrip.End()
		h, a.redirected, a.crossOrigin = next, true, next.crossOrigin
		a.nextRoundTrip()
		a.roundTrip.PublicOnly = publicOnly && next.crossOrigin
		before := resp
		req, err := a.request(h)
		if err != nil {
			return nil, &notMadeError{err}
		}
		if resp, err = a.do(req); errors.Is(err, wire.ErrPrivate) {
			return before, &RedirectError{Hops: h.shown, Reason: toPrivate, answer: &StatusError{Status: before.StatusCode, Header: before.Header}}
		} else if err != nil {
			return nil, fmt.Errorf("after a redirect to %s: %w", withoutPath(h.shown[len(h.shown)-1]), wire.Redacted(err))
		}
	}
}

const toPrivate = "a redirect leads from a public origin to a private address (Config.AllowPrivateRedirects)"

// publicOnly reports whether redirects must lead to public addresses, after the first round
// trip of an attempt.
func (a *clientAttempt) publicOnly() bool {
	r := a.call.resolved
	return !r.config.AllowPrivateRedirects && !wire.IsPrivateHost(r.base.Hostname()) && !a.roundTrip.IsPrivate(r.transport, a.call.request)
}

// forbids returns the reason why a redirect from h to next must not be followed, empty if
// there is none.
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

func (h *hop) visit() {
	u := *h.request.URL
	u.Fragment, u.RawFragment = "", ""
	h.visited = append(slices.Clip(h.visited), h.request.Method+" "+u.String())
	h.shown = append(slices.Clip(h.shown), wire.Printable(wire.Shown(&u)))
}

// next returns the request that a redirect asks for (RFC 9110, 15.4), and false if the
// answer is no redirect.
func (h *hop) next(resp *http.Response) (*hop, bool) {
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, false
	}
	target, err := h.request.URL.Parse(location)
	if err != nil {
		return nil, false
	}
	target.User = nil // the service does not choose the client's credentials
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
	n.request.URL = wire.WithoutBlanks(target)
	return n, true
}

// crossOriginHeaders are the headers that another origin gets. They describe the answer
// or the body. Any other header may be a credential.
var crossOriginHeaders = []string{
	"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Content-Encoding", "Content-Language", "Content-Type",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range", "User-Agent",
}

// crossOriginHeader returns the part of h that another origin gets.
func crossOriginHeader(h http.Header) http.Header {
	allowed := http.Header{}
	for _, name := range crossOriginHeaders {
		if values, ok := h[name]; ok {
			allowed[name] = values
		}
	}
	return allowed
}
