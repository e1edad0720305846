package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Proxy returns a contender that is a proxy before the service, which is at
// Runner.Listen. Its answers and its requests to the service are judged, its
// log and its resources are not. A failed call is a status of 500 or more, or a
// broken answer.
//
// It is not tested with TLS, since each rule has a new authority, and not by
// rules with another limit of an attempt.
func Proxy(url string) Contender {
	return Contender{
		Name: url, Proxy: true,
		Asks: func(r *Rule) bool { return !r.TLS && r.Attempt == 0 },
		New: func(s Setup) (Client, error) {
			return proxied{http.Client{
				Transport: &http.Transport{DisableCompression: true}, // decompression is part of the test
				CheckRedirect: func(*http.Request, []*http.Request) error {
					return http.ErrUseLastResponse
				},
			}, strings.TrimSuffix(url, "/"), s.Terms}, nil
		},
	}
}

// proxied is a caller of the proxy. It keeps one connection, as callers do, so
// that one process of a proxy with several processes answers it.
type proxied struct {
	client http.Client
	url    string
	terms  Terms
}

func (p proxied) Do(ctx context.Context, c Call) Answer {
	c.URL = p.url + c.Path
	req, err := c.Request(ctx)
	if err != nil {
		return Answer{Err: err}
	}
	// net/http does not repeat a request by itself if it cannot read the body
	// again. A second request would be attributed to the proxy.
	req.GetBody = nil
	if req.Body == nil {
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(p.terms.Answer)+1))
	switch {
	case err != nil:
		return Answer{Err: err}
	case resp.StatusCode >= 500: // the proxy has no answer
		return Answer{Err: fmt.Errorf("the proxy answers %s", resp.Status)}
	}
	return Answer{Status: resp.StatusCode, Body: body}
}

func (p proxied) Close() { p.client.CloseIdleConnections() }

// A proxy lives longer than a meeting: one meeting must not affect the next.
const (
	// recoveryTime is the time that it may take to work again.
	recoveryTime = 2 * time.Second
	// quietTime is the time without requests of abandoned calls: more than the
	// longest backoff of the terms.
	quietTime = 500 * time.Millisecond
	// closeTime is the time that it may take to close ended connections.
	closeTime = 250 * time.Millisecond
)

// ready returns when the proxy forwards a call to a healthy service and returns
// the answer, and when no more requests of abandoned calls arrive. Such
// requests would count for the next meeting and meet its fault.
func (r *Runner) ready(ctx context.Context, c *Contender) error {
	s, err := r.start(&Rule{}, new(witness))
	if err != nil {
		return err
	}
	defer func() {
		s.Close()
		closed, addrs := time.Now(), []string{s.Addr()}
		settle(closeTime, func() bool { n, _ := descriptors(addrs, closed); return n == 0 })
	}()
	client, err := c.New(Setup{BaseURL: s.URL(), Terms: Usual, Log: io.Discard})
	if err != nil {
		return err
	}
	defer client.Close()
	began, call := time.Now(), newCall(&Rule{}, s.URL(), "/usual")
	var answer Answer
	settle(recoveryTime, func() bool {
		ctx, cancel := context.WithTimeout(ctx, Usual.Deadline+r.Patience)
		defer cancel()
		answer = client.Do(ctx, call)
		return isAnswered(answer, call) || ctx.Err() == context.Canceled
	})
	if !isAnswered(answer, call) {
		return fmt.Errorf("%s does not forward a call to %s and return its answer: %s; %s arrived there", c.Name, s.Addr(),
			describe(answer, call), count(requests(s.Record()), "request"))
	}
	if r.gaveUp {
		settle(recoveryTime, func() bool {
			record := s.Record()
			return time.Since(began)-record[len(record)-1].At >= quietTime || ctx.Err() != nil
		})
	}
	r.gaveUp = false
	return ctx.Err()
}

// gaveUpOn reports whether the proxy may still be working on a call.
func (m *meeting) gaveUpOn() bool {
	for i, a := range m.answers {
		if m.took[i] >= m.setup.Terms.Deadline || len(a.Body) > m.setup.Terms.Answer {
			return true
		}
	}
	return m.lost
}

// unexpected returns an error for a request that belongs to no call of the meeting.
func (m *meeting) unexpected() error {
	for _, a := range m.record {
		if a.Method != "" && !strings.HasPrefix(a.Path, work+"/") {
			return fmt.Errorf("%s %s arrived at %s, and no rule makes this request: switch off other callers, such as health checks",
				a.Method, a.Path, m.server.Addr())
		}
	}
	return nil
}
