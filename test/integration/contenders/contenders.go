// Package contenders sets up HTTP clients to the same terms, each as someone
// would who knows it well: by its own settings and hooks, and without rebuilding
// by hand what it is there for.
package contenders

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// Settings are what a client is made for, and a circuit breaker for those that
// have one.
type Settings struct {
	conformance.Setup
	// Threshold failed calls in a row open the breaker for OpenFor. Zero: it never
	// opens.
	Threshold int
	OpenFor   time.Duration
	// CountAttempts has holdfast's breaker count each attempt, as breakers do that
	// lie inside the retries; else an operation is one failure, however many
	// attempts it took.
	CountAttempts bool
	// Probes is how many attempts holdfast's breaker lets through at once when it
	// is half-open, and how many have to succeed. Zero: 3, like those of gobreaker
	// and failsafe-go here. resty's is one.
	Probes int
	// Conns is how many connections may be kept for the next call. Zero: 20.
	Conns int
}

// Kind is one way to use one library.
type Kind struct {
	Name string
	// Module is the library's, whose version is told.
	Module string
	New    func(Settings) (conformance.Client, error)
}

// All are the contenders, ours first.
func All() []Kind {
	return []Kind{
		{"holdfast", "github.com/holdfast-go/holdfast", newHoldfast},
		{"holdfast, SDK transport", "github.com/holdfast-go/holdfast", newDoor},
		{"net/http", "", newBare},
		{"go-retryablehttp", "github.com/hashicorp/go-retryablehttp", newRetryable},
		{"go-retryablehttp, log off", "github.com/hashicorp/go-retryablehttp", newRetryableSilent},
		{"failsafe-go", "github.com/failsafe-go/failsafe-go", newFailsafe},
		{"failsafe-go, tuned", "github.com/failsafe-go/failsafe-go", newFailsafeTuned},
		{"backoff + gobreaker", "github.com/cenkalti/backoff/v5", newBackoff},
		{"resty", "resty.dev/v3", newResty},
		{"heimdall", "github.com/gojek/heimdall/v7", newHeimdall},
	}
}

// Contender makes the kind one of the conformance table, without a breaker: the
// table is about single calls.
func (k Kind) Contender() conformance.Contender {
	return conformance.Contender{Name: k.Name, Version: k.version(), New: func(s conformance.Setup) (conformance.Client, error) {
		return k.New(Settings{Setup: s})
	}}
}

func (k Kind) version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if k.Module == "" {
		return info.GoVersion
	}
	for _, m := range info.Deps {
		if m.Path == k.Module && m.Replace == nil {
			return m.Version
		}
	}
	return "this repository"
}

// newTransport is http.DefaultTransport's, for one service: it trusts the
// service's authority and keeps more than two idle connections to it.
func newTransport(s Settings) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.TLSClientConfig = &tls.Config{RootCAs: s.Roots}
	t.MaxIdleConnsPerHost = 20
	if s.Conns > 0 {
		t.MaxIdleConnsPerHost = s.Conns
	}
	t.MaxIdleConns = t.MaxIdleConnsPerHost
	return t
}

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

var errTooLarge = errors.New("the answer is too large")

// read reads the whole answer, up to what the caller can use.
func read(resp *http.Response, err error, terms conformance.Terms) conformance.Answer {
	if err != nil {
		return conformance.Answer{Err: err}
	}
	defer resp.Body.Close()
	body, err := readBody(resp, terms)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	return conformance.Answer{Status: resp.StatusCode, Body: body}
}

func readBody(resp *http.Response, terms conformance.Terms) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(terms.Answer)+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > terms.Answer {
		return nil, errTooLarge
	}
	return body, nil
}
