package wire

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// redacted is an error with a text that contains no secret. The error itself stays in
// the chain.
type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// quoted is what Go puts in quotes: in an error of net/http, what the other side has
// sent.
var quoted = regexp.MustCompile(` ?=?:? ?"(?:[^"\\]|\\.)*"`)

// Redacted returns an error of a transport, or of an answer's body, without the address
// of the call, whose query may contain a key, and without what the other side has sent:
// a line that is not HTTP may repeat the request.
//
// Errors of the network and of TLS contain neither, and stay as they are. The text has no
// control character and is bounded: a proxy may have sent it.
func Redacted(err error) error {
	err = WithoutURL(err)
	if has[*net.OpError](err) || has[*net.DNSError](err) || has[*tls.CertificateVerificationError](err) {
		return err
	}
	whole := err.Error()
	if text := printable(quoted.ReplaceAllString(whole, "")); text != whole {
		return &redacted{text, err}
	}
	return err
}

// longestText is the most bytes of a transport's error that are shown.
const longestText = 500

// printable returns the beginning of s, with spaces in the place of control characters.
func printable(s string) string {
	if len(s) > longestText {
		s = strings.ToValidUTF8(s[:longestText], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
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
