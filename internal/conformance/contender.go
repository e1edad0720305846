package conformance

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Contender is a client under test.
type Contender struct {
	Name    string
	Version string // of the module or program; may be empty
	// New makes a client for one service. It is called for each rule, and
	// concurrently.
	New func(Setup) (Client, error)
	// Program means that each call is a separate process: it keeps no state
	// between calls and leaves nothing in this process.
	Program bool
	// Proxy means that the contender is one separate process for all rules. New
	// makes its caller.
	Proxy bool
	// Asks reports whether the contender can be tested by a rule. Nil means all rules.
	Asks func(*Rule) bool
}

// isSeparate reports whether the contender is another process, so that its
// resources cannot be counted.
func (c *Contender) isSeparate() bool { return c.Program || c.Proxy }

// Client is an adapter for the client under test.
type Client interface {
	// Do makes one call and reads the whole answer. It returns at the latest
	// when ctx ends.
	Do(ctx context.Context, c Call) Answer
	// Close releases the client's resources, such as idle connections.
	Close()
}

// Counter is a Client that tells how many attempts it has made.
type Counter interface {
	Client
	// Attempts returns the number so far; false if the library does not tell.
	Attempts() (int64, bool)
}

// Setup is the configuration of a client.
type Setup struct {
	// BaseURL of the service, without a path.
	BaseURL string
	// Roots are the trusted authorities, nil without TLS.
	Roots *x509.CertPool
	// Authority is the one authority in Roots as PEM.
	Authority []byte
	// Dial opens all connections of the client. Nil dials as usual.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Proxy is the proxy that the client uses. Nil means none.
	Proxy *url.URL
	// Terms are the same for all clients.
	Terms Terms
	// Log receives the client's log at its default level. A client that logs
	// nothing by default logs everything. It may be written to at any time.
	Log io.Writer
}

// Call is one call. Its URL, headers and body contain credentials.
type Call struct {
	Method string
	URL    string
	Path   string      // of the URL, with the query
	Header http.Header // without Idempotency-Key; do not change it
	Body   []byte
	// Key is sent as Idempotency-Key with every attempt. Empty means none.
	Key string
}

// Request returns the call as an http.Request.
func (c *Call) Request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if c.Body != nil {
		body = bytes.NewReader(c.Body)
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, c.URL, body)
	if err != nil {
		return nil, err
	}
	req.Header = c.Header.Clone()
	if c.Key != "" {
		req.Header.Set("Idempotency-Key", c.Key)
	}
	return req, nil
}

// Repeatable reports whether the call may be repeated after it may have been
// executed: its method is idempotent, or it has a key.
func (c *Call) Repeatable() bool { return c.Method != http.MethodPost || c.Key != "" }

// Answer is the result for the caller. Status and Body are valid only if Err is
// nil.
type Answer struct {
	Status int
	Body   []byte
	Err    error
}
