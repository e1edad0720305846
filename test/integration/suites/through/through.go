// Package through sends the round trips of other people's HTTP clients through
// holdfast's SDK transport. It is compiled into their test programs.
package through

import (
	"net/http"
	"net/url"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
)

// The environment of a test program.
const (
	// ConfigVariable is the name of a configuration. Without it the program runs bare.
	ConfigVariable = "HOLDFAST_SUITES"
	// CountVariable is a file that grows by one byte with each round trip.
	CountVariable = "HOLDFAST_SUITES_COUNT"
)

// configs are the configurations by name. Most tests that make a client fail look at the
// error, not at the time until it comes, so the waits are short but in "waits".
var configs = map[string]struct {
	config  holdfast.Config
	options []holdfast.TransportOption
}{
	"default": {config: holdfast.Config{Retry: short}},
	"waits":   {},
	"post":    {config: holdfast.Config{Retry: short}, options: []holdfast.TransportOption{holdfast.RepeatPOST()}},
	"once": {config: holdfast.Config{
		Retry:   holdfast.Retry{MaxRetries: holdfast.Off},
		Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
	}},
}

var short = holdfast.Retry{BaseDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond}

// IsConfig reports whether name is the name of a configuration.
func IsConfig(name string) bool {
	_, is := configs[name]
	return is
}

// Hook returns the function that net/http calls with the RoundTripper of a client
// before it uses it. It returns nil in a bare run.
func Hook() func(http.RoundTripper) http.RoundTripper {
	name := os.Getenv(ConfigVariable)
	if name == "" {
		return nil
	}
	if !IsConfig(name) {
		panic("there is no configuration " + name)
	}
	all := &all{config: name, of: map[http.RoundTripper]*transport{}}
	if path := os.Getenv(CountVariable); path != "" {
		count, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		all.count = count
	}
	return all.through
}

// all are the transports of a program. They are kept until it ends.
type all struct {
	config string
	count  *os.File // nil for none

	mu sync.Mutex
	of map[http.RoundTripper]*transport
}

// through returns the transport for rt. A RoundTripper that cannot be compared, such as
// a function, gets a new one each time.
func (a *all) through(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		return nil
	}
	if _, ok := rt.(*transport); ok {
		return rt
	}
	if !reflect.ValueOf(rt).Comparable() {
		return &transport{all: a, base: rt}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.of[rt]
	if t == nil {
		t = &transport{all: a, base: rt}
		a.of[rt] = t
	}
	return t
}

// transport has a client for each origin, because a client of holdfast has one.
type transport struct {
	all  *all
	base http.RoundTripper

	mu      sync.Mutex
	origins map[string]http.RoundTripper
}

// RoundTrip makes the round trip through the client of the request's origin.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.all.count != nil {
		_, _ = t.all.count.Write([]byte{'.'})
	}
	return t.to(req.URL).RoundTrip(req)
}

// nowhere is the base URL of the client for requests that no base URL fits, so that
// holdfast refuses them.
const nowhere = "http://nowhere.invalid"

func (t *transport) to(u *url.URL) http.RoundTripper {
	origin := nowhere
	if u != nil && u.Host != "" {
		origin = u.Scheme + "://" + u.Host
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if rt := t.origins[origin]; rt != nil {
		return rt
	}
	with := configs[t.all.config]
	config := with.config
	config.BaseURL = origin
	client, err := holdfast.New(config, holdfast.WithTransport(t.base))
	if err != nil {
		config.BaseURL = nowhere
		if client, err = holdfast.New(config, holdfast.WithTransport(t.base)); err != nil {
			panic(err)
		}
	}
	if t.origins == nil {
		t.origins = map[string]http.RoundTripper{}
	}
	rt := client.Transport(with.options...)
	t.origins[origin] = rt
	return rt
}

// CloseIdleConnections is called by the method of that name of http.Client.
func (t *transport) CloseIdleConnections() {
	t.to(nil) // at least one client is asked
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rt := range t.origins {
		rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
}
