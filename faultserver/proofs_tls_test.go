package faultserver

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// shake does the client's handshake over a plain socket.
func shake(w *wire, config *tls.Config) (*tls.Conn, error) {
	config.ServerName = "127.0.0.1"
	conn := tls.Client(w.Conn, config)
	return conn, conn.Handshake()
}

func certificateProof(fails fault.TLS, check func(err error) bool) proof {
	return proof{
		conn: fault.ConnFault{TLS: fails},
		opts: []Option{TLS()},
		prove: func(t *testing.T, s *Server, w *wire) {
			if _, err := shake(w, s.ClientTLS()); !check(err) {
				t.Errorf("%v", err)
			}
		},
	}
}

// proofsOfTLS are the proofs of handshake faults.
var proofsOfTLS = map[fault.ID]proof{
	"tls.expired": certificateProof(fault.TLSExpired, func(err error) bool {
		var invalid x509.CertificateInvalidError
		return errors.As(err, &invalid) && invalid.Reason == x509.Expired
	}),
	"tls.wrong_host": certificateProof(fault.TLSWrongHost, func(err error) bool {
		var host x509.HostnameError
		return errors.As(err, &host) && host.Host == "127.0.0.1"
	}),
	"tls.untrusted": certificateProof(fault.TLSUntrusted, func(err error) bool {
		var unknown x509.UnknownAuthorityError
		return errors.As(err, &unknown)
	}),
	"tls.handshake_stall": {
		conn: fault.ConnFault{TLS: fault.TLSHandshakeStall},
		opts: []Option{TLS()},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			var timeout interface{ Timeout() bool }
			if _, err := shake(w, s.ClientTLS()); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%v", err)
			}
			w.wantNoBytes() // not one byte arrives
		},
	},
	"tls.alert": {
		conn: fault.ConnFault{TLS: fault.TLSAlert},
		opts: []Option{TLS()},
		prove: func(t *testing.T, s *Server, w *wire) {
			if _, err := shake(w, s.ClientTLS()); err == nil || err.Error() != "remote error: tls: handshake failure" {
				t.Errorf("%v", err)
			}
			w.wantEnd(0, io.EOF)
		},
	},
	"tls.client_certificate": {
		conn: fault.ConnFault{TLS: fault.TLSClientCertificate},
		opts: []Option{TLS()},
		prove: func(t *testing.T, s *Server, w *wire) {
			anonymous := s.ClientTLS()
			anonymous.Certificates = nil
			conn, err := shake(w, anonymous)
			if err == nil { // TLS 1.3: the alert arrives with the first read
				_, err = conn.Read(make([]byte, 1))
			}
			if err == nil || !strings.Contains(err.Error(), "certificate required") {
				t.Errorf("without one: %v", err)
			}
			w = dialWire(t, s)
			if conn, err = shake(w, s.ClientTLS()); err != nil {
				t.Fatalf("with one: %v", err)
			}
			wantEchoOver(t, conn)
		},
	},
}

func wantEchoOver(t *testing.T, conn *tls.Conn) {
	t.Helper()
	w := &wire{t, conn, bufio.NewReader(conn)}
	w.send("op-1")
	if _, body := w.full(); body != echoBody {
		t.Errorf("%q", body)
	}
}

func TestTLSOnTheWire(t *testing.T) {
	s := Start(t, fault.Plan{}, TLS())
	if s.URL() != "https://"+s.Addr() || s.Certificate() == nil {
		t.Errorf("%s, %v", s.URL(), s.Certificate())
	}
	w := dialWire(t, s)
	conn, err := shake(w, s.ClientTLS())
	if err != nil {
		t.Fatal(err)
	}
	wantEchoOver(t, conn)

	w = dialWire(t, s)
	var unknown x509.UnknownAuthorityError
	if _, err := shake(w, &tls.Config{}); !errors.As(err, &unknown) {
		t.Errorf("a client without the authority trusts the server: %v", err)
	}
	plain := Start(t, fault.Plan{})
	if plain.Certificate() != nil || plain.ClientTLS() != nil {
		t.Error("a server without TLS has a certificate")
	}
}

// TestFaultsUnderTLS: a fault of a connection strikes the socket below TLS.
func TestFaultsUnderTLS(t *testing.T) {
	for _, test := range []struct {
		fault fault.Fault
		want  string // in the read error
	}{
		{fault.Fault{Reset: fault.BeforeAnswer}, "connection reset by peer"},
		{fault.Fault{Close: fault.BeforeAnswer}, "EOF"},
		{fault.Fault{Close: fault.NextRequest}, ""},
		{fault.Fault{H1: fault.Garbage}, ""},
		{fault.Fault{Cut: &fault.Cut{Of: fault.Head, After: 0, By: fault.RST}}, "connection reset by peer"},
	} {
		s := Start(t, strikeAll(test.fault), TLS())
		conn, err := shake(dialWire(t, s), s.ClientTLS())
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{t, conn, bufio.NewReader(conn)}
		w.send("op-1")
		if _, err := w.in.ReadByte(); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v", test.fault, err)
		}
	}
}
