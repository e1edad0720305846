// Package rivals sets up holdfast and the other HTTP clients of Go to the same
// terms. Each adapter uses its library as an experienced user does: by its own
// settings and hooks, without a second implementation of what the library is for.
// Conformance, outage and benchmarks share the adapters.
package rivals

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// Settings are the service, the terms and the circuit breaker of one client. A
// client without a breaker ignores the settings of the breaker.
type Settings struct {
	conformance.Setup
	// Threshold is the number of consecutive failures that open the breaker for
	// OpenFor. Zero: the breaker never opens.
	Threshold int
	OpenFor   time.Duration
	// CountAttempts makes holdfast's breaker count each attempt, as breakers inside
	// the retries do. By default an operation is one failure, however many attempts
	// it takes.
	CountAttempts bool
	// Probes is the number of attempts that holdfast's half-open breaker admits at
	// once, and the number of successes that close it. Zero: 3, as for gobreaker and
	// failsafe-go here. resty's number is always 1.
	Probes int
	// Bulkhead is the number of calls that failsafe-go's bulkhead admits at once.
	// Zero: no bulkhead.
	Bulkhead int
	// Conns is the number of idle connections to keep. Zero: 20.
	Conns int
}

// Kind is one way to use one library.
type Kind struct {
	Name   string
	Module string // path of the library's module; empty for net/http
	New    func(Settings) (conformance.Client, error)
}

// All returns every kind, holdfast first.
func All() []Kind {
	return []Kind{
		{"holdfast", "github.com/holdfast-go/holdfast", newHoldfast},
		{"holdfast, SDK transport", "github.com/holdfast-go/holdfast", newSDKTransport},
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

// Named returns the kind with a name. It panics if there is none.
func Named(name string) Kind {
	all := All()
	i := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("rivals: no kind is named %q", name))
	}
	return all[i]
}

// Attempts returns the number of attempts that a client says it has made, by its own
// counters or hooks. ok is false if the library does not tell.
func Attempts(c conformance.Client) (n int64, ok bool) {
	if c, ok := c.(conformance.Counter); ok {
		return c.Attempts()
	}
	return 0, false
}

// Modules are the modules of all rivals, those of package guards included, and
// the names by which reports show their versions.
var Modules = []struct{ Name, Path string }{
	{"gobreaker", "github.com/sony/gobreaker/v2"},
	{"backoff", "github.com/cenkalti/backoff/v5"},
	{"x/sync", "golang.org/x/sync"},
	{"failsafe-go", "github.com/failsafe-go/failsafe-go"},
	{"go-resiliency", "github.com/eapache/go-resiliency"},
	{"avast/retry-go", "github.com/avast/retry-go/v5"},
	{"hystrix-go", "github.com/afex/hystrix-go"},
	{"go-retryablehttp", "github.com/hashicorp/go-retryablehttp"},
	{"resty", "resty.dev/v3"},
	{"heimdall", "github.com/gojek/heimdall/v7"},
}

// Contender returns the kind as a row of the conformance table. Most rules are about
// single calls, and have no breaker.
func (k Kind) Contender() conformance.Contender {
	return conformance.Contender{Name: k.Name, Version: k.version(), New: func(s conformance.Setup) (conformance.Client, error) {
		return k.New(Settings{Setup: s, Threshold: s.Terms.Breaker, OpenFor: time.Hour})
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

// newTransport is http.DefaultTransport for one service: it trusts the service's
// authority, keeps more than two idle connections to it, and takes the way that the
// settings give.
func newTransport(s Settings) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = http.ProxyURL(s.Proxy)
	if s.Dial != nil {
		t.DialContext = s.Dial
	}
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

// read reads the whole answer, up to the limit of the terms.
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
