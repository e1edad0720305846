package wire

import (
	"net/url"
	"strings"
)

// SameOrigin reports whether two addresses have the same scheme, host and port
// (RFC 9110, 4.3.1): who may see what was given for the one, may see it at the
// other.
func SameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host { // nearly always, and to take hosts apart is dear
		return true
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	case strings.EqualFold(u.Scheme, "http"):
		return "80"
	}
	return ""
}
