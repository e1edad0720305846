package wire

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// redacted is an error with a text that contains no secret. The error itself stays in
// the chain.
type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// GoString is the text for %#v, which would show the error itself.
func (r *redacted) GoString() string { return fmt.Sprintf("&wire.redacted{text:%q}", r.text) }

// quoted is what Go puts in quotes: in an error of net/http, what the other side has
// sent.
var quoted = regexp.MustCompile(` ?=?:? ?"(?:[^"\\]|\\.)*"`)

// Redacted returns an error of a transport, or of an answer's body, without the address
// of the call, whose query may contain a key, and without what the other side has sent:
// a line that is not HTTP may repeat the request.
//
// Errors of the network keep the names and addresses that they have, and errors of TLS the
// names of hosts in a certificate. The service may have chosen them, so the text is
// printable and bounded like every other.
func Redacted(err error) error {
	err = WithoutURL(err)
	whole := err.Error()
	text := whole
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		text = strings.ReplaceAll(whole, name.Error(), namesOf(name))
	} else if !ofNetwork(err) {
		text, _, _ = strings.Cut(whole, unknownAuthorityHint)
		text = quoted.ReplaceAllString(text, "")
	}
	if text = Printable(text); text != whole {
		return &redacted{text, err}
	}
	return err
}

// unknownAuthorityHint is the beginning of what crypto/x509 adds about a certificate that the
// service has sent, with its name.
const unknownAuthorityHint = " (possibly because of "

// ofNetwork reports whether an error quotes only what this side has asked for.
func ofNetwork(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op != "proxyconnect"
	}
	return has[*net.DNSError](err)
}

// maxNames is the most names of a certificate that an error shows.
const maxNames = 5

// namesOf is the text of e with only the names of hosts, and few of them.
func namesOf(e x509.HostnameError) string {
	names := e.Certificate.DNSNames
	if net.ParseIP(strings.Trim(e.Host, "[]")) != nil {
		names = nil
		for _, ip := range e.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
	}
	if len(names) == 0 {
		return e.Error()
	}
	shown, more := slices.Clone(names[:min(len(names), maxNames)]), ""
	if n := len(names) - len(shown); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	for i, name := range shown {
		if !isHostName(name) {
			shown[i] = "…"
		}
	}
	return fmt.Sprintf("x509: certificate is valid for %s%s, not %s", strings.Join(shown, ", "), more, e.Host)
}

// isHostName reports whether name has the form of a host or of an address.
func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:*", r))
	})
}

// longestText is the most bytes of the other side's text that are shown.
const longestText = 500

// Printable returns the beginning of a text that the other side may have written. Spaces are
// in the place of characters that do not print: the end of a line, an escape of a terminal,
// a change of the direction of writing. Bytes that are no UTF-8 become U+FFFD.
func Printable(s string) string {
	end := min(len(s), longestText)
	for end < len(s) && end > longestText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s[:end], "\uFFFD"))
	if end < len(s) {
		shown += "…"
	}
	return shown
}

// WithoutURL returns err without the address that a *url.Error anywhere in its chain
// shows.
func WithoutURL(err error) error {
	if text, found := withoutURL(err); found {
		return &redacted{text, err}
	}
	return err
}

// withoutURL returns the text of the error in a *url.Error, if there is one that is not
// redacted already. The text around the *url.Error may repeat the address, and is
// dropped.
func withoutURL(err error) (text string, found bool) {
	switch e := err.(type) {
	case *redacted:
		return "", false
	case *url.Error:
		if text, found = withoutURL(e.Err); !found {
			text = e.Err.Error()
		}
		return text, true
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return withoutURL(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if text, found = withoutURL(inner); found {
				return text, true
			}
		}
	}
	return "", false
}

// RedactedJSON returns an error of encoding/json without what the answer contains: the
// package shows a number that does not fit, and a type that decodes itself may show
// everything.
func RedactedJSON(err error) error {
	switch e := err.(type) {
	case *json.SyntaxError, *json.InvalidUnmarshalError:
		return err
	case *json.UnmarshalTypeError:
		own := *e
		own.Value, _, _ = strings.Cut(e.Value, " ")
		return &redacted{own.Error(), err}
	}
	return &redacted{fmt.Sprintf("a type that decodes itself gave a %T", err), err}
}

// has reports whether there is an E in the chain of err.
func has[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
