package faultserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// handshakeFailure is the fatal TLS alert 40 as an unencrypted record.
var handshakeFailure = []byte{21, 3, 3, 0, 2, 2, 40}

// identity holds the certificates of a server with TLS. It is made at the
// server's start.
type identity struct {
	authority *x509.Certificate
	pool      *x509.CertPool
	client    tls.Certificate
	server    tls.Config // of a connection without a TLS fault
	struck    map[fault.TLS]*tls.Config
}

func newIdentity(now time.Time) (*identity, error) {
	m := certMaker{now: now}
	known, unknown := m.authority("faultserver"), m.authority("another authority")
	good := m.leaf(known, now.Add(365*24*time.Hour), "localhost")
	expired := m.leaf(known, now.Add(-time.Hour), "localhost")
	wrong := m.leaf(known, now.Add(365*24*time.Hour), "wrong-host.invalid")
	untrusted := m.leaf(unknown, now.Add(365*24*time.Hour), "localhost")
	client := m.leaf(known, now.Add(365*24*time.Hour), "client.invalid")
	if m.err != nil {
		return nil, fmt.Errorf("making certificates: %w", m.err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(known.Leaf)
	config := func(c tls.Certificate) tls.Config {
		return tls.Config{Certificates: []tls.Certificate{c}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	}
	id := &identity{authority: known.Leaf, pool: pool, client: client, server: config(good), struck: map[fault.TLS]*tls.Config{}}
	for name, c := range map[fault.TLS]tls.Certificate{
		fault.TLSExpired: expired, fault.TLSWrongHost: wrong, fault.TLSUntrusted: untrusted, fault.TLSClientCertificate: good,
	} {
		struck := config(c)
		if name == fault.TLSClientCertificate {
			struck.ClientAuth, struck.ClientCAs = tls.RequireAndVerifyClientCert, pool
		}
		id.struck[name] = &struck
	}
	id.server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if f := hello.Conn.(*connection).fault; f != nil {
			return id.struck[f.TLS], nil // nil, for a healthy one, means the config itself
		}
		return nil, nil
	}
	return id, nil
}

// certMaker makes certificates until one fails.
type certMaker struct {
	now    time.Time
	serial int64
	err    error
}

func (m *certMaker) authority(name string) tls.Certificate {
	return m.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              m.now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil)
}

func (m *certMaker) leaf(by tls.Certificate, until time.Time, hosts ...string) tls.Certificate {
	c := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		NotAfter:    until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    hosts,
	}
	if hosts[0] == "localhost" {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	return m.sign(c, &by)
}

// sign completes a certificate. If by is nil, the certificate signs itself.
func (m *certMaker) sign(c *x509.Certificate, by *tls.Certificate) tls.Certificate {
	if m.err != nil {
		return tls.Certificate{}
	}
	m.serial++
	c.SerialNumber = big.NewInt(m.serial)
	c.NotBefore = m.now.Add(-2 * time.Hour) // before the end of the expired certificate
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.err = err
		return tls.Certificate{}
	}
	parent, signer := c, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		m.err = err
		return tls.Certificate{}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		m.err = err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TLS makes the server speak TLS 1.2 and later, with a new certificate for
// 127.0.0.1, ::1 and localhost. [Server.ClientTLS] returns the config of a
// client that trusts it. TLS cannot be combined with [InMemory].
func TLS() Option { return func(s *Server) { s.wantTLS = true } }

// Certificate returns the authority that signed the server's certificate, or
// nil without [TLS].
func (s *Server) Certificate() *x509.Certificate {
	if s.identity == nil {
		return nil
	}
	return s.identity.authority
}

// ClientTLS returns the config of a client: it trusts the server and has a
// certificate that the server accepts. Each call returns a new one, or nil
// without [TLS].
func (s *Server) ClientTLS() *tls.Config {
	if s.identity == nil {
		return nil
	}
	return &tls.Config{RootCAs: s.identity.pool.Clone(), Certificates: []tls.Certificate{s.identity.client}, MinVersion: tls.VersionTLS12}
}
