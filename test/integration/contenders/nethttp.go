package contenders

import (
	"context"
	"net/http"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// bare is net/http with a time limit, which is where everyone starts.
type bare struct {
	client *http.Client
	terms  conformance.Terms
}

func newBare(s Settings) (conformance.Client, error) {
	return bare{&http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}, s.Terms}, nil
}

func (b bare) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	req, err := call.Request(ctx)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	resp, err := b.client.Do(req)
	return read(resp, err, b.terms)
}

func (b bare) Close() { b.client.CloseIdleConnections() }
