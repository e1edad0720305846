// Command suites runs the tests of other Go modules bare and through holdfast's SDK
// transport, and compares the results test by test.
//
// Each test program is compiled once, with a copy of net/http in which Client
// asks a hook for its RoundTripper. The environment of a run says whether there is a hook.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/test/integration/cli"
	"github.com/holdfast-go/holdfast/test/integration/suites/through"
)

func main() { cli.Main("suites", run) }

// limit bounds the whole command.
const limit = 30 * time.Minute

var (
	errUnexplained = errors.New("differences without a reason in reasons.json")
	errTooFew      = errors.New("too few suites ran")
)

// fewest is the number of suites that the page needs.
const fewest = 8

func run(ctx context.Context) error {
	only := flag.String("suite", "", "the suites with names that match this expression; the results of the others stay in the -json file")
	config := flag.String("config", "default", "of holdfast: default, waits (waits between attempts as they come), post (RepeatPOST) or once (neither retries nor a breaker)")
	builds := flag.Int("p", 2, "compilations at once, up to 64")
	root := flag.String("root", "../..", "folder of holdfast's go.mod")
	work := flag.String("work", "", "folder for copies and test programs, which are kept; empty for a temporary one")
	out := flag.String("json", "out/suites.json", "file for the result of each test; empty for none")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	flag.Parse()
	if !through.IsConfig(*config) {
		return fmt.Errorf("-config %q: must be default, waits, post or once", *config)
	}
	if *builds < 1 || *builds > 64 {
		return fmt.Errorf("-p %d: must be 1 to 64", *builds)
	}
	chosen, err := cli.Matching(suites(), func(s suite) string { return s.Name }, "-suite", *only)
	if err != nil {
		return err
	}
	reasons, err := readReasons(reasonsJSON)
	if err != nil {
		return err
	}
	if *work == "" {
		if *work, err = os.MkdirTemp("", "suites"); err != nil {
			return err
		}
		defer os.RemoveAll(*work)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w, err := newWorkshop(ctx, *root, *work, *builds)
	if err != nil {
		return err
	}
	var results []*result
	for _, s := range chosen {
		began := time.Now()
		fmt.Fprintf(os.Stderr, "%s %s\n", s.Name, s.Version)
		programs, err := w.build(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		r, err := compare(ctx, s, programs, *config)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		r.Date, r.Seconds = began.UTC().Format(time.DateOnly), int(time.Since(began).Seconds())
		reasons.explain(r)
		results = append(results, r)
		fmt.Print(r)
	}
	if *only != "" && *out != "" {
		if results, err = beside(results, *out, reasons); err != nil {
			return err
		}
	}
	if *out != "" {
		if err := cli.WriteJSON(*out, results); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := os.WriteFile(*page, []byte(document(results)), 0o644); err != nil {
			return err
		}
	}
	if *only == "" || *page != "" {
		if len(results) < fewest {
			return fmt.Errorf("%w: %d", errTooFew, len(results))
		}
		for _, u := range reasons.unused() {
			fmt.Fprintf(os.Stderr, "no difference needs this reason: %s\n", u)
		}
	}
	var unexplained []string
	for _, r := range results {
		for _, d := range r.Differences {
			if d.Reason == "" {
				unexplained = append(unexplained, r.Suite+": "+d.Test)
			}
		}
	}
	if len(unexplained) > 0 {
		return fmt.Errorf("%w: %d\n%s", errUnexplained, len(unexplained), strings.Join(unexplained, "\n"))
	}
	return nil
}

// beside adds the results of the other suites from an earlier run.
func beside(results []*result, file string, reasons reasons) ([]*result, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, err
	}
	var earlier, all []*result
	if err := json.Unmarshal(text, &earlier); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, s := range suites() {
		of := func(r *result) bool {
			return r.Suite == s.Name && r.Version == s.Version && r.Config == results[0].Config
		}
		if i := slices.IndexFunc(results, of); i >= 0 {
			all = append(all, results[i])
		} else if i := slices.IndexFunc(earlier, of); i >= 0 {
			reasons.explain(earlier[i])
			all = append(all, earlier[i])
		}
	}
	return all, nil
}
