package holdfast_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast"
)

// unprintable is what a service may put in a name to change what a terminal shows.
const unprintable = "\x1b[2J\u202e\u2066\x9b\r\n\x00\xff"

// printable reports what is wrong with a text that the other side had a part in.
func printable(text string) (wrong string) {
	switch i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); {
	case !utf8.ValidString(text):
		return "is no UTF-8"
	case i >= 0:
		return fmt.Sprintf("has %q", text[i:])
	case len(text) > 2000:
		return fmt.Sprintf("has %d bytes", len(text))
	}
	return ""
}

// shows checks the texts of err: they are printable and short, and have no secret.
func shows(t *testing.T, err error) {
	t.Helper()
	var s sinks
	s.failure(err)
	if leak := s.leaks(); leak != "" {
		t.Errorf("this shows the secret:\n%s", leak)
	}
	var e *holdfast.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *holdfast.Error", err)
	}
	for _, text := range append(strings.Split(e.Explain(), "\n"), err.Error(), e.Err.Error()) {
		if wrong := printable(text); wrong != "" {
			t.Errorf("a text %s: %q", wrong, text)
		}
	}
}

// Of a Location an error shows the scheme and the host, and only what prints.
func TestLocationIsShownInPart(t *testing.T) {
	for location, want := range map[string]string{
		"https://me:" + canary + "@b.test/" + canary + "?" + canary + "#" + canary: "→ https://b.test/…",
		"//b.test/":                 "→ https://b.test",
		"/" + canary:                "→ https://a.test/…",
		"ftp://b.test/" + canary:    "→ …",
		canary + ":" + canary:       "→ …",
		canary + "://b.test/":       "→ …",
		"https://b\u202ec.test/x":   "→ https://b%E2%80%AEc.test/…",
		"https://b.test/\u202e\xff": "→ https://b.test/…",
		"https://" + strings.Repeat("b", 100_000) + ".test/": "bbb…",
	} {
		for _, lost := range []bool{false, true} {
			w := roundTrip(func(r *http.Request) (*http.Response, error) {
				if lost && r.URL.Path != "/x" {
					return nil, io.EOF
				}
				return &http.Response{StatusCode: 307, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: r}, nil
			})
			c, err := holdfast.New(holdfast.Config{BaseURL: "https://a.test", MaxRedirects: 1, Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, holdfast.WithTransport(w))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Get(t.Context(), "/x")
			shows(t, err)
			if !lost && !strings.Contains(err.Error(), want) {
				t.Errorf("%.100q is shown as %.900q, want %q", location, err, want)
			}
			c.Close()
		}
	}
}

// What a certificate says is shown as far as it is names of hosts.
func TestCertificateIsShownInPart(t *testing.T) {
	names := func(dns ...string) func(leaf *x509.Certificate) {
		return func(leaf *x509.Certificate) { leaf.DNSNames = dns }
	}
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("host%d.test", i)
	}
	for _, c := range []struct {
		change  func(leaf *x509.Certificate)
		trusted bool
		want    string
	}{
		{names("b.test", "\x1b[2J"+canary, "x "+canary), true, "certificate is valid for b.test, …, …, not a.test"},
		{names(many...), true, "host4.test and 45 more, not a.test"},
		{names(strings.Repeat("b", 10_000)), true, "certificate is valid for …, not a.test"},
		{names("a.test"), false, "certificate signed by unknown authority"},
	} {
		cfg, roots := signedByTwo(t, c.change)
		l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := &httptest.Server{Listener: l, Config: &http.Server{ErrorLog: quiet}}
		s.Start()
		trust := x509.NewCertPool()
		if c.trusted {
			trust = roots
		}
		client, err := holdfast.New(holdfast.Config{BaseURL: "https://" + l.Addr().String()},
			holdfast.WithTLSConfig(&tls.Config{RootCAs: trust, ServerName: "a.test"}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Get(t.Context(), "/x")
		shows(t, err)
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		client.Close()
		s.Close()
	}
}

// signedByTwo is a service's certificate, which one authority has signed. The service also
// sends that of another of the same name. The name is a secret.
func signedByTwo(t *testing.T, change func(leaf *x509.Certificate)) (*tls.Config, *x509.CertPool) {
	t.Helper()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: canary + unprintable[:4], Organization: []string{canary}}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: canary}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
	}
	change(leaf)
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(c, by *x509.Certificate, of, with *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, by, &of.PublicKey, with)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	right, wrong, own := key(), key(), key()
	roots := x509.NewCertPool()
	root, err := x509.ParseCertificate(sign(authority, authority, right, right))
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(root)
	chain := [][]byte{sign(leaf, authority, own, right), sign(authority, authority, wrong, wrong)}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: own}}}, roots
}

// The debug data of a GOAWAY is in no text.
func TestGoAwayIsShownInPart(t *testing.T) {
	for _, code := range []byte{0, 2, 11} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				debug := canary + unprintable
				_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
				_, _ = io.CopyN(io.Discard, conn, 24)                // the preface
				for frame := make([]byte, 9); frame[3] != 1; {       // until HEADERS
					if _, err := io.ReadFull(conn, frame); err != nil {
						break
					}
					_, _ = io.CopyN(io.Discard, conn, int64(frame[1])<<8|int64(frame[2]))
				}
				_, _ = conn.Write(append([]byte{0, 0, byte(8 + len(debug)), 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, code}, debug...))
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
		}()
		c := over(t, "http://"+l.Addr().String(), holdfast.Config{UnencryptedHTTP2: true, Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
		_, err = c.Get(t.Context(), "/x")
		shows(t, err)
		if !strings.Contains(err.Error(), "GOAWAY") {
			t.Errorf("code %d: %v", code, err)
		}
		c.Close()
		l.Close()
	}
}

// A resolver's answer, and a dialler's, is printable in every text.
func TestDialErrorIsPrintable(t *testing.T) {
	for _, err := range []error{
		&net.DNSError{Err: "no such host", Name: "a" + unprintable, Server: unprintable},
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New(unprintable + strings.Repeat("x", 5000))},
	} {
		c, wrong := holdfast.New(holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{MaxRetries: holdfast.Off}},
			holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return nil, err }))
		if wrong != nil {
			t.Fatal(wrong)
		}
		_, err := c.Get(t.Context(), "/x")
		shows(t, err)
		c.Close()
	}
}
