package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/files"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

func TestSettled(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		why     string
		attempt faultserver.Attempt
		age     time.Duration
		limited bool
		want    bool
	}{
		{"the work is done", faultserver.Attempt{Effect: true, Delay: s}, 0, false, true},
		{"its delay is not over", faultserver.Attempt{Status: 200, Delay: s}, s, false, false},
		{"nor has the work had its moment", faultserver.Attempt{Status: 200, Delay: s}, s + grace - 1, false, false},
		{"a repeat, given the stored answer", faultserver.Attempt{Status: 200, Delay: s}, s + grace, false, true},
		{"it may be waiting for a worker", faultserver.Attempt{Status: 200}, 59 * s, true, false},
		{"a minute is enough for a worker", faultserver.Attempt{Status: 200}, 60 * s, true, true},
		{"who was refused waits for nobody", faultserver.Attempt{Status: 503}, grace, true, true},
	} {
		if got := settled(tt.attempt, tt.age, tt.limited); got != tt.want {
			t.Errorf("%s: %+v at %s is settled: %v", tt.why, tt.attempt, tt.age, got)
		}
	}
}

// book collects what a journal hands out.
type book struct{ lines []line }

func (b *book) hand(l line) { b.lines = append(b.lines, l) }

// numbers gives the lines that were handed out since the last call, as run.number.
func (b *book) numbers() string {
	var said []string
	for _, l := range b.lines {
		said = append(said, fmt.Sprintf("%d.%d", l.run, l.number))
	}
	b.lines = nil
	return strings.Join(said, " ")
}

// inBubble serves a plan from memory, with a journal and a way to send a request.
func inBubble(t *testing.T, plan fault.Plan, kept int) (j *journal, b *book, get func(path string)) {
	server := faultserver.Start(t, plan, faultserver.InMemory(), faultserver.Keep(kept))
	b = &book{}
	j = newJournal(server)
	j.hand = b.hand
	transport := &http.Transport{DialContext: server.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return j, b, func(path string) {
		resp, err := transport.RoundTrip(newRequest(t, server.URL()+path))
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
}

func newRequest(t *testing.T, url string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestJournalHandsOutEachAttemptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, b, get := inBubble(t, fault.Plan{Rules: []fault.Rule{
			{Match: fault.Match{Path: "/broken"}, Fault: fault.Fault{Status: 503}},
			{Match: fault.Match{Path: "/slow"}, Fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Second}}},
		}}, 100)
		expect := func(why, want string) {
			t.Helper()
			j.look(time.Now())
			if got := b.numbers(); got != want {
				t.Errorf("%s: handed out %q, want %q", why, got, want)
			}
		}
		expect("nothing has arrived", "")
		get("/")
		get("/")
		expect("work was done", "1.1 1.2")
		expect("once", "")
		get("/broken")
		expect("a 503 has its moment", "")
		time.Sleep(grace)
		expect("it has passed", "1.3")
		go get("/slow")
		synctest.Wait()
		get("/")
		expect("the slow one does not hold up the other", "1.5")
		time.Sleep(2 * time.Second)
		expect("the slow one has done its work", "1.4")

		get("/broken")
		if run := j.begin(); run != 2 {
			t.Errorf("begin gives run %d, want 2", run)
		}
		expect("what was open was handed out by begin", "1.6")
		get("/")
		expect("a new run", "2.1")
		get("/broken")
		j.close()
		if got := b.numbers(); got != "2.2" {
			t.Errorf("close handed out %q, want 2.2", got)
		}
		s := j.sums()
		if s.attempts != 2 || s.struck != 1 || s.missed != 0 || s.met[fault.IDStatus] != 1 || s.effects.Untracked != 1 {
			t.Errorf("sums %+v", s)
		}
	})
}

func TestJournalBehindASmallRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tick := []fault.Pace{{Latency: fault.Latency{Fixed: time.Millisecond}}} // no two at one instant
		j, b, get := inBubble(t, fault.Plan{Pace: tick}, 4)
		for range 6 {
			get("/")
		}
		j.look(time.Now())
		if got := b.numbers(); got != "1.3 1.4 1.5 1.6" {
			t.Errorf("handed out %q, want the four that are kept", got)
		}
		for range 3 {
			get("/")
		}
		j.look(time.Now())
		if got := b.numbers(); got != "1.7 1.8 1.9" {
			t.Errorf("handed out %q, want three more", got)
		}
		for range 5 {
			get("/")
		}
		j.look(time.Now())
		if got := b.numbers(); got != "1.11 1.12 1.13 1.14" {
			t.Errorf("handed out %q, want the last four", got)
		}
		if s := j.sums(); s.missed != 3 || s.attempts != 14 {
			t.Errorf("%d of %d missed, want 3 of 14", s.missed, s.attempts)
		}
		for _, tt := range []struct {
			after, most int
			numbers     string
			gone        int
		}{{0, 10, "11 12 13 14", 10}, {10, 10, "11 12 13 14", 0}, {11, 2, "12 13", 0}, {14, 2, "", 0}, {99, 2, "", 0}} {
			_, lines, gone := j.page(tt.after, tt.most)
			var numbers []string
			for _, l := range lines {
				numbers = append(numbers, fmt.Sprint(l.number))
			}
			if got := strings.Join(numbers, " "); got != tt.numbers || gone != tt.gone {
				t.Errorf("page after %d: %q and %d gone, want %q and %d", tt.after, got, gone, tt.numbers, tt.gone)
			}
		}
	})
}

func TestLineOfTheRecord(t *testing.T) {
	got, err := json.Marshal(line{2, 7, faultserver.Attempt{
		At: 1234567 * time.Nanosecond, Connection: 3, Method: "POST", Path: "/v1/\"x\"\n", RequestID: "r", Operation: "o",
		Bytes: 12, Rule: -1, Delay: 1500 * time.Microsecond, Status: 200, Effect: true}})
	want := `{"run":2,"number":7,"at_ms":1.235,"connection":3,"method":"POST","path":"/v1/\"x\"\n","request_id":"r","operation":"o",` +
		`"bytes":12,"rule":-1,"n":0,"faults":[],"delay_ms":1.5,"status":200,"effect":true}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

func TestRecordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attempts.ndjson")
	if err := os.WriteFile(file, []byte("of another day\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", cmdtest.JSON(t, `{"rules": [{"nth": "2", "fault": {"status": 503}}]}`), "--record", file)
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	for range 3 {
		cmdtest.Fetch(t, http.MethodGet, url, "", "")
	}
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d: %s", status, r.Stderr)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for object := range bytes.Lines(data) {
		var a struct{ Number, Status int }
		if err := json.Unmarshal(object, &a); err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		statuses = append(statuses, a.Number*1000+a.Status)
	}
	if fmt.Sprint(statuses) != "[1200 3200 2503]" && fmt.Sprint(statuses) != "[1200 2503 3200]" {
		t.Errorf("recorded %v in\n%s", statuses, data)
	}
}

// A record that cannot be written ends the program.
func TestRecordThatFails(t *testing.T) {
	var stdout, stderr bytes.Buffer
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	rec := newRecorder(&files.Output{File: write})
	rec.hand(line{})
	<-rec.failed
	for range 3 {
		rec.hand(line{})
	}
	if err := rec.close(0); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("close says %v, want a broken pipe", err)
	}

	// /dev/full takes no byte.
	r := program.Start(t, "Ctrl-C ends it\n", "faults", "--plan", "healthy", "--record", "/dev/full")
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	cmdtest.Fetch(t, http.MethodGet, url, "", "")
	select {
	case status := <-r.Status:
		if said := r.Stderr.String(); status != exit.Failure || !strings.Contains(said, "--record /dev/full: no space left on device") {
			t.Errorf("exit status %d, stderr %q; want %d, and no space left", status, said, exit.Failure)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("still running: stdout %q, stderr %q", &stdout, &stderr)
	}
}

// What a slow reader of a pipe has no room for is counted, and holds up nobody.
func TestRecordWithoutRoom(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	rec := newRecorder(&files.Output{File: write})
	for range 4 * recorderRoom { // far more than a pipe holds
		rec.hand(line{})
	}
	go io.Copy(io.Discard, read)
	if err := rec.close(1); err == nil || !strings.Contains(err.Error(), "attempts came too fast and are not in it") {
		t.Errorf("close says %v, want that some are missing", err)
	}
}
