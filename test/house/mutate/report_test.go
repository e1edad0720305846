package main

import (
	"strings"
	"testing"
)

var twoParts = []part{{dir: "a", least: 90}, {dir: "b", least: 80}}

// resultOf makes the result of one part with one file.
func resultOf(noticed, survived, other int) files {
	return files{"x.go": tally{killed: noticed, lived: survived, notViable: other, timedOut: other}}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		a, b files
		want string
	}{
		"all noticed":                       {resultOf(9, 0, 0), resultOf(9, 0, 0), ""},
		"exactly at the thresholds":         {resultOf(90, 10, 0), resultOf(80, 20, 0), ""},
		"other changes do not count":        {resultOf(90, 10, 50), resultOf(80, 20, 50), ""},
		"one survivor too many":             {resultOf(89, 11, 0), resultOf(80, 20, 0), "a: the tests notice 89.0 % of the changes, less than 90 %"},
		"each part has its own threshold":   {resultOf(90, 10, 0), resultOf(79, 21, 0), "b: the tests notice 79.0 % of the changes, less than 80 %"},
		"a line that no test reaches":       {files{"x.go": tally{killed: 4, notCovered: 1}}, resultOf(9, 0, 0), "a: the tests notice 80.0 % of the changes, less than 90 %"},
		"one bad file among good ones":      {files{"x.go": tally{killed: 9}, "y.go": tally{lived: 9}}, resultOf(9, 0, 0), "a: the tests notice 50.0 % of the changes, less than 90 %"},
		"a part without a change":           {files{}, resultOf(9, 0, 0), "a: the tests notice 0.0 % of the changes, less than 90 %"},
		"a part in which nothing compiles":  {resultOf(0, 0, 9), resultOf(9, 0, 0), "a: the tests notice 0.0 % of the changes, less than 90 %"},
		"both parts are below their limits": {resultOf(0, 1, 0), resultOf(0, 1, 0), "a: the tests notice 0.0 % of the changes, less than 90 %\nb: the tests notice 0.0 % of the changes, less than 80 %"},
	} {
		got := ""
		if err := check(twoParts, []files{c.a, c.b}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The report is as gremlins 0.6 writes it.
func TestReadAndTable(t *testing.T) {
	a, err := read([]byte(`{"go_module":"m","files":[{"file_name":"y/z.go","mutations":[
		{"line":1,"column":2,"type":"ARITHMETIC_BASE","status":"KILLED"},{"line":1,"column":2,"type":"INVERT_LOGICAL","status":"LIVED"},
		{"line":2,"column":2,"type":"ARITHMETIC_BASE","status":"NOT VIABLE"},{"line":3,"column":2,"type":"ARITHMETIC_BASE","status":"TIMED OUT"}]},
		{"file_name":"x.go","mutations":[{"line":1,"column":2,"type":"ARITHMETIC_BASE","status":"KILLED"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := table(twoParts, []files{a, resultOf(1, 0, 0)})
	want := []string{
		"noticed survived endless does not build",
		"a/x.go 1 0 0 0 100.0 %",
		"a/y/z.go 1 1 1 1 50.0 %",
		"a 2 1 1 1 66.7 %",
		"b/x.go 1 0 0 0 100.0 %",
		"b 1 0 0 0 100.0 %",
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), got)
	}
	for i, line := range lines {
		if words := strings.Join(strings.Fields(line), " "); words != want[i] {
			t.Errorf("line %d is %q, want %q", i+1, words, want[i])
		}
	}
	if _, err := read([]byte("not JSON")); err == nil {
		t.Error("no error for a report that is not JSON")
	}
}
