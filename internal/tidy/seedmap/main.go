package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

const page = "docs/seedmap.md"

func main() {
	prove := flag.Bool("prove", false, "take each row's behaviour away, and see its test fail")
	only := flag.String("only", "", "these rows, separated by commas")
	write := flag.String("page", "", "also write what -prove finds to this `file`, unless it is of some rows only")
	flag.Parse()
	if err := run(*prove, *only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "seedmap:", err)
		os.Exit(1)
	}
}

// run works in the repository's root, where make calls it.
func run(prove bool, only, write string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	rows, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if only != "" {
		write = "" // it is of all rows
		ids := strings.Split(only, ",")
		rows = slices.DeleteFunc(rows, func(r row) bool { return !slices.Contains(ids, r.id) })
	}
	if len(rows) == 0 {
		return fmt.Errorf("%s has no such row", page)
	}
	if prove {
		return proveAll(".", rows, write)
	}
	return checkAll(".", rows)
}

// checkAll runs the tests of all rows and prints a line for each row.
func checkAll(root string, rows []row) error {
	var all []test
	for _, r := range rows {
		all = append(all, r.tests...)
	}
	results, err := runTests(root, all)
	if err != nil {
		return err
	}
	red := 0
	for _, r := range rows {
		color, failed := "green", []string(nil)
		for _, t := range r.tests {
			if got := results[t]; !got.passed {
				failed = append(failed, fmt.Sprintf("\n             %s: %s", t, got.why))
			}
		}
		if len(failed) > 0 || len(r.tests) == 0 {
			color = "RED"
			red++
		}
		fmt.Printf("  %-4s %-6s %2d tests  %s%s\n", r.id, color, len(r.tests), plain(r.asked), strings.Join(failed, ""))
	}
	fmt.Printf("%d rows, %d of them red; %d tests\n", len(rows), red, len(results))
	if red > 0 {
		return fmt.Errorf("%d rows are red", red)
	}
	return nil
}

func plain(markdown string) string { return strings.ReplaceAll(markdown, "`", "") }
