package main

import (
	"strings"
	"testing"
	"time"
)

// Where a wrong answer can be prevented there is none.
func TestLive(t *testing.T) {
	for _, v := range variants {
		for _, c := range contenders {
			if !c.isSafe(v) {
				continue
			}
			f, err := live(t.Context(), v, c, 50*time.Millisecond)
			if err != nil || f.Calls == 0 || f.Wrong > 0 {
				t.Errorf("%s, %s: %+v, %v", v.name, c.name, f, err)
			}
		}
	}
}

// The service mixes answers up: net/http gets those of others.
func TestServiceMixesUp(t *testing.T) {
	for range 100 {
		f, err := live(t.Context(), variants[len(variants)-1], contenders[0], 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if f.Wrong > 0 {
			return
		}
	}
	t.Error("net/http has taken no answer of another user")
}

func TestDocument(t *testing.T) {
	page := document([]figures{{variants[0].name, contenders[1].name, 10, 0, 1}, {variants[1].name, contenders[0].name, 20, 7, 0}}, time.Second)
	for _, want := range []string{
		"| in the same packet | 16218 · 43 · 0 | – | **10 · 0 · 1** |", "| in the next packet | 15094 · 93 · 0 | 20 · 7 · 0 | – |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
