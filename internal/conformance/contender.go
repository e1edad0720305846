package conformance

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
)

// Contender is a client that is judged, and how to make one.
type Contender struct {
	Name    string
	Version string // of the module or program; empty if there is none to name
	// New makes a client for one service. It is called anew for each rule, and
	// from several goroutines.
	New func(Setup) (Client, error)
	// Program: each call is a process of its own, so that nothing lives from one to
	// the next and nothing of it is left in this one.
	Program bool
	// Proxy: it is a process of its own, and the same one for all rules. What New
	// makes is its caller.
	Proxy bool
	// Asks says which rules the contender can be asked. Nil: all.
	Asks func(*Rule) bool
}

// isElsewhere says that what it holds cannot be counted.
func (c *Contender) isElsewhere() bool { return c.Program || c.Proxy }

// Client is an adapter over the client that is judged.
type Client interface {
	// Do makes one call and reads the whole answer. It returns when ctx ends, at the
	// latest.
	Do(ctx context.Context, c Call) Answer
	// Close gives back what the client holds: idle connections, for one.
	Close()
}

// Setup is what a client is made for.
type Setup struct {
	// BaseURL of the service, without a path.
	BaseURL string
	// Roots are the authorities to trust, nil without TLS; Authority is the one
	// among them, as PEM.
	Roots     *x509.CertPool
	Authority []byte
	// Terms are the same for all.
	Terms Terms
	// Log is where the client's own log goes, in the fullness in which it comes if
	// nobody changes it; a client that is silent unless told otherwise is told to
	// say all. It may be written to at any time.
	Log io.Writer
}

// Call is one call. Its URL, its headers and its body hold credentials.
type Call struct {
	Method string
	URL    string
	Path   string      // of the URL, with the query
	Header http.Header // without Idempotency-Key; not to be changed
	Body   []byte
	// Key is to be sent as Idempotency-Key with every attempt; empty for none.
	Key string
}

// Request makes the call's request, for clients that take one.
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

// Repeatable says whether a careful user lets the call be made again when it may
// have been done: its method is idempotent, or it has a key.
func (c *Call) Repeatable() bool { return c.Method != http.MethodPost || c.Key != "" }

// Answer is what the caller got. Status and Body count only without Err.
type Answer struct {
	Status int
	Body   []byte
	Err    error
}
