package h2fault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"
)

// identity is the self-signed certificate of a server with TLS. It is made at
// the server's start.
type identity struct {
	leaf   *x509.Certificate
	server *tls.Config
}

func newIdentity(now time.Time) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "h2fault"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // some clients trust only an authority
		DNSNames:              []string{"localhost", memoryHost},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &identity{leaf: leaf, server: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		NextProtos:   []string{"h2"},
		MinVersion:   tls.VersionTLS12,
	}}, nil
}

// Certificate returns the server's self-signed certificate, or nil without [TLS].
func (s *Server) Certificate() *x509.Certificate {
	if s.identity == nil {
		return nil
	}
	return s.identity.leaf
}

// ClientTLS returns the config of a client that trusts the server. Each call
// returns a new one, or nil without [TLS]. The client sets its ALPN protocols
// itself.
func (s *Server) ClientTLS() *tls.Config {
	if s.identity == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.identity.leaf)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
