package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// pieces are what an attacker may have a part in: of a path, a query, a header or a method.
var pieces = []string{
	"/", "//", "..", "../", "..;/", "..;a=b/", ".;/", `..\`, `\`, "%2e%2e/", "%2E%2e%2F", "%252e%252e%252f", "..%2f", "..%5c", "%5c..%5c", "..%00/", "%00", "\x00",
	"\r\n", "\n", "\r", "%0d%0a", "%0a", "\r\n\r\n", " HTTP/1.1\r\nX-Smuggled: 1\r\n", "\r\nX-Smuggled: 1", "\nHost: other.test", "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: other.test\r\n\r\n",
	"//other.test/", "https://other.test/", "@other.test", "http:", "?", "#", "&", " ", "\t", "\v", "\u2028", "\u00e9", "\xff", "%", "%zz", "a", "v1", "x", "0\r\n\r\n", "\xc0\xae\xc0\xae/", "．．/", "CONNECT", "Transfer-Encoding: chunked", "chunked", "*",
}

func piecesOf(n int) string {
	var b strings.Builder
	for range rand.IntN(n + 1) {
		b.WriteString(pieces[rand.IntN(len(pieces))])
	}
	return b.String()
}

// traffic is what a service has received.
type traffic struct {
	mu                          sync.Mutex
	requests                    int
	malformed, left, smuggled   int
	firstLeft, firstSmuggled    string
	firstMalformed, currentCall string
}

// serve reads requests as strictly as net/http, and answers them.
func (s *traffic) serve(conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(from)
		if err == io.EOF || err == io.ErrUnexpectedEOF || err == io.ErrClosedPipe {
			return
		}
		s.mu.Lock()
		if err != nil {
			s.malformed++
			s.firstMalformed = first(s.firstMalformed, s.currentCall+": "+err.Error())
			s.mu.Unlock()
			return
		}
		s.requests++
		if req.Host != "service.test" || !isBelow(req.URL) {
			s.left++
			s.firstLeft = first(s.firstLeft, s.currentCall+": "+req.Host+" "+req.RequestURI)
		}
		if _, has := req.Header["X-Smuggled"]; has || strings.HasPrefix(req.URL.Path, "/smuggled") {
			s.smuggled++
			s.firstSmuggled = first(s.firstSmuggled, s.currentCall)
		}
		s.mu.Unlock()
		_, _ = io.Copy(io.Discard, req.Body)
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			return
		}
	}
}

func first(seen, now string) string {
	if seen == "" {
		return now
	}
	return seen
}

// isBelow reports whether a path is below that of the base URL, for a server that decodes it
// twice, takes a backslash for a slash, and cuts off what follows a semicolon or a NUL.
func isBelow(u *url.URL) bool {
	text := u.Path
	for range 2 {
		text = strings.NewReplacer(`\`, "/", "\xc0\xae", ".").Replace(text)
		var segments []string
		for segment := range strings.SplitSeq(text, "/") {
			segment, _, _ = strings.Cut(segment, ";")
			segment, _, _ = strings.Cut(segment, "\x00")
			segments = append(segments, segment)
		}
		text = strings.Join(segments, "/")
		if clean := path.Clean("/" + text); clean != "/v1" && !strings.HasPrefix(clean, "/v1/") {
			return false
		}
		if decoded, err := url.PathUnescape(text); err == nil {
			text = decoded
		}
	}
	return true
}

// Calls with hostile parts, each on its own: no request leaves the base URL, no header and no
// second request is made of a part.
func TestSmuggling(t *testing.T) {
	var s traffic
	client, err := holdfast.New(holdfast.Config{
		BaseURL: "http://service.test/v1", Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
	}, holdfast.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	calls, rejected, surplus := 0, 0, 0
	for until := time.Now().Add(*spend); time.Now().Before(until); calls++ {
		s.mu.Lock()
		before := s.requests
		s.mu.Unlock()
		what, err := smuggle(t.Context(), client, &s)
		if err != nil {
			rejected++
		}
		s.mu.Lock()
		if s.requests-before > 1 {
			surplus++
			t.Errorf("%s: %d requests", what, s.requests-before)
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		t.Errorf("%d requests left the base URL, first %s", s.left, s.firstLeft)
	}
	if s.smuggled > 0 || s.malformed > 0 {
		t.Errorf("%d requests were smuggled, first %s; %d were malformed, first %s", s.smuggled, s.firstSmuggled, s.malformed, s.firstMalformed)
	}
	fmt.Printf("count: %d calls, %d of them rejected; %d requests left the base URL, %d were smuggled, %d malformed, %d calls made a second one\n", calls, rejected, s.left, s.smuggled, s.malformed, surplus)
}

// smuggle makes one call with a hostile part.
func smuggle(ctx context.Context, client *holdfast.Client, s *traffic) (what string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	part := piecesOf(4)
	kind := rand.IntN(6)
	what = fmt.Sprintf("kind %d with %q", kind, part)
	s.mu.Lock()
	s.currentCall = what
	s.mu.Unlock()
	switch kind {
	case 0:
		_, err = client.Get(ctx, "/x/"+part)
	case 1:
		_, err = client.Get(ctx, part)
	case 2:
		_, err = client.Get(ctx, "/x?q="+part)
	case 3:
		_, err = client.Get(ctx, "/x", holdfast.WithHeader("X-Part", part))
	case 4:
		_, err = client.Get(ctx, "/x", holdfast.WithIdempotencyKey(part))
	case 5:
		_, err = client.Post(ctx, "/x", part, holdfast.WithHeader("X"+part, "1"))
	}
	return what, err
}
