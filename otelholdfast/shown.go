package otelholdfast

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/holdfast-go/holdfast"
)

// longestURL bounds url.full, in bytes.
const longestURL = 2048

const redacted = "REDACTED"

// shownURL is an address without its user, its fragment and the values of its query that
// are not allowed.
func (i *Instrument) shownURL(u *url.URL) string {
	s := *u
	s.User, s.Opaque, s.Fragment, s.RawFragment, s.RawQuery, s.ForceQuery = nil, "", "", "", "", false
	shown := s.String()
	if u.RawQuery != "" {
		shown += "?" + i.shownQuery(u.RawQuery)
	}
	return bounded(shown, longestURL)
}

// shownQuery keeps the names. A parameter without a value may be a key, and so may what
// stands behind a semicolon.
func (i *Instrument) shownQuery(query string) string {
	if len(query) > longestURL { // its end is not shown in any case
		query = query[:longestURL]
	}
	parts := strings.Split(query, "&")
	for n, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		switch {
		case part == "":
		case !ok || err != nil || strings.Contains(name, ";"):
			parts[n] = redacted
		case !i.shown[plain]:
			parts[n] = name + "=" + redacted
		case strings.Contains(value, ";"):
			value, _, _ = strings.Cut(value, ";")
			parts[n] = name + "=" + value + ";" + redacted
		}
	}
	return strings.Join(parts, "&")
}

// textOf is the description of a failure for the status of a span: its class, and what is
// known of the cause by types that have no text of the service's or the caller's.
func textOf(e holdfast.Event) string {
	text := strings.ReplaceAll(errorType(e), "_", " ")
	if text == " OTHER" {
		text = "failed"
	}
	if cause := causeOf(e.Err); cause != "" {
		text += ": " + cause
	}
	return text
}

func causeOf(err error) string {
	if limit, ok := errors.AsType[*holdfast.TimeoutError](err); ok {
		return limit.Error()
	}
	if rejection, ok := errors.AsType[*holdfast.RejectedError](err); ok {
		return strings.TrimPrefix(rejection.Error(), "holdfast: ")
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host"
		}
		return "the name could not be resolved"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return ""
}

func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
