package holdfast

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/holdfast-go/holdfast/internal/core/judge"
)

// A request that cannot be sent as it is, is a mistake of this side. It is not sent where
// that can be seen before, and net/http does not send it otherwise. Each way it is one
// attempt at most, and the breaker and the service's statistics do not change.

// mistake is the reason why a request cannot be sent, in net/http's words where net/http
// has some: programs look for them. An SDK gets them without the hint.
type mistake struct{ text, hint string }

func (m *mistake) Error() string {
	if m.hint == "" {
		return m.text
	}
	return m.text + ": " + m.hint
}

func mistaken(format string, args ...any) *mistake {
	return &mistake{text: fmt.Sprintf(format, args...)}
}

// hinted adds what is allowed.
func (m *mistake) hinted(hint string) *mistake {
	m.hint = hint
	return m
}

// endingOf is the ending of an attempt of which the request was not made, for err.
func endingOf(err error) judge.Ending {
	if _, ok := errors.AsType[*mistake](err); ok {
		return judge.Mistaken
	}
	return judge.NotMade
}

// checkRequest returns the mistake in a caller's request, nil if it has none that can be
// seen before the request is sent.
func checkRequest(in *http.Request, target *url.URL) error {
	if err := checkMethod(in.Method); err != nil {
		return err
	}
	if err := checkTarget(target); err != nil {
		return err
	}
	if err := checkHeaders("header", in.Header); err != nil {
		return err
	}
	if err := checkHeaders("trailer", in.Trailer); err != nil {
		return err
	}
	if noBody := in.Body == nil || in.Body == http.NoBody; noBody && in.ContentLength > 0 {
		return mistaken("http: Request.ContentLength=%d with nil Body", in.ContentLength)
	}
	return nil
}

func checkMethod(method string) error {
	if shownName(method) != method {
		return mistaken("net/http: invalid method %q", method[:min(len(method), 50)]).hinted("must be letters")
	}
	return nil
}

func checkTarget(target *url.URL) error {
	switch {
	case target.Scheme != "" && target.Scheme != "http" && target.Scheme != "https":
		return mistaken("unsupported protocol scheme %q", target.Scheme)
	case target.Host == "" && (target.Opaque != "" || target.Scheme != ""):
		return mistaken("http: no Host in request URL")
	case strings.Contains(target.Host, "@"): // not shown: it may be a password
		return mistaken("the host in the request's URL has a user or password in it")
	case hasControl(target.RawQuery) || hasControl(target.Opaque):
		return mistaken("net/http: can't write control character in Request.URL")
	case strings.Contains(target.Opaque, " "):
		return mistaken("the opaque part of the request's URL has a blank in it").hinted("must be encoded as %%20")
	}
	return nil
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// checkHeaders checks that headers, or trailers, can be sent as they are. Their values are
// not shown.
func checkHeaders(what string, h http.Header) error {
	for name, values := range h {
		if rule := headerName(name); rule != "" {
			return mistaken("net/http: invalid %s field name %q", what, wordsOfName(name)).hinted("must be letters, digits and hyphens")
		}
		for _, value := range values {
			if !isHeaderValue(value) {
				return mistaken("net/http: invalid %s field value for %q", what, name).hinted("it has a control character")
			}
		}
	}
	return nil
}

// wordsOfName is an invalid name as an error shows it: up to the first character of ASCII
// that a name cannot have, after which its value may follow.
func wordsOfName(name string) string {
	end := strings.IndexFunc(name, func(r rune) bool { return r < 0x80 && shownName(string(r)) != string(r) })
	if end >= 0 {
		name = name[:end] + "…"
	}
	return name[:min(len(name), 100)]
}

// checkFraming returns the mistake in the headers of a request of Do: those that only
// concern the connection, or tell the length of the body, are the client's.
func checkFraming(h http.Header) error {
	for name, values := range h {
		if rule := framing(name, values); rule != "" {
			return mistaken("the request has the header %s: %s", name, rule)
		}
	}
	return nil
}

// framing returns the rule that a header breaks because it concerns the connection or the
// length of the body, empty if it breaks none.
func framing(name string, values []string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length":
		return "must be left out, since the client sends the length of the body; Request.ContentLength tells that of a reader"
	case "Transfer-Encoding":
		return "must be left out, since the client chooses the encoding"
	case "Trailer":
		return "must be left out; Request.Trailer tells the trailers"
	case "Keep-Alive", "Proxy-Connection":
		return "must be left out, since it concerns the connection"
	case "Connection":
		if len(values) == 1 && strings.EqualFold(values[0], "upgrade") {
			return ""
		}
		return `must be "Upgrade" or left out; Request.Close closes the connection after the answer`
	case "Te":
		if len(values) == 1 && strings.EqualFold(values[0], "trailers") {
			return ""
		}
		return `must be "trailers" or left out`
	}
	return ""
}

// moveHost moves a Host among the headers to where net/http sends it from.
func moveHost(req *http.Request) error {
	hosts := req.Header["Host"]
	if len(hosts) == 0 {
		return nil
	}
	delete(req.Header, "Host")
	if rule := hostRule(hosts); rule != "" {
		return mistaken("the request has the header Host: %s", rule)
	}
	req.Host = hosts[0]
	return nil
}

// hostRule returns the rule that the values of a header Host break, empty if they break
// none.
func hostRule(values []string) string {
	if len(values) == 1 {
		if u, err := url.Parse("//" + values[0]); err == nil && u.Host == values[0] && values[0] != "" {
			return ""
		}
	}
	return "must be one host, with or without a port"
}
