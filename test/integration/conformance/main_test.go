package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
	"github.com/holdfast-go/holdfast/internal/conformance"
	"github.com/holdfast-go/holdfast/test/rivals"
)

// holdfast keeps every rule: nothing is left behind, done twice or shown. Its SDK
// transport breaks only rules with a reason, and there it loses only the answer.
func TestHoldfastKeepsEveryRule(t *testing.T) {
	client, transport := rivals.Named("holdfast").Contender(), rivals.Named("holdfast, SDK transport").Contender()
	rows, err := runner().Run(t.Context(), conformance.Rules(), []conformance.Contender{client, transport})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2*len(conformance.Rules()) {
		t.Errorf("%d rows of %d rules", len(rows), len(conformance.Rules()))
	}
	known := map[string]map[string]string{}
	for _, r := range conformance.Rules() {
		known[r.ID()] = r.Losses
	}
	for _, row := range rows {
		switch reason := known[row.Fault][row.Client]; {
		case row.Right && reason != "":
			t.Errorf("%s, %s: right, and the rule has a reason for a loss: %s", row.Client, row.Fault, reason)
		case row.Right:
		case row.Known == "" || row.Known != reason:
			t.Errorf("%s, %s: %s", row.Client, row.Fault, row.Why)
		case row.Attempts != 1 || !row.Bounded || row.Duplicates+row.Secrets > 0 || some(row.Goroutines) || some(row.Descriptors):
			t.Errorf("%s, %s: more than the answer is lost: %s", row.Client, row.Fault, row.Why)
		}
	}
}

// some reports whether a count is known and not zero.
func some(n *int) bool { return n != nil && *n > 0 }

// docs/conformance.md is this page with the measured results.
func TestPageIsInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(docs)
	for _, part := range regexp.MustCompile(`\{(date|go|versions|rows|rules)\}`).Split(page, -1) {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("docs/conformance.md does not have this text at its place:\n%s", part)
		}
		rest = after
	}
	if !strings.Contains(string(docs), conformance.RulesMarkdown(conformance.Rules())) {
		t.Error("docs/conformance.md has other rules")
	}
}

// Every fault of HTTP/2 has a rule.
func TestRulesOfHTTP2(t *testing.T) {
	ruled := map[fault.ID]bool{}
	for _, r := range conformance.Rules() {
		ruled[r.Fault] = true
	}
	for _, entry := range h2fault.Catalog() {
		if !ruled[entry.ID] {
			t.Errorf("%s has no rule", entry.ID)
		}
	}
}

// The rules detect defects: an adapter of holdfast without one behaviour is
// wrong on its rule.
func TestPlantedDefects(t *testing.T) {
	tests := []struct {
		defect, rule, why string
		plant             func(*holdfast.Config) []holdfast.Option
	}{
		{"no drain", "http.status", "the connection was not kept", func(*holdfast.Config) []holdfast.Option {
			return []holdfast.Option{holdfast.WithTransport(undrained{new(http.Transport)})}
		}},
		{"a fresh key for each attempt", "commit.then_drop", "done twice", func(c *holdfast.Config) []holdfast.Option {
			attempt := 0
			c.Authorize = func(r *http.Request) error {
				attempt++
				r.Header.Set("X-Request-ID", strings.Repeat("x", attempt))
				return nil
			}
			return nil
		}},
		{"any Retry-After", "http.retry_after_huge", "did not return", func(c *holdfast.Config) []holdfast.Option {
			c.Retry.MaxRetryAfter = 365 * 24 * time.Hour
			return nil
		}},
		{"no attempt limit", "http.hang", "took", func(c *holdfast.Config) []holdfast.Option {
			c.Timeouts.Attempt, c.Timeouts.Read = holdfast.Off, holdfast.Off
			return nil
		}},
	}
	var planted []conformance.Contender
	for _, tt := range tests {
		planted = append(planted, conformance.Contender{
			Name: tt.defect,
			Asks: func(r *conformance.Rule) bool { return r.ID() == tt.rule },
			New: func(s conformance.Setup) (conformance.Client, error) {
				cfg := rivals.HoldfastConfig(rivals.Settings{Setup: s})
				opts := tt.plant(&cfg)
				c, err := rivals.Holdfast(cfg, opts...)
				if tt.defect == "any Retry-After" {
					c = patient{c} // it would not start a wait beyond the deadline
				}
				return c, err
			},
		})
	}
	rows, err := runner().Run(t.Context(), conformance.Rules(), planted)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, row := range rows {
		for _, tt := range tests {
			if row.Client == tt.defect {
				seen++
				if row.Right || !strings.Contains(row.Why, tt.why) {
					t.Errorf("%s, %s: right is %v, %q; want %q", tt.defect, tt.rule, row.Right, row.Why, tt.why)
				}
			}
		}
	}
	if seen != len(tests) {
		t.Errorf("%d of %d were judged", seen, len(tests))
	}
}

// patient hides the caller's deadline from the client.
type patient struct{ conformance.Client }

func (p patient) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	return p.Client.Do(context.WithoutCancel(ctx), call)
}

// undrained hides the rest of an error answer, so that it is never read to its
// end.
type undrained struct{ *http.Transport }

func (u undrained) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.Transport.RoundTrip(req)
	if err == nil && resp.StatusCode >= 400 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{strings.NewReader(""), resp.Body}
	}
	return resp, err
}

// Each loss of holdfast without a reason is an error, and no other loss is.
func TestExplained(t *testing.T) {
	row := func(client, fault, why, known string) conformance.Row {
		return conformance.Row{Client: client, Fault: fault, Right: why == "", Why: why, Known: known}
	}
	rows := []conformance.Row{
		row("holdfast", "a", "", ""), row("holdfast, SDK transport", "a", "fails", "it is live"), row("net/http", "a", "fails", ""),
	}
	if err := explained(rows, rivals.All()); err != nil {
		t.Error(err)
	}
	rows = append(rows, row("holdfast", "b", "done twice", ""), row("holdfast, SDK transport", "b", "took 4s", ""))
	err := explained(rows, rivals.All())
	if want := "holdfast is wrong on b, and the rule has no reason for it: done twice\n" +
		"holdfast, SDK transport is wrong on b, and the rule has no reason for it: took 4s"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

func TestOtherVerdicts(t *testing.T) {
	row := func(client, fault, why string) conformance.Row {
		return conformance.Row{Client: client, Fault: fault, Right: why == "", Why: why}
	}
	first := []conformance.Row{row("a", "x", ""), row("a", "y", "took 1s"), row("b", "x", ""), row("b", "y", "")}
	again := []conformance.Row{row("a", "x", ""), row("a", "y", "took 2s"), row("b", "x", "done twice"), row("c", "x", "")}
	got := strings.Join(otherVerdicts(first, again), "\n")
	want := "b, x: was right, now wrong (done twice)\nb, y: was right, now is not there\nc, x: was not there, now right"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if same := otherVerdicts(first, first); same != nil {
		t.Errorf("of itself: %q", same)
	}
}
