package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// Failure is what an error of net/http means.
type Failure uint8

const (
	// Lost: the connection was refused, reset, closed or garbled. The next may
	// fare better.
	Lost Failure = iota
	// ConnectTimeout: the connection, or its TLS handshake, was not there in time.
	ConnectTimeout
	// Hopeless: the same attempt fails again: no such host, a certificate that
	// does not hold, plain HTTP where TLS was spoken.
	Hopeless
)

// connectTimeout marks a dial that its own limit has ended.
type connectTimeout struct{ err error }

func (c *connectTimeout) Error() string { return c.err.Error() }
func (c *connectTimeout) Unwrap() error { return c.err }

// Classify says what an error that RoundTrip returned means, once the caller has
// made sure that neither its own cancellation nor a limit was the cause.
func Classify(err error) Failure {
	var (
		dial        *connectTimeout
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		record      tls.RecordHeaderError
		far         *net.OpError
	)
	switch {
	case errors.As(err, &dial):
		return ConnectTimeout
	case errors.As(err, &dns):
		if dns.IsNotFound && !dns.IsTemporary {
			return Hopeless
		}
		return Lost
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid),
		errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return Hopeless
	case errors.As(err, &far) && far.Op == "remote error": // an alert, of a type that crypto/tls keeps to itself
		if strings.Contains(far.Err.Error(), "certificate") { // what this side has shown, or not shown, the service
			return Hopeless
		}
		return Lost
	}
	// These have no type to ask for.
	switch s := err.Error(); {
	case strings.Contains(s, "TLS handshake timeout"):
		return ConnectTimeout
	case strings.Contains(s, "unsupported protocol scheme"):
		return Hopeless
	}
	return Lost
}

// Idempotent reports whether a method's second time does no more than its first
// (RFC 9110, 9.2.2).
func Idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
