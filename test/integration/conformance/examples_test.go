package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// The examples of docs/conformance.md, with rules that do not depend on a
// version: programs in other languages can be tested, and be right.
func TestExamples(t *testing.T) {
	script, err := filepath.Abs("testdata/tenacious.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, command string
		right, wrong  []string
	}{
		{
			"curl", "curl --disable --silent --show-error --fail --compressed --retry 3 --retry-all-errors --retry-max-time 8 --max-time 1 {url}",
			[]string{"conn.fin_before_answer", "http.retry_after_garbage"}, []string{"http.status/404", "http.redirect_loop"},
		},
		{
			"httpx", "/usr/bin/python3 " + script + " {method} {url} {body} {auth} {key}",
			[]string{"http.status", "commit.then_drop", "commit.then_drop/key", "body.cut_fin"}, []string{"http.retry_after"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := conformance.Program(tt.command)
			if err != nil {
				t.Fatal(err)
			}
			asked := c.Asks
			c.Asks = func(r *conformance.Rule) bool {
				return asked(r) && slices.Contains(slices.Concat(tt.right, tt.wrong), r.ID())
			}
			rows, err := (&conformance.Runner{Patience: 8 * time.Second}).Run(t.Context(), conformance.Rules(), []conformance.Contender{c})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != len(tt.right)+len(tt.wrong) {
				t.Errorf("%d rows", len(rows))
			}
			for _, row := range rows {
				if row.Right != slices.Contains(tt.right, row.Fault) {
					t.Errorf("%s: right is %v: %s", row.Fault, row.Right, row.Why)
				}
			}
		})
	}
}
