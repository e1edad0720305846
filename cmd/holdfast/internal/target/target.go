// Package target reads the addresses that commands are given. An address may hold a
// secret, so no error repeats it.
package target

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Parse reads the absolute URL of an HTTP service.
func Parse(raw string) (*url.URL, error) {
	target, err := url.Parse(raw)
	scheme, _, absolute := strings.Cut(raw, "://")
	switch {
	case strings.Contains(raw, "@") && (err != nil || target.User != nil || !absolute):
		return nil, errors.New("the URL has a user or password in it: send credentials by -H 'Authorization: …'")
	case !absolute || strings.ContainsAny(scheme, "/?#"):
		return nil, errors.New("the URL has no scheme: must begin with http:// or https://")
	case err != nil:
		return nil, errors.New("the URL cannot be parsed: must be like https://api.example.com/v1/things")
	case target.Scheme != "http" && target.Scheme != "https":
		return nil, errors.New("the URL's scheme is unknown: must begin with http:// or https://")
	case target.Hostname() == "":
		return nil, errors.New("the URL has no host: must be like https://api.example.com/v1/things")
	}
	return withoutFragment(target), nil
}

// ParseBelow reads an address below a base URL: a path, or an absolute URL with the
// same scheme and host.
func ParseBelow(base, raw string) (*url.URL, error) {
	if strings.Contains(raw, "://") {
		target, err := Parse(raw)
		if err != nil {
			return nil, err
		}
		if b, err := url.Parse(base); err == nil && (target.Scheme != b.Scheme || target.Host != b.Host) {
			return nil, fmt.Errorf("the URL is not at %s://%s, where the provider's credentials belong: must be a path below its base URL", b.Scheme, b.Host)
		}
		return target, nil
	}
	target, err := url.Parse(raw)
	switch {
	case err != nil, target.Host != "", target.User != nil, target.Opaque != "":
		return nil, errors.New("the path cannot be parsed: must be like /models, below the provider's base URL")
	case slices.Contains(strings.Split(target.Path, "/"), ".."):
		return nil, errors.New(`the path has a ".." in it: must stay below the provider's base URL`)
	}
	return withoutFragment(target), nil
}

// withoutFragment removes the part of a URL that is never sent.
func withoutFragment(target *url.URL) *url.URL {
	target.Fragment, target.RawFragment = "", ""
	return target
}
