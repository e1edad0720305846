package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/mixedbread"
)

// embeds runs holdfast embed against a server of embeddings, and gives what it
// came to.
func embeds(t *testing.T, server *faultserver.Server, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
	t.Setenv("MIXEDBREAD_RETRY_BASE_DELAY", "1ms")
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetArgs(append([]string{"embed", "--provider", "mixedbread", "--base-url", server.URL() + "/v1"}, args...))
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	status = exit.Report(&errs, root.ExecuteContext(t.Context()))
	if strings.Contains(out.String()+errs.String(), cmdtest.Secret) {
		t.Errorf("%q shows a credential: %s%s", args, &out, &errs)
	}
	return status, out.String(), errs.String()
}

// embeddings is a server that suffers the faults.
func embeddings(t *testing.T, rules ...fault.Rule) *faultserver.Server {
	t.Helper()
	return faultserver.Start(t, fault.Plan{Rules: rules}, faultserver.Backend(faultserver.Embeddings))
}

func TestEmbedTakesTexts(t *testing.T) {
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
		status, stdout, stderr := embeds(t, server, tt.stdin, tt.args...)
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

// The same from Ollama, by a settings file: the provider is the one that it sets.
func TestEmbedByOllama(t *testing.T) {
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "1", Fault: fault.Fault{Status: 503}}}}, faultserver.Backend(faultserver.Ollama))
	settings := cmdtest.JSON(t, fmt.Sprintf(`{"providers": {"ollama": {"base_url": %q, "retry": {"base_delay": "1ms"}}}}`, server.URL()))
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"embed", "--config", settings, "--model", "nomic-embed-text", "rye", "oat"}, &stdout, &stderr)
	got := parseVectors(t, stdout.String())
	if status != 0 || len(got) != 2 || got[1].Model != "nomic-embed-text" || len(got[1].Embedding) == 0 || !strings.Contains(stderr.String(), "done 2 · failed 0 · attempts 2 · took ") {
		t.Errorf("exit status %d, stdout %q, stderr %q; want 2 embeddings after 2 attempts", status, &stdout, &stderr)
	}
}

// Every bad line is named before anything is sent; in what can be read once only,
// the first.
func TestEmbedNamesBadLines(t *testing.T) {
	server := embeddings(t)
	input := strings.Join([]string{
		`"rye"`, ``, `spelt`, `{"id": 3, "txt": "oat"}`, `{"id": [4], "text": "oat"}`, `7`, "\"\xff\"", `" "`, `{"text": 8}`, `"rye" "oat"`,
	}, "\n")
	says := []string{
		"line 2: is empty: must be a text",
		`line 3: is no JSON: must be a string or {"id": …, "text": …}`,
		`line 4: has no text: must be a string or {"id": …, "text": …}`,
		"line 5: its id: must be a string or a number",
		"line 6: has no text",
		"line 7: is no UTF-8",
		"line 8: is empty",
		"line 9: has no text",
		"line 10: is no JSON",
	}
	file := cmdtest.File(t, "bad.ndjson", input)
	status, stdout, stderr := embeds(t, server, "", "--file", file, "--out", filepath.Join(t.TempDir(), "out"))
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
		{"\"rye\"\nspelt\n", nil, "standard input: line 2: is no JSON"},
	} {
		status, stdout, stderr := embeds(t, server, tt.stdin, tt.args...)
		if status != exit.Config || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %q", tt.args, status, stdout, stderr, tt.says)
		}
	}
	if n := len(server.Record()); n != 0 {
		t.Errorf("%d requests were sent; want none", n)
	}
}

func TestEmbedWrongUse(t *testing.T) {
	input := cmdtest.File(t, "in.txt", "rye\n")
	begun := cmdtest.File(t, "begun", "{}\n")
	for _, name := range []string{"MIXEDBREAD_API_KEY", "OLLAMA_BASE_URL"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"--provider", "bedrock", "rye"}, exit.Usage, `--provider "bedrock": must be mixedbread or ollama`},
		{[]string{"rye"}, exit.Usage, "--provider is missing: must be mixedbread or ollama"},
		{[]string{"--provider", "", "rye"}, exit.Usage, "--provider is empty"},
		{[]string{"--provider", "mixedbread", "--base-url", "http://u:" + cmdtest.Secret + "@127.0.0.1", "rye"}, exit.Usage, "--base-url: the URL has a user or password in it"},
		{[]string{"--provider", "mixedbread", "--base-url", "http://127.0.0.1/?key=" + cmdtest.Secret, "rye"}, exit.Config, "BaseURL has a query"},
		{[]string{"--provider", "mixedbread", "rye"}, exit.Config, "set MIXEDBREAD_API_KEY"},
		{[]string{"--provider", "ollama", "rye"}, exit.Usage, "--model is missing"},
		{[]string{"--provider", "ollama", "--file", input, "rye"}, exit.Usage, "--file and 1 text: must be one of them"},
		{[]string{"--file", input, "--out", input}, exit.Usage, "must be two files"},
		{[]string{"--file", input, "--resume", input}, exit.Usage, "must be two files"},
		{[]string{"--out", "a", "--resume", "b", "rye"}, exit.Usage, "--out and --resume: must be one of them"},
		{[]string{"--chunk", "257", "rye"}, exit.Usage, "--chunk 257: must be 1 to 256"},
		{[]string{"--width", "0", "rye"}, exit.Usage, "--width 0: must be 1 to 64"},
		{[]string{"--width", "many", "rye"}, exit.Usage, `--width "many": must be a whole number`},
		{[]string{"--provider", "ollama", "--model", "m", "--width", "64", "rye"}, exit.Usage, "--width 64: must be at most 50"},
		{[]string{"--provider", "ollama", "--model", "m", "--file", input + ".not"}, exit.Config, "--file " + input + ".not: no such file"},
		{[]string{"--provider", "ollama", "--model", "m", "--file", t.TempDir()}, exit.Config, "is a directory"},
		{[]string{"--provider", "ollama", "--model", "m", "--resume", t.TempDir(), "rye"}, exit.Config, "is a directory"},
		{[]string{"--provider", "ollama", "--model", "m", "--resume", begun + ".not", "rye"}, exit.Config, "--resume " + begun + ".not: no such file"},
		{[]string{"--provider", "ollama", "--model", "m", "--out", begun, "rye"}, exit.Config, "--out " + begun + ": is there, and is not empty: --resume goes on with it"},
		{[]string{"--provider", "ollama", "--model", "m", "--out", t.TempDir(), "rye"}, exit.Config, "is a directory"},
		{[]string{"--config", cmdtest.JSON(t, `{"providers": {"ollama": {"base_ulr": "x"}}}`), "rye"}, exit.Config, "base_ulr"},
	} {
		var stdout, stderr bytes.Buffer
		status := program.Run(t.Context(), append([]string{"embed"}, tt.args...), &stdout, &stderr)
		if status != tt.want || stdout.Len() > 0 || strings.Contains(stderr.String(), "to go on") || !strings.Contains(stderr.String(), tt.says) || strings.Contains(stderr.String(), cmdtest.Secret) {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q; want %d and %q", tt.args, status, &stdout, &stderr, tt.want, tt.says)
		}
	}
}

// What a run goes on with: all but what is there, and nothing where that cannot be.
func TestEmbedResumes(t *testing.T) {
	server := embeddings(t)
	input := cmdtest.File(t, "in.txt", "rye\nspelt\noat\nbarley\n")
	status, all, stderr := embeds(t, server, "", "--file", input, "--chunk", "2")
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
		{"a line cut off", lines[0] + lines[1] + lines[2][:20], nil, 0, []string{"ended within a line, whose 20 bytes are dropped", "done 2 · there before 2"}, 1, 4},
		{"its first bytes", lines[2][:4], nil, 0, []string{"4 bytes are dropped"}, 2, 4},
		{"without its newline", all[:len(all)-1], nil, 0, []string{"done 0 · there before 4"}, 0, 4},
		{"another model", all, []string{"--model", "other"}, exit.Config, []string{"line 1 is of model mxbai-embed-large-v1: must be other"}, 0, -1},
		{"a foreign file", foreign, nil, exit.Config, []string{"line 1 was not written by holdfast embed"}, 0, -1},
		{"a foreign line", "a diary", nil, exit.Config, []string{"line 1 was not written by holdfast embed"}, 0, -1},
		{"a damaged line", lines[0] + lines[1][:20] + "\n" + lines[2], nil, exit.Config, []string{"line 2 was not written by holdfast embed"}, 0, -1},
		{"a text changed", strings.Replace(all, lines[2][:40], strings.Replace(lines[2][:40], `"hash":"`, `"hash":"0`, 1)[:40], 1), nil, exit.Config, nil, 0, -1},
	} {
		file := cmdtest.File(t, "vectors.ndjson", tt.begun)
		before := len(server.Record())
		status, stdout, stderr := embeds(t, server, "", append([]string{"--file", input, "--chunk", "2", "--resume", file}, tt.args...)...)
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
	// Another input does not go with the file, whether it is known before or not.
	changed := "\"rye\"\n{\"id\": 1, \"text\": \"spelt\"}\n"
	file := cmdtest.File(t, "vectors.ndjson", all)
	for _, args := range [][]string{{"--file", cmdtest.File(t, "in.ndjson", changed)}, nil} {
		status, _, stderr := embeds(t, server, changed, append(args, "--resume", file)...)
		if status != exit.Config || !strings.Contains(stderr, "text 2: was another when its embedding was made") {
			t.Errorf("exit status %d, stderr %q", status, stderr)
		}
	}
}

// What ends a batch, and what does not.
func TestEmbedStops(t *testing.T) {
	on := func(nth string, status int) fault.Rule {
		return fault.Rule{Nth: nth, Fault: fault.Fault{Status: status}}
	}
	for _, tt := range []struct {
		name string
		rule fault.Rule
		want int
		says []string
		done int
	}{
		{"a wrong key", on("", 401), exit.Failure, []string{"not authorized after 1 attempt", "401 Unauthorized; to go on", "done 0 · failed 1 · left 59 · attempts 1 "}, 0},
		{"no such model", on("3-", 404), exit.Failure, []string{"not found", "done 2 · failed 1 · left 57"}, 2},
		{"a text refused", on("2", 422), exit.Failure, []string{"holdfast: text 2: POST /v1/embeddings: invalid request", "some texts were refused; to go on", "done 59 · failed 1 · attempts 60"}, 59},
		{"a text too long", on("2", 413), exit.Failure, []string{"some texts were refused", "done 59 · failed 1"}, 59},
		{"all refused", on("", 422), exit.Failure, []string{"further failures are counted, and not told", "20 chunks in a row were refused; to go on", "done 0 · failed 20 · left 40 · attempts 20"}, 0},
		{"a bad moment", on("2-5", 500), exit.TryAgain, []string{"holdfast: text 2: POST /v1/embeddings: server error after 4 attempts", "some texts failed", "done 59 · failed 1 · attempts 63"}, 59},
		{"an outage", on("6-", 500), exit.TryAgain, []string{"the service is down (circuit breaker open until ", "done 5 · failed 10 · left 45 · attempts 45"}, 5},
		{"throttled for good", fault.Rule{Nth: "6-", Fault: fault.Fault{Status: 429}}, exit.TryAgain, []string{"20 chunks in a row failed", "done 5 · failed 20 · left 35"}, 5},
	} {
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		input := cmdtest.File(t, "in.txt", strings.Repeat("rye\n", 60))
		status, _, stderr := embeds(t, embeddings(t, tt.rule), "", "--file", input, "--chunk", "1", "--width", "1", "--out", file)
		if status != tt.want || len(readVectors(t, file)) != tt.done {
			t.Errorf("%s: exit status %d, stderr %q; want %d", tt.name, status, stderr, tt.want)
		}
		for _, say := range append(tt.says, " --resume "+file+"\n") {
			if !strings.Contains(stderr, say) {
				t.Errorf("%s: stderr %q does not say %q", tt.name, stderr, say)
			}
		}
		if n := strings.Count(stderr, "\n"); n > maxShown+5 {
			t.Errorf("%s: %d lines on stderr", tt.name, n)
		}
	}
}

// The command to go on with is the one that was given, as a shell reads it.
func TestEmbedSaysHowToGoOn(t *testing.T) {
	server := embeddings(t, fault.Rule{Nth: "2-", Fault: fault.Fault{Status: 401}})
	for _, tt := range []struct {
		stdin string
		args  []string
		says  string
	}{
		{"", []string{"--chunk", "1", "--width", "1", "--", "-rye", "it's"}, "; to go on, where FILE is what stdout was written to:\n  holdfast embed --base-url " + server.URL() + `/v1 --chunk 1 --provider mixedbread --width 1 --resume FILE -- -rye 'it'\''s'`},
		{`"rye"`, nil, "; to go on, with the same texts on stdin:\n  holdfast embed --base-url " + server.URL() + "/v1 --provider mixedbread\n"}, // nothing was written
		{"rye\n", []string{"--file", "-", "--out", "/dev/null"}, "; to go on, with the same texts on stdin:\n  holdfast embed --base-url " + server.URL() + "/v1 --file - --provider mixedbread --resume /dev/null\n"},
	} {
		if status, _, stderr := embeds(t, server, tt.stdin, tt.args...); status != exit.Failure || !strings.Contains(stderr, tt.says) {
			t.Errorf("%q: exit status %d, stderr %q; want %q", tt.args, status, stderr, tt.says)
		}
	}
	for _, word := range []string{"", "plain-1.0_a/b", "a b", "it's", "$HOME `x` \"y\" \\", "*", "~", "déjà", "a\nb"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+shellWord(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("a shell reads %s as %q (%v); want %q", shellWord(word), out, err, word)
		}
	}
}

func TestEmbedCannotWrite(t *testing.T) {
	server := embeddings(t)
	var stderr bytes.Buffer
	args := []string{"embed", "--provider", "mixedbread", "--base-url", server.URL(), "rye"}
	if status := program.Run(t.Context(), args, cmdtest.FullDisk{}, &stderr); status != exit.WriteError || !strings.Contains(stderr.String(), "writing the embeddings: ") {
		t.Errorf("exit status %d, stderr %q; want %d", status, &stderr, exit.WriteError)
	}
}

// As a process of its own: the first Ctrl-C waits for what is paid for, the second
// does not.
func TestEmbedCtrlCTwice(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{Hang: fault.BeforeAnswer}}}},
		faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
			asked <- struct{}{}
			return faultserver.Embeddings(r)
		}))
	cmd := program.Command(t, "embed", "--provider", "mixedbread", "--base-url", server.URL(), "rye")
	said := cmdtest.Await("Ctrl-C again ends at once")
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatalf("it asks nobody: %s", said)
	}
	for range 2 {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case <-said.Seen:
		case <-time.After(20 * time.Second):
			t.Fatalf("it says %q", said)
		}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: interrupt" {
		t.Errorf("it ended with %v, and said %q; want it interrupted", err, said)
	}
}

// What docs/embed.md tells of is there, and what is there it tells of.
func TestEmbedManual(t *testing.T) {
	data, err := os.ReadFile("../../docs/embed.md")
	if err != nil {
		t.Fatal(err)
	}
	cmd := newEmbed(os.LookupEnv)
	manual, help := string(data), cmd.Long
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(manual, "`--"+f.Name) {
			t.Errorf("docs/embed.md does not tell of --%s", f.Name)
		}
	})
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(manual, -1) {
		if cmd.Flags().Lookup(flag[2:]) == nil && !slices.Contains([]string{"--plan", "--backend"}, flag) {
			t.Errorf("docs/embed.md tells of %s, which there is not", flag)
		}
	}
	for _, status := range []int{0, exit.Failure, exit.Usage, exit.Config, exit.WriteError, exit.TryAgain, exit.Interrupted} {
		if !strings.Contains(help, fmt.Sprintf("\n  %3d  ", status)) || !strings.Contains(manual, fmt.Sprintf("\n| %d | ", status)) {
			t.Errorf("the help or docs/embed.md does not tell of exit status %d", status)
		}
	}
}
