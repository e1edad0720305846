package holdfast_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// The canary has two halves, and each is a leak: a text that is cut in the wrong place shows
// half a password.
const (
	left   = "Kq7vXw2mLeft"
	canary = left + "RightT9zRb4p"
)

// forms are the encodings in which a half can appear: unchanged, as in a header of Basic
// authentication, in hexadecimal, percent-encoded, and as bytes.
var forms = func() (all [][]byte) {
	for _, half := range []string{left, canary[len(left):]} {
		encoded := ""
		for _, b := range []byte(half) {
			encoded += fmt.Sprintf("%%%02x", b)
		}
		all = append(all, []byte(strings.ToLower(half)), []byte(hex.EncodeToString([]byte(half))), []byte(encoded),
			fmt.Append(nil, []byte(half))[1:20], fmt.Appendf(nil, "%#v", []byte(half))[7:27])
		for shift := range 3 { // the offset of the half in the groups of three bytes
			b64 := base64.RawStdEncoding.EncodeToString([]byte("   "[:shift] + half))
			all = append(all, []byte(strings.ToLower(b64[4:len(b64)-4])))
		}
	}
	return all
}()

// sinks collects everything that a client shows to people.
type sinks struct {
	bytes.Buffer
}

// print prints v with each of the usual verbs.
func (s *sinks) print(what string, v any) {
	fmt.Fprintf(s, "%s: %v\n%s: %+v\n%s: %#v\n", what, v, what, v, what, v)
}

func (s *sinks) failure(err error) {
	if err == nil {
		return
	}
	s.print("error", err)
	slog.New(slog.NewJSONHandler(s, nil)).Error("logged", "err", err)
	slog.New(slog.NewTextHandler(s, nil)).Error("logged", "err", err)
	var e *holdfast.Error
	if errors.As(err, &e) {
		fmt.Fprintln(s, "explained:", e.Explain(), e.URL, e.Stopped)
		s.print("its cause", e.Err)
		for _, a := range e.Attempts {
			s.print("attempt", a)
			s.print("its error", a.Err)
		}
	}
	var cut *holdfast.StreamError
	if errors.As(err, &cut) {
		s.print("stream", cut)
	}
	var declined *holdfast.StatusError
	if errors.As(err, &declined) {
		s.print("declined", declined)
	}
}

func (s *sinks) Observe(_ context.Context, e holdfast.Event) {
	s.print("event", e)
	s.print("its error", e.Err)
}

// leaks returns a line that shows a half of the canary, empty if there is none.
func (s *sinks) leaks() string {
	for line := range bytes.Lines(s.Bytes()) {
		for _, form := range forms {
			if bytes.Contains(bytes.ToLower(line), form) {
				return string(line)
			}
		}
	}
	return ""
}

// planting is a call that contains the canary, between two random texts. An empty field is
// that of a call without secrets.
type planting struct {
	base, path      string
	proxy           string
	header, mine    http.Header // the client's and the call's
	body            any
	authorize       func(*http.Request) error
	request         string // the URL of the caller's request
	foreign         error  // the error of another transport
	requestIDHeader string
	via             route
}

// route is how a call reaches its service. The same answer comes on each route.
type route int

const (
	direct     route = iota
	redirected       // redirects are followed
	proxied          // the service is a proxy
	tunnelled        // it is a proxy on the way to a service with TLS
	routes
)

// places are the places in a call where a secret can be.
var places = []func(name, secret string) planting{
	func(_, s string) planting { return planting{path: "/x?k=" + s} },
	func(_, s string) planting { return planting{path: "/x#" + s} },
	func(_, s string) planting { return planting{path: "//me:" + unslashed(s) + "@other.test/x"} },
	func(_, s string) planting { return planting{path: "https://me:" + unslashed(s) + "@service.test/x"} },
	func(_, s string) planting { return planting{path: "https:me:" + unslashed(s) + "@service.test/x"} },
	func(_, s string) planting { return planting{base: "http://me:" + s + "@service.test/v1"} },
	func(_, s string) planting { return planting{base: "me:" + s + "@service.test"} },
	func(_, s string) planting { return planting{proxy: "http://me:" + s + "@proxy.test:3128"} },
	func(_, s string) planting { return planting{proxy: "http://proxy.test:3128?k=" + s} },
	func(_, s string) planting { return planting{base: "me:" + s + "%40service.test"} },
	func(_, s string) planting { return planting{base: "http://service.test/v1?k=" + s} },
	func(_, s string) planting { return planting{base: "service.test:80%3Fk=" + s} },
	func(_, s string) planting { return planting{base: "http://service.test/v1#" + s} },
	func(n, s string) planting { return planting{header: http.Header{n: {s}}} },
	func(n, s string) planting { return planting{header: http.Header{n + ": " + s: {""}}} },
	func(n, s string) planting { return planting{mine: http.Header{n: {s}}} },
	func(n, s string) planting { return planting{mine: http.Header{n + ":" + s: {s}}} },
	func(_, s string) planting {
		return planting{header: http.Header{"authorization": {"Bearer " + s}, "COOKIE": {s}}, requestIDHeader: "Authorization"}
	},
	func(_, s string) planting { return planting{body: map[string]string{"password": s}} },
	func(_, s string) planting { return planting{body: json.RawMessage(s)} },
	func(_, s string) planting { return planting{body: unencodable{s}} },
	func(n, s string) planting {
		return planting{authorize: func(r *http.Request) error {
			r.Header[n] = []string{s}
			r.URL.RawQuery = s
			r.URL.User = url.UserPassword("me", s)
			return nil
		}}
	},
	func(_, s string) planting {
		return planting{authorize: func(*http.Request) error {
			return fmt.Errorf("a new token: %w", &url.Error{Op: "Post", URL: "https://idp.test/token?secret=" + s, Err: io.EOF})
		}}
	},
	func(_, s string) planting { return planting{request: "http://service.test/v1/x?k=" + s} },
	func(_, s string) planting {
		return planting{request: "http://me:" + unslashed(s) + "@service.test/v1/x"}
	},
	func(_, s string) planting { return planting{request: "http:me:" + s + "@service.test/x"} },
	func(_, s string) planting { return planting{request: "http://me:" + unslashed(s) + "@other.test/x"} },
	func(_, s string) planting { return planting{request: "/x?k=" + s} },
	func(_, s string) planting { return planting{request: "/x#" + s} },
	func(_, s string) planting {
		return planting{foreign: &url.Error{Op: "Get", URL: "http://service.test/?k=" + s, Err: errors.New("refused")}}
	},
	func(_, s string) planting {
		return planting{foreign: fmt.Errorf("calling: %w", errors.Join(io.EOF, &url.Error{Op: "Get", URL: "/?k=" + s, Err: io.EOF}))}
	},
}

// unslashed is s without slashes, for the part of a URL before an @: after a slash it would be
// a path, and paths are shown.
func unslashed(s string) string { return strings.NewReplacer("/", "", `\`, "").Replace(s) }

// unencodable is a body that cannot be encoded. Its error has no secret.
type unencodable struct{ password string }

func (unencodable) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

// answers are answers of a service that repeats all secrets.
var answers = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Echo: §\r\n\r\n{}",
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + `{"at": "§", "n": 1}  `,
	"HTTP/1.1 200 §\r\nContent-Length: 40\r\n\r\n§",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n§\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\n{}\r\n0\r\n§ §\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: §\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: §\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: §\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 24\r\n\r\n§",
	"HTTP/1.1 200 OK\r\n§\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n" + `{"at": "§"}` + "\n§",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\n{}\n\r\n0\r\n§ §\r\n\r\n",
	"HTTP/1.1 § OK\r\n\r\n",
	"HTTP/§ 200 OK\r\n\r\n",
	"POST /x?k=§ HTTP/1.1\r\nHost: echo\r\n\r\n", // an echo server
	"§\r\n", `"\"§`, "",
	"HTTP/1.1 302 §\r\nLocation: https://me:§@service.test/?k=§\r\nSet-Cookie: §\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 401 §\r\nWWW-Authenticate: §\r\nContent-Type: application/problem+json\r\nContent-Length: 82\r\n\r\n" + `{"title": "§", "detail": "bad key §"}`,
	"HTTP/1.1 302 §\r\nLocation: /§/§\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 307 §\r\nLocation: //other.test/§;§\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 308 §\r\nLocation: §:§\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 429 §\r\nRetry-After: §\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 429 §\r\nX-Ratelimit-Reset-§: 30\r\nX-Ratelimit-Remaining-§: 0\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTrailer: §, X-§\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-§: §\r\n\r\n",
	"HTTP/1.1 503 §\r\nContent-Length: 24\r\n\r\n§",
	"HTTP/1.1 408 §\r\nX-Should-Retry: §\r\nConnection: close\r\n\r\n§",
	"HTTP/1.1 101 §\r\nUpgrade: §\r\nConnection: Upgrade\r\n\r\n§",
}

// A secret can be in every part of a call and of its answer. No log, event, error,
// explanation or statistic shows it, with any verb.
func FuzzNoSecretGetsOut(f *testing.F) {
	for i := range max(int(routes)*len(places), len(answers)) {
		place := uint8(i % (int(routes) * len(places)))
		f.Add(place, "X-Api-Key", "", "", answers[i%len(answers)])
		f.Add(place, "authorization", "a%40b?c#d@", "%3f@e", answers[(i+3)%len(answers)])
	}
	f.Fuzz(func(t *testing.T, place uint8, name, before, after, answer string) {
		if http.CanonicalHeaderKey(name) == "X-Request-Id" {
			return // ids are shown
		}
		p := places[int(place)%len(places)](name, before+canary+after)
		p.via = route(int(place) / len(places) % int(routes))
		if leak := plant(t, p, strings.ReplaceAll(answer, "§", canary)); leak != "" {
			t.Errorf("place %d, route %d, header %q, before %q, after %q, answer %q: this shows the secret:\n%s", int(place)%len(places), p.via, name, before, after, answer, leak)
		}
	})
}

// Every place with every answer on every route.
func TestNoSecretGetsOutAnywhere(t *testing.T) {
	for i, place := range places {
		for _, answer := range answers {
			for via := range routes {
				p := place("X-Api-Key", canary)
				p.via = via
				if leak := plant(t, p, strings.ReplaceAll(answer, "§", canary)); leak != "" {
					t.Errorf("place %d, route %d, answer %q: this shows the secret:\n%s", i, via, answer, leak)
				}
			}
		}
	}
}

// A Router shows no more: not with the origin of a call in Hosts, not with another origin, and
// not without a Default.
func TestRouterShowsNoSecret(t *testing.T) {
	for i, place := range places {
		p := place("X-Api-Key", canary)
		var s sinks
		cfg, opts := p.settings(&s, strings.ReplaceAll(answers[0], "§", canary))
		def := cfg
		def.BaseURL = p.base // in most places it is empty
		for _, all := range []holdfast.RouterConfig{
			{Hosts: map[string]holdfast.Config{"http://service.test": cfg}, Default: &def},
			{Hosts: map[string]holdfast.Config{cmp.Or(p.base, "a.test"): {Header: p.header}}},
			{Default: &def},
		} {
			p.route(t.Context(), &s, all, opts)
		}
		if leak := s.leaks(); leak != "" {
			t.Errorf("place %d: this shows the secret:\n%s", i, leak)
		}
	}
}

// route makes one call through a Router.
func (p planting) route(ctx context.Context, s *sinks, cfg holdfast.RouterConfig, opts []holdfast.Option) {
	s.print("config", cfg)
	s.print("config", &cfg)
	router, err := holdfast.NewRouter(cfg, opts...)
	if s.failure(err); err != nil {
		return
	}
	defer router.Close()
	target := cmp.Or(p.request, p.path)
	if target == "" || strings.HasPrefix(target, "/x") {
		target = "http://service.test" + target
	}
	if req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, strings.NewReader(canary)); err == nil {
		resp, err := router.RoundTrip(req)
		if s.failure(err); err == nil {
			resp.Body.Close()
		}
	}
	s.print("router", router)
	s.print("statistics", router.Stats())
	s.print("origins", router.Origins())
}

// plant makes the calls of p to a service with this answer, and looks for a leak in every
// sink.
func plant(t *testing.T, p planting, answer string) (leak string) {
	t.Helper()
	var s sinks
	defer func() { leak = s.leaks() }()
	cfg, opts := p.settings(&s, answer)
	var registry holdfast.Registry
	client, err := registry.Open("service", cfg, opts...)
	if err != nil {
		s.failure(err)
		return
	}
	defer client.Close()
	other := cfg
	other.Header = http.Header{"X-Other": {canary}}
	_, err = registry.Open("service", other)
	s.failure(err)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // much longer than a call takes
	defer cancel()
	p.call(ctx, &s, client)

	s.print("client", client)
	s.print("registry", &registry)
	for _, v := range []any{client.Stats(), registry.Stats(), client.Breaker().Stats()} {
		s.print("statistics", v)
		text, err := json.Marshal(v)
		fmt.Fprintf(&s, "%s %v\n", text, err)
	}
	return
}

// settings are those of a client of p, to a service with this answer.
func (p *planting) settings(s *sinks, answer string) (cfg holdfast.Config, opts []holdfast.Option) {
	cfg = holdfast.Config{
		Name: "service", BaseURL: "http://service.test/v1", Header: p.header, Authorize: p.authorize, RequestIDHeader: p.requestIDHeader,
		Retry:   holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off, MaxRetryAfter: holdfast.Off},
		Breaker: holdfast.BreakerConfig{FailureThreshold: 2},
	}
	switch p.via {
	case redirected:
		cfg.MaxRedirects = 2
	case tunnelled:
		cfg.BaseURL = "https://service.test/v1"
		p.request = strings.Replace(p.request, "http://service.test", "https://service.test", 1)
		fallthrough
	case proxied:
		if p.foreign == nil {
			cfg.Proxy = "http://proxy.test:3128"
		}
	}
	if p.base != "" {
		cfg.BaseURL = p.base
	}
	if p.proxy != "" {
		cfg.Proxy = p.proxy
	}
	s.print("config", cfg)
	s.print("config", &cfg)
	level := &slog.HandlerOptions{Level: slog.LevelDebug}
	opts = []holdfast.Option{
		holdfast.WithObserver(s), holdfast.WithDialContext(answering(answer)),
		holdfast.WithLogger(slog.New(slog.NewTextHandler(s, level))),
	}
	if p.foreign != nil {
		opts = append(opts, holdfast.WithTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, p.foreign })),
			holdfast.WithLogger(slog.New(slog.NewJSONHandler(s, level))))
	}
	return cfg, opts
}

// call makes one call, and the same through a policy, as for an SDK.
func (p planting) call(ctx context.Context, s *sinks, client *holdfast.Client) {
	if p.request != "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.request, strings.NewReader(canary))
		if err != nil {
			return // the caller's request is not valid
		}
		resp, err := client.Do(req)
		if s.failure(err); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			s.failure(err)
			resp.Body.Close()
		}
		return
	}
	var opts []holdfast.CallOption
	for name, values := range p.mine {
		opts = append(opts, holdfast.WithHeader(name, values[0]))
	}
	path := p.path
	if path == "" {
		path = "/x"
	}
	_, err := holdfast.Get[struct {
		At time.Time `json:"at"`
	}](ctx, client, path, opts...)
	s.failure(err)
	stream, err := client.Stream(ctx, http.MethodPost, path, p.body, opts...)
	if s.failure(err); err == nil {
		for _, err := range holdfast.DecodeLines[struct {
			At time.Time `json:"at"`
		}](stream) {
			s.failure(err)
		}
		stream.Close()
	}
	guarded := holdfast.MustPolicy(holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, holdfast.WithObserver(s))
	resp, err := holdfast.Do(ctx, guarded, func(ctx context.Context) (*holdfast.Response, error) {
		resp, err := client.Post(ctx, path, p.body, opts...)
		s.failure(err)
		if err != nil { // as http.Client wraps its transport's error
			err = &url.Error{Op: "Post", URL: "http://service.test/?k=" + canary, Err: err}
		}
		return resp, err
	})
	if s.failure(err); err == nil {
		s.failure(resp.Decode(new(struct {
			At time.Time `json:"at"`
		})))
		s.failure(resp.Decode(new(struct {
			N json.Number `json:"at"`
		})))
	}
}

// answering dials a service that reads a request and sends answer.
func answering(answer string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			req, err := http.ReadRequest(bufio.NewReader(theirs))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(theirs, answer)
		}()
		return ours, nil
	}
}
