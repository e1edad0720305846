package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/relay"
	"github.com/holdfast-go/holdfast/test/rivals"
)

// Figures of two clients, and what is said of the first of them.
func TestWorse(t *testing.T) {
	well := figures{Failed: 0, Told: 7, Served: 6, Stale: 1, Opened: 1, First: 2}
	change := func(f func(*figures)) figures {
		changed := well
		f(&changed)
		return changed
	}
	none := figures{Failed: 6, Told: 6, Served: 0, Stale: 6, First: -1}
	for _, c := range []struct {
		ours, theirs figures
		proto, says  string
	}{
		{well, well, "TLS", ""},
		{none, none, "TLS", ""},
		{well, none, "TLS", ""}, // no connection is opened by a client that only fails
		{well, change(func(f *figures) { f.Told = -1 }), "TLS", ""},
		{change(func(f *figures) { f.First = 11 }), well, "TLS", ""},
		{change(func(f *figures) { f.First = 13 }), well, "TLS", "first success after 13 ms, 2 of the best"},
		{none, well, "TLS", "6 of 6 calls failed, 0 of the best"},
		{change(func(f *figures) { f.Opened = 3 }), well, "TLS", "3 connections opened, 1 of the best"},
		{change(func(f *figures) { f.Told = 6 }), well, "TLS", "tells of 6 attempts, and 7 requests were sent"},
		{change(func(f *figures) { f.Told = 8 }), well, "TLS", "tells of 8 attempts, and 7 requests were sent"},
		{change(func(f *figures) { f.Told = 8 }), well, "HTTP/2", ""},
	} {
		at := cell{Proto: c.proto}
		marks := judge([]result{
			{Cell: at, Client: "holdfast", Runs: []figures{c.ours, c.ours}},
			{Cell: at, Client: "another", Runs: []figures{c.theirs, c.theirs}},
			{Cell: cell{Method: "another"}, Client: "another", Runs: []figures{{}}},
		})
		var says []string
		for _, m := range marks {
			says = append(says, m.why)
		}
		if got := strings.Join(says, "; "); got != c.says {
			t.Errorf("%+v beside %+v: %q, want %q", c.ours, c.theirs, got, c.says)
		}
	}
}

// net/http over HTTP/1.1 is known: it tries each connection that was reset, one after
// another, and notices each FIN.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		fault relay.Fault
		stale int
	}{{relay.Reset, pooled}, {relay.Finish, 0}} {
		f, err := live(t.Context(), cell{c.fault, "HTTP/1.1", http.MethodPost, false}, rivals.Named("net/http"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Failed != 0 || f.Stale != c.stale || f.Served != calls || f.Opened != 1 || f.First < 0 || f.Told != -1 {
			t.Errorf("%s: %+v", c.fault, f)
		}
	}
}

// The page has every cell and every client, and the sign only where there is a mark.
func TestDocument(t *testing.T) {
	var results []result
	kinds := contenders()
	for _, c := range allCells() {
		for _, k := range kinds {
			results = append(results, result{Cell: c, Client: k.Name, Runs: []figures{{Told: 6, Served: 6}}})
		}
	}
	page := document(results, nil, kinds, 6)
	if n := strings.Count(page, "| 0 · 6/6 · 0 · 0 ms "); n != len(results) || n != 36*7 {
		t.Errorf("%d fields for %d results", n, len(results))
	}
	if n := strings.Count(page, "▼"); n != 1 { // the legend's
		t.Errorf("%d marks, want none", n-1)
	}
	page = document(results, []mark{{allCells()[0], "holdfast", "it fails"}}, kinds, 6)
	if !strings.Contains(page, "| holdfast | ▼ 0") || !strings.Contains(page, "- reset, HTTP/1.1, GET, retries, holdfast: it fails\n") || strings.Count(page, "▼") != 2 {
		t.Error("the mark is not on the page")
	}
	if strings.ContainsAny(page, "{}") {
		t.Error("a field of the page is not filled in")
	}
}
