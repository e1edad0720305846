package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// careful is a simple client that follows most rules. Each care can be switched
// off: a rule that does not detect the missing care is useless.
type careful struct {
	Setup
	http *http.Client
	not  map[care]bool // switched off
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
)

func newCareful(not ...care) Contender {
	return Contender{Name: "careful", New: func(s Setup) (Client, error) {
		c := &careful{Setup: s, not: map[care]bool{}}
		for _, n := range not {
			c.not[n] = true
		}
		c.http = &http.Client{
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots}, ForceAttemptHTTP2: true},
			CheckRedirect: func(req *http.Request, _ []*http.Request) error {
				if c.not[stays] {
					req.Header.Set("X-Api-Key", canary)
					return nil
				}
				return http.ErrUseLastResponse
			},
		}
		return c, nil
	}}
}

func (c *careful) Close() {
	if !c.not[closes] {
		c.http.CloseIdleConnections()
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
	wait := c.Terms.Base
	for try := 0; ; try++ {
		a, pause, again := c.attempt(ctx, call)
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
func (c *careful) attempt(ctx context.Context, call Call) (a Answer, pause time.Duration, again bool) {
	if !c.not[limited] {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Terms.Attempt)
		defer cancel()
	}
	req, err := call.Request(ctx)
	if err != nil {
		return Answer{Err: err}, 0, false
	}
	resp, err := c.http.Do(req)
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
