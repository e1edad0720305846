package rivals

import (
	"net/http"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// newBare is net/http with a timeout and no retries.
func newBare(s Settings) (conformance.Client, error) {
	c := &http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}
	return sender{httpClients{c, c}, s.Terms, c.CloseIdleConnections, nil}, nil
}
