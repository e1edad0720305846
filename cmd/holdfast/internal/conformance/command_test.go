package conformance

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/call"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/internal/conformance"
)

var program = cmdtest.Of(NewCommand)

// caller is holdfast call: a client that the test binary can be.
var caller = cmdtest.Of(func() *cobra.Command { return call.NewCommand(os.LookupEnv) })

func TestMain(m *testing.M) { caller.Main(m) }

// The client under test is holdfast call. It retries calls, but not after it has
// streamed a part of the body.
func TestExec(t *testing.T) {
	tool := caller.Executable(t) + " call --base-delay 50ms --attempt-timeout 500ms {url}"
	var stdout, stderr bytes.Buffer
	args := []string{"conformance", "--json", "--only", "^(http.status(.404)?|http.hang|body.cut_fin)$", "--exec", tool}
	if status := program.Run(t.Context(), args, &stdout, &stderr); status != exit.Failure {
		t.Errorf("exit %d: %s", status, &stderr)
	}
	if want := "holdfast: wrong on 1 of 4 rules\n"; stderr.String() != want {
		t.Errorf("%q, want %q", &stderr, want)
	}
	var rows []conformance.Row
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if right := row.Fault != "body.cut_fin"; row.Right != right {
			t.Errorf("%s: right is %v: %s", row.Fault, row.Right, row.Why)
		}
	}

	stdout.Reset()
	stderr.Reset()
	args = []string{"conformance", "--only", "^http.status$", "--exec", tool}
	if status := program.Run(t.Context(), args, &stdout, &stderr); status != 0 || !strings.Contains(stdout.String(), "1 of 1") {
		t.Errorf("exit %d: %s%s", status, &stdout, &stderr)
	}
}

func TestList(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"conformance", "--list", "--only", "commit"}, &stdout, &stderr); status != 0 {
		t.Errorf("exit %d: %s", status, &stderr)
	}
	for _, want := range []string{"commit.then_drop\n", "commit.then_drop/key\n", "  source   RFC 9110, 9.2.2"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct{ args, says string }{
		{"", "give either --exec or --client"},
		{"--exec true", "has no {url}"},
		{"--exec /nowhere/at-all{url}", "--exec: "},
		{"--exec true{url} --client http://h", "give either"},
		{"--exec true{url} --listen 127.0.0.1:0", "--listen goes with --client"},
		{"--exec true{url} --patience 2m", "--patience 2m0s: must be 0 to 1m0s"},
		{"--client http://h:1", "--client needs --listen"},
		{"--client https://u:p@h --listen 127.0.0.1:0", "without a password"},
		{"--client http://h/?q --listen 127.0.0.1:9000", "without a password and a query"},
		{"--client http://h --listen 127.0.0.1:0", "--listen \"127.0.0.1:0\": must be the host and port"},
		{"--client http://h --listen 9000", "--listen \"9000\": must be the host and port"},
		{"--client http://h --listen 127.0.0.1:0 --http2", "--http2 goes with --exec"},
		{"--list --only (", "--only: "},
		{"--list --only quux", "no rule has such a name"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"conformance"}, strings.Fields(tt.args)...)
		if status := program.Run(t.Context(), args, &stdout, &stderr); status != exit.Usage || !strings.Contains(stderr.String(), tt.says) {
			t.Errorf("%s: exit %d, %q; want %d, %q", tt.args, status, &stderr, exit.Usage, tt.says)
		}
	}
}

// The command accepts every command line of docs/conformance.md.
func TestDocument(t *testing.T) {
	_, text := cmdtest.Document(t, "docs/conformance.md")
	commands := regexp.MustCompile("(?m)^holdfast conformance (.*)$").FindAllStringSubmatch(text, -1)
	for _, command := range commands {
		args := strings.Fields(regexp.MustCompile(`'[^']*'`).ReplaceAllString(command[1], "quoted"))
		if err := NewCommand().ParseFlags(args); err != nil {
			t.Errorf("%s: %v", command[0], err)
		}
	}
	if len(commands) < 5 {
		t.Errorf("found %d commands: are they looked for in the right way?", len(commands))
	}
}
