// Command surplus counts the answers that go to the wrong user when a service sends more
// than it announces over HTTP/1.1.
//
// Seven users call one client as fast as they can. The service answers each request rightly,
// and sends a second answer, which is another user's: in the same packet, later, or when
// the next request arrives. Each answer has the name of its user, so that a wrong one is
// recognized.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/test/integration/cli"
)

func main() { cli.Main("surplus", run) }

const (
	users   = 7
	longest = time.Minute // of a cell
)

var errWrong = errors.New("an answer of another user was taken where that can be prevented")

func run(ctx context.Context) error {
	each := flag.Duration("for", 3*time.Second, "how long each client calls, up to 1m")
	client := flag.String("client", "", "the clients with names that match this expression")
	which := flag.String("variant", "", "the variants with names that match this expression")
	out := flag.String("json", "out/surplus.json", "file for the figures; empty for none")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	flag.Parse()
	if *each <= 0 || *each > longest {
		return fmt.Errorf("-for %s: must be above 0 and at most %s", *each, longest)
	}
	clients, err := cli.Matching(contenders, func(c contender) string { return c.name }, "-client", *client)
	if err != nil {
		return err
	}
	variants, err := cli.Matching(variants, func(v variant) string { return v.name }, "-variant", *which)
	if err != nil {
		return err
	}
	var all []figures
	wrong := false
	for _, v := range variants {
		for _, c := range clients {
			f, err := live(ctx, v, c, *each)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", v.name, c.name, err)
			}
			all = append(all, f)
			wrong = wrong || f.Wrong > 0 && c.isSafe(v)
			fmt.Printf("%-24s %-36s %6d calls  %6d of another user  %4d failed\n", v.name, c.name, f.Calls, f.Wrong, f.Failed)
		}
	}
	if *out != "" {
		if err := cli.WriteJSON(*out, all); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := os.WriteFile(*page, []byte(document(all, *each)), 0o644); err != nil {
			return err
		}
	}
	if wrong {
		return errWrong
	}
	return nil
}

// contender is one client.
type contender struct {
	name string
	new  func(base string) (*http.Client, func(), error)
	safe string // the variants, joined by ;, in which it must not take a wrong answer; * is all
}

func (c contender) isSafe(v variant) bool {
	return c.safe == "*" || strings.Contains(";"+c.safe+";", ";"+v.name+";")
}

// contenders are in the order of the page.
var contenders = []contender{
	{"net/http", bare, ""},
	{"holdfast", with(nil), atOnce},
	{"holdfast, WithTransport", with(nil, holdfast.WithTransport(&http.Transport{MaxIdleConnsPerHost: users})), ""},
	{"holdfast, Pool.MaxIdleConns Off", with(func(c *holdfast.Config) { c.Pool.MaxIdleConns = holdfast.Off }), "*"},
	{"holdfast, CheckRequestID", with(func(c *holdfast.Config) { c.CheckRequestID = true }), "*"},
}

func bare(string) (*http.Client, func(), error) {
	t := &http.Transport{MaxIdleConnsPerHost: users}
	return &http.Client{Transport: t, Timeout: callLimit}, t.CloseIdleConnections, nil
}

// with is holdfast with its defaults, except for shorter waits.
func with(change func(*holdfast.Config), opts ...holdfast.Option) func(string) (*http.Client, func(), error) {
	return func(base string) (*http.Client, func(), error) {
		cfg := holdfast.Config{
			BaseURL:  base,
			Retry:    holdfast.Retry{BaseDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond},
			Breaker:  holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
			Timeouts: holdfast.Timeouts{Total: callLimit},
		}
		if change != nil {
			change(&cfg)
		}
		client, err := holdfast.New(cfg, opts...)
		if err != nil {
			return nil, nil, err
		}
		return client.HTTPClient(), func() { _ = client.Close() }, nil
	}
}

// figures are what came of the calls of one client in one variant.
type figures struct {
	Variant string `json:"variant"`
	Client  string `json:"client"`
	Calls   int    `json:"calls"`
	Wrong   int    `json:"of_another_user"`
	Failed  int    `json:"failed"`
}

// callLimit bounds a call.
const callLimit = 5 * time.Second

// live lets all users call one client for a time.
func live(ctx context.Context, v variant, c contender, each time.Duration) (figures, error) {
	s, err := serve(v)
	if err != nil {
		return figures{}, err
	}
	defer s.close()
	client, closeClient, err := c.new(s.url)
	if err != nil {
		return figures{}, err
	}
	defer closeClient()
	total := figures{Variant: v.name, Client: c.name}
	end := time.Now().Add(each)
	var mu sync.Mutex
	var calling sync.WaitGroup
	for user := range users {
		calling.Go(func() {
			var f figures
			for name := userName(user); time.Now().Before(end) && ctx.Err() == nil; f.Calls++ {
				switch answer, err := call(ctx, client, s.url+"/of/"+name); {
				case err != nil:
					f.Failed++
				case answer != name:
					f.Wrong++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.Calls, total.Wrong, total.Failed = total.Calls+f.Calls, total.Wrong+f.Wrong, total.Failed+f.Failed
		})
	}
	calling.Wait()
	return total, ctx.Err()
}
