// Command conformance has holdfast and the other HTTP clients of Go meet every
// fault, by the rules of internal/conformance, and writes the table: to the
// terminal, to out/conformance.json and, with -page, into the docs.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/internal/integration/contenders"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	log.SetOutput(io.Discard) // net/http's own words on answers that nobody asked for
	only := flag.String("only", "", "the rules whose names match this expression")
	client := flag.String("client", "", "the clients whose names match this expression")
	out := flag.String("json", "out/conformance.json", "file for the rows; empty for none")
	from := flag.String("from", "", "make the page from the rows of an earlier run, and run nothing")
	page := flag.String("page", "", "file for the page of the docs; empty for none")
	flag.Parse()
	rules, err := matching(conformance.Rules(), func(r conformance.Rule) string { return r.ID() }, "-only", *only)
	if err != nil {
		return err
	}
	kinds, err := matching(contenders.All(), func(k contenders.Kind) string { return k.Name }, "-client", *client)
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
		if err := writeJSON(*out, rows); err != nil {
			return err
		}
	}
	if *page != "" {
		if err := os.WriteFile(*page, []byte(document(rows, rules, all)), 0o644); err != nil {
			return err
		}
	}
	if lost := slices.IndexFunc(rows, func(r conformance.Row) bool { return r.Client == "holdfast" && !r.Right }); lost >= 0 {
		return fmt.Errorf("holdfast is wrong on %s: %s", rows[lost].Fault, rows[lost].Why)
	}
	return nil
}

// runner knows HTTP/2 as well.
func runner() *conformance.Runner {
	return &conformance.Runner{H2: func(service faultserver.Service) (conformance.Server, error) {
		return h2fault.New(fault.Plan{}, h2fault.TLS(), h2fault.Backend(service))
	}}
}

func matching[T any](all []T, name func(T) string, flag, expression string) ([]T, error) {
	e, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	all = slices.DeleteFunc(all, func(x T) bool { return !e.MatchString(name(x)) })
	if len(all) == 0 {
		return nil, fmt.Errorf("%s %q matches nothing", flag, expression)
	}
	return all, nil
}

func writeJSON(path string, rows []conformance.Row) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func readJSON(path string) (rows []conformance.Row, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return rows, json.Unmarshal(data, &rows)
}

// document is docs/conformance.md.
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
