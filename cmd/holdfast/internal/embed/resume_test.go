package embed

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
)

// A run makes the missing embeddings only, and none if the file is unusable.
func TestResumes(t *testing.T) {
	server := embeddings(t)
	input := cmdtest.File(t, "in.txt", "rye\nspelt\noat\nbarley\n")
	status, all, stderr := runEmbed(t, server, "", "--file", input, "--chunk", "2")
	if status != 0 {
		t.Fatalf("exit status %d, %q", status, stderr)
	}
	lines := slices.Collect(strings.Lines(all))
	foreign := "a diary\nwith a last line"
	for _, tt := range []struct {
		name  string
		begun string
		args  []string
		want  int
		says  []string
		asked int // calls
		after int // embeddings; -1: the file is as it was
	}{
		{"nothing", "", nil, 0, []string{"done 4 · failed 0 · attempts 2"}, 2, 4},
		{"all", all, nil, 0, []string{"done 0 · there before 4 · failed 0 · attempts 0"}, 0, 4},
		{"in another order", lines[3] + lines[0], nil, 0, []string{"done 2 · there before 2"}, 2, 4},
		{"a line cut off", lines[0] + lines[1] + lines[2][:20], nil, 0, []string{"ended within a line, and its 20 bytes are removed", "done 2 · there before 2"}, 1, 4},
		{"its first bytes", lines[2][:4], nil, 0, []string{"4 bytes are removed"}, 2, 4},
		{"without its newline", all[:len(all)-1], nil, 0, []string{"done 0 · there before 4"}, 0, 4},
		{"another model", all, []string{"--model", "other"}, exit.Config, []string{"line 1 is of model mxbai-embed-large-v1: must be other"}, 0, -1},
		{"a foreign file", foreign, nil, exit.Config, []string{"line 1 was not written by holdfast embed"}, 0, -1},
		{"a foreign line", "a diary", nil, exit.Config, []string{"line 1 was not written by holdfast embed"}, 0, -1},
		{"a damaged line", lines[0] + lines[1][:20] + "\n" + lines[2], nil, exit.Config, []string{"line 2 was not written by holdfast embed"}, 0, -1},
		{"a text changed", strings.Replace(all, lines[2][:40], strings.Replace(lines[2][:40], `"hash":"`, `"hash":"0`, 1)[:40], 1), nil, exit.Config, nil, 0, -1},
	} {
		file := cmdtest.File(t, "vectors.ndjson", tt.begun)
		before := len(server.Record())
		status, stdout, stderr := runEmbed(t, server, "", append([]string{"--file", input, "--chunk", "2", "--resume", file}, tt.args...)...)
		if status != tt.want || stdout != "" {
			t.Errorf("%s: exit status %d, stdout %q, stderr %q; want %d", tt.name, status, stdout, stderr, tt.want)
		}
		for _, say := range tt.says {
			if !strings.Contains(stderr, say) {
				t.Errorf("%s: stderr %q does not say %q", tt.name, stderr, say)
			}
		}
		if asked := len(server.Record()) - before; asked != tt.asked {
			t.Errorf("%s: %d calls; want %d", tt.name, asked, tt.asked)
		}
		if data, err := os.ReadFile(file); tt.after < 0 {
			if err != nil || string(data) != tt.begun {
				t.Errorf("%s: the file was changed: %q (%v)", tt.name, data, err)
			}
			continue
		}
		got := readVectors(t, file)
		slices.SortFunc(got, func(a, b vector) int { return a.Index - b.Index })
		for i, v := range got {
			if v.Index != i {
				t.Errorf("%s: embedding %d is of text %d", tt.name, i, v.Index)
			}
		}
		if len(got) != tt.after {
			t.Errorf("%s: %d embeddings; want %d", tt.name, len(got), tt.after)
		}
	}
	// The input must be that of the file, whether it can be read twice or not.
	changed := "\"rye\"\n{\"id\": 1, \"text\": \"spelt\"}\n"
	file := cmdtest.File(t, "vectors.ndjson", all)
	for _, args := range [][]string{{"--file", cmdtest.File(t, "in.ndjson", changed)}, nil} {
		status, _, stderr := runEmbed(t, server, changed, append(args, "--resume", file)...)
		if status != exit.Config || !strings.Contains(stderr, "text 2: has changed since its embedding was made") {
			t.Errorf("exit status %d, stderr %q", status, stderr)
		}
	}
}
