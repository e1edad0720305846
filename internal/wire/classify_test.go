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
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/internal/core/judge"
)

func TestUntrustedCertificateFailsAgain(t *testing.T) {
	_, s := secure(t, TransportConfig{}, func(http.ResponseWriter, *http.Request) {})
	rt := NewTransport(TransportConfig{})
	_, roundTrip, err := do(rt, get(t, t.Context(), s.URL), Limits{})
	if roundTrip.Sent(err) || err == nil || Classify(err) != judge.FailsAgain {
		t.Errorf("%v", err)
	}
	// TLS to a server that speaks plain HTTP.
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, _, err = do(rt, get(t, t.Context(), strings.Replace(plain.URL, "http:", "https:", 1)), Limits{})
	if err == nil || Classify(err) != judge.FailsAgain {
		t.Errorf("%v", err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want judge.Failure
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, judge.Lost},
		{syscall.ECONNRESET, judge.Lost},
		{io.EOF, judge.Lost},
		{io.ErrUnexpectedEOF, judge.Lost},
		{fmt.Errorf("dial: %w", &connectTimeout{context.DeadlineExceeded}), judge.ConnectTimeout},
		{errors.New("net/http: TLS handshake timeout"), judge.ConnectTimeout},
		{&net.DNSError{IsNotFound: true}, judge.FailsAgain},
		{&net.DNSError{IsTemporary: true}, judge.Lost},
		{&net.DNSError{IsTimeout: true}, judge.TimedOut},
		{&net.OpError{Op: "read", Err: syscall.ETIMEDOUT}, judge.TimedOut},
		{syscall.ETIMEDOUT, judge.TimedOut},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, judge.TimedOut},
		{fmt.Errorf("another transport: %w", context.DeadlineExceeded), judge.TimedOut},
		{errors.New("http2: client connection lost"), judge.TimedOut},
		{fmt.Errorf("tls: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), judge.FailsAgain},
		{x509.HostnameError{Certificate: &x509.Certificate{}}, judge.FailsAgain},
		{tls.RecordHeaderError{}, judge.FailsAgain},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, judge.FailsAgain},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, judge.Lost},
		{http.ErrSchemeMismatch, judge.FailsAgain},
		{errors.New(`unsupported protocol scheme "ftp"`), judge.FailsAgain},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
	if inner := errors.New("x"); !errors.Is(&connectTimeout{inner}, inner) || (&connectTimeout{inner}).Error() != "x" {
		t.Error("a dial that timed out has lost its cause")
	}
}
