package embed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// biller is a service that is paid for each text, once for each key, and declines a key that
// comes with other texts.
type biller struct {
	mu    sync.Mutex
	keys  map[string]string // texts by key
	paid  map[string]int    // times by text
	reuse int               // keys with other texts
	each  func()            // called for each request; may block
}

func (b *biller) serve(r faultserver.Request) faultserver.Answer {
	b.mu.Lock()
	key, texts := r.Header.Get("Idempotency-Key"), inputOf(r)
	all := strings.Join(texts, "\n")
	if before, is := b.keys[key]; is && before != all {
		b.reuse++
	} else if !is {
		b.keys[key] = all
		for _, text := range texts {
			b.paid[text]++
		}
	}
	each := b.each
	b.mu.Unlock()
	if each != nil {
		each()
	}
	return faultserver.Embeddings(r)
}

func startBiller(t *testing.T, each func()) (*biller, *faultserver.Server) {
	t.Helper()
	b := &biller{keys: map[string]string{}, paid: map[string]int{}, each: each}
	return b, faultserver.Start(t, fault.Plan{}, faultserver.Backend(b.serve))
}

// check checks that each of n texts was paid for once.
func (b *biller) check(t *testing.T, what string, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for text, times := range b.paid {
		if times != 1 {
			t.Errorf("%s: %q was paid for %d times", what, text, times)
			break
		}
	}
	if len(b.paid) != n || b.reuse != 0 {
		t.Errorf("%s: %d texts were paid for, %d keys came with other texts; want %d and none", what, len(b.paid), b.reuse, n)
	}
}

func complete(t *testing.T, what, file string, n int) {
	t.Helper()
	seen := map[int]bool{}
	for _, v := range readVectors(t, file) {
		if seen[v.Index] {
			t.Errorf("%s: text %d has two embeddings", what, v.Index)
		}
		seen[v.Index] = true
	}
	if len(seen) != n {
		t.Errorf("%s: %d embeddings; want %d", what, len(seen), n)
	}
}

// A process is killed while calls are in flight, and within a line. Whatever the size of a
// chunk is then, a later run asks for what was in flight with the same keys and texts, so
// nothing is paid for twice.
func TestKilled(t *testing.T) {
	const texts = 1000
	for _, chunk := range []string{"100", "30", "256"} {
		for _, torn := range []bool{false, true} {
			what := fmt.Sprintf("--chunk %s, torn %v", chunk, torn)
			var mu sync.Mutex
			requests, killed := 0, make(chan struct{})
			hang := make(chan struct{})
			bill, server := startBiller(t, func() {
				mu.Lock()
				requests++
				n := requests
				mu.Unlock()
				if n > 5 { // some answers are lost after their work was done
					if n == 8 {
						close(hang)
					}
					<-killed
				}
			})
			file := filepath.Join(t.TempDir(), "vectors.ndjson")
			lines := input(t, texts, func(int) bool { return false })
			t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
			t.Setenv("MIXEDBREAD_RETRY_MAX_RETRIES", "off")
			cmd := program.Command(t, "embed", "--provider", "mixedbread", "--base-url", server.URL()+"/v1", "--file", lines, "--width", "3", "--out", file)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-hang:
			case <-time.After(20 * time.Second):
				t.Fatal("no calls are in flight")
			}
			if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--resume", file); status != exit.TryAgain || !strings.Contains(stderr, "--resume "+file+": is in use by another run of holdfast embed") {
				t.Errorf("%s: beside it: exit status %d, stderr %s", what, status, stderr)
			}
			if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--out", file); status != exit.TryAgain || !strings.Contains(stderr, "is in use by another run") {
				t.Errorf("%s: beside it, with --out: exit status %d, stderr %s", what, status, stderr)
			}
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			close(killed)
			if torn {
				tear(t, file)
			}
			status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", chunk, "--resume", file)
			if status != 0 {
				t.Errorf("%s: exit status %d, stderr %s", what, status, stderr)
			}
			complete(t, what, file, texts)
			if torn && chunk != "100" {
				continue // the journal had no need to note the call: its lines were written
			}
			bill.check(t, what, texts)
			if _, err := os.Stat(journalPath(file)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: the journal is left (%v)", what, err)
			}
		}
	}
}

// tear cuts a file within its last line but three.
func tear(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(data)))
	if len(lines) < 100 {
		t.Fatalf("%d lines", len(lines))
	}
	last := lines[len(lines)-4]
	if err := os.WriteFile(file, []byte(strings.Join(lines[:len(lines)-4], "")+last[:len(last)/2]), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A crash in the middle of a write: the texts of the incomplete line and those after it are
// asked for with the key of their call, in a request with the same texts.
func TestTornLineKeepsItsKey(t *testing.T) {
	for _, noted := range []bool{true, false} {
		bill, server := startBiller(t, nil)
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		lines := input(t, 250, func(int) bool { return false })
		if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--out", file); status != 0 {
			t.Fatal(stderr)
		}
		keys := maps.Clone(bill.keys)
		tear(t, file)
		args := []string{"--file", lines, "--resume", file}
		if noted { // the journal that a process leaves that ended within this write
			j, _, err := openJournal(file, serviceHash(server.URL()+"/v1", "mxbai-embed-large-v1"), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			var items []item
			last := readTorn(t, file)
			for i := last / 100 * 100; i < min(last/100*100+100, 250); i++ {
				items = append(items, item{index: i})
			}
			j.begin(nil, items)
			if err := j.close(false, time.Now()); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--chunk", "7")
		}
		status, _, stderr := runEmbed(t, server, "", args...)
		if status != 0 || !strings.Contains(stderr, "ended within a line") || !strings.Contains(stderr, "done 4 · there before 246 · failed 0 · attempts 1 ") {
			t.Errorf("noted %v: exit status %d, stderr %s", noted, status, stderr)
		}
		complete(t, "torn", file, 250)
		bill.check(t, "torn", 250)
		if !maps.Equal(keys, bill.keys) {
			t.Errorf("noted %v: there is a new key", noted)
		}
	}
}

// readTorn is the index of the last complete line.
func readTorn(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := parseVectors(t, string(data[:strings.LastIndex(string(data), "\n")+1]))
	return all[len(all)-1].Index
}

// A call that failed although its work was done, or that an interrupt has cut off, keeps its
// key in a later run, whatever the size of a chunk is then.
func TestFailedCallsKeepTheirKeys(t *testing.T) {
	lost := fault.Fault{Reset: fault.BeforeAnswer, Commit: true}
	for _, tt := range []struct {
		name  string
		rules []fault.Rule
		want  int
	}{
		{"answers were lost, and then it was down", []fault.Rule{{Nth: "2-3", Fault: lost}, {Nth: "4-", Fault: fault.Fault{Status: 500}}}, exit.TryAgain},
		{"an answer was lost, and then the key was wrong", []fault.Rule{{Nth: "2", Fault: lost}, {Nth: "3-", Fault: fault.Fault{Status: 401}}}, exit.Failure},
	} {
		bill, server := startBiller(t, nil)
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		lines := input(t, 100, func(int) bool { return false })
		if err := server.SetPlan(fault.Plan{Rules: tt.rules}); err != nil {
			t.Fatal(err)
		}
		t.Setenv("MIXEDBREAD_MAX_RETRIES", "1")
		if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", "50", "--width", "1", "--out", file); status != tt.want {
			t.Errorf("%s: exit status %d, stderr %s", tt.name, status, stderr)
		}
		keys := maps.Clone(bill.keys)
		if err := server.SetPlan(fault.Plan{}); err != nil {
			t.Fatal(err)
		}
		if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", "20", "--resume", file); status != 0 {
			t.Errorf("%s: later: exit status %d, stderr %s", tt.name, status, stderr)
		}
		complete(t, tt.name, file, 100)
		if !maps.Equal(keys, bill.keys) { // the key of the chunk, of which the work was done
			t.Errorf("%s: there is a new key", tt.name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		output := filepath.Join(t.TempDir(), "vectors.ndjson")
		ctx, ctrlC := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, ctrlC)
		b, _, _ := newBatch(func(ctx context.Context, _ string) error { return takes(ctx, time.Minute) })
		b.journal, _, _ = openJournal(output, "s", time.Now())
		err := b.run(ctx, textsOf("a", "b", "c", "d", "e"), 2, &previousRun{})
		if failed := b.journal.close(err == nil, time.Now()); failed != nil || exit.StatusOf(err) != exit.Interrupted {
			t.Errorf("%v, %v", failed, err)
		}
		_, begun, err := openJournal(output, "s", time.Now())
		if err != nil || len(begun) != 2 || !slices.Equal(begun[0].indexes, []int{0, 1}) || !slices.Equal(begun[1].indexes, []int{2, 3}) {
			t.Errorf("calls %v, %v; want the two that were cut off", begun, err)
		}
	})
}

// A service that asked for an hour is not asked before, by whatever run. Later, or for
// another service, it is.
func TestKeepsToTheWait(t *testing.T) {
	server := embeddings(t, fault.Rule{Nth: "3-", Fault: fault.Fault{Status: 429, RetryAfter: time.Hour}})
	file := filepath.Join(t.TempDir(), "vectors.ndjson")
	lines := input(t, 20, func(int) bool { return false })
	status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", "5", "--width", "1", "--out", file)
	if status != exit.TryAgain || !strings.Contains(stderr, "done 10 · failed 5 · left 5 · attempts 3 ") ||
		!strings.Contains(stderr, "holdfast: the service asked to wait until ") || !strings.Contains(stderr, " (1 h); to continue then:\n") {
		t.Errorf("exit status %d, stderr %s", status, stderr)
	}
	if err := server.SetPlan(fault.Plan{}); err != nil {
		t.Fatal(err)
	}
	status, _, stderr = runEmbed(t, server, "", "--file", lines, "--resume", file)
	if status != exit.TryAgain || !strings.Contains(stderr, " (1 h); nothing was sent\n") || len(server.Record()) != 3 {
		t.Errorf("at once: exit status %d, stderr %s, %d requests", status, stderr, len(server.Record()))
	}
	state := journalPath(file)
	was, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	other := embeddings(t)
	copied := cmdtest.File(t, "vectors.ndjson", readFile(t, file))
	if err := os.WriteFile(journalPath(copied), was, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := runEmbed(t, other, "", "--file", lines, "--resume", copied); status != 0 {
		t.Errorf("another service: exit status %d, stderr %s", status, stderr)
	}
	for _, until := range []time.Time{time.Now().Add(-time.Minute), time.Now().Add(48 * time.Hour)} { // past, and beyond the bound
		j := &journal{path: state, service: serviceHash(server.URL()+"/v1", "mxbai-embed-large-v1"), until: until}
		j.writeHead()
		_ = j.file.Close()
		if j, _, err := openJournal(file, j.service, time.Now()); err != nil || !j.until.IsZero() {
			t.Errorf("until %v: %v, %v; want it ignored", until, j, err)
		}
	}
	if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--resume", file); status != 0 || !strings.Contains(stderr, "done 10 · there before 10 ") {
		t.Errorf("later: exit status %d, stderr %s", status, stderr)
	}
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is left (%v)", err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A journal is bounded: the oldest failed call makes room for a new one. Another file of that
// name is left alone, and a damaged line is no call.
func TestJournal(t *testing.T) {
	output := filepath.Join(t.TempDir(), "out")
	now := time.Now()
	j, begun, err := openJournal(output, "s", now)
	if err != nil || len(begun) != 0 {
		t.Fatal(begun, err)
	}
	if err := j.close(false, now); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(journalPath(output)); err == nil {
		t.Error("a journal of nothing has a file")
	}
	for i := range maxCalls + 10 {
		s := j.begin(nil, []item{{index: i}, {index: i + 255}})
		if s == nil {
			t.Fatalf("no room for call %d", i)
		}
		j.keep(s)
	}
	j.wait(now.Add(57*365*24*time.Hour), now)
	if err := j.close(false, now); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(journalPath(output)); err != nil || info.Size() != (1+maxCalls)*entrySize {
		t.Errorf("%v, %v; want %d bytes", info, err, (1+maxCalls)*entrySize)
	}
	j, begun, err = openJournal(output, "s", now)
	if err != nil || len(begun) != maxCalls || !slices.Equal(begun[20].indexes, []int{20, 275}) || !slices.Equal(begun[0].indexes, []int{maxCalls, maxCalls + 255}) {
		t.Errorf("%d calls, %v", len(begun), err)
	}
	if left := j.until.Sub(now); left > maxUntil || left < maxUntil-time.Minute {
		t.Errorf("it waits %v; want at most %v", left, maxUntil)
	}
	for _, call := range begun {
		j.free(call.entry)
	}
	if err := j.close(false, now.Add(maxUntil)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(journalPath(output)); err == nil {
		t.Error("the file is left, although nothing is noted")
	}
	j = &journal{path: filepath.Join(t.TempDir(), "no such folder", "out.state")}
	j.keep(j.begin(nil, []item{{index: 1}}))
	if err := j.close(false, now); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a journal without a folder: %v", err)
	}
	for _, text := range []string{"my diary", `{"holdfast embed":2}`, "{}"} {
		if err := os.WriteFile(journalPath(output), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := openJournal(output, "s", now); err == nil || !strings.Contains(err.Error(), "was not written by holdfast embed") || readFile(t, journalPath(output)) != text {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, line := range []string{"", "{", `{"from":-1,"texts":"01"}`, `{"from":1,"texts":"x"}`, `{"from":1,"texts":"00"}`, strings.Repeat(" ", entrySize)} {
		if got, ok := callIndexes([]byte(line)); ok {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// A whole chunk is asked for before its halves, and calls with all their embeddings are not.
func TestBegunBefore(t *testing.T) {
	p := &previousRun{}
	for _, index := range []int{10, 11, 20} {
		p.done.add(index, 1)
	}
	half, whole, done, part := begunCall{indexes: []int{0, 1}}, begunCall{indexes: []int{0, 1, 2, 3}}, begunCall{indexes: []int{10, 11}}, begunCall{indexes: []int{20, 21}}
	for _, c := range []*begunCall{&half, &whole, &done, &part} {
		c.entry = new(entry)
	}
	begun, finished := p.begunBefore([]begunCall{half, done, whole, part}, 100)
	if len(begun) != 2 || begun[0].entry != whole.entry || begun[1].entry != part.entry || !slices.Contains(finished, half.entry) || !slices.Contains(finished, done.entry) {
		t.Errorf("%v, %v", begun, finished)
	}
}

// A journal that holdfast embed cannot have written is not read further than a journal can
// be, and nothing is sent.
func TestForeignJournals(t *testing.T) {
	server := embeddings(t)
	input := cmdtest.File(t, "in.txt", "rye\n")
	head := fmt.Sprintf("%-127s\n", `{"holdfast embed":1,"service":""}`)
	call := fmt.Sprintf("%-127s\n", `{"from":0,"texts":"01"}`)
	blank := string(blankLines(1))
	for _, tt := range []struct {
		name, text string
		size       int64 // the file has a hole up to here
		says       string
	}{
		{"a hole", head + call, int64(2*len(head) + 128*1000), "is damaged in line 3: without it a call may be paid for again; to continue so, remove it"},
		{"gigabytes", head + call, 8 << 30, "has more than 131,200 bytes: was not written by holdfast embed: must be moved away"},
		{"only a hole", "", 128 * 1024, "was not written by holdfast embed"},
		{"a damaged call", head + call + strings.Replace(call, "from", "form\x00", 1)[:128] + call, 0, "is damaged in line 3"},
		{"too many texts", head + fmt.Sprintf("%-127s\n", `{"from":0,"texts":"`+strings.Repeat("f", 66)+`"}`), 0, "is damaged in line 2"},
		{"blank lines", head + blank + call + blank, 0, ""},
		{"a last line cut off", head + call + call[:20], 0, ""},
		{"nothing", "", 0, ""},
	} {
		file := filepath.Join(t.TempDir(), "vectors.ndjson")
		for path, text := range map[string]string{file: "", journalPath(file): tt.text} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if tt.size > 0 {
			if err := os.Truncate(journalPath(file), tt.size); err != nil {
				t.Fatal(err)
			}
		}
		before := len(server.Record())
		status, _, stderr := runEmbed(t, server, "", "--file", input, "--resume", file)
		if asked := len(server.Record()) - before; tt.says != "" && (status != exit.Config || !strings.Contains(stderr, tt.says) || asked != 0) || tt.says == "" && (status != 0 || asked != 1) {
			t.Errorf("%s: exit status %d, stderr %s, %d requests; want %q", tt.name, status, stderr, asked, tt.says)
		}
	}
}

// A line that is incomplete, and of which no call is noted, tells the last call. The call is
// noted before the line is removed: the run may end in between.
func TestNotesATornCallFirst(t *testing.T) {
	bill, server := startBiller(t, nil)
	file := filepath.Join(t.TempDir(), "vectors.ndjson")
	lines := input(t, 250, func(int) bool { return false })
	if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--out", file); status != 0 {
		t.Fatal(stderr)
	}
	tear(t, file)
	const model = "mxbai-embed-large-v1"
	previous, err := openPrevious(t.Context(), file, model)
	if err != nil {
		t.Fatal(err)
	}
	o := &options{resume: file, model: model, chunk: 100}
	cfg := holdfast.Config{BaseURL: server.URL() + "/v1"}
	if _, err := o.openJournal(previous.file, cfg, previous); err != nil {
		t.Fatal(err)
	}
	if err := previous.repair(); err != nil {
		t.Fatal(err)
	}
	previous.file.Close() // as a SIGKILL does
	if status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", "7", "--resume", file); status != 0 {
		t.Error(stderr)
	}
	complete(t, "torn", file, 250)
	bill.check(t, "torn", 250)
}

// FuzzJournal: whatever a file has that is called as a journal, it is read within bounds. What
// is noted after that is read again.
func FuzzJournal(f *testing.F) {
	head := fmt.Sprintf("%-127s\n", `{"holdfast embed":1,"service":"s","until":"2026-01-02T03:04:05Z"}`)
	call := fmt.Sprintf("%-127s\n", `{"from":7,"texts":"ff01"}`)
	for _, text := range []string{"", head, head[:70], head + call, head + call + string(blankLines(2)), head + call[:50], head + "\x00", call, strings.Repeat(head, 3)} {
		f.Add([]byte(text))
	}
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), (1+maxCalls)*entrySize)]
		file := memory(slices.Clone(data))
		j := &journal{service: "s", file: &file}
		begun, err := j.parse(data, now)
		if err != nil {
			if text := err.Error(); strings.ContainsAny(text, "\n\r\x1b") || len(text) > 200 {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if len(begun) > maxCalls || len(j.entries) > maxCalls || j.until.After(now.Add(maxUntil+time.Minute)) {
			t.Fatalf("%d calls, %d entries, until %v", len(begun), len(j.entries), j.until)
		}
		for _, call := range begun {
			if n := len(call.indexes); n == 0 || n > 256 || call.indexes[0] < 0 || call.indexes[n-1] > maxTexts+1024 || !slices.IsSorted(call.indexes) {
				t.Fatalf("a call of %v", call.indexes)
			}
		}
		noted := len(begun)
		if j.begin(nil, []item{{index: 3}, {index: 90}}) != nil {
			noted++
		}
		again, err := (&journal{service: "s"}).parse(file, now)
		if err != nil || j.err != nil || len(again) != noted {
			t.Errorf("%q: %d calls, then %d, read again as %d (%v, %v)", data, len(begun), noted, len(again), j.err, err)
		}
	})
}

// memory is the file of a journal.
type memory []byte

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(*m) {
		*m = append(*m, make([]byte, need-len(*m))...)
	}
	return copy((*m)[at:], p), nil
}
func (m *memory) Close() error { return nil }
func (m *memory) Sync() error  { return nil }
