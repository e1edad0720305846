package embed

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// Texts and IDs that occur twice are told once, before they are paid for.
func TestTwins(t *testing.T) {
	server := embeddings(t)
	input := cmdtest.File(t, "in.ndjson", strings.Join([]string{
		`{"id":"a","text":"rye"}`, `{"id":7,"text":"oat"}`, `{"id":"7","text":"rye"}`, `{"id":7,"text":"spelt"}`, `{"id":"a","text":"rye"}`, `"oat"`,
	}, "\n"))
	status, all, stderr := runEmbed(t, server, "", "--file", input)
	if want := "holdfast: 2 lines repeat the id of an earlier one: the id of line 4 is that of line 2\nholdfast: 3 lines repeat the text of an earlier one, and each is paid for\nholdfast: done 6 "; status != 0 || !strings.HasPrefix(stderr, want) {
		t.Errorf("exit status %d, stderr %q; want %q", status, stderr, want)
	}
	if status, _, stderr := runEmbed(t, server, "", "rye", "oat", "rye"); status != 0 || !strings.HasPrefix(stderr, "holdfast: 1 text repeats the text of an earlier one, and each is paid for\n") {
		t.Errorf("arguments: exit status %d, stderr %q", status, stderr)
	}
	// What has its embedding is not paid for again, and a file with two of them is told.
	lines := slices.Collect(strings.Lines(all))
	file := cmdtest.File(t, "vectors.ndjson", all+lines[1]+lines[1])
	status, _, stderr = runEmbed(t, server, "", "--file", input, "--resume", file)
	if status != 0 || strings.Contains(stderr, "paid for") || !strings.Contains(stderr, file+" has 2 lines with a text that a line before has: they are left in it\n") || len(readVectors(t, file)) != 8 {
		t.Errorf("--resume: exit status %d, stderr %q", status, stderr)
	}
	other := strings.Replace(lines[2], `"index":2`, `"index":1`, 1)
	file = cmdtest.File(t, "vectors.ndjson", all+other)
	if status, _, stderr := runEmbed(t, server, "", "--file", input, "--resume", file); status != exit.Config || !strings.Contains(stderr, "line 7 has the index 1 of a line before, but is of another text") {
		t.Errorf("another text: exit status %d, stderr %q", status, stderr)
	}
	if n := len((&twins{}).notes("line", true)); n != 0 {
		t.Errorf("%d notes about nothing", n)
	}
}

func TestTwinsAreBounded(t *testing.T) {
	var many twins
	for i := range maxTwins + 10 {
		many.add(item{index: i, text: fmt.Sprint(i / 2)}, false)
	}
	if want := "524,288 lines repeat the text of an earlier one (of the first 1,048,576), and each is paid for"; !slices.Equal(many.notes("line", true), []string{want}) || len(many.notes("line", false)) != 0 {
		t.Errorf("%q; want %q", many.notes("line", true), want)
	}
}
