package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPatch(t *testing.T) {
	p := patch{"x.go", "two", "2"}
	for src, want := range map[string]string{"one two three": "one 2 three", "one": "", "two two": ""} {
		got, err := p.apply([]byte(src))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", src, got, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	const mark = "\x16"
	text := strings.Join([]string{
		mark + "=== RUN   TestA", mark + "=== RUN   TestA/sub", "    x_test.go:1: no", mark + "--- FAIL: TestA/sub (0.00s)",
		mark + "--- FAIL: TestA (0.00s)", mark + "=== RUN   TestB", mark + "--- PASS: TestB (0.00s)",
		mark + "=== RUN   TestC", mark + "--- SKIP: TestC (0.00s)", mark + "=== RUN   TestD", "panic: test timed out after 1s",
		"\trunning tests:", "\t\tTestD (1s)", "\t\tTestE (0s)", "", "goroutine 1 [running]:", "",
	}, "\n")
	all, err := parse(context.Background(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"TestA": failed, "TestA/sub": failed, "TestB": passed, "TestC": skipped, "TestD": ""} {
		if got := all[name].result; got != want {
			t.Errorf("%s %s, want %s", name, got, want)
		}
	}
	if names := hanging(text, time.Second); !reflect.DeepEqual(names, []string{"TestD"}) {
		t.Errorf("%q hang, want TestD", names)
	}
}

// The results of a bare run and of a run through holdfast, and the tests that differ.
func TestDiffering(t *testing.T) {
	of := func(results string) outcomes {
		all := outcomes{}
		for _, r := range strings.Fields(results) {
			name, result, _ := strings.Cut(r, "=")
			all[name] = outcome{result: map[string]string{"+": passed, "-": failed, "o": skipped}[result]}
		}
		return all
	}
	for _, c := range []struct{ bare, via, want string }{
		{"A=+ B=- C=o", "A=+ B=- C=o", ""},
		{"A=+ B=-", "A=- B=+", "A B"},
		{"A=+ A/x=+ A/y=+", "A=- A/x=- A/y=+", "A/x"}, // its parent fails with it
		{"A=+ A/x=+", "A=-", "A"},                     // its subtest is not reached
		{"A=+ A/x=+", "A=+", "A/x"},
	} {
		got := differing([]outcomes{of(c.bare)}, []outcomes{of(c.via)})
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q beside %q: %q differ, want %q", c.bare, c.via, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	runs := func(results ...string) (all []outcomes) {
		for _, r := range results {
			all = append(all, outcomes{"A": {result: r}})
		}
		return all
	}
	for _, c := range []struct {
		bare, via           []outcomes
		differing, unsteady int
	}{
		{runs(passed, passed), runs(failed, failed), 1, 0},
		{runs(passed, failed), runs(failed, failed), 0, 1},
		{runs(passed, passed), runs(failed, passed), 0, 1},
		{runs(passed, passed), runs("", ""), 1, 0},
	} {
		r := new(result)
		r.judge("", []string{"A"}, c.bare, c.via)
		if len(r.Differences) != c.differing || len(r.Unsteady) != c.unsteady {
			t.Errorf("%v beside %v: %+v", c.bare, c.via, r)
		}
	}
}

func TestReasons(t *testing.T) {
	if _, err := readReasons(reasonsJSON); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{
		`[{"suite":"none","tests":"A","kind":"defect","reason":"why"}]`,
		`[{"suite":"connect","tests":"(","kind":"defect","reason":"why"}]`,
		`[{"suite":"connect","tests":"A","kind":"other","reason":"why"}]`,
		`[{"suite":"connect","tests":"A","kind":"defect"}]`,
		`[{"suit":"connect"}]`,
	} {
		if _, err := readReasons([]byte(wrong)); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
	all, err := readReasons([]byte(`[{"suite":"connect","tests":"TestA(/.*)?","kind":"defect","reason":"why"}]`))
	if err != nil {
		t.Fatal(err)
	}
	r := &result{Suite: "connect", Differences: []difference{{Test: "TestA/x"}, {Test: "TestAB"}}}
	if all.explain(r); r.Differences[0].Reason != "why" || r.Differences[1].Reason != "" || len(all.unused()) != 0 {
		t.Errorf("%+v, unused %q", r, all.unused())
	}
}
