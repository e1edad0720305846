package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A proof is what came of a row's patch.
type proof struct {
	id string
	patch
	why string // the first line of the failure; empty if the test passed all the same
}

// proveAll works in a throw-away copy of the last commit, so that neither what is
// being edited nor a patch that is left over by an interrupt can get into the other.
func proveAll(root string, rows []row, write string) error {
	temp, err := os.MkdirTemp("", "seedmap-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	tree := filepath.Join(temp, "tree")
	if err := git(root, "worktree", "prune"); err != nil { // what an interrupt has left
		return err
	}
	if err := git(root, "worktree", "add", "--quiet", "--detach", tree, "HEAD"); err != nil {
		return err
	}
	defer func() {
		if err := git(root, "worktree", "remove", "--force", tree); err != nil {
			fmt.Fprintln(os.Stderr, "seedmap:", err)
		}
	}()
	var proofs []proof
	unproved := 0
	for _, r := range rows {
		all, err := patchesOf(root, r.id)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			proofs, unproved = append(proofs, proof{id: r.id}), unproved+1
			fmt.Printf("  %-4s NOT PROVED: there is no patch\n", r.id)
		}
		for _, p := range all {
			why, err := without(root, tree, p)
			if err != nil {
				return err
			}
			proofs = append(proofs, proof{r.id, p, why})
			if why == "" {
				unproved++
				fmt.Printf("  %-4s NOT PROVED: %s: %s passes all the same\n", r.id, p.takes, p.test)
				continue
			}
			fmt.Printf("  %-4s red  %s: %s: %s\n", r.id, p.takes, p.test, shortened(why))
		}
	}
	fmt.Printf("%d rows, %d patches; %d not proved\n", len(rows), len(proofs), unproved)
	if write != "" {
		if err := os.WriteFile(write, []byte(report(proofs)), 0o644); err != nil {
			return err
		}
	}
	if unproved > 0 {
		return fmt.Errorf("%d are not proved", unproved)
	}
	return nil
}

// without runs a patch's test without what the patch takes away, and gives the first
// line of its failure; empty if it passed. The error is that of a patch which proves
// nothing: it does not apply, or what is left does not compile.
func without(root, tree string, p patch) (why string, err error) {
	file, err := filepath.Abs(filepath.Join(root, p.file))
	if err != nil {
		return "", err
	}
	if err := git(tree, "apply", "--recount", "-C1", file); err != nil {
		return "", err
	}
	results, err := runTests(tree, []test{p.test}, "-vet=off", "-trimpath", "-timeout=2m")
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.file, err)
	}
	if got := results[p.test]; !got.passed {
		why = changing.ReplaceAllString(strings.ReplaceAll(got.why, tree, ""), "…")
	}
	return why, git(tree, "checkout", "--quiet", "--", ".")
}

// changing is what differs from run to run, and says nothing: UUIDs, and how long nothing takes.
var changing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9.]+µs`)

func git(dir string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// report is the page of what was proved.
func report(proofs []proof) string {
	var b strings.Builder
	b.WriteString(`# The seed map, proved

A test that is green shows something only if it is red without it. ` + "`make seedmap-prove`" + ` takes the behaviour of each row of the [seed map](seedmap.md) out of a copy of the repository, by a patch of a few lines, runs the row's test, and writes this page with what the test then says.

| row | without | test | says |
|---|---|---|---|
`)
	for _, p := range proofs {
		switch {
		case p.file == "":
			fmt.Fprintf(&b, "| %s | | | not proved: there is no patch |\n", p.id)
		case p.why == "":
			fmt.Fprintf(&b, "| %s | [%s](../%s) | `%s` | not proved: it passes all the same |\n", p.id, cell(p.takes), p.file, p.patch.test)
		default:
			fmt.Fprintf(&b, "| %s | [%s](../%s) | `%s` | `%s` |\n", p.id, cell(p.takes), p.file, p.patch.test, shortened(cell(p.why)))
		}
	}
	return b.String()
}

// cell is text that ends no cell of a table, and no code in one.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "`", "'").Replace(text)
}

// shortened is a line of a length that can be read.
func shortened(line string) string {
	const most = 160
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}
