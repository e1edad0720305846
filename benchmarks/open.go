package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/holdfast-go/holdfast"
)

// census counts the goroutines of a response with an open body.
type census struct {
	name   string
	lead   opener
	others []opener
	more   float64 // limit of extra goroutines of each of the others
}

// opener opens one response to url; end closes it and frees its resources.
type opener struct {
	name string
	make func(url string) (open func() (end func(), err error), err error)
}

var openAnswers = census{
	name: "open response bodies, 64 of each",
	lead: opener{bareHTTP.name, func(url string) (func() (func(), error), error) {
		return opened(url, (&http.Client{Transport: newTransport()}).Do), nil
	}},
	others: []opener{{holdfastDo.name, func(url string) (func() (func(), error), error) {
		c, err := holdfast.New(holdfast.Config{BaseURL: url, Pool: holdfast.Pool{MaxConns: crowd}})
		if err != nil {
			return nil, err
		}
		return opened(url, asDoer(c)), nil
	}}},
}

func opened(url string, do func(*http.Request) (*http.Response, error)) func() (func(), error) {
	return func() (func(), error) {
		ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+openPath, nil)
		if err != nil {
			cancel()
			return nil, err
		}
		resp, err := do(req)
		if err != nil {
			cancel()
			return nil, err
		}
		return func() { _ = resp.Body.Close(); cancel() }, nil
	}
}

func (c census) title() string { return c.name }

// hold counts in a separate process without other goroutines.
func (c census) hold(meter, int) (finding, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	_, out, err := start(program, "census")
	if err != nil {
		return nil, err
	}
	var all []float64
	if err := json.NewDecoder(out).Decode(&all); err != nil {
		return nil, fmt.Errorf("counting in a separate process: %w", err)
	}
	return counted{c, all[0], all[1:]}, nil
}

// take counts all openers.
func (c census) take(w io.Writer) error {
	url, err := siteURL()
	if err != nil {
		return err
	}
	var all []float64
	for _, o := range append([]opener{c.lead}, c.others...) {
		n, err := o.count(url)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		all = append(all, n)
	}
	return json.NewEncoder(w).Encode(all)
}

// count returns the number of goroutines per open response.
func (o opener) count(url string) (float64, error) {
	open, err := o.make(url)
	if err != nil {
		return 0, err
	}
	before := settled()
	for range crowd {
		end, err := open()
		if err != nil {
			return 0, err
		}
		defer end()
	}
	return float64(settled()-before) / crowd, nil
}

// settled returns the number of goroutines when it has been stable for a while.
func settled() int {
	n := runtime.NumGoroutine()
	for same := 0; same < 10; same++ {
		<-time.After(5 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		}
	}
	return n
}

// counted is the result of a census.
type counted struct {
	census census
	lead   float64
	others []float64
}

func (c counted) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s: goroutines of each\n", c.census.name)
	fmt.Fprintf(w, "  %-32s %8.4g\n", c.census.lead.name, c.lead)
	for i, n := range c.others {
		fmt.Fprintf(w, "  %-32s %8.4g%23s%s\n", c.census.others[i].name, n, "",
			comparison(fmt.Sprintf("%+.4g", n-c.lead), "", fmt.Sprintf("≤ %+g", c.census.more), "", c.judge(n)))
	}
}

func (c counted) judge(n float64) verdict { return judge(n-c.lead, n-c.lead, c.census.more) }

func (c counted) rows() (all []row) {
	for i, n := range c.others {
		extra := n - c.lead
		all = append(all, row{
			Name: c.census.name, Contender: c.census.others[i].name, To: c.census.lead.name,
			Gauge: "extra goroutines", Value: &extra, Bar: &c.census.more, Verdict: c.judge(n),
		})
	}
	return all
}
