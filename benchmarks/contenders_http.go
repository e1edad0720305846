package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/test/rivals"
)

// overHTTP is a contender that calls the server; there is no work to be guarded
// but that.
func overHTTP(name string, rig func(url string) func() error) contender {
	return contender{name: name, rig: func(work) func(int) error {
		url, err := siteURL()
		if err != nil {
			return func(int) error { return err }
		}
		call := rig(url)
		return func(n int) error {
			for range n {
				if err := call(); err != nil {
					return err
				}
			}
			return nil
		}
	}}
}

// newTransport is tuned as holdfast tunes its own.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        crowd,
		MaxIdleConns:           crowd,
		MaxIdleConnsPerHost:    crowd,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		ExpectContinueTimeout:  time.Second,
	}
}

func newClient(url string, opts ...holdfast.Option) (*holdfast.Client, error) {
	return holdfast.New(holdfast.Config{
		BaseURL:  url,
		Timeouts: holdfast.Timeouts{Attempt: attemptTimeout},
		Pool:     holdfast.Pool{MaxConns: crowd, MaxIdleConns: crowd},
	}, opts...)
}

// limited makes a call with a deadline in its context. Callers without another limit
// need one.
func limited(url string, do func(*http.Request) (*http.Response, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	return requested(ctx, url, do)
}

// requested makes a call and reads the answer.
func requested(ctx context.Context, url string, do func(*http.Request) (*http.Response, error)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := do(req)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	return resp.Body.Close()
}

var bareHTTP = overHTTP("http.Client and a deadline", func(url string) func() error {
	c := &http.Client{Transport: newTransport()}
	return func() error { return limited(url, c.Do) }
})

// holdfast has a limit of its own, Timeouts.Attempt, and so needs no deadline.
var holdfastDo = overHTTP("holdfast Client.Do", func(url string) func() error {
	return holdfastCallsTo(url, func(c *holdfast.Client) error { return requested(context.Background(), url, asDoer(c)) })
})

var holdfastGet = overHTTP("holdfast Client.Get", func(url string) func() error {
	return holdfastCallsTo(url, func(c *holdfast.Client) error {
		_, err := c.Get(context.Background(), "/")
		return err
	})
})

// Both limits: the caller has a deadline nevertheless.
var holdfastDoInDeadline = overHTTP("Client.Do, and a deadline", func(url string) func() error {
	return holdfastCallsTo(url, func(c *holdfast.Client) error { return limited(url, asDoer(c)) })
})

func holdfastCallsTo(url string, call func(*holdfast.Client) error) func() error {
	c, err := newClient(url)
	return func() error {
		if err != nil {
			return err
		}
		return call(c)
	}
}

func asDoer(c *holdfast.Client) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) { return c.Do(req) }
}

// The clients of other libraries, as conformance and outage set them up. Each has
// a limit of its own for an attempt, and so needs no deadline.
var (
	retryableHTTP = rivalHTTP("go-retryablehttp", "go-retryablehttp, log off")
	restyHTTP     = rivalHTTP("resty", "resty")
	failsafeHTTP  = rivalHTTP("failsafe-go, four policies", "failsafe-go")
	heimdallHTTP  = rivalHTTP("heimdall and hystrix-go", "heimdall")
)

func rivalHTTP(name, kind string) contender {
	return overHTTP(name, func(url string) func() error {
		client, err := rivals.Named(kind).New(rivals.Settings{
			Setup: conformance.Setup{BaseURL: url, Terms: conformance.Terms{
				Retries: retries, Base: 500 * time.Millisecond, Max: 10 * time.Second,
				Attempt: attemptTimeout, RetryAfter: time.Minute, Answer: 1 << 20,
			}},
			Threshold: threshold, OpenFor: openTimeout, Bulkhead: crowd, Conns: crowd,
		})
		if err != nil {
			return func() error { return err }
		}
		ctx := context.Background()
		if sender, ok := client.(rivals.Sender); ok {
			do := func(req *http.Request) (*http.Response, error) { return sender.Send(req, true) }
			return func() error { return requested(ctx, url, do) }
		}
		call := conformance.Call{Method: http.MethodGet, URL: url, Path: "/", Header: http.Header{}}
		return func() error {
			answer := client.Do(ctx, call)
			if answer.Err == nil && answer.Status != http.StatusOK {
				return fmt.Errorf("%s: status %d", name, answer.Status)
			}
			return answer.Err
		}
	})
}

// fake is a transport that answers at once, from memory.
type fake struct{ body io.ReadCloser }

func (f fake) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: f.body, ContentLength: -1}, nil
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// reads makes a call and reads from its body.
func reads(do func(*http.Request) (*http.Response, error)) func(int) error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.test/", nil)
	var resp *http.Response
	if err == nil {
		resp, err = do(req)
	}
	if err != nil {
		cancel()
		return func(int) error { return err }
	}
	p := make([]byte, 512)
	return func(n int) error {
		for range n {
			if _, err := resp.Body.Read(p); err != nil {
				cancel()
				return err
			}
		}
		return nil
	}
}

var bareBody = contender{name: "http.Client and a deadline", rig: func(work) func(int) error {
	return reads((&http.Client{Transport: fake{endless{}}}).Do)
}}

var holdfastBody = contender{name: "holdfast Client.Do", rig: func(work) func(int) error {
	c, err := newClient("http://a.test", holdfast.WithTransport(fake{endless{}}))
	if err != nil {
		return func(int) error { return err }
	}
	return reads(asDoer(c))
}}

// holdfastLoggedClient has what a client has: statistics and, here, a logger
// that says nothing of what goes well.
var holdfastLoggedClient = contender{name: "holdfast", elsewhere: countedLane, rig: func(work) func(int) error {
	return clientCalls(holdfast.WithLogger(silent))
}}

// holdfastUncounted has neither, in a build of its own without statistics.
var holdfastUncounted = contender{name: "without statistics and logger", elsewhere: uncountedLane, rig: func(work) func(int) error {
	return clientCalls()
}}

func clientCalls(opts ...holdfast.Option) func(int) error {
	c, err := newClient("http://a.test", append(opts, holdfast.WithTransport(fake{http.NoBody}))...)
	ctx := context.Background()
	return func(n int) error {
		if err != nil {
			return err
		}
		for range n {
			if _, err := c.Get(ctx, "/"); err != nil {
				return err
			}
		}
		return nil
	}
}
