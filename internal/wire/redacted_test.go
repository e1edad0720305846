package wire

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The text has no secret, and the error is still in the chain.
func TestRedacted(t *testing.T) {
	address := &url.Error{Op: "Get", URL: "https://a.test/?k=s3cret", Err: io.EOF}
	for _, c := range []struct {
		err  error
		want string
	}{
		{io.ErrUnexpectedEOF, "unexpected EOF"},
		{fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", errors.New(`malformed HTTP response "a \"s3cret\" b"`)),
			"net/http: HTTP/1.x transport connection broken: malformed HTTP response"},
		{textproto.ProtocolError(`malformed MIME header line: "s3cret: x"`), "malformed MIME header line"},
		{errors.New(`http: message cannot contain multiple Content-Length headers; got ["1" "s3cret"]`),
			"http: message cannot contain multiple Content-Length headers; got []"},
		{errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug="s3cret"`),
			"http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug"},
		{&net.DNSError{Err: "no such host", Name: `"odd"`}, `lookup "odd": no such host`},
		{fmt.Errorf("dialling: %w", &net.DNSError{Err: "no such host", Name: `"odd"`}), `dialling: lookup "odd": no such host`},
		{&tls.CertificateVerificationError{Err: errors.New(`signed by "s3cret"`)}, `tls: failed to verify certificate: signed by`},
		{x509.CertificateInvalidError{Cert: new(x509.Certificate), Reason: x509.CANotAuthorizedForThisName, Detail: `DNS name "s3cret" is not permitted`},
			"x509: a root or intermediate certificate is not authorized to sign for this name: DNS name is not permitted"},
		{invalidFor("a.test", "b.test", "s3cret s3cret", "\x1b[31m", "*.c.test"), "x509: certificate is valid for b.test, …, …, *.c.test, not a.test"},
		{invalidFor("a.test", "1", "2", "3", "4", "5", "6", "7"), "x509: certificate is valid for 1, 2, 3, 4, 5 and 2 more, not a.test"},
		{fmt.Errorf("tls: %w", invalidFor("192.0.2.1", "s3cret")), "tls: x509: certificate is valid for 192.0.2.7, not 192.0.2.1"},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(`tls: cannot parse URI "s3cret"`)}, "proxyconnect tcp: tls: cannot parse URI"},
		{&net.DNSError{Err: "no such host", Name: "\x1b[2J\u202ecod\xff\n"}, "lookup  [2J cod\uFFFD : no such host"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: strings.Repeat("ä", 1000)}}, "dial tcp: lookup " + strings.Repeat("ä", 241) + "…"},
		{address, "EOF"},
		{fmt.Errorf("asking s3cret: %w", address), "EOF"},
		{errors.Join(io.EOF, &url.Error{URL: "/?s3cret", Err: address}), "EOF"},
		{&url.Error{URL: "/?s3cret", Err: errors.New(`malformed HTTP version "s3cret"`)}, "malformed HTTP version"},
		{fmt.Errorf("broke off: %w", Redacted(address)), "broke off: EOF"},
	} {
		got := Redacted(c.err)
		if got.Error() != c.want {
			t.Errorf("%v is shown as %q, want %q", c.err, got, c.want)
		}
		if !errors.Is(got, io.EOF) && !inChain(got, c.err) {
			t.Errorf("%v is gone", c.err)
		}
		for _, text := range []string{fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got)} {
			if strings.Contains(text, "s3cret") {
				t.Errorf("%v is shown as %s", c.err, text)
			}
		}
	}
}

func inChain(err, want error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if fmt.Sprintf("%#v", err) == fmt.Sprintf("%#v", want) {
			return true
		}
	}
	return false
}

func invalidFor(host string, names ...string) error {
	return x509.HostnameError{Host: host, Certificate: &x509.Certificate{DNSNames: names, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7)}}}
}

func TestRedactedJSON(t *testing.T) {
	var v struct {
		N  int8
		At time.Time
	}
	for in, want := range map[string]string{
		`{`:                "unexpected end of JSON input",
		`{"N": 77777}`:     "json: cannot unmarshal number into Go struct field .N of type int8",
		`{"At": "s3cret"}`: "a type that decodes itself gave a *time.ParseError",
	} {
		err := json.Unmarshal([]byte(in), &v)
		if got := RedactedJSON(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("%v is shown as %q, want %q", err, got, want)
		}
	}
}
