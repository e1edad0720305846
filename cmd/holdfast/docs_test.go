package main

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
)

// Every command and flag in a document exists.
func TestCommandsInDocs(t *testing.T) {
	named := 0
	readme, _ := cmdtest.Document(t, "README.md")
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		docs, err := filepath.Glob(filepath.Join(filepath.Dir(readme), pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			text, err := os.ReadFile(doc)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range commandsIn(string(text)) {
				named++
				if problem := unknownIn(line); problem != "" {
					t.Errorf("%s: %s: %s", doc, line, problem)
				}
			}
		}
	}
	if named < 10 {
		t.Errorf("%d commands were found", named)
	}
}

// Unknown commands and flags are problems.
func TestUnknownInDocs(t *testing.T) {
	for text, want := range map[string]string{
		"`holdfast call -v URL`":      "",
		"`holdfast`, and holdfast is": "",
		"`holdfast call --vv URL`":    "no flag --vv",
		"`holdfast kall`":             "no command kall",
		"`holdfast faults lisd`":      "no command lisd",
		"`holdfast faults list [-q]`": "no flag -q",
		"`holdfast conformance --exec 'curl --no-such {url}' --patienc 2s`":  "no flag --patienc",
		"```\n$ holdfast demo --jsn\n```":                                    "no flag --jsn",
		"```\nholdfast config check FILE   --nothing\n```":                   "",
		"```\nholdfast bench · the output of another\n```":                   "",
		"```sh\nholdfast call --retries=2 -H 'X: y' URL | jq --nothing\n```": "",
	} {
		var got []string
		for _, line := range commandsIn(text) {
			if problem := unknownIn(line); problem != "" {
				got = append(got, problem)
			}
		}
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("%s: %q, want %q", text, all, want)
		}
	}
}

var called = regexp.MustCompile("(?m)^(?:\\$ )?(holdfast [^\n]*)$|`(holdfast [^`\n]*)`")

// commandsIn finds the command lines of a text: between backticks, and as a line of code.
// The text after two blanks is an explanation, and after a bar it is another command.
func commandsIn(text string) (lines []string) {
	for _, m := range called.FindAllStringSubmatch(text, -1) {
		line := m[1] + m[2]
		if m[1] != "" && !isCode(text, m[0]) || strings.Contains(line, "·") {
			continue
		}
		line, _, _ = strings.Cut(line, "  ")
		line, _, _ = strings.Cut(line, " | ")
		lines = append(lines, line)
	}
	return lines
}

// isCode reports whether a line is in a fenced block.
func isCode(text, line string) bool {
	before, _, _ := strings.Cut(text, line)
	return strings.Count(before, "```")%2 == 1
}

var quoted = regexp.MustCompile(`'[^']*'`)

var flagged = regexp.MustCompile(`^(--?)([A-Za-z][\w-]*)`)

// unknownIn names an unknown command or flag in a command line.
func unknownIn(line string) string {
	cmd := newRoot()
	isValue, isArgument := false, false
	line = quoted.ReplaceAllString(line, "'…'") // one word
	for _, word := range strings.Fields(line)[1:] {
		word = strings.Trim(word, "[]…")
		switch m := flagged.FindStringSubmatch(word); {
		case isValue: // the value of the flag before it
			isValue = false
		case m != nil:
			f := flagOf(cmd, m[1], m[2])
			if f == nil {
				return "no flag " + m[0]
			}
			isValue = f.Value.Type() != "bool" && !strings.Contains(word, "=")
		case isArgument:
		default:
			sub, _, err := cmd.Find([]string{word})
			switch {
			case err == nil && sub != cmd:
				cmd = sub
			case cmd.HasAvailableSubCommands():
				return "no command " + word
			default:
				isArgument = true
			}
		}
	}
	return ""
}

// flagOf is the flag of a command by its long or short name, nil if there is none.
func flagOf(cmd *cobra.Command, dashes, name string) *pflag.Flag {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if dashes == "-" {
		return cmd.Flags().ShorthandLookup(name[:1])
	}
	return cmp.Or(cmd.Flags().Lookup(name), cmd.InheritedFlags().Lookup(name))
}
