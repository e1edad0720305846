package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/internal/relay"
	"github.com/holdfast-go/holdfast/test/rivals"
)

const (
	pooled  = 20 // connections, or over HTTP/2 streams, before they go stale
	calls   = 6  // afterwards, one after another
	retries = 3
	settle  = 2 * time.Second // that the pool may take to fill, and a client to notice FIN
)

var terms = conformance.Terms{
	Base: 20 * time.Millisecond, Max: 100 * time.Millisecond, Attempt: 700 * time.Millisecond,
	RetryAfter: 2 * time.Second, Answer: 1 << 20, Deadline: 4 * time.Second,
}

// cell is one situation.
type cell struct {
	Fault   relay.Fault `json:"fault"`
	Proto   string      `json:"proto"`
	Method  string      `json:"method"`
	Retries bool        `json:"retries"`
}

var protos = []string{"HTTP/1.1", "TLS", "HTTP/2"}

func allCells() []cell {
	var all []cell
	for _, f := range []relay.Fault{relay.Reset, relay.Finish, relay.Dark} {
		for _, p := range protos {
			for _, m := range []string{http.MethodGet, http.MethodPost} {
				all = append(all, cell{f, p, m, true}, cell{f, p, m, false})
			}
		}
	}
	return all
}

func (c cell) String() string { return fmt.Sprintf("%s, %s, %s", c.Fault, c.Proto, c.column()) }

// column is the cell's place in a row of the table.
func (c cell) column() string {
	if c.Retries {
		return c.Method + ", retries"
	}
	return c.Method + ", no retries"
}

// figures are what came of one run.
type figures struct {
	Failed int     `json:"failed"`          // of the calls
	Told   int64   `json:"attempts_told"`   // by the client, for these calls; -1 if it does not tell
	Served int64   `json:"requests_served"` // by the service
	Stale  int     `json:"stale_used"`      // stale connections over which something was sent
	Opened int     `json:"opened"`          // connections
	First  float64 `json:"first_ms"`        // until the first success; -1 without one
}

// live takes one client through one cell.
func live(ctx context.Context, c cell, k rivals.Kind) (figures, error) {
	s := newService(c.Proto)
	defer s.Close()
	between, err := relay.New(s.Listener.Addr().String())
	if err != nil {
		return figures{}, err
	}
	defer between.Close()
	set := rivals.Settings{Setup: conformance.Setup{BaseURL: "http://" + between.Addr(), Terms: terms}, Conns: pooled}
	if c.Retries {
		set.Terms.Retries = retries
	}
	if c.Proto != "HTTP/1.1" {
		set.BaseURL = "https://" + between.Addr()
		set.Roots = x509.NewCertPool()
		set.Roots.AddCert(s.Certificate())
	}
	client, err := k.New(set)
	if err != nil {
		return figures{}, err
	}
	defer client.Close()
	if err := fill(ctx, client, set.BaseURL, between, c); err != nil {
		return figures{}, err
	}

	toldBefore, tells := rivals.Attempts(client)
	openedBefore := between.Opened()
	if between.Stale(c.Fault); c.Fault == relay.Finish {
		if err := until(ctx, func() bool { return between.Open() == 0 }); err != nil {
			return figures{}, fmt.Errorf("%d connections are open after FIN: %w", between.Open(), err)
		}
	}
	f := figures{First: -1, Told: -1}
	began := time.Now()
	for i := range calls {
		if err := do(ctx, client, set.BaseURL, c.Method, fmt.Sprintf("/work/%d", i)); err != nil {
			f.Failed++
		} else if f.First < 0 {
			f.First = float64(time.Since(began).Microseconds()) / 1000
		}
	}
	if told, _ := rivals.Attempts(client); tells {
		f.Told = told - toldBefore
	}
	f.Served, f.Stale, f.Opened = s.served.Load(), between.Used(), between.Opened()-openedBefore
	return f, ctx.Err()
}

// fill fills the client's pool: over HTTP/1.1 by calls that are under way together.
func fill(ctx context.Context, client conformance.Client, base string, between *relay.Relay, c cell) error {
	if err := do(ctx, client, base, http.MethodGet, "/alone"); err != nil {
		return fmt.Errorf("the first call: %w", err)
	}
	errs := make([]error, pooled)
	var running sync.WaitGroup
	for i := range pooled {
		running.Go(func() { errs[i] = do(ctx, client, base, http.MethodGet, "/together") })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("filling the pool: %w", err)
	}
	if n := between.Open(); c.Proto != "HTTP/2" && n != pooled {
		return fmt.Errorf("the pool has %d connections, want %d", n, pooled)
	}
	return nil
}

func do(ctx context.Context, client conformance.Client, base, method, path string) error {
	ctx, cancel := context.WithTimeout(ctx, terms.Deadline)
	defer cancel()
	call := conformance.Call{Method: method, URL: base + path, Path: path, Header: http.Header{}}
	if method == http.MethodPost {
		call.Body, call.Key = []byte(`{"some":"work"}`), "key-of"+path
		call.Header.Set("Content-Type", "application/json")
	}
	switch a := client.Do(ctx, call); {
	case a.Err != nil:
		return a.Err
	case a.Status != http.StatusOK:
		return fmt.Errorf("status %d", a.Status)
	}
	return nil
}

// until waits until ok.
func until(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// service is well all the time.
type service struct {
	*httptest.Server
	served   atomic.Int64 // requests, but for those that fill the pool
	together atomic.Int64
	all      chan struct{} // closed when as many requests as the pool holds are under way
}

func newService(proto string) *service {
	s := &service{all: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that a client gives up
	if s.EnableHTTP2 = proto == "HTTP/2"; proto == "HTTP/1.1" {
		s.Start()
	} else {
		s.StartTLS()
	}
	return s
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/alone":
	case "/together":
		if s.together.Add(1) == pooled {
			close(s.all)
		}
		select {
		case <-s.all:
		case <-r.Context().Done():
		}
	default:
		s.served.Add(1)
	}
	_, _ = io.WriteString(w, "{}")
}
