package wire

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Target returns the address of a path below base. A path that leads to another host or
// above the base's own path is an error, however it is written.
func Target(base *url.URL, path string) (*url.URL, error) {
	if base.RawPath == "" && isPlain(path) {
		out := *base
		out.Path, out.RawQuery = below(base.Path, path), ""
		return &out, nil
	}
	return parsedTarget(base, path)
}

// isPlain reports whether a path needs no parsing: it has no escapes, no query, and
// nothing that leads elsewhere.
func isPlain(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case (c == '/' || c == '.') && (i == 0 || path[i-1] != c):
		default:
			return false
		}
	}
	return path != ""
}

// below joins a path to the path of the base.
func below(base, path string) string {
	return strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
}

// parsedTarget is Target for every path.
func parsedTarget(base *url.URL, path string) (*url.URL, error) {
	u, err := url.Parse(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("path %q cannot be parsed", withoutQuery(path))
	case u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "":
		return nil, fmt.Errorf("path %q leads away from the base URL: must be a path below it", withoutQuery(path))
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return nil, fmt.Errorf("path %q has a %q in it: must stay below the base URL", withoutQuery(path), "..")
	case strings.Contains(u.Path, "\x00"):
		return nil, fmt.Errorf("path %q has a NUL in it, at which some servers end a path: must be left out", withoutQuery(path))
	case mayClimb(u.Path):
		return nil, fmt.Errorf("path %q leads upwards, as some servers read it: must stay below the base URL", withoutQuery(path))
	}
	out := *base
	if u.Path != "" {
		out.Path = below(base.Path, u.Path)
		if base.RawPath != "" || u.RawPath != "" { // the default encoding differs from the path's own
			out.RawPath = below(base.EscapedPath(), u.EscapedPath())
		}
	}
	out.RawQuery = encodeBlanks(u.RawQuery)
	return &out, nil
}

// maxDecoded is how often a server and the proxies before it may decode a path.
const maxDecoded = 4

// otherSlashes are characters that servers take for a slash or a dot: a backslash, and
// invalid UTF-8 that decodes to one of the two.
var otherSlashes = strings.NewReplacer(`\`, "/", "\xc0\xaf", "/", "\xc1\x9c", "/", "\xc0\xae", ".")

// mayClimb reports whether a server may read a decoded path as one with a "..": it decodes the
// path again, takes a backslash for a slash, or leaves out what follows a semicolon
// in a segment.
func mayClimb(path string) bool {
	for range maxDecoded {
		path = otherSlashes.Replace(path)
		for segment := range strings.SplitSeq(path, "/") {
			if end := strings.IndexAny(segment, ";?#\x00"); end >= 0 {
				segment = segment[:end]
			}
			if strings.TrimRight(segment, " ") == ".." {
				return true
			}
		}
		again := decode(path)
		if again == path {
			return false
		}
		path = again
	}
	return false
}

// decode decodes the escapes of a path, and leaves what is no escape as it is.
func decode(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if b, err := hex.DecodeString(path[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return string(out)
}

// WithoutBlanks returns u with the blanks in its query encoded, since a blank ends the address
// in a request of HTTP/1.1.
func WithoutBlanks(u *url.URL) *url.URL {
	if !strings.Contains(u.RawQuery, " ") {
		return u
	}
	out := *u
	out.RawQuery = encodeBlanks(u.RawQuery)
	return &out
}

func encodeBlanks(query string) string { return strings.ReplaceAll(query, " ", "%20") }

// withoutQuery returns the part of a path that an error may show: a query, a fragment
// and the text before an @ may contain a key. A password may contain a ?, so that
// nothing is shown if an @ follows one.
func withoutQuery(path string) string {
	end := strings.IndexAny(path, "?#")
	if end < 0 {
		end = len(path)
	}
	if strings.Contains(path[end:], "@") {
		return "…"
	}
	if at := strings.LastIndex(path[:end], "@"); at >= 0 {
		return "…" + path[at:end]
	}
	return path[:end]
}

// Shown returns an address as errors and events show it: without userinfo, query and
// fragment, and without what follows a scheme that has no slashes, which may be any of
// them.
func Shown(u *url.URL) string {
	s := *u
	s.User, s.Opaque, s.RawQuery, s.Fragment, s.RawFragment, s.ForceQuery = nil, "", "", "", "", false
	return s.String()
}

// Origin is the scheme, the host and the port of an address (RFC 9110, 4.3.1) in one
// spelling. A secret for an address may be sent to every other address with an equal
// Origin.
type Origin struct {
	Scheme string // in lower case
	Host   string // in lower case, with the port unless it is the default of the scheme
}

// OriginOf returns the origin of an address. An IPv6 address is in its shortest form. A
// host with a dot at its end is another host than the one without it, as for a resolver.
func OriginOf(u *url.URL) Origin {
	o := Origin{Scheme: strings.ToLower(u.Scheme), Host: u.Hostname()}
	if strings.Contains(o.Host, ":") {
		o.Host = "[" + shortestIP(o.Host) + "]"
	} else {
		o.Host = strings.ToLower(o.Host)
	}
	if port := u.Port(); port != "" && port != defaultPort(o.Scheme) {
		o.Host += ":" + port
	}
	return o
}

// String returns the origin as an address.
func (o Origin) String() string { return (&url.URL{Scheme: o.Scheme, Host: o.Host}).String() }

// SameOrigin reports whether two addresses have the same origin.
func SameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host { // nearly always, and parsing hosts is expensive
		return true
	}
	return OriginOf(a) == OriginOf(b)
}

// shortestIP returns the shortest form of an IPv6 address. Its zone keeps its case.
func shortestIP(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return strings.ToLower(host)
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}
