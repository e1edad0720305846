package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
	"github.com/holdfast-go/holdfast/fault"
)

func TestExplain(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := program.Run(t.Context(), []string{"faults", "explain", "testdata/explain.yaml"}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Fatalf("exit status %d, stderr %q", status, &stderr)
	}
	cmdtest.Golden(t, "testdata/explain.txt", stdout.String())
}

func TestExplainBuiltinPlans(t *testing.T) {
	for _, b := range builtins {
		var stdout, stderr bytes.Buffer
		if status := program.Run(t.Context(), []string{"faults", "explain", b.name}, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit status %d, stderr %q", b.name, status, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%s: a line of %d columns: %s", b.name, n, line)
			}
		}
		if b.name != "healthy" && !strings.Contains(stdout.String(), "\nthe faults\n") {
			t.Errorf("%s: no faults in\n%s", b.name, &stdout)
		}
	}
}

// A plan of any size and with any text is explained within bounds.
func TestExplainExtremes(t *testing.T) {
	const forever = time.Duration(1<<63 - 1)
	big := fault.Plan{
		Connections: []fault.ConnRule{{When: fault.Window{From: forever - 1, Until: forever}, Fault: fault.ConnFault{Refuse: true}}},
		Pace:        []fault.Pace{{When: fault.Window{Until: 1}, Latency: fault.Latency{Fixed: 1}}},
	}
	for i := range fault.MaxRules {
		big.Rules = append(big.Rules, fault.Rule{
			Name: "\x1b[2J" + strings.Repeat("long ", 100), When: fault.Window{From: time.Duration(i) * time.Second},
			Repeat: fault.Repeat{Every: forever, For: 1}, Fault: fault.Fault{Status: 503, Body: strings.Repeat("x", 10_000)}})
	}
	if err := big.Validate(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	explain(&out, term.Terminal{Width: 20}, "big", big)
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Error("a name's escape sequence reached the terminal")
	}
	for _, says := range []string{"more rows", "more phases"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q", says)
		}
	}
}

func TestWhom(t *testing.T) {
	for _, tt := range []struct {
		nth         string
		probability float64
		match       fault.Match
		want        string
	}{
		{"", 0, fault.Match{}, everyRequest},
		{"", 1, fault.Match{}, "requests"},
		{"3", 0, fault.Match{}, "request 3"},
		{"1-2", 0.25, fault.Match{}, "25 % of requests 1-2"},
		{"4-", 0, fault.Match{Method: "GET"}, "requests 4 and on with method GET"},
		{"", 0.001, fault.Match{Header: map[string]string{"B": "*", "A": "x"}, Query: map[string]string{"q": "1"}},
			"0.1 % of requests with header A: x, header B: *, query q=1"},
		{"", 0, fault.Match{Shard: &fault.Shard{Query: "tenant", Of: 8, Is: []int{3, 5}}}, "every request with shard 3 5 of 8 by query tenant"},
	} {
		if got := whom("request", tt.nth, tt.probability, tt.match); got != tt.want {
			t.Errorf("whom(%q, %v, %+v) = %q, want %q", tt.nth, tt.probability, tt.match, got, tt.want)
		}
	}
}

func TestMoment(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Nanosecond: "0.000001 ms", 250 * time.Millisecond: "250 ms", 1500 * time.Millisecond: "1.5 s",
		90 * time.Second: "90 s", 90 * time.Minute: "1h30m0s",
	} {
		if got := moment(d); got != want {
			t.Errorf("moment(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestAxis(t *testing.T) {
	window := func(from, until time.Duration) part { return part{when: fault.Window{From: from, Until: until}} }
	for _, tt := range []struct {
		all  []part
		want time.Duration
	}{
		{[]part{window(5*time.Second, 30*time.Second)}, 10 * time.Second},
		{[]part{window(0, 100*time.Millisecond)}, 50 * time.Millisecond},
		{[]part{window(4*time.Second, 0)}, 2 * time.Second},
		{[]part{{repeat: fault.Repeat{Every: 20 * time.Second, For: time.Second}}}, 20 * time.Second},
	} {
		if got := axis(tt.all); got != tt.want {
			t.Errorf("axis(%+v) = %s, want %s", tt.all, got, tt.want)
		}
	}
	if got := fmt.Sprint(edges([]part{window(5, 9), window(5, 0)})); got != "[0s 5ns 9ns]" {
		t.Errorf("edges are %s", got)
	}
}
