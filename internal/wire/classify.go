package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast/internal/core/judge"
)

// connectTimeout marks the error of a dial that reached its own limit.
type connectTimeout struct{ err error }

func (c *connectTimeout) Error() string { return c.err.Error() }
func (c *connectTimeout) Unwrap() error { return c.err }

// Classify returns the class of an error of Do that neither a limit of the round trip
// nor the caller's cancellation has caused.
func Classify(err error) judge.Failure {
	switch {
	case has[*connectTimeout](err):
		return judge.ConnectTimeout
	case has[*tls.CertificateVerificationError](err), has[x509.UnknownAuthorityError](err), has[x509.HostnameError](err),
		has[x509.CertificateInvalidError](err), has[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		return judge.FailsAgain
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound && !dns.IsTemporary {
		return judge.FailsAgain
	}
	// A TLS alert has no exported type. One about a certificate is about the client's.
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate") {
		return judge.FailsAgain
	}
	// These errors have no type.
	switch s := err.Error(); {
	case strings.Contains(s, "TLS handshake timeout"):
		return judge.ConnectTimeout
	case strings.Contains(s, "unsupported protocol scheme"):
		return judge.FailsAgain
	}
	return judge.Lost
}
