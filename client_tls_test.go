package holdfast_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// quiet discards a TLS server's log of failed handshakes.
var quiet = log.New(io.Discard, "", 0)

// An invalid certificate stays invalid: there is one attempt, which sent nothing, and the
// breaker counts a failure.
func TestInvalidCertificates(t *testing.T) {
	hopeless := func(t *testing.T, c *holdfast.Client, says string) {
		t.Helper()
		_, err := c.Get(t.Context(), "/x")
		is(t, err, holdfast.ErrConnection)
		isNot(t, err, holdfast.ErrTimeout, holdfast.ErrCanceled)
		if !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("error %q does not contain %q", err, says)
		}
		all := attempts(t, err)
		equal(t, "attempts", len(all), 1)
		equal(t, "sent", all[0].Sent, false)
		equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
		equal(t, "in flight", c.Stats().InFlight, 0)
	}
	for id, says := range map[fault.TLS]string{
		fault.TLSExpired:   "certificate has expired",
		fault.TLSWrongHost: "cannot validate certificate for 127.0.0.1",
		fault.TLSUntrusted: "signed by unknown authority",
	} {
		t.Run("HTTP/1.1/"+string(id), func(t *testing.T) {
			s := faultserver.Start(t, fault.Plan{Connections: []fault.ConnRule{{Nth: "1", Fault: fault.ConnFault{TLS: id}}}}, faultserver.TLS())
			c, err := holdfast.New(holdfast.Config{BaseURL: s.URL()}, holdfast.WithTLSConfig(s.ClientTLS()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			hopeless(t, c, says)
			for range 2 { // the certificate was renewed
				if _, err := c.Get(t.Context(), "/x"); err != nil {
					t.Error(err)
				}
			}
			equal(t, "connections", s.Connections(), 2)
		})
	}
	for name, c := range map[string]struct {
		says   string
		change func(cfg *tls.Config)
	}{
		"expired":    {"certificate has expired", func(cfg *tls.Config) { cfg.Time = func() time.Time { return time.Now().AddDate(100, 0, 0) } }},
		"wrong host": {"not other.test", func(cfg *tls.Config) { cfg.ServerName = "other.test" }},
		"untrusted":  {"signed by unknown authority", func(cfg *tls.Config) { cfg.RootCAs = x509.NewCertPool() }},
	} {
		t.Run("HTTP/2.0/"+name, func(t *testing.T) {
			s, trusting := overTLS(t, nil)
			c.change(trusting)
			client, err := holdfast.New(holdfast.Config{BaseURL: s.URL}, holdfast.WithTLSConfig(trusting))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			hopeless(t, client, c.says)
		})
	}
}

// overTLS returns net/http's server on real sockets, which answers with the protocol and the
// client's name, and a configuration that trusts it. change may change the server's.
func overTLS(t *testing.T, change func(*tls.Config)) (*httptest.Server, *tls.Config) {
	t.Helper()
	return servingTLS(t, func(w http.ResponseWriter, r *http.Request) {
		by := "no client"
		if len(r.TLS.PeerCertificates) > 0 {
			by = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprint(w, r.Proto, " by ", by)
	}, change)
}

// servingTLS is overTLS with another handler.
func servingTLS(t *testing.T, h http.HandlerFunc, change func(*tls.Config)) (*httptest.Server, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2, s.Config.ErrorLog, s.TLS = true, quiet, new(tls.Config)
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, &tls.Config{RootCAs: roots}
}

// A service with client certificates and a private authority needs a TLS configuration, and
// no other transport. HTTP/2 stays on. Later changes of the caller's configuration have no
// effect.
func TestClientCertificate(t *testing.T) {
	identities := faultserver.Start(t, fault.Plan{}, faultserver.TLS())
	s, cfg := overTLS(t, func(server *tls.Config) {
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		server.ClientCAs.AddCert(identities.Certificate())
	})
	cfg.MaxVersion = tls.VersionTLS12 // the handshake fails; with 1.3 it ends before the server declines
	cfg.NextProtos = []string{"http/1.1"}

	others := faultserver.Start(t, fault.Plan{}, faultserver.TLS()).ClientTLS().Certificates
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &others[0], nil }
	anonymous, err := holdfast.New(holdfast.Config{BaseURL: s.URL}, holdfast.WithTLSConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	_, err = anonymous.Get(t.Context(), "/")
	is(t, err, holdfast.ErrConnection)
	equal(t, "attempts without a certificate", len(attempts(t, err)), 1)
	equal(t, "sent without a certificate", attempts(t, err)[0].Sent, false)
	if !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("error %q does not have the reason", err)
	}

	cfg.GetClientCertificate, cfg.Certificates = nil, identities.ClientTLS().Certificates
	known, err := holdfast.New(holdfast.Config{BaseURL: s.URL}, holdfast.WithTLSConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	cfg.RootCAs, cfg.Certificates = x509.NewCertPool(), nil
	resp, err := known.Get(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "answer", string(resp.Body), "HTTP/2.0 by client.invalid")
	equal(t, "protocol", resp.Proto, "HTTP/2.0")
	equal(t, "protocols in the caller's configuration", len(cfg.NextProtos), 1)
}
