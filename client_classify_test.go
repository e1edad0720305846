package holdfast_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// said is what a service says of a failure within an answer.
type said struct {
	Error string
	Class string
	Wait  float64
	Ping  bool
	Done  bool
}

var classNames = map[string]holdfast.Class{
	"overloaded": holdfast.ClassOverloaded, "throttled": holdfast.ClassThrottled, "quota": holdfast.ClassQuota, "request": holdfast.ClassRequest,
	"credential": holdfast.ClassCredential, "server": holdfast.ClassServer, "lost": holdfast.ClassLost, "content": holdfast.ClassContent,
	"mistake": holdfast.ClassMistake, "timeout": holdfast.ClassTimeout, "in_progress": holdfast.ClassInProgress, "too_early": holdfast.ClassTooEarly,
}

// classifySaid is a Config.Classify for it. A stream ends with an event that is done.
func classifySaid(a *holdfast.Answer) holdfast.Verdict {
	body := a.Body
	if a.Stream {
		body = a.Event.Data
	}
	var s said
	if json.Unmarshal(body, &s) != nil {
		return holdfast.Verdict{}
	}
	switch {
	case a.Ended && s.Done:
	case a.Ended:
		return holdfast.Verdict{Class: holdfast.ClassLost, Text: "no end"}
	case s.Error != "":
		return holdfast.Verdict{Class: classNames[s.Class], Text: s.Error, RetryAfter: time.Duration(s.Wait * float64(time.Second))}
	case s.Ping:
		return holdfast.Verdict{More: true}
	}
	return holdfast.Verdict{}
}

// A door is a way to make a call, and to read its whole answer.
type door struct {
	name string
	call func(t *testing.T, c *holdfast.Client, s *faultserver.Server) (string, error)
	sdk  bool
}

var doors = []door{
	{"Post", func(t *testing.T, c *holdfast.Client, _ *faultserver.Server) (string, error) {
		resp, err := c.Post(t.Context(), "/x", "work")
		if err != nil {
			return "", err
		}
		return string(resp.Body), nil
	}, false},
	{"Do", func(t *testing.T, c *holdfast.Client, s *faultserver.Server) (string, error) {
		return readAll(c.Do(request(t, s)))
	}, false},
	{"SDK transport", func(t *testing.T, c *holdfast.Client, s *faultserver.Server) (string, error) {
		return readAll(c.HTTPClient(holdfast.RepeatPOST()).Do(request(t, s)))
	}, true},
	{"Stream", func(t *testing.T, c *holdfast.Client, _ *faultserver.Server) (string, error) {
		s, err := c.Stream(t.Context(), "POST", "/x", "work")
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for line, err := range s.Lines() {
			if err != nil {
				return b.String(), err
			}
			b.Write(line)
			b.WriteByte('\n')
		}
		return b.String(), nil
	}, false},
}

func request(t *testing.T, s *faultserver.Server) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/x", strings.NewReader(`"work"`))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func readAll(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// replying is a service that gives one answer after the other.
func replying(contentType string, bodies ...string) faultserver.Service {
	n := 0
	return func(faultserver.Request) faultserver.Answer {
		body := bodies[min(n, len(bodies)-1)]
		n++
		return faultserver.Answer{Status: 200, Body: []byte(body), ContentType: contentType}
	}
}

const ndjson = "application/x-ndjson"

// A failure inside a 200 is a failed attempt, at every door, and means what its class says.
func TestFailureInsideA200(t *testing.T) {
	for _, tt := range []struct {
		class    string
		wait     float64
		requests int // with a good answer as the second one
		kind     error
		failures int // of the breaker, without retries
	}{
		{"overloaded", 0, 2, holdfast.ErrUnavailable, 1},
		{"overloaded", 2, 2, holdfast.ErrUnavailable, 1},
		{"throttled", 0, 2, holdfast.ErrRateLimited, 0},
		{"throttled", 2, 2, holdfast.ErrRateLimited, 0},
		{"server", 0, 2, holdfast.ErrServer, 1},
		{"lost", 0, 2, holdfast.ErrConnection, 1},
		{"timeout", 0, 2, holdfast.ErrServerTimeout, 1},
		{"in_progress", 0, 2, holdfast.ErrStatus, 0},
		{"too_early", 0, 2, holdfast.ErrStatus, 0},
		{"quota", 0, 1, holdfast.ErrRateLimited, 0},
		{"credential", 0, 1, holdfast.ErrAuthentication, 0},
		{"request", 0, 1, holdfast.ErrInvalidRequest, 0},
		{"content", 0, 1, holdfast.ErrContent, 0},
		{"mistake", 0, 1, holdfast.ErrContent, 0}, // no answer is a mistake of this side
	} {
		for _, d := range doors {
			t.Run(fmt.Sprint(d.name, "/", tt.class, tt.wait), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					bad := fmt.Sprintf(`{"error":"all is full","class":%q,"wait":%v}`, tt.class, tt.wait) + "\n"
					media := map[bool]string{false: "application/json", true: ndjson}[d.name == "Stream"]
					c, s := serving(t, replying(media, bad, `{"done":true}`+"\n"), fault.Plan{}, holdfast.Config{Classify: classifySaid, RequestIDHeader: "X-Call"})
					start := time.Now()
					out, err := d.call(t, c, s)
					equal(t, "requests", len(s.Record()), tt.requests)
					if tt.requests == 2 && (err != nil || out != `{"done":true}`+"\n") {
						t.Errorf("%q, %v", out, err)
					}
					if took := time.Since(start); tt.wait > 0 && took < 2*time.Second {
						t.Errorf("repeated after %v", took)
					}

					// Without a retry.
					c, s = serving(t, replying(media, bad), fault.Plan{}, holdfast.Config{Classify: classifySaid, Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
					_, err = d.call(t, c, s)
					if is(t, err, tt.kind); err != nil {
						last := attempts(t, err)[0]
						declined, ok := errors.AsType[*holdfast.StatusError](err)
						want := tt.class
						if want == "mistake" {
							want = "content"
						}
						if last.Class.String() != want || !ok || declined.Status != 200 || declined.Text != "all is full" || !bytes.Contains(declined.Body, []byte("all is full")) {
							t.Errorf("class %v, %+v", last.Class, declined)
						}
						if text := err.Error(); !strings.Contains(text, "200 OK: all is full") {
							t.Errorf("%q", text)
						}
					}
					equal(t, "failures", c.Breaker().Stats().FailureCount, tt.failures)
					equal(t, "in flight", c.Stats().InFlight, 0)
				})
			})
		}
	}
}

// A wait inside a 200 begins a cooldown.
func TestCooldownInsideA200(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := serving(t, replying(ndjson, `{"error":"full","class":"throttled","wait":300}`+"\n"), fault.Plan{}, holdfast.Config{Classify: classifySaid})
				_, _ = d.call(t, c, s)
				for range 100 {
					_, err := d.call(t, c, s)
					is(t, err, holdfast.ErrCoolingDown)
				}
				equal(t, "requests", len(s.Record()), 1)
			})
		})
	}
}

// Until an event is content, a stream may be repeated. After it, a failure ends the stream
// and counts.
func TestFailureInsideAStream(t *testing.T) {
	const ping, content, done = `{"ping":true}` + "\n", `{"text":"rye"}` + "\n", `{"done":true}` + "\n"
	bad := func(class string) string { return fmt.Sprintf(`{"error":"all is full","class":%q}`, class) + "\n" }
	for _, tt := range []struct {
		name     string
		bodies   []string
		requests int
		out      string
		kind     error
		failures int
	}{
		{"first", []string{bad("overloaded"), content + done}, 2, content + done, nil, 0},
		{"after pings", []string{ping + ping + bad("overloaded"), ping + content + done}, 2, ping + content + done, nil, 0},
		{"after content", []string{content + bad("overloaded") + content + done}, 1, content, holdfast.ErrUnavailable, 1},
		{"after content, throttled", []string{content + bad("throttled")}, 1, content, holdfast.ErrRateLimited, 0},
		{"no end", []string{content}, 1, content, holdfast.ErrConnection, 1},
		{"nothing but pings", []string{ping, content + done}, 2, content + done, nil, 0},
		{"more pings than may decide nothing", []string{strings.Repeat(ping, 16) + bad("overloaded")}, 1, strings.Repeat(ping, 16), holdfast.ErrUnavailable, 1},
		{"an end without a line end", []string{content + strings.TrimSpace(done)}, 1, content + done, nil, 0},
	} {
		for _, d := range doors[1:] {
			t.Run(d.name+"/"+tt.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var seen recorder
					c, s := serving(t, replying(ndjson, tt.bodies...), fault.Plan{}, holdfast.Config{Classify: classifySaid, RequestIDHeader: "X-Call"}, holdfast.WithObserver(&seen))
					out, err := d.call(t, c, s)
					equal(t, "requests", len(s.Record()), tt.requests)
					switch {
					case d.sdk && tt.name != "no end" || d.name == "Do" && tt.kind != nil: // it gets the bytes
						if !strings.HasPrefix(out, strings.TrimSpace(tt.out)) {
							t.Errorf("%q, want %q", out, tt.out)
						}
					case strings.TrimSpace(out) != strings.TrimSpace(tt.out):
						t.Errorf("%q, want %q", out, tt.out)
					}
					if tt.kind != nil && !(d.sdk && tt.name != "no end") {
						is(t, err, tt.kind)
					} else if err != nil {
						t.Error(err)
					}
					equal(t, "failures", c.Breaker().Stats().FailureCount, tt.failures)
					broke := seen.all(holdfast.EventBrokeOff)
					equal(t, "events", len(broke), tt.failures)
					if tt.failures > 0 && len(broke) > 0 {
						want := map[bool]string{true: "lost", false: "overloaded"}[tt.name == "no end"]
						equal(t, "class", broke[0].Class.String(), want)
					}
				})
			})
		}
	}
}

// What Classify is shown of each answer.
func TestWhatClassifySees(t *testing.T) {
	for _, d := range doors[:3] {
		t.Run(d.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var seen []string
				classify := func(a *holdfast.Answer) holdfast.Verdict {
					seen = append(seen, fmt.Sprint(a.Method, " ", a.Path, " ", a.Status, " ", a.Header.Get("Content-Type"), " ", len(a.Body), " ", a.Whole, " ", a.Stream))
					return holdfast.Verdict{}
				}
				n := 0
				backend := func(faultserver.Request) faultserver.Answer {
					n++
					return []faultserver.Answer{
						{Status: 200, Body: []byte("short"), ContentType: "text/here"}, {Status: 204}, {Status: 404, Body: []byte("missing")},
						{Status: 200, Body: bytes.Repeat([]byte("long "), 100_000)}, {Status: 429},
					}[n-1]
				}
				c, s := serving(t, backend, fault.Plan{}, holdfast.Config{Classify: classify, Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
				for i := range 5 {
					if out, _ := d.call(t, c, s); i == 3 && len(out) != 500_000 {
						t.Errorf("%d bytes of a long answer", len(out))
					}
				}
				want := "POST /x 200 text/here 5 true false|POST /x 204  0 true false|POST /x 404  7 true false|POST /x 200  65536 false false|POST /x 429  0 true false"
				equal(t, "seen", strings.Join(seen, "|"), want)
			})
		})
	}
}

// An answer that is slow is handed on after half a second, at the doors whose callers read
// it. Its caller gets all of it.
func TestSlowAnswerIsHandedOn(t *testing.T) {
	for _, media := range []string{"application/json", ndjson, "text/event-stream"} {
		for _, d := range doors[1:3] {
			t.Run(d.name+" "+media, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					asked := 0
					body := map[bool]string{true: "data: rye\n\n", false: `{"text":"rye"}` + "\n"}[media == "text/event-stream"]
					c, s := serving(t, replying(media, body), plan(rule("", "", fault.Fault{Drip: &fault.Drip{Bytes: 5, Every: 300 * time.Millisecond}})), holdfast.Config{
						Classify: func(*holdfast.Answer) holdfast.Verdict { asked++; return holdfast.Verdict{} },
					})
					start := time.Now()
					var resp *http.Response
					var err error
					if d.sdk {
						resp, err = c.HTTPClient().Do(request(t, s))
					} else {
						resp, err = c.Do(request(t, s))
					}
					if took := time.Since(start); err != nil || took > 600*time.Millisecond {
						t.Errorf("%v after %v", err, took)
					}
					out, err := readAll(resp, err)
					if out != body || err != nil || asked == 0 {
						t.Errorf("%q, %v, asked %d times", out, err, asked)
					}
				})
			})
		}
	}
}

// Without Classify, an answer is handed on with its headers.
func TestNothingIsPeekedAt(t *testing.T) {
	for _, media := range []string{"application/json", ndjson, "text/event-stream"} {
		for _, d := range doors[1:3] {
			t.Run(d.name+" "+media, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c, s := serving(t, replying(media, "slow"), plan(rule("", "", fault.Fault{Drip: &fault.Drip{Bytes: 1, Every: time.Second}})), holdfast.Config{})
					call := func(r *http.Request) (*http.Response, error) { return c.Do(r) }
					if d.sdk {
						call = c.HTTPClient().Do
					}
					start := time.Now()
					resp, err := call(request(t, s))
					if took := time.Since(start); err != nil || took > 0 {
						t.Errorf("%v after %v", err, took)
					}
					if out, err := readAll(resp, err); out != "slow" || err != nil {
						t.Errorf("%q, %v", out, err)
					}
				})
			})
		}
	}
}

// WithClassify finds failures that Config.Classify does not find, for one call.
func TestWithClassify(t *testing.T) {
	never := func(*holdfast.Answer) holdfast.Verdict { return holdfast.Verdict{} }
	quota := func(*holdfast.Answer) holdfast.Verdict { return holdfast.Verdict{Class: holdfast.ClassQuota} }
	for name, tt := range map[string]struct {
		config func(*holdfast.Answer) holdfast.Verdict
		opts   []holdfast.CallOption
		class  holdfast.Class
	}{
		"none":           {nil, nil, holdfast.ClassNone},
		"option":         {nil, []holdfast.CallOption{holdfast.WithClassify(classifySaid)}, holdfast.ClassServer},
		"both, it finds": {never, []holdfast.CallOption{holdfast.WithClassify(classifySaid)}, holdfast.ClassServer},
		"both, first":    {quota, []holdfast.CallOption{holdfast.WithClassify(classifySaid)}, holdfast.ClassQuota},
		"two options":    {nil, []holdfast.CallOption{holdfast.WithClassify(quota), holdfast.WithClassify(classifySaid)}, holdfast.ClassQuota},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bad := `{"error":"broken","class":"server"}`
				c, _ := serving(t, replying("application/json", bad), fault.Plan{}, holdfast.Config{Classify: tt.config, Retry: holdfast.Retry{MaxRetries: holdfast.Off}})
				_, err := c.Post(t.Context(), "/x", "work", tt.opts...)
				class := holdfast.ClassNone
				if err != nil {
					class = attempts(t, err)[0].Class
				}
				equal(t, "class", class, tt.class)
				if _, err := c.Post(t.Context(), "/x", "work"); tt.config == nil && err != nil {
					t.Errorf("another call: %v", err)
				}
			})
		})
	}
	c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Get(t.Context(), "/x", holdfast.WithClassify(nil))
	is(t, err, holdfast.ErrInvalidRequest)
}

// Timeouts.FirstEvent bounds the time to the first event that is content, and Timeouts.Event
// that between two events. Pings and comments count for neither.
func TestEventTimeouts(t *testing.T) {
	const ping, content = `{"ping":true}` + "\n", `{"text":"rye"}` + "\n"
	second := time.Second
	drip := func(bytes int, every time.Duration) fault.Fault {
		return fault.Fault{Drip: &fault.Drip{Bytes: bytes, Every: every}}
	}
	for _, tt := range []struct {
		name  string
		body  string
		fault fault.Fault
		limit holdfast.Timeouts
		phase string
		after time.Duration
	}{
		{"no first event", strings.Repeat(ping, 10) + content, drip(len(ping), second), holdfast.Timeouts{FirstEvent: 4 * second}, "first_event", 4 * second},
		{"no event", content + strings.Repeat(ping, 10) + content, drip(len(content), second), holdfast.Timeouts{FirstEvent: time.Minute, Event: 4 * second}, "event", 4 * second},
		{"in time", content + strings.Repeat(ping, 2) + content + `{"done":true}`, drip(len(content), second), holdfast.Timeouts{FirstEvent: 4 * second, Event: 4 * second}, "", 0},
	} {
		for _, d := range doors[1:] {
			t.Run(d.name+"/"+tt.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c, s := serving(t, replying(ndjson, tt.body), plan(rule("", "", tt.fault)), holdfast.Config{
						Classify: classifySaid, Timeouts: tt.limit, Retry: holdfast.Retry{MaxRetries: holdfast.Off},
					})
					_, err := d.call(t, c, s)
					synctest.Wait()
					if tt.phase == "" {
						if err != nil {
							t.Error(err)
						}
						return
					}
					is(t, err, holdfast.ErrTimeout)
					limit, ok := errors.AsType[*holdfast.TimeoutError](err)
					if !ok || limit.Phase != tt.phase || limit.Limit != tt.after {
						t.Errorf("%+v of %v", limit, err)
					}
					equal(t, "failures", c.Breaker().Stats().FailureCount, 1)
				})
			})
		}
	}
}

// EndsWith tells which event ends a stream.
func TestEndsWith(t *testing.T) {
	for _, tt := range []struct {
		body, want string
		failed     bool
	}{
		{"data: 1\n\nevent: stop\ndata: 2\n\n", "1 2", false},
		{"data: 1\n\nevent: stop\ndata: 2\n\ndata: 3\n\n", "1 2", false},
		{"data: 1\n\ndata: 2\n\n", "1 2", true},
		{"", "", true},
	} {
		bubble(t, func(t *testing.T) {
			c, _ := serving(t, replying("text/event-stream", tt.body), fault.Plan{}, holdfast.Config{Breaker: holdfast.BreakerConfig{FailureThreshold: 1}})
			s, err := c.Stream(t.Context(), "GET", "/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			s.EndsWith(func(e holdfast.ServerEvent) bool { return e.Type == "stop" })
			var all []string
			for e, err := range s.Events() {
				if (err != nil) != (tt.failed && len(e.Data) == 0) {
					t.Errorf("%q: %v", tt.body, err)
				}
				if err != nil {
					is(t, err, io.ErrUnexpectedEOF, holdfast.ErrConnection)
					continue
				}
				all = append(all, string(e.Data))
			}
			equal(t, "events", strings.Join(all, " "), tt.want)
			equal(t, "failed", c.Breaker().State() == holdfast.Open, tt.failed)
			equal(t, "in flight", c.Stats().InFlight, 0)
		})
	}
}
