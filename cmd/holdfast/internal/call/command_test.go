package call

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

var program = cmdtest.Of(func() *cobra.Command { return NewCommand(os.LookupEnv) })

func TestMain(m *testing.M) { program.Main(m) }

// runCall runs the command, and returns its exit status and output.
func runCall(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return program.Output(t, append([]string{"call"}, args...)...)
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{nil, exit.Usage, "the URL is missing"},
		{[]string{"-H", "Authorization:", "Bearer", cmdtest.Secret, "http://h/"}, exit.Usage, "call takes one URL; got 3 arguments"},
		{[]string{"h:80/" + cmdtest.Secret}, exit.Usage, "the URL has no scheme"},
		{[]string{"/?u=http://" + cmdtest.Secret}, exit.Usage, "the URL has no scheme"},
		{[]string{"ftp://h/" + cmdtest.Secret}, exit.Usage, "must begin with http:// or https://"},
		{[]string{"http:///" + cmdtest.Secret}, exit.Usage, "the URL has no host"},
		{[]string{"http://h:" + cmdtest.Secret}, exit.Usage, "the URL cannot be parsed"},
		{[]string{"http://u:" + cmdtest.Secret + "@h/"}, exit.Usage, "the URL has a user or password in it"},
		{[]string{"http://u:" + cmdtest.Secret + "/x@h/"}, exit.Usage, "the URL has a user or password in it"},
		{[]string{"-H", cmdtest.Secret, "http://h/"}, exit.Usage, "-H, number 1: has no colon"},
		{[]string{"-H", "A: b", "-H", "Bearer " + cmdtest.Secret + ": x", "http://h/"}, exit.Usage, "-H, number 2: the text before the colon is not a header name"},
		{[]string{"-H", "A: " + cmdtest.Secret + "\n", "http://h/"}, exit.Usage, "control character"},
		{[]string{"-H", "Content-Length: 1", "http://h/"}, exit.Usage, "Content-Length is set from the data"},
		{[]string{"-u" + cmdtest.Secret, "http://h/"}, exit.Usage, "unknown flag: -u; holdfast call --help lists"},
		{[]string{"--header" + cmdtest.Secret, "http://h/"}, exit.Usage, "unknown flag: --header…"},
		{[]string{"--data" + cmdtest.Secret + "=x", "http://h/"}, exit.Usage, "unknown flag: --data…"},
		{[]string{"--user=" + cmdtest.Secret, "http://h/"}, exit.Usage, "unknown flag: --user"},
		{[]string{"-d", cmdtest.Secret, "-d", cmdtest.Secret, "http://h/"}, exit.Usage, "-d is given 2 times"},
		{[]string{"-X", "GE T", "http://h/"}, exit.Usage, `-X "GE T": must be a method`},
		{[]string{"-o", "", "http://h/"}, exit.Usage, "-o is empty"},
		{[]string{"--retries", "101", "http://h/"}, exit.Usage, "--retries 101: must be 0 to 100"},
		{[]string{"--retries", "many", "http://h/"}, exit.Usage, `--retries "many": must be a whole number`},
		{[]string{"--total", "soon", "http://h/"}, exit.Usage, `--total "soon": must be a duration up to a year, such as 1.5s, or off`},
		{[]string{"--total", "-1s", "http://h/"}, exit.Usage, "must be a duration"},
		{[]string{"--total", "9000h", "http://h/"}, exit.Usage, "must be a duration up to a year"},
		{[]string{"--max-delay", "off", "http://h/"}, exit.Usage, "--max-delay: must be positive"},
		{[]string{"--max-delay", "1s", "--base-delay", "2s", "http://h/"}, exit.Usage, "--max-delay 1s: must be at least --base-delay, which is 2s"},
		{[]string{"--repeat", "often", "http://h/"}, exit.Usage, `--repeat "often": must be keyed, safe or never`},
		{[]string{"--repeat", "safe", "--no-repeat", "http://h/"}, exit.Usage, "--no-repeat and --repeat safe"},
		{[]string{"--idempotency-key", cmdtest.Secret + "\n", "http://h/"}, exit.Usage, "--idempotency-key: must be printable"},
		{[]string{"-d", "@./no-such-file", "http://h/"}, exit.Config, "-d @./no-such-file: no such file"},
		{[]string{"-d", "@.", "http://h/"}, exit.Config, "-d @.: is a directory"},
		{[]string{"-o", ".", "http://h/"}, exit.Config, "-o .: is a directory"},
		{[]string{"-o", "./no-such-folder/x", "http://h/"}, exit.Config, "-o ./no-such-folder/x: no such file"},
	} {
		status, stdout, stderr := runCall(t, tt.args...)
		if status != tt.want || stdout != "" || !strings.HasPrefix(stderr, "holdfast: ") || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d, nothing and %q", tt.args, status, stdout, stderr, tt.want, tt.says)
		}
		if strings.Contains(stderr, cmdtest.Secret) {
			t.Errorf("%q repeats a secret: %q", tt.args, stderr)
		}
	}
}
