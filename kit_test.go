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

// bubble runs a test in virtual time. A response body, a goroutine or a timer
// that is left over makes it fail.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// service is a fault server in memory, and a client of it whose waits are not
// left to chance. The client is closed, and the server's last connection gone,
// before the bubble ends.
func service(t *testing.T, plan fault.Plan, cfg holdfast.Config, opts ...holdfast.Option) (*holdfast.Client, *faultserver.Server) {
	t.Helper()
	return serving(t, faultserver.Echo, plan, cfg, opts...)
}

// serving is service with another answer than an echo.
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
		time.Sleep(time.Second) // net/http lingers half a second over a connection it cuts
	})
	return c, s
}

// rule strikes the requests of a path that nth selects; "" is every one.
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

// is fails the test unless err is each of the targets.
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

// attempts are those of a failed call.
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

// eventually waits until wrong has nothing to say any more, for what ends on its
// own on real sockets.
func eventually(t *testing.T, what string, wrong func() string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		says := wrong()
		if says == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, says)
		}
	}
}

// descriptors is how many this process has open; zero where nobody tells.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(all)
}
