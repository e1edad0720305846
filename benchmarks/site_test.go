package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary starts itself like the program.
func TestMain(m *testing.M) {
	if played, err := play(); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSite(t *testing.T) {
	url, err := siteURL()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != `{"ok":true}` {
		t.Errorf("%q, %v", body, err)
	}
	resp.Body.Close()
}

// A server ends with its standard input, so it does not outlive its parent.
func TestSiteEnds(t *testing.T) {
	in, stdin := io.Pipe()
	out, stdout := io.Pipe()
	ended := make(chan error)
	go func() { ended <- serveSite(in, stdout) }()
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// An open response has goroutines of net/http and none of holdfast.
func TestOpenResponses(t *testing.T) {
	found, err := openAnswers.hold(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := found.(counted)
	if c.lead < 1 {
		t.Errorf("%v goroutines for each of the bare client's", c.lead)
	}
	for i, n := range c.others {
		if c.judge(n) != holds || n < 1 {
			t.Errorf("%s: %v goroutines, the bare client %v", c.census.others[i].name, n, c.lead)
		}
	}
}

// The lines to remove exist once. make bench does the build.
func TestStatisticsCanBeTakenOut(t *testing.T) {
	for file, line := range counting {
		source, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		without, err := withoutStatistics(file, source)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(without), line) {
			t.Errorf("%s still has the line", file)
		}
		if _, err := withoutStatistics(file, without); err == nil {
			t.Errorf("%s has no line to take out, and there is no error", file)
		}
	}
}

// A lane in a separate process measures on request.
func TestLaneElsewhere(t *testing.T) {
	s, err := holdfastLoggedClient.elsewhere(holdfastLoggedClient, load{procs: 1}, nothing)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if m, err := s.measure(); err != nil || m.ns <= 0 || m.cpu <= 0 {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if s.allocs < 1 || s.bytes < 1 {
		t.Errorf("%v allocations, %v B", s.allocs, s.bytes)
	}
}
