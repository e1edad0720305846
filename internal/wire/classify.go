package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
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
	case unprocessed(err) && !strings.Contains(err.Error(), "ENHANCE_YOUR_CALM"):
		return judge.Unread
	case has[*connectTimeout](err):
		return judge.ConnectTimeout
	case has[*tls.CertificateVerificationError](err), has[x509.UnknownAuthorityError](err), has[x509.HostnameError](err),
		has[x509.CertificateInvalidError](err), has[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, errInBubble):
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
	case strings.Contains(s, "http2: client connection lost"): // no answer to a PING
		return judge.TimedOut
	}
	if timesOut(err) {
		return judge.TimedOut
	}
	return judge.Lost
}

// timesOut reports whether an error in the chain of err says of itself that it is a
// timeout.
func timesOut(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// unsendable are the beginnings of net/http's errors for a request that cannot be sent. They
// have no type.
var unsendable = []string{
	"net/http: invalid header ", "net/http: invalid trailer ", "net/http: invalid method ", "net/http: can't write control character",
	"http: nil Request.", "http: no Host in request URL", "http: invalid Host header", "http: Request.ContentLength=", "http: ContentLength=",
	"http: Request.Write on Request with no Host", "http: method cannot contain a Content-Length",
	"http2: invalid ", "http2: request body larger than specified content length",
	"http2: request header list larger than peer's", "request header list larger than peer's", "invalid URL port ", "idna: ",
}

// Unsendable reports whether net/http did not send the request because of the request itself.
func Unsendable(err error) bool {
	text := err.Error()
	return slices.ContainsFunc(unsendable, func(beginning string) bool { return strings.HasPrefix(text, beginning) })
}

// ProxyAnswer is a proxy's answer to CONNECT that is no 200.
type ProxyAnswer struct {
	Proxy  string // without user and password
	Host   string // that it was to connect to
	Status int
	Header http.Header
}

// Error names the proxy, the service and the status.
func (e *ProxyAnswer) Error() string {
	return fmt.Sprintf("proxy %s declined to connect to %s: %d %s", e.Proxy, e.Host, e.Status, http.StatusText(e.Status))
}

// withoutProxyText replaces an error of a caller's transport that may be the text of a proxy:
// if a proxy does not connect, that is all of net/http's error, and it has no type. The text
// stays out of the chain too, since the judge of an error looks for words in it.
func (c *connection) withoutProxyText(t *http.Transport, req *http.Request, err error) error {
	c.mu.Lock()
	connecting := c.sought && c.conn == nil
	c.mu.Unlock()
	if !connecting || req.URL.Scheme != "https" || t.Proxy == nil || ofGo(err) {
		return err
	}
	proxy, wrong := t.Proxy(req)
	if proxy == nil || wrong != nil {
		return err
	}
	return fmt.Errorf("the proxy %s did not connect to %s", Printable(proxy.Host), Printable(req.URL.Host))
}

// ofGo reports whether an error before there is a connection is one of this side.
func ofGo(err error) bool {
	return has[net.Error](err) || has[*tls.CertificateVerificationError](err) || has[tls.RecordHeaderError](err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled)
}

// socksStatuses are the answers of a SOCKS proxy that are about the proxy and not about the
// service, with the HTTP statuses that mean the same.
var socksStatuses = map[string]int{
	"no acceptable authentication methods":    http.StatusProxyAuthRequired,
	"username/password authentication failed": http.StatusProxyAuthRequired,
	"connection not allowed by ruleset":       http.StatusForbidden,
	"general SOCKS server failure":            http.StatusBadGateway,
}

// socksAnswer returns the answer of a SOCKS proxy that did not connect, for its own reasons.
func socksAnswer(err error) (*ProxyAnswer, bool) {
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok || !strings.HasPrefix(failed.Op, "socks") || failed.Source == nil || failed.Addr == nil {
		return nil, false
	}
	for text, status := range socksStatuses {
		if strings.HasSuffix(failed.Err.Error(), text) {
			return &ProxyAnswer{Proxy: Printable(failed.Source.String()), Host: Printable(failed.Addr.String()), Status: status}, true
		}
	}
	return nil, false
}

// schemeMismatch is a TLS handshake that plain HTTP answered, as http.Client reports it
// for net/http's transport alone.
type schemeMismatch struct{ err tls.RecordHeaderError }

func (e *schemeMismatch) Error() string   { return http.ErrSchemeMismatch.Error() }
func (e *schemeMismatch) Unwrap() []error { return []error{http.ErrSchemeMismatch, e.err} }
