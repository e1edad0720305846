package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/settings"
)

// configured runs the program's config with these variables, name and value by
// turns, and no others.
func configured(t *testing.T, variables []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	env := func(name string) (string, bool) {
		for i := 0; i < len(variables); i += 2 {
			if variables[i] == name {
				return variables[i+1], true
			}
		}
		return "", false
	}
	root := newRoot()
	own, _, err := root.Find([]string{"config"})
	if err != nil {
		t.Fatal(err)
	}
	root.RemoveCommand(own)
	root.AddCommand(newConfig(env))
	var out, errs bytes.Buffer
	root.SetArgs(append([]string{"config"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	status = report(&errs, root.ExecuteContext(t.Context()))
	if strings.Contains(out.String()+errs.String(), "canary") {
		t.Errorf("shows a credential:\n%s%s", &out, &errs)
	}
	return status, out.String(), errs.String()
}

// variables of testdata/settings.json, and some that win over it.
var variables = []string{
	"SEARCH_HOST", "search.example.com",
	"SEARCH_KEY", "canary-of-a-header",
	"MIXEDBREAD_API_KEY", "canary-of-the-environment",
	"MIXEDBREAD_MAX_RETRIES", "5",
	"MIXEDBREAD_TIMEOUT", "", // counts as not set
	"OLLAMA_LLM_TIMEOUT", "off",
	"OLLAMA_ACQUIRE_TIMEOUT", "5s", // the default, but set
	"OLLAMA_LMM_TIMEOUT", "3s", // nobody asks for it
}

func TestConfigShow(t *testing.T) {
	var all strings.Builder
	for _, args := range [][]string{
		{"check", "testdata/settings.json"},
		{"check"},
		{"show", "--set", "testdata/settings.json"},
		{"show", "--set"},
		{"show", "testdata/settings.json"},
	} {
		status, stdout, stderr := configured(t, variables, args...)
		if status != 0 || stderr != "" {
			t.Errorf("%q: exit status %d, stderr %q", args, status, stderr)
		}
		all.WriteString("$ holdfast config " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	compare(t, "testdata/config.txt", all.String())
}

func TestConfigNothingSet(t *testing.T) {
	loaded, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"check", fmt.Sprintf("%d settings of 2 providers hold: %[1]d by default\n", len(loaded.Sources))},
		{"show --set", "nothing is set: all is by default\n"},
	} {
		if status, stdout, stderr := configured(t, nil, strings.Fields(tt.args)...); status != 0 || stdout != tt.want || stderr != "" {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

// Every provider has its group, and every setting its line.
func TestConfigShowIsComplete(t *testing.T) {
	loaded, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stdout, _ := configured(t, nil, "show")
	for _, p := range providers(loaded) {
		head, rest, found := strings.Cut(stdout, p.name+"\n")
		if !found || head != "" {
			t.Fatalf("%s is not next in\n%s", p.name, stdout)
		}
		group, tail, _ := strings.Cut(rest, "\n\n")
		if n := len(strings.Split(strings.TrimSpace(group), "\n")); n != len(p.settings) {
			t.Errorf("%s: %d lines, want %d", p.name, n, len(p.settings))
		}
		stdout = tail
	}
	if stdout != "" {
		t.Errorf("after the last provider: %q", stdout)
	}
}

// A problem is said as the library says it, with the program's name once.
func TestConfigProblems(t *testing.T) {
	path := writeFile(t, `{"providers": {
		"mixedbread": {"api_key": ["canary"], "retry": {"base_delay": "-5s"}, "timeouts": {"conect": "1s"}},
		"ollama": {"base_url": "http://user:canary@localhost"}
	}}`)
	variables := []string{"OLLAMA_MAX_RETRIES", "many"}
	for _, command := range []string{"check", "show"} {
		status, stdout, stderr := configured(t, variables, command, path)
		want := `holdfast: 5 problems in ` + path + ` and the environment
  providers.mixedbread.api_key: must be a string
  providers.mixedbread.retry.base_delay: -5s must be positive, zero for 1s, or off
  providers.mixedbread.timeouts.conect: unknown key; did you mean connect?
  OLLAMA_MAX_RETRIES: "many" must be a whole number, or off
  providers.ollama.base_url: has a user or password in it: send credentials by api_key or header
`
		if status != config || stdout != "" || stderr != want {
			t.Errorf("%s: exit status %d, stdout %q, stderr\n%swant\n%s", command, status, stdout, stderr, want)
		}
	}
	_, err := loadSettings(io.Discard, []string{path}, nil)
	var wrong *settings.Error
	if !errors.As(err, &wrong) || len(wrong.Problems) != 4 {
		t.Errorf("got %v, want the settings.Error with 4 problems", err)
	}
}

// A former name is a warning, and the command goes on.
func TestConfigWarnings(t *testing.T) {
	for _, command := range []string{"check", "show"} {
		status, stdout, stderr := configured(t, []string{"OLLAMA_POOL_TIMEOUT", "7s"}, command)
		want := "holdfast: warning: OLLAMA_POOL_TIMEOUT: is the former name of OLLAMA_ACQUIRE_TIMEOUT: rename it\n"
		if status != 0 || stdout == "" || stderr != want {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %q", command, status, stdout, stderr, want)
		}
	}
}

func TestConfigWrongUse(t *testing.T) {
	folder := t.TempDir()
	huge := writeFile(t, `{}`+strings.Repeat(" ", 1<<20))
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"chekc"}, usage, `unknown command "chekc"; did you mean check?`},
		{[]string{"providers.json"}, usage, `unknown command "providers.json"; there are check and show`},
		{[]string{"check", "a", "b"}, usage, "check takes at most one argument, a settings file; got 2 arguments"},
		{[]string{"show", ""}, usage, "show: the settings file's name is empty; leave it out for the environment only"},
		{[]string{"show", "--sett"}, usage, "unknown flag: --sett; holdfast config show --help lists those there are"},
		{[]string{"show", "--set=perhaps"}, usage, `--set "perhaps": must be true or false`},
		{[]string{"check", "--set"}, usage, "unknown flag: --set; holdfast config check --help lists those there are"},
		{[]string{"check", "./no-such-file"}, config, "./no-such-file: no such file or directory"},
		{[]string{"show", folder}, config, folder + ": is a directory"},
		{[]string{"check", huge}, config, "1 problem in " + huge + "\n  the file is longer than 1048576 bytes"},
	} {
		status, stdout, stderr := configured(t, nil, tt.args...)
		if status != tt.want || stdout != "" || stderr != "holdfast: "+tt.says+"\n" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d, %q", tt.args, status, stdout, stderr, tt.want, tt.says)
		}
	}
}

// What is shown can order a terminal nothing.
func TestConfigShowIsPrintable(t *testing.T) {
	var b bytes.Buffer
	writeSettings(&b, terminal{}, settings.Settings{Sources: []settings.Source{
		{Setting: "providers.a.base_url", Value: "http://a\x1b[31m", File: "a\x1b[2J.json"},
		{Setting: "providers.a.request_id_header"},
	}}, false)
	want := "a\n  base_url           http://a�[31m  a�[2J.json\n  request_id_header  \"\"             default\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

func TestConfigReadsTheProgramsEnvironment(t *testing.T) {
	t.Setenv("OLLAMA_LLM_TIMEOUT", "7s")
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"config", "show", "--set"}, &stdout, &stderr)
	if status != 0 || !strings.Contains(stdout.String(), "  $OLLAMA_LLM_TIMEOUT\n") {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, &stdout, &stderr)
	}
}

// What docs/settings.md shows is what the commands say of the file that it shows.
func TestConfigManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	path := writeFile(t, sample)
	variables := []string{"MIXEDBREAD_API_KEY", "canary", "SEARCH_KEY", "canary", "OLLAMA_MACHINE", "gpu", "OLLAMA_LLM_TIMEOUT", "3m"}
	page := string(text)
	for _, command := range []string{"check", "show --set"} {
		_, shown, found := strings.Cut(page, "$ holdfast config "+command+" providers.json\n")
		shown, _, ended := strings.Cut(shown, "```")
		if !found || !ended {
			t.Fatalf("does not show config %s", command)
		}
		_, stdout, stderr := configured(t, variables, append(strings.Fields(command), path)...)
		if stderr != "" {
			t.Errorf("%s: stderr %q", command, stderr)
		}
		page = strings.Replace(page, shown, strings.ReplaceAll(stdout, path, "providers.json"), 1)
	}
	compare(t, "../../docs/settings.md", page)
}
