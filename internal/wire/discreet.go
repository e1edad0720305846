package wire

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// discreet is an error with a text that may be shown. The error itself stays in
// the chain, for whoever asks for it.
type discreet struct {
	text string
	err  error
}

func (d *discreet) Error() string { return d.text }
func (d *discreet) Unwrap() error { return d.err }

// quoted is what Go puts in quotes: in net/http's errors, what the other side
// has sent.
var quoted = regexp.MustCompile(` ?=?:? ?"(?:[^"\\]|\\.)*"`)

// Discreet is an error of a transport, or of a body that it gave, without the
// address that was called, whose query may hold a key, and without what the other
// side has sent: a line that is no HTTP may repeat the request.
//
// What the network and TLS say has neither, and stays as it is.
func Discreet(err error) error {
	err = WithoutURL(err)
	if has[*net.OpError](err) || has[*net.DNSError](err) || has[*tls.CertificateVerificationError](err) {
		return err
	}
	said := err.Error()
	if text := quoted.ReplaceAllString(said, ""); text != said {
		return &discreet{text, err}
	}
	return err
}

// WithoutURL is err without the address that an *url.Error shows, wherever in
// the chain there is one.
func WithoutURL(err error) error {
	if text, found := withoutURL(err); found {
		return &discreet{text, err}
	}
	return err
}

// withoutURL is the text of what an *url.Error wraps, if there is one that is
// not hidden already. What others have put around it may repeat it, and goes.
func withoutURL(err error) (text string, found bool) {
	switch e := err.(type) {
	case *discreet:
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

// Undecoded is an error of encoding/json without what the answer said: the
// package shows a number that does not fit, and a type that decodes itself may
// show all that it was given.
func Undecoded(err error) error {
	switch e := err.(type) {
	case *json.SyntaxError, *json.InvalidUnmarshalError:
		return err
	case *json.UnmarshalTypeError:
		own := *e
		own.Value, _, _ = strings.Cut(e.Value, " ")
		return &discreet{own.Error(), err}
	}
	return &discreet{fmt.Sprintf("a type that decodes itself gave a %T", err), err}
}

// has reports whether there is an E in the chain.
func has[E error](err error) bool {
	switch e := err.(type) {
	case E:
		return true
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		return inner != nil && has[E](inner)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), has[E])
	}
	return false
}
