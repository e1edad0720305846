// Command stalepool lets the pooled connections of holdfast and of other HTTP clients go
// stale, and compares what the next calls meet.
//
// A relay on loopback stands between each client and a service that is well. It makes
// all connections of the moment stale in one of three ways, and passes new ones on. So a
// call fails only if its client does not find out that a new connection would do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/relay"
	"github.com/holdfast-go/holdfast/test/integration/cli"
	"github.com/holdfast-go/holdfast/test/rivals"
)

func main() { cli.Main("stalepool", run) }

const (
	maxRuns = 100
	// atOnce is the number of dark cells that run at once. They wait most of the time.
	atOnce = 16
	// limit bounds the whole command.
	limit = 15 * time.Minute
)

var errWorse = errors.New("holdfast is worse than the best of the others in the cells that are marked")

func run(ctx context.Context) error {
	runs := flag.Int("runs", 6, "of each cell, up to 100; dark cells run a third as often, and fewer than 6 give no interval")
	client := flag.String("client", "", "the contenders with names that match this expression")
	which := flag.String("cell", "", "the cells with names that match this expression, such as 'dark, HTTP/2'")
	out := flag.String("json", "out/stalepool.json", "file for the figures of each run; empty for none")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	tolerate := flag.Bool("tolerate", false, "exit with 0 although holdfast is worse in a cell")
	flag.Parse()
	if *runs < 1 || *runs > maxRuns {
		return fmt.Errorf("-runs %d: must be 1 to %d", *runs, maxRuns)
	}
	kinds, err := cli.Matching(contenders(), func(k rivals.Kind) string { return k.Name }, "-client", *client)
	if err != nil {
		return err
	}
	cells, err := cli.Matching(allCells(), cell.String, "-cell", *which)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	results, err := measure(ctx, cells, kinds, *runs)
	if err != nil {
		return err
	}
	marks := judge(results)
	fmt.Print(table(results, marks))
	fmt.Printf("\n%d runs in %s\n", *runs, time.Since(began).Round(time.Second))
	if *out != "" {
		if err := cli.WriteJSON(*out, results); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := os.WriteFile(*page, []byte(document(results, marks, kinds, *runs)), 0o644); err != nil {
			return err
		}
	}
	if len(marks) > 0 && !*tolerate {
		return fmt.Errorf("%w: %d", errWorse, len(marks))
	}
	return nil
}

// contenders are those of package rivals that the comparison is about, holdfast first.
func contenders() []rivals.Kind {
	var kinds []rivals.Kind
	for _, name := range []string{
		"holdfast", "holdfast, SDK transport", "net/http", "go-retryablehttp, log off", "resty", "failsafe-go", "failsafe-go, tuned",
	} {
		kinds = append(kinds, rivals.Named(name))
	}
	return kinds
}

// measure runs every cell with every contender: the fast cells one after another, so
// that they do not disturb each other's times, and then the dark ones at once.
func measure(ctx context.Context, cells []cell, kinds []rivals.Kind, runs int) ([]result, error) {
	results := make([]result, 0, len(cells)*len(kinds))
	for _, c := range cells {
		for _, k := range kinds {
			results = append(results, result{Cell: c, Client: k.Name, kind: k})
		}
	}
	turns := func(dark bool, runs int) []*result {
		var all []*result
		for n := range runs {
			for i := range results {
				if r := &results[(i+n)%len(results)]; (r.Cell.Fault == relay.Dark) == dark {
					all = append(all, r)
				}
			}
		}
		return all
	}
	if err := makeAll(ctx, turns(false, runs), 1); err != nil {
		return nil, err
	}
	return slices.Clip(results), makeAll(ctx, turns(true, max(1, runs/3)), atOnce)
}

// makeAll makes the runs, a number of them at once.
func makeAll(ctx context.Context, turns []*result, atOnce int) error {
	var mu sync.Mutex
	var failed error
	var running sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i, r := range turns {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			f, err := live(ctx, r.Cell, r.kind)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s, %s: %w", r.Cell, r.Client, err))
				return
			}
			r.Runs = append(r.Runs, f)
			fmt.Fprintf(os.Stderr, "\r%d of %d: %-70s", i+1, len(turns), fmt.Sprint(r.Cell, ", ", r.Client))
		})
		mu.Lock()
		stop := failed != nil || ctx.Err() != nil
		mu.Unlock()
		if stop {
			break
		}
	}
	running.Wait()
	fmt.Fprintln(os.Stderr)
	return errors.Join(failed, ctx.Err())
}
