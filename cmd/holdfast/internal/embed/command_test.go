package embed

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/root"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

var program = cmdtest.Of(func() *cobra.Command { return NewCommand(os.LookupEnv) })

func TestMain(m *testing.M) { program.Main(m) }

// runEmbed runs the command against a server, and returns its exit status and output.
func runEmbed(t *testing.T, server *faultserver.Server, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
	t.Setenv("MIXEDBREAD_RETRY_BASE_DELAY", "1ms")
	t.Setenv("MIXEDBREAD_RETRY_THROTTLED_BASE_DELAY", "1ms")
	t.Setenv("MIXEDBREAD_RETRY_THROTTLED_MAX_DELAY", "1ms")
	var out, errs bytes.Buffer
	cmd := program()
	cmd.SetIn(strings.NewReader(stdin))
	args = append([]string{"embed", "--provider", "mixedbread", "--base-url", server.URL() + "/v1"}, args...)
	status = root.Run(t.Context(), cmd, args, &out, &errs)
	if strings.Contains(out.String()+errs.String(), cmdtest.Secret) {
		t.Errorf("%q shows a credential: %s%s", args, &out, &errs)
	}
	return status, out.String(), errs.String()
}

// embeddings is a service with these faults.
func embeddings(t *testing.T, rules ...fault.Rule) *faultserver.Server {
	t.Helper()
	return faultserver.Start(t, fault.Plan{Rules: rules}, faultserver.Backend(faultserver.Embeddings))
}

func TestWrongUse(t *testing.T) {
	input := cmdtest.File(t, "in.txt", "rye\n")
	begun := cmdtest.File(t, "begun", "{}\n")
	for _, name := range []string{"MIXEDBREAD_API_KEY", "OLLAMA_BASE_URL"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"--provider", "bedrock", "rye"}, exit.Usage, `--provider "bedrock": must be mixedbread or ollama`},
		{[]string{"rye"}, exit.Usage, "--provider is missing: must be mixedbread or ollama"},
		{[]string{"--provider", "", "rye"}, exit.Usage, "--provider is empty"},
		{[]string{"--provider", "mixedbread", "--base-url", "http://u:" + cmdtest.Secret + "@127.0.0.1", "rye"}, exit.Usage, "--base-url: the URL has a user or password in it"},
		{[]string{"--provider", "mixedbread", "--base-url", "http://127.0.0.1/?key=" + cmdtest.Secret, "rye"}, exit.Config, "BaseURL has a query"},
		{[]string{"--provider", "mixedbread", "rye"}, exit.Config, "set MIXEDBREAD_API_KEY"},
		{[]string{"--provider", "ollama", "rye"}, exit.Usage, "--model is missing"},
		{[]string{"--provider", "ollama", "--file", input, "rye"}, exit.Usage, "--file and 1 text: give only one of them"},
		{[]string{"--file", input, "--out", input}, exit.Usage, "must be two files"},
		{[]string{"--file", input, "--resume", input}, exit.Usage, "must be two files"},
		{[]string{"--out", "a", "--resume", "b", "rye"}, exit.Usage, "--out and --resume: give only one of them"},
		{[]string{"--chunk", "257", "rye"}, exit.Usage, "--chunk 257: must be 1 to 256"},
		{[]string{"--width", "0", "rye"}, exit.Usage, "--width 0: must be 1 to 64"},
		{[]string{"--width", "many", "rye"}, exit.Usage, `--width "many": must be a whole number`},
		{[]string{"--provider", "ollama", "--model", "m", "--width", "64", "rye"}, exit.Usage, "--width 64: must be at most 50"},
		{[]string{"--provider", "ollama", "--model", "m", "--file", input + ".not"}, exit.Config, "--file " + input + ".not: no such file"},
		{[]string{"--provider", "ollama", "--model", "m", "--file", t.TempDir()}, exit.Config, "is a directory"},
		{[]string{"--provider", "ollama", "--model", "m", "--resume", t.TempDir(), "rye"}, exit.Config, "is a directory"},
		{[]string{"--provider", "ollama", "--model", "m", "--resume", begun + ".not", "rye"}, exit.Config, "--resume " + begun + ".not: no such file"},
		{[]string{"--provider", "ollama", "--model", "m", "--out", begun, "rye"}, exit.Config, "--out " + begun + ": exists, and is not empty: use --resume to append to it"},
		{[]string{"--provider", "ollama", "--model", "m", "--out", t.TempDir(), "rye"}, exit.Config, "is a directory"},
		{[]string{"--config", cmdtest.JSON(t, `{"providers": {"ollama": {"base_ulr": "x"}}}`), "rye"}, exit.Config, "base_ulr"},
	} {
		var stdout, stderr bytes.Buffer
		status := program.Run(t.Context(), append([]string{"embed"}, tt.args...), &stdout, &stderr)
		if status != tt.want || stdout.Len() > 0 || strings.Contains(stderr.String(), "to continue") || !strings.Contains(stderr.String(), tt.says) || strings.Contains(stderr.String(), cmdtest.Secret) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d and %q", tt.args, status, &stdout, &stderr, tt.want, tt.says)
		}
	}
}

// docs/embed.md has all flags and exit statuses, and no others.
func TestDocument(t *testing.T) {
	cmd := NewCommand(os.LookupEnv)
	_, document := cmdtest.Document(t, "docs/embed.md")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(document, "`--"+f.Name) {
			t.Errorf("docs/embed.md does not describe --%s", f.Name)
		}
	})
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(document, -1) {
		if cmd.Flags().Lookup(flag[2:]) == nil && !slices.Contains([]string{"--plan", "--backend"}, flag) {
			t.Errorf("docs/embed.md describes %s, which does not exist", flag)
		}
	}
	for _, status := range []int{0, exit.Failure, exit.Usage, exit.Config, exit.WriteError, exit.TryAgain, exit.Interrupted} {
		if !strings.Contains(cmd.Long, fmt.Sprintf("\n  %3d  ", status)) || !strings.Contains(document, fmt.Sprintf("\n| %d | ", status)) {
			t.Errorf("the help or docs/embed.md does not describe exit status %d", status)
		}
	}
}
