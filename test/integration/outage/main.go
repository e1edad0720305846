// Command outage sends one schedule of calls through holdfast and other HTTP clients
// of Go, to a service that fails for some seconds. It compares the results.
//
// Arrivals are open-loop: calls do not wait for each other, like those of fifty
// callers with four calls a second each. Each run has its own schedule, the same for
// every contender, and an outage at another phase, so that no breaker's probe is
// lucky in all runs. The report has the medians of the runs with 95 % intervals.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/test/integration/cli"
	"github.com/holdfast-go/holdfast/test/rivals"
)

func main() { cli.Main("outage", run) }

const maxRuns = 100

func run(ctx context.Context) error {
	runs := flag.Int("runs", 20, "how many, up to 100; fewer than 6 give no interval")
	seed := flag.Uint64("seed", 1, "of the schedules")
	client := flag.String("client", "", "the contenders with names that match this expression")
	out := flag.String("json", "out/outage.json", "file for the figures of each run; empty for none")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	flag.Parse()
	if *runs < 1 || *runs > maxRuns {
		return fmt.Errorf("-runs %d: must be 1 to %d", *runs, maxRuns)
	}
	kinds, err := cli.Matching(all(), func(k rivals.Kind) string { return k.Name }, "-client", *client)
	if err != nil {
		return err
	}
	results := make([]result, len(kinds))
	for i, k := range kinds {
		results[i] = result{Client: k.Name, Version: k.Contender().Version}
	}
	began := time.Now()
	for n := range *runs {
		s := newSchedule(*seed + uint64(n))
		for i := range kinds {
			k := (i + n) % len(kinds) // each is first in turn
			f, err := live(ctx, s, kinds[k])
			if err != nil {
				return fmt.Errorf("run %d of %s: %w", n+1, kinds[k].Name, err)
			}
			results[k].Runs = append(results[k].Runs, f)
			fmt.Fprintf(os.Stderr, "\rrun %d of %d: %-26s", n+1, *runs, kinds[k].Name)
		}
	}
	fmt.Fprintln(os.Stderr)
	fmt.Print(table(results))
	fmt.Printf("\n%d runs in %s\n", *runs, time.Since(began).Round(time.Second))
	if *out != "" {
		if err := cli.WriteJSON(*out, results); err != nil {
			return err
		}
	}
	if *page != "" {
		return os.WriteFile(*page, []byte(document(results, *runs)), 0o644)
	}
	return nil
}

// all returns the contenders. holdfast is there twice more, with a breaker that counts
// attempts and sends probes as the others do. go-retryablehttp is there only without
// its log, which would dominate the figures.
func all() []rivals.Kind {
	kinds := slices.DeleteFunc(rivals.All(), func(k rivals.Kind) bool { return k.Name == "go-retryablehttp" })
	counting := func(how string, probes int) rivals.Kind {
		k := kinds[0]
		usual := k.New
		k.Name += ", " + how
		k.New = func(s rivals.Settings) (conformance.Client, error) {
			s.CountAttempts, s.Probes = true, probes
			return usual(s)
		}
		return k
	}
	return slices.Insert(kinds, 1, counting("attempts counted", 3), counting("one probe", 1))
}
