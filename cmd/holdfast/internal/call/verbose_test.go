package call

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
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

// A wait is shown with the header or the field that asked for it, in the events and in the
// explanation.
func TestVerboseNamesWhereAWaitWasRead(t *testing.T) {
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{
		{Match: fault.Match{Path: "/tokens"}, Fault: fault.Fault{Status: 429, Header: map[string]string{"X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "6s"}}},
		{Match: fault.Match{Path: "/loading"}, Fault: fault.Fault{Status: 503, Body: `{"error":"the model is loading","estimated_time":20}`}},
	}})
	for path, want := range map[string]string{
		"/tokens":  "asks for 6s (x-ratelimit-reset-tokens)",
		"/loading": "asks for 20s (body: estimated_time)",
	} {
		_, _, stderr := runCall(t, "-v", "--retries", "0", server.URL()+path)
		if strings.Count(stderr, want) != 2 {
			t.Errorf("%s: stderr is\n%s\nwant %q in an event and in the explanation", path, stderr, want)
		}
	}
}
