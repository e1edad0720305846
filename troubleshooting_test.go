package holdfast_test

// The tests of docs/troubleshooting.md. Each produces a symptom with the texts that its
// section quotes, and then applies the cure.

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// signs are the texts and figures of a symptom.
type signs struct {
	t       *testing.T
	log     bytes.Buffer
	logged  holdfast.Option
	said    []string // by errors, line by line
	figures []any    // statistics
}

// symptom runs f in a bubble, and compares it with the section of the page that names the
// test: every line of the section's blocks must be in the log or in an error, and every
// figure in the statistics.
func symptom(t *testing.T, f func(t *testing.T, s *signs)) {
	t.Helper()
	var s signs
	bubble(t, func(t *testing.T) {
		s.t, s.logged = t, holdfast.WithLogger(logger(&s.log, slog.LevelDebug))
		f(t, &s)
	})
	text, ok := troubleshooting(t)[t.Name()]
	if !ok {
		t.Fatal("no section of docs/troubleshooting.md names this test")
	}
	for line := range strings.Lines(s.log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " ") // without its time
		s.said = append(s.said, line)
	}
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Error("the section quotes nothing")
	}
	for _, block := range blocks {
		if block[1] == "json" {
			s.hasFigures(t, block[2])
			continue
		}
		for line := range strings.Lines(block[2]) {
			if line = strings.TrimSpace(line); line != "" && !slices.Contains(s.said, line) {
				t.Errorf("the page quotes\n%s\nwhich is nowhere in\n%s", line, strings.Join(s.said, "\n"))
			}
		}
	}
}

func (s *signs) hasFigures(t *testing.T, quoted string) {
	var want map[string]any
	if err := json.Unmarshal([]byte(quoted), &want); err != nil {
		t.Errorf("the page quotes no JSON: %v\n%s", err, quoted)
	}
	for _, figures := range s.figures {
		got := asMap(t, figures)
		same := func(key string) bool {
			inner, nested := want[key].(map[string]any)
			for k, v := range inner {
				nested = nested && got[key].(map[string]any)[k] == v
			}
			return nested || len(inner) == 0 && got[key] == want[key]
		}
		if !slices.ContainsFunc(keysOf(want), func(key string) bool { return !same(key) }) {
			return
		}
	}
	t.Errorf("the page quotes %v, the statistics are %+v", want, s.figures)
}

func keysOf(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// failed keeps the texts of an error.
func (s *signs) failed(err error) {
	s.t.Helper()
	if err == nil {
		s.t.Fatal("there is no error")
	}
	s.said = append(s.said, err.Error())
	var e *holdfast.Error
	if errors.As(err, &e) {
		for line := range strings.Lines(e.Explain()) {
			s.said = append(s.said, strings.TrimSpace(line))
		}
	}
}

func (s *signs) keep(figures any) { s.figures = append(s.figures, figures) }

// client returns a client, and keeps its log.
func (s *signs) client(cfg holdfast.Config, rules ...fault.Rule) *holdfast.Client {
	s.t.Helper()
	cfg.Name = "api"
	c, _ := service(s.t, plan(rules...), cfg, s.logged)
	return c
}

// get calls a path and drops the answer.
func get(ctx context.Context, c *holdfast.Client, path string, opts ...holdfast.CallOption) error {
	_, err := c.Get(ctx, path, opts...)
	return err
}

// troubleshooting returns the page's sections by their tests.
func troubleshooting(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		names := regexp.MustCompile("`(TestTrouble\\w+)`").FindAllStringSubmatch(section, -1)
		if len(names) != 1 || sections[names[0][1]] != "" {
			t.Errorf("the section %q must name one test, of its own", title)
			continue
		}
		sections[names[0][1]] = section
	}
	return sections
}

// Every section has a test, and every test a section.
func TestTroubleshootingNamesItsTests(t *testing.T) {
	source, err := os.ReadFile("troubleshooting_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, m := range regexp.MustCompile(`(?m)^func (TestTrouble\w+)\(t`).FindAllStringSubmatch(string(source), -1) {
		tests = append(tests, m[1])
	}
	tests = slices.DeleteFunc(tests, func(name string) bool { return name == "TestTroubleshootingNamesItsTests" })
	sections := troubleshooting(t)
	for name := range sections {
		if !slices.Contains(tests, name) {
			t.Errorf("the page names %s, which does not exist", name)
		}
	}
	for _, name := range tests {
		if _, ok := sections[name]; !ok {
			t.Errorf("no section names %s", name)
		}
	}
	if len(tests) < 12 {
		t.Errorf("%d tests", len(tests))
	}
}

// slow delays every answer.
func slow(d time.Duration) fault.Rule {
	return rule("/slow", "", fault.Fault{Latency: &fault.Latency{Fixed: d}})
}

func TestTroubleBreakerKeepsOpening(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		flapping := func(attempt time.Duration) *holdfast.Client {
			c := s.client(holdfast.Config{
				Timeouts: holdfast.Timeouts{Attempt: attempt}, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
				Breaker: holdfast.BreakerConfig{FailureThreshold: 5},
			}, slow(3*time.Second))
			for range 100 {
				_ = get(t.Context(), c, "/slow")
				time.Sleep(time.Second)
			}
			return c
		}
		s.keep(flapping(2 * time.Second).Stats())
		cured := flapping(10 * time.Second).Stats()
		equal(t, "failed with a limit that fits", cured.Failed, 0)
	})
}

func TestTroubleEverythingIsRejected(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		c := s.client(holdfast.Config{
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: 1},
		}, rule("/x", "1", fault.Fault{Status: 503}))
		_ = get(t.Context(), c, "/x")
		for range 500 {
			time.Sleep(20 * time.Millisecond)
			_ = get(t.Context(), c, "/x")
		}
		s.failed(get(t.Context(), c, "/x"))
		s.keep(c.Stats())
		s.keep(c.Breaker().Stats())
		time.Sleep(time.Until(c.Breaker().Stats().RetryAt))
		for range 3 {
			if err := get(t.Context(), c, "/x"); err != nil {
				t.Errorf("at the time of RetryAt: %v", err)
			}
		}
		equal(t, "state", c.Breaker().State(), holdfast.Closed)
	})
}

func TestTroubleBreakerStaysClosed(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		hang := rule("", "", fault.Fault{Hang: fault.BeforeAnswer})
		cfg := holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 2}}
		c := s.client(cfg, hang)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel) // cancels, which is no timeout
			err := get(ctx, c, "/x")
			s.failed(err)
		}
		equal(t, "state", c.Breaker().State(), holdfast.Closed)
		s.keep(c.Stats())

		c = s.client(cfg, hang)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			is(t, get(ctx, c, "/x"), holdfast.ErrTimeout)
			cancel()
		}
		equal(t, "state after two deadlines", c.Breaker().State(), holdfast.Open)
	})
}

func TestTroubleTooManyRetries(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		run := func(retry holdfast.Retry) holdfast.ClientStats {
			fast := &fault.Latency{Fixed: 40 * time.Millisecond}
			c := s.client(holdfast.Config{Retry: retry}, rule("", "", fault.Fault{Mix: []fault.Choice{
				{Weight: 1, Fault: fault.Fault{Status: 503, Latency: fast}}, {Weight: 1, Fault: fault.Fault{Healthy: true, Latency: fast}},
			}}))
			for range 200 {
				_ = get(t.Context(), c, "/x")
			}
			return c.Stats()
		}
		before := run(holdfast.Retry{})
		s.keep(before)
		after := run(holdfast.Retry{MaxRetries: 2, BaseDelay: 500 * time.Millisecond, MaxDelay: 5 * time.Second})
		if after.Latency.P90 > before.Latency.P90/2 {
			t.Errorf("nine in ten within %v, before %v", after.Latency.P90, before.Latency.P90)
		}
	})
}

func TestTroubleRetriesInsideRetries(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		run := func(inner int) (attempts uint64, took time.Duration) {
			c := s.client(holdfast.Config{Retry: holdfast.Retry{MaxRetries: inner}}, rule("", "", fault.Fault{Status: 503}))
			outer := policy(t, holdfast.PolicyConfig{
				Name: "job", Retry: holdfast.Retry{MaxRetries: 2, BaseDelay: time.Second, Jitter: holdfast.NoJitter},
			}, s.logged)
			_, err := holdfast.Do(t.Context(), outer, func(ctx context.Context) (int, error) { return 0, get(ctx, c, "/x") })
			s.failed(err)
			s.keep(c.Stats())
			return c.Stats().Attempts, c.Stats().Latency.P50
		}
		attempts, _ := run(2)
		equal(t, "attempts", attempts, 9)
		attempts, _ = run(holdfast.Off)
		equal(t, "attempts with retries in one place", attempts, 3)
	})
}

func TestTroubleNotRetrying(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		run := func(on func(error) bool) int {
			f := &script{ends: []error{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}}
			_, err := holdfast.Do(t.Context(), policy(t, holdfast.PolicyConfig{Name: "query", Retry: holdfast.Retry{On: on}}), f.call)
			s.failed(err)
			return len(f.calls)
		}
		equal(t, "calls", run(holdfast.Is(io.ErrUnexpectedEOF)), 1)
		equal(t, "calls with the error's own type", run(holdfast.As[*net.OpError]()), 4)
		equal(t, "calls with no filter", run(nil), 4)
	})
}

func TestTroublePostIsNotRepeated(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		lost := rule("", "1", fault.Fault{Reset: fault.BeforeAnswer})
		post := func(body io.Reader, repeat holdfast.Repeat) error {
			c := s.client(holdfast.Config{Retry: holdfast.Retry{Repeat: repeat}}, lost)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/jobs", body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		}
		s.failed(post(strings.NewReader("x"), holdfast.RepeatSafe))
		if err := post(strings.NewReader("x"), holdfast.RepeatKeyed); err != nil {
			t.Errorf("with the default: %v", err)
		}
		long := func() io.Reader { return io.LimitReader(zeros{}, 2<<20) }
		s.failed(post(long(), holdfast.RepeatKeyed))
		if err := post(bytes.NewReader(make([]byte, 2<<20)), holdfast.RepeatKeyed); err != nil {
			t.Errorf("a body with GetBody: %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTroubleNoTimeForARetry(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		run := func(retry holdfast.Retry) error {
			c := s.client(holdfast.Config{Retry: retry}, rule("", "1-2", fault.Fault{Status: 503}))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			return get(ctx, c, "/x")
		}
		s.failed(run(holdfast.Retry{}))
		if err := run(holdfast.Retry{BaseDelay: 200 * time.Millisecond}); err != nil {
			t.Errorf("with waits that fit: %v", err)
		}
	})
}

func TestTroubleNoPermit(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		cfg := holdfast.Config{Pool: holdfast.Pool{MaxConns: 2}}
		leaky := s.client(cfg)
		open := func(c *holdfast.Client) *http.Response {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/file", nil)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		for range 2 {
			leaked := open(leaky)
			defer leaked.Body.Close() // the program does not close it
		}
		meanwhile := make(chan holdfast.ClientStats, 1)
		time.AfterFunc(4*time.Second, func() { meanwhile <- leaky.Stats() })
		s.failed(get(t.Context(), leaky, "/x"))
		s.keep(<-meanwhile)
		s.keep(leaky.Stats())

		sound := s.client(cfg)
		for range 100 {
			open(sound).Body.Close()
		}
		equal(t, "waits of a program that closes its bodies", sound.Stats().Waits+sound.Stats().PoolTimeouts, 0)
	})
}

func TestTroubleRateLimited(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		c := s.client(holdfast.Config{Timeouts: holdfast.Timeouts{Acquire: time.Minute}}, rule("", "1", fault.Fault{Status: 429, RetryAfter: 10 * time.Second}))
		done := make(chan error)
		for range 4 {
			go func() { done <- get(t.Context(), c, "/x") }()
			time.Sleep(time.Second)
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		s.keep(c.Stats())

		c = s.client(holdfast.Config{}, rule("", "", fault.Fault{Status: 429, RetryAfter: 5 * time.Minute}))
		s.failed(get(t.Context(), c, "/x"))
		c = s.client(holdfast.Config{Retry: holdfast.Retry{MaxRetryAfter: 10 * time.Minute}}, rule("", "1", fault.Fault{Status: 429, RetryAfter: 5 * time.Minute}))
		if err := get(t.Context(), c, "/x"); err != nil {
			t.Errorf("with a longer MaxRetryAfter: %v", err)
		}
	})
}

func TestTroubleAnswerHangs(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		stall := rule("/tokens", "", fault.Fault{Stall: &fault.Stall{After: 10, Of: fault.Body}})
		c := s.client(holdfast.Config{Timeouts: holdfast.Timeouts{Read: 5 * time.Second}}, stall)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/tokens", nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		s.failed(err)
		s.keep(c.Stats())
		is(t, err, holdfast.ErrTimeout)
		equal(t, "time until it was noticed", time.Since(start), 5*time.Second)
		equal(t, "failures that the breaker counts", c.Breaker().Stats().FailureCount, 1)
	})
}

func TestTroubleStaleConnections(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		gone := rule("", "1", fault.Fault{Reset: fault.NextRequest}) // a load balancer that drops idle connections
		c := s.client(holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off, Repeat: holdfast.RepeatSafe}}, gone)
		call := func(c *holdfast.Client) error {
			if err := get(t.Context(), c, "/x"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			_, err := c.Post(t.Context(), "/x", 1)
			return err
		}
		s.failed(call(c))

		if err := call(s.client(holdfast.Config{Pool: holdfast.Pool{IdleExpiry: 10 * time.Second}}, gone)); err != nil {
			t.Errorf("with connections that are closed before the load balancer drops them: %v", err)
		}
		repeats := s.client(holdfast.Config{}, gone)
		if err := call(repeats); err != nil {
			t.Errorf("with retries: %v", err)
		}
		s.keep(repeats.Stats())
	})
}

// unreachable returns a client that cannot connect because of err.
func (s *signs) unreachable(err error) *holdfast.Client {
	s.t.Helper()
	c, failed := holdfast.New(holdfast.Config{Name: "api", BaseURL: "http://api.example.com"}, s.logged,
		holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return nil, err }))
	if failed != nil {
		s.t.Fatal(failed)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func TestTroubleUnknownHost(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		c := s.unreachable(&net.DNSError{Err: "no such host", Name: "api.example.com", IsNotFound: true})
		err := get(t.Context(), c, "/x")
		s.failed(err)
		is(t, err, holdfast.ErrConnection)
		equal(t, "attempts", len(attempts(t, err)), 1)
		equal(t, "failures that the breaker counts", c.Breaker().Stats().FailureCount, 1)
	})
}

func TestTroubleCertificate(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		c := s.unreachable(x509.UnknownAuthorityError{})
		err := get(t.Context(), c, "/x")
		s.failed(err)
		is(t, err, holdfast.ErrConnection)
		equal(t, "attempts", len(attempts(t, err)), 1)
	})
}

func TestTroubleBubble(t *testing.T) {
	outside := faultserver.Start(t, plan(rule("", "1", fault.Fault{Status: 503})))
	alsoOutside := faultserver.Start(t, fault.Plan{}, faultserver.InMemory())
	symptom(t, func(t *testing.T, s *signs) {
		open := func(server *faultserver.Server, opts ...holdfast.Option) *holdfast.Client {
			c, err := holdfast.New(holdfast.Config{Name: "api", BaseURL: server.URL()}, append(opts, s.logged)...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		err := get(t.Context(), open(outside), "/x")
		s.failed(err)
		is(t, err, holdfast.ErrConnection)
		equal(t, "attempts", len(attempts(t, err)), 1)
		s.failed(get(t.Context(), open(alsoOutside, holdfast.WithDialContext(alsoOutside.Dial)), "/x"))
		_, err = faultserver.New(fault.Plan{})
		s.failed(err)

		inside := faultserver.Start(t, plan(rule("", "1", fault.Fault{Status: 503})), faultserver.InMemory())
		if err := get(t.Context(), open(inside, holdfast.WithDialContext(inside.Dial)), "/x"); err != nil {
			t.Errorf("after the cure: %v", err)
		}
	})
}

func TestTroubleConfigConflict(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		var r holdfast.Registry
		defer r.Shutdown(t.Context())
		cfg := holdfast.Config{BaseURL: "https://api.example.com/v1"}
		if _, err := r.Open("api", cfg); err != nil {
			t.Fatal(err)
		}
		other := cfg
		other.Breaker.FailureThreshold = 10
		_, err := r.Open("api", other)
		s.failed(err)
		if _, err := r.Open("api-batch", other); err != nil {
			t.Errorf("under a name of its own: %v", err)
		}
	})
}

func TestTroubleFallbackStops(t *testing.T) {
	symptom(t, func(t *testing.T, s *signs) {
		c := s.client(holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, rule("/x", "", fault.Fault{Status: 503}))
		base := "http://" + regexp.MustCompile(`\{\S+ http://(\S+)\}`).FindStringSubmatch(fmt.Sprint(c))[1]
		second := func(context.Context) (string, error) { return "from the second service", nil }
		outer := t.Context()
		_, err := holdfast.Fallback(outer, func(context.Context) (string, error) { return askSDK(outer, c.HTTPClient(), base+"/x") }, second)
		s.failed(err)
		out, err := holdfast.Fallback(outer, func(ctx context.Context) (string, error) { return askSDK(ctx, c.HTTPClient(), base+"/x") }, second)
		if out != "from the second service" || err != nil {
			t.Errorf("with the function's context: %q, %v", out, err)
		}
	})
}
