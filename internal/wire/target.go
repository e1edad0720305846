package wire

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Target is the address of a path below base. The base is a fence: a path that
// leads to another host, or above the base's own path, is refused, however it is
// written.
func Target(base *url.URL, path string) (*url.URL, error) {
	if base.RawPath == "" && isPlain(path) {
		out := *base
		out.Path, out.RawQuery = below(base.Path, path), ""
		return &out, nil
	}
	return parsedTarget(base, path)
}

// isPlain reports whether a path means what it says: nothing in it is written
// otherwise than usual, leads anywhere else, or has to be parsed.
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

// below joins a path to the base's.
func below(base, path string) string {
	return strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
}

// parsedTarget is Target for any path.
func parsedTarget(base *url.URL, path string) (*url.URL, error) {
	u, err := url.Parse(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("path %q cannot be parsed", withoutQuery(path))
	case u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "":
		return nil, fmt.Errorf("path %q leads away from the base URL: must be a path below it", withoutQuery(path))
	case strings.Contains(u.Path, "..") && slices.Contains(strings.Split(u.Path, "/"), ".."):
		return nil, fmt.Errorf("path %q has a %q in it: must stay below the base URL", withoutQuery(path), "..")
	}
	out := *base
	if u.Path != "" {
		out.Path = below(base.Path, u.Path)
		if base.RawPath != "" || u.RawPath != "" { // where the usual way to write it will not do
			out.RawPath = below(base.EscapedPath(), u.EscapedPath())
		}
	}
	out.RawQuery = u.RawQuery
	return &out, nil
}

// withoutQuery is a path as it may be shown: a query or a fragment may hold a key,
// and so may what stands before an @. A password may have a ? in it: where an @
// follows one, nobody can tell which is which, and nothing is shown.
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

// Shown is an address as it may be shown: with neither userinfo nor query nor
// fragment, nor what follows a scheme without slashes, which may be any of them.
func Shown(u *url.URL) string {
	s := *u
	s.User, s.Opaque, s.RawQuery, s.Fragment, s.RawFragment, s.ForceQuery = nil, "", "", "", "", false
	return s.String()
}
