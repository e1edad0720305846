package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/providers"
	"github.com/holdfast-go/holdfast/settings"
)

// program reads the environment of the test.
var program = cmdtest.Of(func() *cobra.Command { return NewCommand(os.LookupEnv) })

// runConfig runs the command with these variables and no others. They are names and
// values in turn.
func runConfig(t *testing.T, variables []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	env := func(name string) (string, bool) {
		for i := 0; i < len(variables); i += 2 {
			if variables[i] == name {
				return variables[i+1], true
			}
		}
		return "", false
	}
	var out, errs bytes.Buffer
	status = cmdtest.Of(func() *cobra.Command { return NewCommand(env) }).Run(t.Context(), append([]string{"config"}, args...), &out, &errs)
	if strings.Contains(out.String()+errs.String(), "canary") {
		t.Errorf("shows a credential:\n%s%s", &out, &errs)
	}
	return status, out.String(), errs.String()
}

// variables that testdata/settings.json needs, and some that override it.
var variables = []string{
	"SEARCH_HOST", "search.example.com",
	"SEARCH_KEY", "canary-of-a-header",
	"MIXEDBREAD_API_KEY", "canary-of-the-environment",
	"MIXEDBREAD_MAX_RETRIES", "5",
	"MIXEDBREAD_TIMEOUT", "", // counts as not set
	"OLLAMA_LLM_TIMEOUT", "off",
	"OLLAMA_ACQUIRE_TIMEOUT", "5s", // the default, but set
	"OLLAMA_LMM_TIMEOUT", "3s", // misspelt
}

func TestOutput(t *testing.T) {
	var all strings.Builder
	for _, args := range [][]string{
		{"check", "testdata/settings.json"},
		{"check"},
		{"show", "--set", "testdata/settings.json"},
		{"show", "--set"},
		{"show", "testdata/settings.json"},
	} {
		status, stdout, stderr := runConfig(t, variables, args...)
		if status != 0 || stderr != "" {
			t.Errorf("%q: exit status %d, stderr %q", args, status, stderr)
		}
		all.WriteString("$ holdfast config " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	cmdtest.Golden(t, "testdata/config.txt", all.String())
}

func TestNothingSet(t *testing.T) {
	loaded, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"check", fmt.Sprintf("%d settings of 2 providers hold: %[1]d by default\n", len(loaded.Sources))},
		{"show --set", "nothing is set: all is by default\n"},
	} {
		if status, stdout, stderr := runConfig(t, nil, strings.Fields(tt.args)...); status != 0 || stdout != tt.want || stderr != "" {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %q", tt.args, status, stdout, stderr, tt.want)
		}
	}
}

// A problem has the message of the library, with the program's name once.
func TestProblems(t *testing.T) {
	path := cmdtest.JSON(t, `{"providers": {
		"mixedbread": {"api_key": ["canary"], "retry": {"base_delay": "-5s"}, "timeouts": {"conect": "1s"}},
		"ollama": {"base_url": "http://user:canary@localhost"}
	}}`)
	variables := []string{"OLLAMA_MAX_RETRIES", "many"}
	for _, command := range []string{"check", "show"} {
		status, stdout, stderr := runConfig(t, variables, command, path)
		want := `holdfast: 5 problems in ` + path + ` and the environment
  providers.mixedbread.api_key: must be a string
  providers.mixedbread.retry.base_delay: -5s must be positive, zero for 1s, or off
  providers.mixedbread.timeouts.conect: unknown key; did you mean connect?
  OLLAMA_MAX_RETRIES: "many" must be a whole number, or off
  providers.ollama.base_url: has a user or password in it: send credentials by api_key or header
`
		if status != exit.Config || stdout != "" || stderr != want {
			t.Errorf("%s: exit status %d, stdout %q, stderr\n%swant\n%s", command, status, stdout, stderr, want)
		}
	}
	_, err := providers.Load(io.Discard, path, nil)
	var wrong *settings.Error
	if !errors.As(err, &wrong) || len(wrong.Problems) != 4 {
		t.Errorf("got %v, want the settings.Error with 4 problems", err)
	}
}

// A former name is a warning, and the command goes on.
func TestWarnings(t *testing.T) {
	for _, command := range []string{"check", "show"} {
		status, stdout, stderr := runConfig(t, []string{"OLLAMA_POOL_TIMEOUT", "7s"}, command)
		want := "holdfast: warning: OLLAMA_POOL_TIMEOUT: is the former name of OLLAMA_ACQUIRE_TIMEOUT: rename it\n"
		if status != 0 || stdout == "" || stderr != want {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %q", command, status, stdout, stderr, want)
		}
	}
}

func TestWrongUse(t *testing.T) {
	folder := t.TempDir()
	huge := cmdtest.JSON(t, `{}`+strings.Repeat(" ", 1<<20))
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"chekc"}, exit.Usage, `unknown command "chekc"; did you mean check?`},
		{[]string{"providers.json"}, exit.Usage, `unknown command "providers.json"; there are check and show`},
		{[]string{"check", "a", "b"}, exit.Usage, "check takes at most one argument, a settings file; got 2 arguments"},
		{[]string{"show", ""}, exit.Usage, "show: the settings file's name is empty; leave it out for the environment only"},
		{[]string{"show", "--sett"}, exit.Usage, "unknown flag: --sett; holdfast config show --help lists the flags"},
		{[]string{"show", "--set=perhaps"}, exit.Usage, `--set "perhaps": must be true or false`},
		{[]string{"check", "--set"}, exit.Usage, "unknown flag: --set; holdfast config check --help lists the flags"},
		{[]string{"check", "./no-such-file"}, exit.Config, "./no-such-file: no such file or directory"},
		{[]string{"show", folder}, exit.Config, folder + ": is a directory: must be a file"},
		{[]string{"check", huge}, exit.Config, "1 problem in " + huge + "\n  the file is longer than 1048576 bytes"},
	} {
		status, stdout, stderr := runConfig(t, nil, tt.args...)
		if status != tt.want || stdout != "" || stderr != "holdfast: "+tt.says+"\n" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d, %q", tt.args, status, stdout, stderr, tt.want, tt.says)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("OLLAMA_LLM_TIMEOUT", "7s")
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"config", "show", "--set"}, &stdout, &stderr)
	if status != 0 || !strings.Contains(stdout.String(), "  $OLLAMA_LLM_TIMEOUT\n") {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, &stdout, &stderr)
	}
}

// docs/settings.md shows a file and what the commands print for it.
func TestDocument(t *testing.T) {
	_, text := cmdtest.Document(t, "docs/settings.md")
	_, sample, _ := strings.Cut(text, "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	path := cmdtest.JSON(t, sample)
	variables := []string{"MIXEDBREAD_API_KEY", "canary", "SEARCH_KEY", "canary", "OLLAMA_MACHINE", "gpu", "OLLAMA_LLM_TIMEOUT", "3m"}
	for _, command := range []string{"check", "show --set"} {
		_, shown, found := strings.Cut(text, "$ holdfast config "+command+" providers.json\n")
		shown, _, ended := strings.Cut(shown, "```")
		if !found || !ended {
			t.Fatalf("does not show config %s", command)
		}
		_, stdout, stderr := runConfig(t, variables, append(strings.Fields(command), path)...)
		if got := strings.ReplaceAll(stdout, path, "providers.json"); got != shown || stderr != "" {
			t.Errorf("%s: got\n%s%swant\n%s", command, got, stderr, shown)
		}
	}
}
