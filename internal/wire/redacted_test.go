package wire

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
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
		{&tls.CertificateVerificationError{Err: errors.New(`signed by "x"`)}, `tls: failed to verify certificate: signed by "x"`},
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
		if !errors.Is(got, c.err) && !errors.Is(got, io.EOF) {
			t.Errorf("%v is gone", c.err)
		}
	}
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
