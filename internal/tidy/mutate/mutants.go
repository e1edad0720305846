package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A mutant is one operator that gremlins has changed, and what came of it.
type mutant struct {
	file   string
	edit   string // the line, with the operator as it was and as it became: a «< → <=» b
	status string // in gremlins' words
}

// What gremlins says of a mutant.
const (
	killed     = "KILLED"
	lived      = "LIVED"
	timedOut   = "TIMED OUT"
	notViable  = "NOT VIABLE"
	notCovered = "NOT COVERED"
)

// becomes is what gremlins makes of each operator, which its report leaves out.
var becomes = map[string]map[string]string{
	"ARITHMETIC_BASE":       {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"},
	"CONDITIONALS_BOUNDARY": {"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
	"CONDITIONALS_NEGATION": {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="},
	"INCREMENT_DECREMENT":   {"++": "--", "--": "++"},
	"INVERT_ASSIGNMENTS":    {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="},
	"INVERT_BITWISE":        {"&": "|", "|": "&", "^": "&", "&^": "&", "<<": ">>", ">>": "<<"},
	"INVERT_BWASSIGN":       {"&=": "|=", "|=": "&=", "^=": "&=", "&^=": "&=", "<<=": ">>=", ">>=": "<<="},
	"INVERT_LOGICAL":        {"&&": "||", "||": "&&"},
	"INVERT_LOOPCTRL":       {"break": "continue", "continue": "break"},
	"REMOVE_SELF_ASSIGNMENTS": {"+=": "=", "-=": "=", "*=": "=", "/=": "=", "%=": "=",
		"&=": "=", "|=": "=", "^=": "=", "&^=": "=", "<<=": "=", ">>=": "="},
}

// read reads gremlins' report on a part.
func read(report, dir string) ([]mutant, error) {
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var out struct {
		Files []struct {
			Name      string `json:"file_name"`
			Mutations []struct {
				Type, Status string
				Line, Column int
			}
		}
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, err
	}
	var all []mutant
	for _, f := range out.Files {
		file := path.Join(dir, f.Name)
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(string(source), "\n")
		for _, m := range f.Mutations {
			edit, err := edited(lines[m.Line-1], m.Column-1, becomes[m.Type])
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %s: %w", file, m.Line, m.Type, err)
			}
			all = append(all, mutant{file, edit, m.Status})
		}
	}
	slices.SortFunc(all, func(a, b mutant) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.edit, b.edit)) })
	return all, nil
}

// edited is a line that shows what became of the operator in a column.
func edited(line string, column int, becomes map[string]string) (string, error) {
	was := ""
	for op := range becomes {
		if strings.HasPrefix(line[column:], op) && len(op) > len(was) {
			was = op
		}
	}
	if was == "" {
		return "", errors.New("no operator that it could change")
	}
	text := line[:column] + "«" + was + " → " + becomes[was] + "»" + line[column+len(was):]
	code, _, _ := strings.Cut(text, " // ")
	return strings.ReplaceAll(strings.TrimSpace(code), "`", "'"), nil
}

// A tally counts mutants.
type tally map[string]int

func (t tally) efficacy() float64 {
	noticed, missed := t[killed], t[lived]+t[notCovered]
	if noticed+missed == 0 {
		return 100
	}
	return 100 * float64(noticed) / float64(noticed+missed)
}

// count counts the mutants of the files that start with prefix.
func count(all []mutant, prefix string) tally {
	t := tally{}
	for _, m := range all {
		if strings.HasPrefix(m.file, prefix) {
			t[m.status]++
		}
	}
	return t
}

// tableOf is the table of the page: a line for each file and each part.
func tableOf(all []mutant) string {
	var b strings.Builder
	b.WriteString("| file | noticed | survived | never ended | does not compile | efficacy |\n|---|--:|--:|--:|--:|--:|\n")
	row := func(name string, t tally) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %.1f %% |\n",
			name, t[killed], t[lived]+t[notCovered], t[timedOut], t[notViable], t.efficacy())
	}
	files := map[string]bool{}
	for _, p := range parts {
		for _, m := range all {
			if strings.HasPrefix(m.file, p.dir) && !files[m.file] {
				files[m.file] = true
				row("`"+m.file+"`", count(all, m.file))
			}
		}
		row("**"+p.dir+"**", count(all, p.dir))
	}
	return b.String()
}

// judge is what is wrong with a run: a part below the bar, or a page that does not
// say what survived and what never ended, and nothing else.
func judge(all []mutant, page string) error {
	var wrong []error
	for _, p := range parts {
		if got := count(all, p.dir).efficacy(); got < bar {
			wrong = append(wrong, fmt.Errorf("%s: the tests notice %.1f %%, less than %d %%", p.dir, got, bar))
		}
	}
	// Lines may be alike: so many of a kind, so many explanations.
	open := map[mutant]int{}
	for _, m := range all {
		if m.status = sections[m.status]; m.status != "" {
			open[m]++
		}
	}
	for _, m := range explained(page) {
		open[m]--
	}
	var differ []error
	for m, n := range open {
		if n > 0 {
			differ = append(differ, fmt.Errorf("%q does not explain - `%s`: `%s`: ", m.status, m.file, m.edit))
		} else if n < 0 {
			differ = append(differ, fmt.Errorf("%q explains what is not so: - `%s`: `%s`", m.status, m.file, m.edit))
		}
	}
	slices.SortFunc(differ, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(append(wrong, differ...)...)
}

// sections are the headings under which the page explains what was not noticed.
var sections = map[string]string{lived: "Survivors", notCovered: "Survivors", timedOut: "Never ended"}

// explanation is a line of the page: - `file`: `edit`: why.
var explanation = regexp.MustCompile("^- `([^`]+)`: `([^`]+)`: .")

// explained are the mutants that the page explains, with its heading as status.
func explained(page string) (all []mutant) {
	section := ""
	for line := range strings.Lines(page) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(heading)
		}
		if m := explanation.FindStringSubmatch(line); m != nil {
			all = append(all, mutant{m[1], m[2], section})
		}
	}
	return all
}

// withTable is the page with this table in place of its own.
func withTable(page, table string) (string, error) {
	own := regexp.MustCompile(`(?m)(^\|.*\n)+`).FindStringIndex(page)
	if own == nil {
		return "", errors.New("the page has no table to write anew")
	}
	return page[:own[0]] + table + page[own[1]:], nil
}
