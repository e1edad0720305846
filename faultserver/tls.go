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

// handshakeFailure is TLS's fatal alert 40, as a record in the clear.
var handshakeFailure = []byte{21, 3, 3, 0, 2, 2, 40}

// identity is who a server with TLS is. It is made at its start and dies with it.
type identity struct {
	authority *x509.Certificate
	pool      *x509.CertPool
	client    tls.Certificate
	server    tls.Config // of a connection whose handshake is healthy
	struck    map[fault.TLS]*tls.Config
}

func newIdentity(now time.Time) (*identity, error) {
	m := mint{now: now}
	known, stranger := m.authority("faultserver"), m.authority("somebody else")
	good := m.leaf(known, now.Add(365*24*time.Hour), "localhost")
	expired := m.leaf(known, now.Add(-time.Hour), "localhost")
	wrong := m.leaf(known, now.Add(365*24*time.Hour), "wrong-host.invalid")
	untrusted := m.leaf(stranger, now.Add(365*24*time.Hour), "localhost")
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
			return id.struck[f.TLS], nil // nil, for a healthy one, is the config itself
		}
		return nil, nil
	}
	return id, nil
}

// mint makes certificates until one fails.
type mint struct {
	now    time.Time
	serial int64
	err    error
}

func (m *mint) authority(name string) tls.Certificate {
	return m.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              m.now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil)
}

func (m *mint) leaf(by tls.Certificate, until time.Time, hosts ...string) tls.Certificate {
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

// sign completes a certificate; by nil signs itself.
func (m *mint) sign(c *x509.Certificate, by *tls.Certificate) tls.Certificate {
	if m.err != nil {
		return tls.Certificate{}
	}
	m.serial++
	c.SerialNumber = big.NewInt(m.serial)
	c.NotBefore = m.now.Add(-2 * time.Hour) // before what has expired ended
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

// TLS has the server speak TLS, 1.2 and up, with a certificate for 127.0.0.1,
// ::1 and localhost that is made at its start. A client that is to trust it
// takes [Server.ClientTLS]. It does not go with [InMemory].
func TLS() Option { return func(s *Server) { s.wantTLS = true } }

// Certificate is the authority that has signed the server's certificate; nil
// without [TLS].
func (s *Server) Certificate() *x509.Certificate {
	if s.identity == nil {
		return nil
	}
	return s.identity.authority
}

// ClientTLS is a client's side: it trusts the server and has a certificate that
// the server accepts where it asks for one. Each call gives a fresh one, nil
// without [TLS].
func (s *Server) ClientTLS() *tls.Config {
	if s.identity == nil {
		return nil
	}
	return &tls.Config{RootCAs: s.identity.pool.Clone(), Certificates: []tls.Certificate{s.identity.client}, MinVersion: tls.VersionTLS12}
}
