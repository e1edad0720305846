package main

import (
	"strings"
	"testing"
	"time"
)

// The counts are found in what the commands print.
func TestReadsCounts(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"stress", "=== RUN   TestStress\ncount: 7 operations; 0 leaks\n--- PASS: TestStress (1s)\n", "7 operations; 0 leaks"},
		{"kill", "    kill_test.go:71: seed 7\n    kill_test.go:151: 40 SIGKILLs in 48 runs, paid twice 0\n", "40 SIGKILLs in 48 runs, paid twice 0"},
		{"hooks", "    client_hooks_test.go:722: 431 rounds\n", "431 rounds"},
		{"secrets", "fuzz: elapsed: 3s, execs: 10 (3/sec), new interesting: 0 (total: 1)\nfuzz: elapsed: 6s, execs: 25 (5/sec), new interesting: 0 (total: 1)\nPASS\n", "25 calls"},
		{"surplus", "--- PASS: TestSurplus (0s)\n--- PASS: TestSurplusFirst (0s)\n", "2 tests"},
		{"surplus", "ok  	github.com/x [no tests to run]\n", "there is no such test yet"},
		{"stress", "FAIL\n", ""},
	} {
		r := result{round: round{name: tt.name}}
		if r.read(tt.output); r.count != tt.want {
			t.Errorf("%s: count %q; want %q", tt.name, r.count, tt.want)
		}
	}
}

func TestDocument(t *testing.T) {
	text := document([]result{
		{round: round{name: "flood", tried: "frames"}, command: "go test", count: "2 floods", floods: [][]string{{"PING", "idle", "64 KiB", "0", "yes"}}},
		{round: round{name: "kill", tried: "kills"}, count: "it failed", failed: true},
	}, 20*time.Minute)
	for _, say := range []string{"| flood | frames | 2 floods |\n", "| kill | kills | ▼ it failed |\n", "# flood\ngo test\n", "| PING | idle | 64 KiB | 0 | yes |\n", "▼ marks a round"} {
		if !strings.Contains(text, say) {
			t.Errorf("the page does not say %q:\n%s", say, text)
		}
	}
	sum := 0.0
	for _, r := range rounds {
		sum += r.share
	}
	if sum < 0.95 || sum > 1.001 {
		t.Errorf("the rounds take %v of the time", sum)
	}
}
