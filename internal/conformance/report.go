package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Tally sums up one client's rows.
type Tally struct {
	Client       string
	Rules, Right int
	Unbounded    int  // calls that did not end in time
	Duplicates   int  // executions of work
	Leaks        int  // rules after which resources were left
	Counted      bool // leaks were counted, which is impossible for a separate process
	Secrets      int  // rules with a credential in the log
	InError      int  // rules with a credential in an error's text
}

// Tallies returns the tallies of all clients in order of appearance.
func Tallies(rows []Row) []Tally {
	var all []Tally
	for _, row := range rows {
		i := slices.IndexFunc(all, func(t Tally) bool { return t.Client == row.Client })
		if i < 0 {
			i = len(all)
			all = append(all, Tally{Client: row.Client})
		}
		t := &all[i]
		t.Rules++
		t.Right += one(row.Right)
		t.Unbounded += one(!row.Bounded)
		t.Duplicates += row.Duplicates
		t.Counted = t.Counted || row.Goroutines != nil || row.Descriptors != nil
		t.Leaks += one(positive(row.Goroutines) || positive(row.Descriptors))
		t.Secrets += one(row.Secrets > 0)
		t.InError += one(row.InError)
	}
	return all
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func positive(n *int) bool { return n != nil && *n > 0 }

// matrix returns a line for each rule and a column for each client. mark makes
// the cells. A client has no cell for a rule that it was not tested with.
func matrix(rows []Row, mark func(Row) string) (clients []string, lines []line) {
	for _, row := range rows {
		col := slices.Index(clients, row.Client)
		if col < 0 {
			col = len(clients)
			clients = append(clients, row.Client)
		}
		if len(lines) == 0 || lines[len(lines)-1].rule != row.Fault {
			lines = append(lines, line{rule: row.Fault, wants: row.Rule})
		}
		l := &lines[len(lines)-1]
		for len(l.cells) <= col {
			l.cells = append(l.cells, "")
		}
		l.cells[col] = mark(row)
	}
	return clients, lines
}

type line struct {
	rule, wants string
	cells       []string
}

// Table returns the sums, the matrix and the failures for a terminal.
func Table(rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "   %-22s %-9s %-9s %-10s %-5s %s\n", "client", "right", "unbounded", "duplicates", "leaks", "secrets shown")
	for i, t := range Tallies(rows) {
		leaks := "-"
		if t.Counted {
			leaks = strconv.Itoa(t.Leaks)
		}
		fmt.Fprintf(&b, "%2d %-22s %-9s %-9d %-10d %-5s %d\n",
			i+1, t.Client, fmt.Sprintf("%d of %d", t.Right, t.Rules), t.Unbounded, t.Duplicates, leaks, t.Secrets)
	}
	clients, lines := matrix(rows, func(r Row) string {
		if r.Right {
			return "+"
		}
		return "·"
	})
	fmt.Fprintf(&b, "\n%-32s", "+ right  · wrong")
	for i := range clients {
		fmt.Fprintf(&b, " %2d", i+1)
	}
	b.WriteString("  wanted\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "%-32s", l.rule)
		for i := range clients {
			cell := ""
			if i < len(l.cells) {
				cell = l.cells[i]
			}
			fmt.Fprintf(&b, " %2s", cell)
		}
		fmt.Fprintf(&b, "  %s\n", l.wants)
	}
	for _, client := range clients {
		if lost := losses(rows, client); len(lost) > 0 {
			fmt.Fprintf(&b, "\n%s\n", client)
			for _, row := range lost {
				fmt.Fprintf(&b, "  %-32s %s\n", row.Fault, row.Why)
				if row.Known != "" {
					fmt.Fprintf(&b, "  %-32s because %s\n", "", row.Known)
				}
			}
		}
	}
	return b.String()
}

// losses returns a client's wrong rows.
func losses(rows []Row, client string) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Client != client || r.Right })
}

// Unexplained returns a client's wrong rows without a known reason.
func Unexplained(rows []Row, client string) []Row {
	return slices.DeleteFunc(losses(rows, client), func(r Row) bool { return r.Known != "" })
}

// Markdown returns the same for a page.
func Markdown(rows []Row) string {
	var b strings.Builder
	b.WriteString("| client | right | calls without a time limit | work done twice | rules with leaks | rules that showed a credential | rules with a credential in an error |\n|---|---|---|---|---|---|---|\n")
	for _, t := range Tallies(rows) {
		fmt.Fprintf(&b, "| %s | %d of %d | %d | %d | %d | %d | %d |\n", t.Client, t.Right, t.Rules, t.Unbounded, t.Duplicates, t.Leaks, t.Secrets, t.InError)
	}
	clients, lines := matrix(rows, func(r Row) string {
		if r.Right {
			return "✓"
		}
		return "✗"
	})
	fmt.Fprintf(&b, "\n## Each rule\n\n| rule | wanted | %s |\n|---|---|%s\n", strings.Join(clients, " | "), strings.Repeat("---|", len(clients)))
	for _, l := range lines {
		for len(l.cells) < len(clients) {
			l.cells = append(l.cells, "")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.rule, l.wants, strings.Join(l.cells, " | "))
	}
	b.WriteString("\n## Failed rules\n")
	for _, client := range clients {
		lost := losses(rows, client)
		if len(lost) == 0 {
			fmt.Fprintf(&b, "\n**%s**: nothing.\n", client)
			continue
		}
		fmt.Fprintf(&b, "\n**%s**\n\n", client)
		for _, row := range lost {
			fmt.Fprintf(&b, "- `%s`: %s\n", row.Fault, strings.ReplaceAll(row.Why, "|", "/"))
			if row.Known != "" {
				fmt.Fprintf(&b, "  - Reason: %s.\n", row.Known)
			}
		}
	}
	return b.String()
}

// RulesMarkdown returns the rules with their reasons and sources for a page.
func RulesMarkdown(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "- `%s`: %s. (%s)\n", r.ID(), r.Why, strings.Join(r.Sources, "; "))
	}
	return b.String()
}

// RulesText returns the same for a terminal.
func RulesText(rules []Rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "%s\n  %s\n  wanted   %s\n", r.ID(), r.Why, r.text())
		for _, source := range r.Sources {
			fmt.Fprintf(&b, "  source   %s\n", source)
		}
	}
	return b.String()
}
