// Command conformance tests holdfast and other HTTP clients of Go against every
// fault, by the rules of internal/conformance. It writes the results to the terminal,
// to out/conformance.json and, with -page, into the docs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/test/integration/cli"
	"github.com/holdfast-go/holdfast/test/rivals"
)

func main() { cli.Main("conformance", run) }

func run(ctx context.Context) error {
	log.SetOutput(io.Discard) // net/http logs unexpected answers
	only := flag.String("only", "", "the rules with names that match this expression")
	client := flag.String("client", "", "the clients with names that match this expression")
	out := flag.String("json", "out/conformance.json", "file for the rows; empty for none")
	from := flag.String("from", "", "make the page from the rows of an earlier run, and run nothing")
	runs := flag.Int("runs", 1, "how many times in a row, to see whether the verdicts stay the same")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	flag.Parse()
	if *runs < 1 || *runs > 100 {
		return fmt.Errorf("-runs %d: must be from 1 to 100", *runs)
	}
	rules, err := cli.Matching(conformance.Rules(), func(r conformance.Rule) string { return r.ID() }, "-only", *only)
	if err != nil {
		return err
	}
	kinds, err := cli.Matching(rivals.All(), func(k rivals.Kind) string { return k.Name }, "-client", *client)
	if err != nil {
		return err
	}
	var all []conformance.Contender
	for _, k := range kinds {
		all = append(all, k.Contender())
	}
	began := time.Now()
	var rows []conformance.Row
	if *from != "" {
		rows, err = readJSON(*from)
		*out = ""
	} else {
		rows, err = runner().Run(ctx, rules, all)
	}
	if err != nil {
		return err
	}
	fmt.Print(conformance.Table(rows))
	fmt.Printf("\n%d rows in %s\n", len(rows), time.Since(began).Round(time.Second))
	if *out != "" {
		if err := cli.WriteJSON(*out, rows); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := os.WriteFile(*page, []byte(document(rows, rules, all)), 0o644); err != nil {
			return err
		}
	}
	for n := 2; n <= *runs; n++ {
		again, err := runner().Run(ctx, rules, all)
		if err != nil {
			return err
		}
		if other := otherVerdicts(rows, again); len(other) > 0 {
			return fmt.Errorf("run %d has another verdict than the first:\n%s", n, strings.Join(other, "\n"))
		}
		fmt.Printf("run %d of %d: the same verdict in all %d rows\n", n, *runs, len(again))
	}
	return explained(rows, kinds)
}

// explained returns an error for each lost rule of holdfast that does not know the
// reason of the loss.
func explained(rows []conformance.Row, kinds []rivals.Kind) error {
	var all []error
	for _, k := range kinds {
		if k.Module != rivals.All()[0].Module {
			continue
		}
		for _, row := range conformance.Unexplained(rows, k.Name) {
			all = append(all, fmt.Errorf("%s is wrong on %s, and the rule has no reason for it: %s", row.Client, row.Fault, row.Why))
		}
	}
	return errors.Join(all...)
}

// otherVerdicts returns the rows in which two runs differ: a client is right in one of
// them and wrong in the other, or only one of them has the row.
func otherVerdicts(first, again []conformance.Row) (other []string) {
	type meeting struct{ client, fault string }
	before := map[meeting]conformance.Row{}
	for _, r := range first {
		before[meeting{r.Client, r.Fault}] = r
	}
	verdict := func(r conformance.Row) string {
		if r.Right {
			return "right"
		}
		return "wrong (" + r.Why + ")"
	}
	for _, r := range again {
		k := meeting{r.Client, r.Fault}
		was, ok := before[k]
		switch delete(before, k); {
		case !ok:
			other = append(other, fmt.Sprintf("%s, %s: was not there, now %s", r.Client, r.Fault, verdict(r)))
		case was.Right != r.Right:
			other = append(other, fmt.Sprintf("%s, %s: was %s, now %s", r.Client, r.Fault, verdict(was), verdict(r)))
		}
	}
	for k, r := range before {
		other = append(other, fmt.Sprintf("%s, %s: was %s, now is not there", k.client, k.fault, verdict(r)))
	}
	slices.Sort(other)
	return other
}

// runner returns a runner that also has the faults of HTTP/2.
func runner() *conformance.Runner {
	return &conformance.Runner{H2: func(service faultserver.Service) (conformance.Server, error) {
		return h2fault.New(fault.Plan{}, h2fault.TLS(), h2fault.Backend(service))
	}}
}

func readJSON(path string) (rows []conformance.Row, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return rows, json.Unmarshal(data, &rows)
}

// document returns the text of docs/conformance.md.
func document(rows []conformance.Row, rules []conformance.Rule, all []conformance.Contender) string {
	var versions []string
	for _, c := range all {
		versions = append(versions, c.Name+" "+c.Version)
	}
	return strings.NewReplacer(
		"{date}", time.Now().UTC().Format(time.DateOnly),
		"{go}", runtime.Version(),
		"{versions}", strings.Join(versions, " · "),
		"{rows}", conformance.Markdown(rows),
		"{rules}", conformance.RulesMarkdown(rules),
	).Replace(page)
}
