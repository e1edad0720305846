package embed

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

var kills = flag.Int("kills", 40, "the SIGKILLs of TestKilledAtRandom")

// moment kills a process at the n-th request after arm, a little later.
type moment struct {
	mu    sync.Mutex
	left  int // requests
	after time.Duration
	timer *time.Timer
	kill  func()
}

func (m *moment) arm(requests int, after time.Duration, kill func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.after, m.kill = requests, after, kill
	if requests == 0 {
		m.timer = time.AfterFunc(after, kill)
	}
}

// request counts a request of the process.
func (m *moment) request() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left == 0 {
		m.timer = time.AfterFunc(m.after, m.kill)
	}
}

func (m *moment) disarm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = 0
	if m.timer != nil {
		m.timer.Stop()
	}
}

// Processes are killed at random moments: while they start, read the file, wait for answers,
// write lines or note calls. The size of a chunk and the number of calls change from run to
// run, and one answer in twenty is lost. Every text gets one embedding and is paid for once.
// With go test -v -args -kills 400 it kills as often, and prints its figures.
func TestKilledAtRandom(t *testing.T) {
	const texts = 1500
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d", seed)
	t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
	t.Setenv("MIXEDBREAD_RETRY_BASE_DELAY", "1ms")
	t.Setenv("MIXEDBREAD_RETRY_MAX_DELAY", "5ms")
	t.Setenv("MIXEDBREAD_RETRY_MAX_RETRIES", "10")
	killed, runs, files, torn, inFlight, lost, twice := 0, 0, 0, 0, 0, 0, 0
	for killed < *kills && !t.Failed() {
		var when moment
		bill := &biller{keys: map[string]string{}, paid: map[string]int{}, each: when.request}
		server := faultserver.Start(t, fault.Plan{
			Seed:  seed,
			Pace:  []fault.Pace{{Latency: fault.Latency{Uniform: &fault.Uniform{Max: 4 * time.Millisecond}}}},
			Rules: []fault.Rule{{Probability: 0.05, Fault: fault.Fault{Reset: fault.BeforeAnswer, Commit: true}}},
		}, faultserver.Backend(func(r faultserver.Request) faultserver.Answer {
			answer := bill.serve(r)
			if body, ok := bytes.CutPrefix(r.Body, []byte("{")); ok { // long lines, so that a kill can tear one
				r.Body = append([]byte(`{"dimensions":256,`), body...)
				answer = faultserver.Embeddings(r)
			}
			return answer
		}))
		lines, file := input(t, texts, func(int) bool { return false }), filepath.Join(t.TempDir(), "vectors.ndjson")
		for {
			flag := "--resume"
			if info, err := os.Stat(file); err != nil || info.Size() == 0 {
				flag = "--out"
			}
			cmd := program.Command(t, "embed", "--provider", "mixedbread", "--base-url", server.URL()+"/v1", "--file", lines,
				"--chunk", []string{"100", "7", "30", "256"}[random.IntN(4)], "--width", strconv.Itoa(1+random.IntN(4)), flag, file)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := func() { _ = cmd.Process.Kill() }
			switch {
			case killed >= *kills: // now to the end
			case random.IntN(4) == 0:
				when.arm(0, time.Duration(random.Int64N(int64(150*time.Millisecond))), kill)
			default:
				when.arm(1+random.IntN(8), time.Duration(random.Int64N(int64(40*time.Millisecond))), kill)
			}
			err := cmd.Wait()
			when.disarm()
			runs++
			var ended *exec.ExitError
			if errors.As(err, &ended) && ended.ExitCode() == -1 {
				killed++
				if state, err := os.ReadFile(journalPath(file)); err == nil && bytes.Contains(state, []byte(`"from"`)) {
					inFlight++
				}
				if data, err := os.ReadFile(file); err == nil && len(data) > 0 && data[len(data)-1] != '\n' {
					torn++
				}
				continue
			}
			if err == nil {
				break
			}
			if ended == nil || ended.ExitCode() != exit.TryAgain {
				t.Fatalf("it ended with %v: %s", err, &stderr)
			}
		}
		files++
		complete(t, "killed", file, texts)
		bill.check(t, "killed", texts)
		for _, n := range bill.paid {
			twice += n - 1
		}
		if _, err := os.Stat(journalPath(file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the journal is left (%v)", err)
		}
		lost += server.Effects().Resent
		server.Close()
	}
	if inFlight == 0 || lost == 0 {
		t.Errorf("%d processes were killed while a call was in flight, and %d answers were lost: nothing was put to the test", inFlight, lost)
	}
	t.Logf("%s in %s, %s with calls in flight, %s within a line, %s after their work was done: %s texts in %s, %d paid for twice",
		format.Plural(killed, "SIGKILL"), format.Plural(runs, "run"), format.Number(inFlight), format.Number(torn), format.Plural(lost, "request"), format.Number(files*texts), format.Plural(files, "file"), twice)
}

// A disk that becomes full, here by a limit of the size of a file, cuts off a chunk. A later
// run asks for the whole chunk with the same key, whatever the size of a chunk is then.
func TestDiskIsFull(t *testing.T) {
	for _, blocks := range []int{21, 33, 50} { // of 1,024 bytes
		bill, server := startBiller(t, nil)
		file, lines := filepath.Join(t.TempDir(), "vectors.ndjson"), input(t, 1000, func(int) bool { return false })
		t.Setenv("MIXEDBREAD_API_KEY", cmdtest.Secret)
		embed := program.Command(t, "embed", "--provider", "mixedbread", "--base-url", server.URL()+"/v1", "--file", lines, "--out", file)
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec "$@"`, blocks), "bash"}, embed.Args...)...)
		cmd.Env = embed.Env
		said, err := cmd.CombinedOutput()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != exit.WriteError || !strings.Contains(string(said), "holdfast: writing the embeddings: file too large; to continue:\n") {
			t.Fatalf("%d: %v, %s", blocks, err, said)
		}
		if data := readFile(t, file); len(data) != blocks*1024 || strings.HasSuffix(data, "\n") {
			t.Fatalf("%d: the file has %d bytes; want them cut off within a line", blocks, len(data))
		}
		status, _, stderr := runEmbed(t, server, "", "--file", lines, "--chunk", "7", "--resume", file)
		if status != 0 || !strings.Contains(stderr, "ended within a line") {
			t.Errorf("%d: exit status %d, stderr %s", blocks, status, stderr)
		}
		complete(t, "full", file, 1000)
		bill.check(t, "full", 1000)
	}
}
