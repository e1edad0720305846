package embed

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

func textsOf(args ...string) *source { return &source{name: "args", args: args, close: func() {}} }

// A Read of a terminal ends when a line is typed. An interrupt does not wait for it.
func TestInterruptedStdin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, typist := io.Pipe()
		defer typist.Close()
		ctx, ctrlC := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, ctrlC)
		s, err := (&options{}).openSource(nil, silent)
		if err != nil {
			t.Fatal(err)
		}
		b, _, _ := newBatch(func(context.Context, string) error { return nil })
		began := time.Now()
		if err := b.run(ctx, s, 1, &previousRun{}); exit.StatusOf(err) != exit.Interrupted || time.Since(began) != time.Second {
			t.Errorf("%v after %v; want an interrupt after 1s", err, time.Since(began))
		}
	})
}

func TestTexts(t *testing.T) {
	server := embeddings(t)
	lines := "rye\r\n spelt & <oat> \n"
	objects := "\ufeff{\"id\": \"a<\", \"text\": \"rye\"}\n{\"id\": 7, \"title\": \"x\", \"text\": \" spelt & <oat> \"}\n\"barley\"\n{\"id\": null, \"text\": \"d\u00e9j\u00e0\"}"
	for _, tt := range []struct {
		stdin string
		args  []string
		ids   []string
		texts []string
	}{
		{"", []string{"rye", " spelt & <oat> "}, []string{"", ""}, []string{"rye", " spelt & <oat> "}},
		{"", []string{"--", "--rye"}, []string{""}, []string{"--rye"}},
		{"", []string{"--file", cmdtest.File(t, "a.txt", lines)}, []string{"", ""}, []string{"rye", " spelt & <oat> "}},
		{lines, []string{"--file", "-"}, []string{"", ""}, []string{"rye", " spelt & <oat> "}},
		{"", []string{"--file", cmdtest.File(t, "a.NDJSON", objects)}, []string{`"a<"`, "7", "", ""}, []string{"rye", " spelt & <oat> ", "barley", "d\u00e9j\u00e0"}},
		{objects, []string{"--chunk", "1", "--width", "3"}, []string{`"a<"`, "7", "", ""}, []string{"rye", " spelt & <oat> ", "barley", "d\u00e9j\u00e0"}},
		{objects, []string{"--out", "-", "--chunk", "3"}, []string{`"a<"`, "7", "", ""}, []string{"rye", " spelt & <oat> ", "barley", "d\u00e9j\u00e0"}},
		{"", nil, nil, nil},
	} {
		status, stdout, stderr := runEmbed(t, server, tt.stdin, tt.args...)
		got := parseVectors(t, stdout)
		if status != 0 || len(got) != len(tt.texts) || !strings.HasPrefix(stderr, fmt.Sprintf("holdfast: done %d · failed 0 · attempts ", len(tt.texts))) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d embeddings", tt.args, status, stdout, stderr, len(tt.texts))
			continue
		}
		for i, v := range got {
			if v.Index != i || string(v.ID) != tt.ids[i] || v.Model != mixedbread.DefaultModel || !slices.Equal(v.Embedding, vectorOf(t, tt.texts[i])) {
				t.Errorf("%q: line %d is %+v; want id %s and the vector of %q", tt.args, i+1, v, tt.ids[i], tt.texts[i])
			}
		}
	}
}

// Every bad line is reported before anything is sent. If the input can be read only once,
// the first bad line ends the run.
func TestBadLines(t *testing.T) {
	server := embeddings(t)
	input := strings.Join([]string{
		`"rye"`, ``, `spelt`, `{"id": 3, "txt": "oat"}`, `{"id": [4], "text": "oat"}`, `7`, "\"\xff\"", `" "`, `{"text": 8}`, `"rye" "oat"`,
	}, "\n")
	says := []string{
		"line 2: is empty: must be a text",
		`line 3: is not JSON: must be a string or {"id": …, "text": …}`,
		`line 4: has no text: must be a string or {"id": …, "text": …}`,
		"line 5: its id: must be a string or a number",
		"line 6: has no text",
		"line 7: is not UTF-8",
		"line 8: is empty",
		"line 9: has no text",
		"line 10: is not JSON",
	}
	file := cmdtest.File(t, "bad.ndjson", input)
	status, stdout, stderr := runEmbed(t, server, "", "--file", file, "--out", filepath.Join(t.TempDir(), "out"))
	if status != exit.Config || stdout != "" || !strings.Contains(stderr, file+": 9 bad lines; nothing was sent\n") {
		t.Errorf("exit status %d, %q, %q", status, stdout, stderr)
	}
	for _, say := range says {
		if !strings.Contains(stderr, "\n  "+say) {
			t.Errorf("stderr %q does not say %q", stderr, say)
		}
	}
	for _, tt := range []struct {
		stdin string
		args  []string
		says  string
	}{
		{"", []string{"rye", ""}, "the arguments: 1 bad line; nothing was sent\n  text 2: is empty"},
		{"", []string{"--file", cmdtest.File(t, "a.txt", "rye\n"+strings.Repeat("x", maxText+1))}, "line 2: has more than 1,048,576 bytes; nothing was sent"},
		{"", []string{"--file", cmdtest.File(t, "a.txt", strings.Repeat("\n", 13))}, "\n  line 10: is empty: must be a text\n  and 3 more\n"},
		{"\"rye\"\nspelt\n", nil, "standard input: line 2: is not JSON"},
	} {
		status, stdout, stderr := runEmbed(t, server, tt.stdin, tt.args...)
		if status != exit.Config || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %q", tt.args, status, stdout, stderr, tt.says)
		}
	}
	if n := len(server.Record()); n != 0 {
		t.Errorf("%d requests were sent; want none", n)
	}
}
