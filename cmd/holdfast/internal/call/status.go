package call

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// statuses are the exit statuses of the command, in order.
var statuses = []exit.Row{
	{Status: 0, Meaning: "answered, and written to the end"},
	{Status: exit.Failure, Meaning: "any other failure; a redirect"},
	{Status: exit.Usage, Meaning: "an argument is invalid"},
	{Status: exit.Config, Meaning: "a file or a setting is invalid; nothing was sent"},
	{Status: exit.NoSuchHost, Meaning: "the host could not be resolved"},
	{Status: exit.NotConnected, Meaning: "no connection"},
	{Status: exit.PartialBody, Meaning: "the body broke off"},
	{Status: exit.HTTPError, Meaning: "status 400 or above"},
	{Status: exit.WriteError, Meaning: "the answer could not be written"},
	{Status: exit.TimedOut, Meaning: "a limit was reached"},
	{Status: exit.TLSError, Meaning: "no TLS handshake"},
	{Status: exit.EmptyReply, Meaning: "the connection was closed without an answer"},
	{Status: exit.ReceiveError, Meaning: "the connection was lost, or the answer is invalid"},
	{Status: exit.BadCertificate, Meaning: "the certificate is invalid"},
	{Status: exit.Interrupted, Meaning: "interrupted"},
}

// callError is the error of a call without an answer, or with one that is a failure.
func callError(err error) error {
	text := exit.Text(err)
	var e *holdfast.Error
	if errors.As(err, &e) {
		text = e.Explain()
	}
	return exit.With(statusOf(err, false), errors.New(format.PrintableLines(text)))
}

// bodyError is the error of a call with an answer that ended after some bytes.
func bodyError(err error, bytes int) error {
	return exit.Errorf(statusOf(err, true), "%s; %s of it had arrived", format.Printable(exit.Text(err)), format.Plural(bytes, "byte"))
}

// statusOf is the exit status of a failed call. begun reports whether the answer had
// begun.
func statusOf(err error, begun bool) int {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		record      tls.RecordHeaderError
	)
	declined := statusError(err)
	errors.As(err, &op)
	switch {
	case errors.Is(err, holdfast.ErrCanceled):
		return exit.Interrupted
	case errors.Is(err, holdfast.ErrTimeout):
		return exit.TimedOut
	case declined != nil && declined.Status >= 400:
		return exit.HTTPError
	case declined != nil:
		return exit.Failure
	case errors.As(err, &dns):
		return exit.NoSuchHost
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return exit.BadCertificate
	case op != nil && (op.Op == "dial" || op.Op == "proxyconnect"):
		return exit.NotConnected
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), !begun && beforeTLS(err):
		return exit.TLSError
	case begun && errors.Is(err, io.ErrUnexpectedEOF):
		return exit.PartialBody
	case !begun && errors.Is(err, io.EOF):
		return exit.EmptyReply
	case errors.Is(err, holdfast.ErrConnection):
		return exit.ReceiveError
	}
	return exit.Failure
}

// beforeTLS reports whether an https call lost its connection before it wrote the
// request, that is, during the handshake.
func beforeTLS(err error) bool {
	var e *holdfast.Error
	if !errors.As(err, &e) || len(e.Attempts) == 0 || !strings.HasPrefix(e.URL, "https:") {
		return false
	}
	last := e.Attempts[len(e.Attempts)-1]
	return last.Outcome == holdfast.Transient && !last.Sent
}

// statusError is the answer of a service that declined the call. It is nil if the call
// failed in another way, for example by a timeout after such an answer.
func statusError(err error) *holdfast.StatusError {
	var declined *holdfast.StatusError
	if errors.Is(err, holdfast.ErrTimeout) || errors.Is(err, holdfast.ErrCanceled) || !errors.As(err, &declined) {
		return nil
	}
	return declined
}
