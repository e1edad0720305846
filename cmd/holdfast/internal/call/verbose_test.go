package call

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
)

func TestVerbose(t *testing.T) {
	server := failing(t)
	status, stdout, stderr := runCall(t, "-v", "--base-delay", "1ms", server.URL()+"/flaky?key="+cmdtest.Secret)
	if status != 0 || !strings.Contains(stdout, `"path":"/flaky"`) {
		t.Errorf("exit status %d, stdout %q", status, stdout)
	}
	took := regexp.MustCompile(`(?m)^ +\d+\.\d{3} s  `)
	untimed := regexp.MustCompile(`[\d.]+[nµm]?s( before| ·|$)|[0-9a-f-]{36}`)
	var said []string
	for line := range strings.Lines(stderr) {
		if !took.MatchString(line) {
			t.Errorf("%q does not begin with its time", line)
		}
		said = append(said, untimed.ReplaceAllString(strings.TrimSpace(took.ReplaceAllString(line, "")), "T$1"))
	}
	want := []string{
		"request T",
		"GET /flaky · 1m0s for an attempt",
		"attempt 1 of 4",
		"attempt 1: 503 Service Unavailable after T · overloaded",
		"waiting T before attempt 2",
		"attempt 2 of 4",
		"attempt 2: 503 Service Unavailable after T · overloaded",
		"waiting T before attempt 3",
		"attempt 3 of 4",
		"attempt 3: 200 OK after T",
		fmt.Sprintf("done: %d bytes written", len(stdout)),
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("it wrote\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}
