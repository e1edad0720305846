package holdfast_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

var errDown = errors.New("the service is down")

// bubble runs a test in virtual time. The test fails if a response body, a goroutine or a
// timer is left over.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// service returns a fault server in memory and its client, which has no jitter unless cfg
// sets one. The client and the server's last connection are closed before the bubble ends.
func service(t *testing.T, plan fault.Plan, cfg holdfast.Config, opts ...holdfast.Option) (*holdfast.Client, *faultserver.Server) {
	t.Helper()
	return serving(t, faultserver.Echo, plan, cfg, opts...)
}

// serving is service with other answers than an echo.
func serving(t *testing.T, backend faultserver.Service, plan fault.Plan, cfg holdfast.Config, opts ...holdfast.Option) (*holdfast.Client, *faultserver.Server) {
	t.Helper()
	s := faultserver.Start(t, plan, faultserver.InMemory(), faultserver.Backend(backend))
	cfg.BaseURL = s.URL()
	if cfg.Name == "" {
		cfg.Name = "echo"
	}
	if cfg.Retry.Jitter == holdfast.Full {
		cfg.Retry.Jitter = holdfast.NoJitter
	}
	opts = append([]holdfast.Option{holdfast.WithDialContext(s.Dial)}, opts...)
	c, err := holdfast.New(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		synctest.Wait()
		time.Sleep(time.Second) // net/http takes half a second to close a connection that it cuts
	})
	return c, s
}

// rule is a fault for the requests of a path that nth selects, "" for all.
func rule(path, nth string, f fault.Fault) fault.Rule {
	return fault.Rule{Match: fault.Match{Path: path}, Nth: nth, Fault: f}
}

func plan(rules ...fault.Rule) fault.Plan { return fault.Plan{Rules: rules} }

// recorder keeps every event.
type recorder struct {
	mu     sync.Mutex
	events []holdfast.Event
}

func (r *recorder) Observe(_ context.Context, e holdfast.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all(kind holdfast.EventKind) []holdfast.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []holdfast.Event
	for _, e := range r.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// is checks that err is each of the targets.
func is(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %q is not %q", err, target)
		}
	}
}

func isNot(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			t.Errorf("error %q is %q", err, target)
		}
	}
}

// attempts returns the attempts of a failed call.
func attempts(t *testing.T, err error) []holdfast.Attempt {
	t.Helper()
	var e *holdfast.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *holdfast.Error", err)
	}
	return e.Attempts
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// eventually waits until wrong returns "", for code on real sockets that ends by itself.
func eventually(t *testing.T, what string, wrong func() string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		text := wrong()
		if text == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, text)
		}
	}
}

// descriptors is the number of open descriptors of this process, zero if it is unknown.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(all)
}
