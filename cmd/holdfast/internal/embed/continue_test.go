package embed

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
)

// The command to continue with has the flags and texts of this one, quoted for a shell.
func TestResumeCommand(t *testing.T) {
	server := embeddings(t, fault.Rule{Nth: "2-", Fault: fault.Fault{Status: 401}})
	for _, tt := range []struct {
		stdin string
		args  []string
		says  string
	}{
		{"", []string{"--chunk", "1", "--width", "1", "--", "-rye", "it's"}, "; to continue, where FILE has the output of this run:\n  holdfast embed --base-url " + server.URL() + `/v1 --chunk 1 --provider mixedbread --width 1 --resume FILE -- -rye 'it'\''s'`},
		{`"rye"`, nil, "; to continue, with the same texts on stdin:\n  holdfast embed --base-url " + server.URL() + "/v1 --provider mixedbread\n"}, // nothing was written
		{"rye\n", []string{"--file", "-", "--out", "/dev/null"}, "; to continue, with the same texts on stdin:\n  holdfast embed --base-url " + server.URL() + "/v1 --file - --provider mixedbread --resume /dev/null\n"},
	} {
		if status, _, stderr := runEmbed(t, server, tt.stdin, tt.args...); status != exit.Failure || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stderr %q; want %q", tt.args, status, stderr, tt.says)
		}
	}
	for _, word := range []string{"", "plain-1.0_a/b", "a b", "it's", "$HOME `x` \"y\" \\", "*", "~", "déjà", "a\nb"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("a shell reads %s as %q (%v); want %q", shellWord(word), out, err, word)
		}
	}
}
