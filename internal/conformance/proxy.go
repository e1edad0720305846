package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Proxy is a contender that stands before the service and calls it for others, at
// the address that Runner.Listen has. It is judged by its answers and by what it
// asks of the service; its log and what it holds are its own. It answers a call that
// came to nothing with a status of 500 or more, or breaks the answer off.
//
// It is asked nothing over TLS, where it would have to know an authority that is
// made for each rule, and no rule that sets another limit for an attempt.
func Proxy(url string) Contender {
	return Contender{
		Name: url, Proxy: true,
		Asks: func(r *Rule) bool { return !r.TLS && r.Attempt == 0 },
		New: func(s Setup) (Client, error) {
			return proxied{http.Client{
				Transport: &http.Transport{DisableCompression: true}, // to unpack is part of what is judged
				CheckRedirect: func(*http.Request, []*http.Request) error {
					return http.ErrUseLastResponse
				},
			}, strings.TrimSuffix(url, "/"), s.Terms}, nil
		},
	}
}

// proxied is a caller of the proxy, on one connection that it keeps as callers do:
// a proxy of several processes has one of them answer it.
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
	// What net/http cannot read again it does not repeat by itself: a second request
	// would be laid to the proxy.
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
	case resp.StatusCode >= 500: // which is how a proxy says that there is none
		return Answer{Err: fmt.Errorf("the proxy answers %s", resp.Status)}
	}
	return Answer{Status: resp.StatusCode, Body: body}
}

func (p proxied) Close() { p.client.CloseIdleConnections() }

// A proxy outlives the meetings, and must not bring along what was of the last one.
const (
	// recovering is how long it may take to be well again.
	recovering = 2 * time.Second
	// quiet is for how long nothing may come of calls that were given up on: more
	// than the longest backoff of the terms.
	quiet = 500 * time.Millisecond
	// noticing is how long it may take to let go of connections that have ended.
	noticing = 250 * time.Millisecond
)

// ready returns when the proxy brings a call to a service that is well, and the
// answer back, and when nothing comes any more of calls that were given up on: it
// would count as the next meeting's, and meet its fault.
func (r *Runner) ready(ctx context.Context, c *Contender) error {
	s, err := r.start(&Rule{}, new(witness))
	if err != nil {
		return err
	}
	defer func() {
		s.Close()
		settle(noticing, func() bool { n, _ := descriptors(s.Addr()); return n == 0 })
	}()
	client, err := c.New(Setup{BaseURL: s.URL(), Terms: Usual, Log: io.Discard})
	if err != nil {
		return err
	}
	defer client.Close()
	began, call := time.Now(), newCall(&Rule{}, s.URL(), "/usual")
	var answer Answer
	settle(recovering, func() bool {
		ctx, cancel := context.WithTimeout(ctx, Usual.Deadline+r.Patience)
		defer cancel()
		answer = client.Do(ctx, call)
		return isAnswered(answer, call) || ctx.Err() == context.Canceled
	})
	if !isAnswered(answer, call) {
		return fmt.Errorf("%s does not bring a call to %s and its answer back: %s; %s came there", c.Name, s.Addr(),
			describe(answer, call), count(requests(s.Record()), "request"))
	}
	if r.gaveUp {
		settle(recovering, func() bool {
			record := s.Record()
			return time.Since(began)-record[len(record)-1].At >= quiet || ctx.Err() != nil
		})
	}
	r.gaveUp = false
	return ctx.Err()
}

// gaveUpOn says whether the proxy may be at work for a call still.
func (m *meeting) gaveUpOn() bool {
	for i, a := range m.answers {
		if m.took[i] >= m.setup.Terms.Deadline || len(a.Body) > m.setup.Terms.Answer {
			return true
		}
	}
	return m.lost
}

// stranger is an error for a request that is of no call of the meeting's.
func (m *meeting) stranger() error {
	for _, a := range m.record {
		if a.Method != "" && !strings.HasPrefix(a.Path, work+"/") {
			return fmt.Errorf("%s %s came to %s, and no rule calls for that: switch off what else calls there, such as health checks",
				a.Method, a.Path, m.server.Addr())
		}
	}
	return nil
}
