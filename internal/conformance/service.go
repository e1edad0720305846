package conformance

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Server is a service that fails by plan: that of package faultserver or of
// h2fault.
type Server interface {
	URL() string
	Addr() string
	Certificate() *x509.Certificate
	SetPlan(fault.Plan) error
	Begin()
	Record() []faultserver.Attempt
	Effects() faultserver.Effects
	Connections() int
	Close() error
}

// canary is the secret in every call's query, headers and body.
const canary = "canary-5f0c41d7"

// work is the path of operations, followed by their number. The service counts
// work by path, not by key.
const work = "/work"

// answerTo returns the service's healthy answer, long enough to be cut in many
// ways.
func answerTo(path string) []byte {
	return fmt.Appendf(nil, `{"answer_to":%q,"text":%q}`, path, strings.Repeat("all is well. ", 16))
}

// newCall returns a call of a rule.
func newCall(r *Rule, base, path string) Call {
	c := Call{Method: r.Method, Path: path + "?token=" + canary, Header: http.Header{
		"Authorization": {"Bearer " + canary},
		"X-Api-Key":     {canary},
	}}
	c.URL = base + c.Path
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	if r.Body > 0 {
		c.Header.Set("Content-Type", "application/json")
		c.Body = fmt.Appendf(nil, `{"secret":%q,"text":"`, canary)
		c.Body = append(c.Body, bytes.Repeat([]byte("x"), max(0, r.Body-len(c.Body)-2))...)
		c.Body = append(c.Body, `"}`...)
	}
	if r.Expect {
		c.Header.Set("Expect", "100-continue")
	}
	if r.Key {
		c.Key = "key-of" + strings.ReplaceAll(path, "/", "-")
	}
	return c
}

// witness is the healthy service. It records which requests contained credentials.
type witness struct {
	mu     sync.Mutex
	leaked []bool // by request, in order of reading
}

func (w *witness) serve(r faultserver.Request) faultserver.Answer {
	leaked := false
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		leaked = leaked || strings.Contains(r.Header.Get(name), canary)
	}
	w.mu.Lock()
	w.leaked = append(w.leaked, leaked)
	w.mu.Unlock()
	a := faultserver.Answer{Status: http.StatusOK, ContentType: "application/json", Body: answerTo(r.Path)}
	if r.Method == http.MethodPost { // idempotent requests may be done twice (RFC 9110, 9.2.2)
		a.Operation = r.Path
	}
	return a
}

// forget resets the witness.
func (w *witness) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaked = nil
}

// leakedAfterFirst returns the number of requests after the first that
// contained credentials.
func (w *witness) leakedAfterFirst() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for i, leaked := range w.leaked {
		if leaked && i > 0 {
			n++
		}
	}
	return n
}

// authority returns the service's authority as a pool and as PEM, nil without TLS.
func authority(s Server) (*x509.CertPool, []byte) {
	cert := s.Certificate()
	if cert == nil {
		return nil, nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// sink is a client's log.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// maxLog limits the kept part of a log, in bytes.
const maxLog = 1 << 20

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := maxLog - s.text.Len(); room > 0 {
		s.text.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// secrets returns how often the log contains the canary.
func (s *sink) secrets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.text.Bytes(), []byte(canary))
}
