package conformance

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary usable as a program under test: it makes one
// GET, without a retry, and prints the answer.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "as-program" {
		os.Exit(get(os.Args[2]))
	}
	os.Exit(m.Run())
}

func get(url string) int {
	resp, err := (&http.Client{Timeout: time.Second}).Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no answer")
		return 1
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, resp.Status, url)
		return 2
	}
	if _, err := io.Copy(os.Stdout, io.LimitReader(resp.Body, 2<<20)); err != nil {
		fmt.Fprintln(os.Stderr, "cut off")
		return 3
	}
	return 0
}

// A program is judged by its exit status, its output and its log.
func TestProgram(t *testing.T) {
	p, err := Program(os.Args[0] + " as-program '{url}'")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // the failures by rule
		"time.latency":    "",
		"http.status/404": "shows a credential",
		"body.cut_fin":    "fails: exit status 3: cut off; 1 request of at least 2",
		"conn.hang":       "fails: exit status 1: no answer; 1 request of at least 2",
	}
	asked := p.Asks
	p.Asks = func(r *Rule) bool { _, is := want[r.ID()]; return is && asked(r) }
	rows := judged(t, Rules(), p)
	for _, row := range rows {
		if row.Why != want[row.Fault] || row.Right != (row.Why == "") || row.Goroutines != nil {
			t.Errorf("%s: %+v, want %q", row.Fault, row, want[row.Fault])
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
}

// A command is not tested with calls that its words cannot express.
func TestProgramIsAskedWhatItCan(t *testing.T) {
	for command, want := range map[string][]string{
		"true {url}":                          {"GET"},
		"true {url} {method}":                 {"GET"},
		"true {url} {method} @{body}":         {"GET", "POST", "PUT"},
		"true {url} {method} @{body} k={key}": {"GET", "POST", "PUT", "key"},
	} {
		p, err := Program(command)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range Rules() {
			method := r.Method
			if method == "" {
				method = "GET"
			}
			if r.Key {
				method = "key"
			}
			if p.Asks(&r) && !slices.Contains(got, method) {
				got = append(got, method)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is asked for %v, want %v", command, got, want)
		}
	}
}

func TestProgramWrong(t *testing.T) {
	for command, says := range map[string]string{
		"":                       "empty",
		"true":                   "has no {url}",
		"true '{url}":            "ends within '",
		"/nowhere/at-all {url}":  "/nowhere/at-all",
		"true --say \"a b {url}": `ends within "`,
	} {
		if _, err := Program(command); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", command, err, says)
		}
	}
}
