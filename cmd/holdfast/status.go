package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// The exit statuses of call that are curl's, too.
const (
	noSuchHost     = 6
	notConnected   = 7
	partialBody    = 18
	refusedStatus  = 22
	notWritten     = 23
	timedOut       = 28
	noHandshake    = 35
	emptyReply     = 52
	notReceived    = 56
	badCertificate = 60
)

// statuses are those that call can end with, for its help.
var statuses = []struct {
	status int
	means  string
}{
	{0, "answered, and written to the end"},
	{failure, "any other failure; a redirect"},
	{usage, "an argument makes no sense"},
	{config, "a file or a setting does not hold; nothing was sent"},
	{noSuchHost, "the host could not be resolved"},
	{notConnected, "no connection"},
	{partialBody, "the body broke off"},
	{refusedStatus, "status 400 or above"},
	{notWritten, "the answer could not be written"},
	{timedOut, "a limit was reached"},
	{noHandshake, "no TLS handshake"},
	{emptyReply, "the connection was closed without an answer"},
	{notReceived, "the connection was lost, or the answer is none"},
	{badCertificate, "the certificate does not hold"},
	{interrupted, "interrupted"},
}

func statusTable() string {
	var b strings.Builder
	b.WriteString("Exit status, curl's where it has one:\n")
	for _, s := range statuses {
		fmt.Fprintf(&b, "  %3d  %s\n", s.status, s.means)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// statusOf is the exit status of a call that had no whole answer; within says
// that it had begun.
func statusOf(err error, within bool) int {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		record      tls.RecordHeaderError
	)
	refusal := refusalOf(err)
	errors.As(err, &op)
	switch {
	case errors.Is(err, holdfast.ErrCanceled):
		return interrupted
	case errors.Is(err, holdfast.ErrTimeout):
		return timedOut
	case refusal != nil && refusal.Status >= 400:
		return refusedStatus
	case refusal != nil:
		return failure
	case errors.As(err, &dns):
		return noSuchHost
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid):
		return badCertificate
	case op != nil && (op.Op == "dial" || op.Op == "proxyconnect"):
		return notConnected
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch), !within && beforeTLS(err):
		return noHandshake
	case within && errors.Is(err, io.ErrUnexpectedEOF):
		return partialBody
	case !within && errors.Is(err, io.EOF):
		return emptyReply
	case errors.Is(err, holdfast.ErrConnection):
		return notReceived
	}
	return failure
}

// beforeTLS reports whether an https call lost its connection before anything of
// the request was written to it: that is in the handshake.
func beforeTLS(err error) bool {
	var e *holdfast.Error
	if !errors.As(err, &e) || len(e.Attempts) == 0 || !strings.HasPrefix(e.URL, "https:") {
		return false
	}
	last := e.Attempts[len(e.Attempts)-1]
	return last.Outcome == holdfast.Transient && !last.Sent
}

// refusalOf is the answer that a call failed by, nil if it was something else:
// that time ran out after a refusal, for one.
func refusalOf(err error) *holdfast.StatusError {
	var refusal *holdfast.StatusError
	if errors.Is(err, holdfast.ErrTimeout) || errors.Is(err, holdfast.ErrCanceled) || !errors.As(err, &refusal) {
		return nil
	}
	return refusal
}

// notAnswered is the end of a call that had no answer, or one that is a failure.
func notAnswered(err error) error {
	said := withoutPrefix(err)
	var e *holdfast.Error
	if errors.As(err, &e) {
		said = e.Explain()
	}
	return &exit{statusOf(err, false), errors.New(printableLines(said))}
}

// brokeOff is the end of one whose answer had begun.
func brokeOff(err error, after int) error {
	return exitf(statusOf(err, true), "%s; %s of it had come", printable(withoutPrefix(err)), plural(after, "byte"))
}

// withoutPrefix is an error's text without the name that report puts before it.
func withoutPrefix(err error) string {
	return strings.ReplaceAll("\n"+err.Error(), "\nholdfast: ", "\n")[1:]
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
