package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// careful is a simple client that follows most rules. Each care can be switched
// off: a rule that does not detect the missing care is useless.
type careful struct {
	Setup
	not map[care]bool // switched off

	mu       sync.Mutex
	http     *http.Client // without connections that are known to be stale
	made     time.Time    // http
	attempts int64
	failures int // in sequence: of the breaker
}

type care string

const (
	drain      care = "drain"              // before a repeat, to keep the connection
	keyed      care = "keyed"              // repeat a POST only with a key
	bounded    care = "bounded"            // limit Retry-After by the terms
	limited    care = "limited"            // limit an attempt
	stops      care = "stops"              // stop after the last retry
	obeys      care = "obeys"              // Retry-After
	checks     care = "checks"             // check that the body is complete
	stays      care = "stays"              // stay with the origin
	discreet   care = "discreet"           // no secrets in the log
	tidy       care = "tidy"               // leave no goroutine
	closes     care = "closes"             // close connections
	returns    care = "returns"            // return at all
	knowsCerts care = "knows certificates" // do not repeat permanent failures
	redials    care = "redials"            // use no connection that is as old as one that failed
	tells      care = "tells"              // count each attempt
	follows    care = "follows"            // limit the age of connections
	accuses    care = "accuses"            // say that it was the proxy
	yields     care = "yields"             // to a proxy that refuses for good
	cleans     care = "cleans"             // the text of the proxy
	spares     care = "spares"             // the service's breaker
)

func newCareful(not ...care) Contender {
	return Contender{Name: "careful", New: func(s Setup) (Client, error) {
		c := &careful{Setup: s, not: map[care]bool{}}
		for _, n := range not {
			c.not[n] = true
		}
		c.http = c.newHTTP()
		return c, nil
	}}
}

func (c *careful) newHTTP() *http.Client {
	c.made = time.Now()
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: c.Roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 20,
			DialContext: c.Dial, Proxy: http.ProxyURL(c.Proxy), OnProxyConnectResponse: c.connected,
		},
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			if c.not[stays] {
				req.Header.Set("X-Api-Key", canary)
				return nil
			}
			return http.ErrUseLastResponse
		},
	}
}

// client returns the http.Client of an attempt. fresh wants one without connections.
func (c *careful) client(fresh bool) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.ages() && time.Since(c.made) > c.Terms.ConnAge; fresh || old {
		c.http.CloseIdleConnections()
		c.http = c.newHTTP()
	}
	return c.http
}

func (c *careful) ages() bool { return c.Terms.ConnAge > 0 && !c.not[follows] }

// refused is the error of a proxy.
type refused struct {
	status int
	pause  time.Duration
	text   string
}

func (r refused) Error() string { return r.text }

func (c *careful) connected(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	text := fmt.Sprintf("the proxy answers %d", resp.StatusCode)
	if c.not[accuses] {
		text = "no connection"
	}
	if c.not[cleans] {
		text += resp.Status
	}
	return refused{resp.StatusCode, time.Duration(seconds) * time.Second, text}
}

func (c *careful) Attempts() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attempts, true
}

// note counts a failure of the service.
func (c *careful) note(failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures++; !failed {
		c.failures = 0
	}
}

func (c *careful) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Terms.Breaker > 0 && c.failures >= c.Terms.Breaker
}

func (c *careful) Close() {
	if !c.not[closes] {
		c.client(false).CloseIdleConnections()
	}
}

func (c *careful) Do(ctx context.Context, call Call) Answer {
	if c.not[tidy] && strings.HasPrefix(call.Path, "/work") {
		go func() { <-context.Background().Done() }()
	}
	if c.not[returns] && strings.HasPrefix(call.Path, "/work") {
		select {}
	}
	fmt.Fprintln(c.Log, call.Method, "request")
	if c.not[discreet] {
		fmt.Fprintln(c.Log, call.URL)
	}
	wait, fresh := c.Terms.Base, false
	for try := 0; ; try++ {
		if c.isOpen() {
			return Answer{Err: errors.New("open")}
		}
		a, pause, again := c.attempt(ctx, call, fresh)
		fresh = a.Err != nil && !c.not[redials]
		var proxy refused
		c.note(a.Err != nil && (!errors.As(a.Err, &proxy) || c.not[spares]))
		if !again || try == c.Terms.Retries && !c.not[stops] || !call.Repeatable() && !c.not[keyed] {
			return a
		}
		if pause == 0 {
			pause = rand.N(wait) + time.Millisecond
		}
		wait = min(2*wait, c.Terms.Max)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Answer{Err: ctx.Err()}
		}
	}
}

// attempt returns the answer, the wait that the service asks for (0: none), and
// whether to try again.
func (c *careful) attempt(ctx context.Context, call Call, fresh bool) (a Answer, pause time.Duration, again bool) {
	if !c.not[limited] {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Terms.Attempt)
		defer cancel()
	}
	req, err := call.Request(ctx)
	if err != nil {
		return Answer{Err: err}, 0, false
	}
	// net/http sends a request again by itself if it can: an attempt would be untold.
	// To follow a redirect is the only use of that here.
	if !c.not[stays] {
		req.GetBody = nil
	}
	if req.Body == nil && !c.not[stays] {
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	c.mu.Lock()
	if c.attempts++; c.not[tells] {
		c.attempts = 1
	}
	c.mu.Unlock()
	resp, err := c.client(fresh).Do(req)
	var proxy refused
	if errors.As(err, &proxy) && !c.not[yields] {
		return Answer{Err: err}, proxy.pause, proxy.status > 407
	}
	if err != nil {
		var cert *tls.CertificateVerificationError
		return Answer{Err: err}, 0, !errors.As(err, &cert) || c.not[knowsCerts]
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols { // no body follows, and no context ends its Read
		return Answer{Status: resp.StatusCode}, 0, false
	}
	var body []byte
	if resp.StatusCode == http.StatusOK || !c.not[drain] {
		body, err = io.ReadAll(io.LimitReader(resp.Body, int64(c.Terms.Answer)+1))
		if len(body) > c.Terms.Answer {
			return Answer{Err: errors.New("too large")}, 0, false
		}
		if err != nil && !c.not[checks] {
			return Answer{Err: err}, 0, true
		}
	}
	a = Answer{Status: resp.StatusCode, Body: body}
	if a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests {
		return a, 0, false
	}
	seconds, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 32)
	if at, err := http.ParseTime(resp.Header.Get("Retry-After")); err == nil {
		pause = max(0, time.Until(at))
	}
	if ms, err := strconv.Atoi(resp.Header.Get("Retry-After-Ms")); err == nil {
		pause = time.Duration(ms) * time.Millisecond
	}
	if err == nil {
		pause = time.Duration(seconds) * time.Second
	}
	if c.not[obeys] {
		pause = 0
	}
	if pause > c.Terms.RetryAfter && !c.not[bounded] {
		return a, 0, false
	}
	return a, pause, true
}
