package holdfast_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// proxyAnswers are answers of a proxy with a secret in every place.
var proxyAnswers = []string{
	"HTTP/1.1 407 §\r\nProxy-Authenticate: Basic realm=\"§\"\r\nContent-Length: 24\r\n\r\n§",
	"HTTP/1.1 502 §\r\nRetry-After: §\r\nVia: §\r\nContent-Length: 24\r\n\r\n§",
	"HTTP/1.1 599 §\r\n\r\n",
	"HTTP/1.1 429 http: nil Request.§\r\nRetry-After: 0\r\nX-Ratelimit-Reset-§: 1\r\n\r\n",
	"HTTP/1.1 301 §\r\nLocation: http://service.test/§?§\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 § OK\r\n\r\n",
	"HTTP/§ 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\n§\r\n\r\n",
	"HTTP/1.1 200 §\r\n\r\nHTTP/1.1 200 §\r\n\r\n§", // in the place of a TLS handshake
	"\x05\x00§", "\x05\x02", "\x05\x00\x05\x05\x00\x03§",
	"§\r\n",
}

// proxying is a proxy on a socket that gives each connection this answer. asked closes it, and
// returns a line that it was told and that has a secret.
func proxying(t *testing.T, answer string) (addr string, asked func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var told sinks
	var mu sync.Mutex
	var all sync.WaitGroup
	tell := func(text []byte) {
		mu.Lock()
		defer mu.Unlock()
		told.Write(text)
	}
	serve := func(conn net.Conn) { // a connection may wait for its first request, beside others
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // much longer than it takes
		question := make([]byte, 4096)
		n, _ := conn.Read(question)
		_, _ = io.WriteString(conn, answer)
		rest := []byte(nil)
		if tcp := conn.(*net.TCPConn); tcp.CloseWrite() == nil {
			rest, _ = io.ReadAll(conn)
		}
		tell(append(question[:n], rest...))
	}
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(conn) })
		}
	})
	asked = func() string { l.Close(); all.Wait(); return told.leaks() }
	t.Cleanup(func() { asked() })
	return l.Addr().String(), asked
}

// Nothing that a proxy says is in the text of an error, an event or a log, and nothing that
// it is told.
func TestProxySaysNothing(t *testing.T) {
	for _, answer := range proxyAnswers {
		answer = strings.ReplaceAll(answer, "§", canary)
		for _, base := range []string{"http://service.test", "https://service.test"} {
			for _, scheme := range []string{"http", "socks5"} {
				addr, _ := proxying(t, answer)
				call := func(how string, cfg holdfast.Config, opts ...holdfast.Option) {
					if leak := throughProxy(t.Context(), base, cfg, opts...); leak != "" {
						t.Errorf("%s, %s by %s, answer %q: this shows the secret:\n%s", how, base, scheme, answer, leak)
					}
				}
				call("own transport", holdfast.Config{Proxy: scheme + "://" + addr})
				foreign := &http.Transport{
					Proxy: http.ProxyURL(&url.URL{Scheme: scheme, Host: addr, User: url.UserPassword("me", canary)}),
					GetProxyConnectHeader: func(context.Context, *url.URL, string) (http.Header, error) {
						return http.Header{"X-Proxy-Key": {canary}}, nil
					},
				}
				call("a caller's transport", holdfast.Config{}, holdfast.WithTransport(foreign))
				foreign.CloseIdleConnections()
			}
		}
	}
}

// A proxy that declines is named, also if only net/http knows it.
func TestForeignProxyIsNamed(t *testing.T) {
	addr, asked := proxying(t, "HTTP/1.1 502 "+canary+"\r\n\r\n")
	foreign := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: addr, User: url.UserPassword("me", canary)})}
	c := over(t, "https://service.test", holdfast.Config{Retry: holdfast.Retry{MaxRetries: holdfast.Off}}, holdfast.WithTransport(foreign))
	_, err := c.Get(t.Context(), "/")
	is(t, err, holdfast.ErrConnection)
	isNot(t, err, holdfast.ErrInvalidRequest)
	if text := err.Error(); !strings.Contains(text, "the proxy "+addr+" did not connect to service.test") {
		t.Errorf("%s", text)
	}
	if asked() == "" {
		t.Error("the proxy was not told the password: the test proves nothing")
	}
}

// throughProxy makes calls and returns a line that shows a secret.
func throughProxy(ctx context.Context, base string, cfg holdfast.Config, opts ...holdfast.Option) string {
	var s sinks
	cfg.BaseURL, cfg.MaxRedirects = base, 2
	cfg.Timeouts.Attempt = 5 * time.Second // much longer than it takes
	cfg.Retry = holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off, MaxRetryAfter: holdfast.Off}
	s.print("config", cfg)
	c, err := holdfast.New(cfg, append(opts, holdfast.WithObserver(&s),
		holdfast.WithLogger(slog.New(slog.NewJSONHandler(&s, &slog.HandlerOptions{Level: slog.LevelDebug}))))...)
	if err != nil {
		s.failure(err)
		return s.leaks()
	}
	defer c.Close()
	_, err = c.Get(ctx, "/x")
	s.failure(err)
	if stream, err := c.Stream(ctx, http.MethodPost, "/x", "in"); err != nil {
		s.failure(err)
	} else {
		for _, err := range stream.Lines() {
			s.failure(err)
		}
		stream.Close()
	}
	if req, err := http.NewRequestWithContext(ctx, http.MethodPut, base+"/x", strings.NewReader("in")); err == nil {
		if resp, err := c.HTTPClient().Do(req); err != nil {
			s.failure(err)
		} else {
			resp.Body.Close()
		}
	}
	s.print("client", c)
	s.print("statistics", c.Stats())
	return s.leaks()
}

// The user and the password of a proxy in the environment are sent to it, and shown nowhere,
// and neither is an address of it that cannot be parsed. net/http reads the environment once,
// so that each is another process.
func TestProxyOfTheEnvironment(t *testing.T) {
	if base := os.Getenv("HOLDFAST_TEST_PROXY"); base != "" {
		fmt.Println("leak:", throughProxy(t.Context(), base, holdfast.Config{}))
		return
	}
	for _, proxy := range []string{"http://me:%s@HOST", "socks5://me:%s@HOST", "http://me:%s %%zz@HOST", "http://me:%[1]s@HOST:%[1]s", "://%s@HOST"} {
		for _, answer := range proxyAnswers[:2] {
			addr, asked := proxying(t, strings.ReplaceAll(answer, "§", canary))
			address := strings.ReplaceAll(fmt.Sprintf(proxy, canary), "HOST", addr)
			for _, base := range []string{"http://service.test", "https://service.test"} {
				cmd := exec.Command(os.Args[0], "-test.run=^TestProxyOfTheEnvironment$")
				cmd.Env = append(os.Environ(), "HOLDFAST_TEST_PROXY="+base, "HTTP_PROXY="+address, "HTTPS_PROXY="+address, "NO_PROXY=")
				out, err := cmd.CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("leak: \n")) {
					t.Errorf("%s to %s: %v: %s", address, base, err, cmp.Or(string(out), "no output"))
				}
			}
			if proxy == "http://me:%s@HOST" && asked() == "" {
				t.Error("the proxy was not told the password: the test proves nothing")
			}
		}
	}
}
