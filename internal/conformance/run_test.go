package conformance

import (
	"strings"
	"testing"
)

func judged(t *testing.T, rules []Rule, contenders ...Contender) []Row {
	t.Helper()
	rows, err := new(Runner).Run(t.Context(), rules, contenders)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A careful client can be right: the rules are not impossible.
func TestRulesCanBeKept(t *testing.T) {
	for _, row := range judged(t, Rules(), newCareful()) {
		if !row.Right {
			t.Errorf("%s: %s", row.Fault, row.Why)
		}
	}
}

// Each care that is switched off makes the rows about it wrong.
func TestRulesBite(t *testing.T) {
	tests := []struct {
		not  care
		rule string
		why  string
	}{
		{drain, "http.status", "the connection was not kept"},
		{keyed, "commit.then_drop", "done twice"},
		{keyed, "time.latency/post", "done twice"},
		{bounded, "http.retry_after_huge", "took"},
		{limited, "http.hang/always", "took"},
		{limited, "body.stall", "took"},
		{stops, "http.hang/always", "requests of at most 4"},
		{obeys, "http.retry_after", "not 1s"},
		{checks, "body.cut_fin", "passes off a wrong body as the answer"},
		{stays, "http.redirect_elsewhere", "shows a credential"},
		{discreet, "http.status", "shows a credential"},
		{tidy, "http.status", "leaves 1 goroutine"},
		{closes, "http.status", "leaves 1 connection"},
		{returns, "http.hang", "did not return"},
		{knowsCerts, "tls.expired", "4 requests of at most 1"},
		{redials, "pool.dark", "fails: context deadline exceeded"},
		{tells, "pool.reset", "tells of "},
		{follows, "name.moved", "10 of the last 10 requests at the old address"},
		{accuses, "proxy.connect/502", "the error names no proxy with 502: no connection"},
		{yields, "proxy.connect/407", "4 requests of at most 1"},
		{yields, "proxy.connect/429", "not 1s"},
		{cleans, "proxy.connect/status_line", "an error of 10 kB; an error with control characters"},
		{spares, "proxy.connect/breaker", "the next call: fails: open"},
	}
	contenders := make([]Contender, len(tests))
	for i, tt := range tests {
		contenders[i] = newCareful(tt.not)
		contenders[i].Name = string(tt.not)
		contenders[i].Asks = func(r *Rule) bool { return r.ID() == tt.rule }
	}
	seen := 0
	for _, row := range judged(t, Rules(), contenders...) {
		for _, tt := range tests {
			if row.Fault != tt.rule || row.Client != string(tt.not) {
				continue
			}
			seen++
			if row.Right || !strings.Contains(row.Why, tt.why) {
				t.Errorf("without %s, %s: right is %v, %q; want wrong, %q", tt.not, tt.rule, row.Right, row.Why, tt.why)
			}
		}
	}
	if seen != len(tests) {
		t.Errorf("%d of %d", seen, len(tests))
	}
}
