package record

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		{"a request that was declined does not wait", faultserver.Attempt{Status: 503}, grace, true, true},
	} {
		if got := settled(tt.attempt, tt.age, tt.limited); got != tt.want {
			t.Errorf("%s: %+v at %s is settled: %v", tt.why, tt.attempt, tt.age, got)
		}
	}
}

// collector collects the settled attempts.
type collector struct{ lines []Line }

func (b *collector) add(l Line) { b.lines = append(b.lines, l) }

// numbers lists the lines since the last call, as run.number.
func (b *collector) numbers() string {
	var said []string
	for _, l := range b.lines {
		said = append(said, fmt.Sprintf("%d.%d", l.Run, l.Number))
	}
	b.lines = nil
	return strings.Join(said, " ")
}

// track serves a plan from memory, and returns a tracker and a function that sends a
// request.
func track(t *testing.T, plan fault.Plan, kept int) (tr *Tracker, b *collector, get func(path string)) {
	server := faultserver.Start(t, plan, faultserver.InMemory(), faultserver.Keep(kept))
	b = &collector{}
	tr = NewTracker(server)
	tr.OnSettled = b.add
	transport := &http.Transport{DialContext: server.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return tr, b, func(path string) {
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

func TestTrackerReportsEachAttemptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, b, get := track(t, fault.Plan{Rules: []fault.Rule{
			{Match: fault.Match{Path: "/broken"}, Fault: fault.Fault{Status: 503}},
			{Match: fault.Match{Path: "/slow"}, Fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Second}}},
		}}, 100)
		expect := func(why, want string) {
			t.Helper()
			tr.Look(time.Now())
			if got := b.numbers(); got != want {
				t.Errorf("%s: reported %q, want %q", why, got, want)
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
		if run := tr.Begin(); run != 2 {
			t.Errorf("begin gives run %d, want 2", run)
		}
		expect("what was open was reported by begin", "1.6")
		get("/")
		expect("a new run", "2.1")
		get("/broken")
		tr.Close()
		if got := b.numbers(); got != "2.2" {
			t.Errorf("close reported %q, want 2.2", got)
		}
		s := tr.Summary()
		if s.Attempts != 2 || s.Struck != 1 || s.Missed != 0 || s.Met[fault.IDStatus] != 1 || s.Effects.Untracked != 1 {
			t.Errorf("sums %+v", s)
		}
	})
}

func TestTrackerMissesAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tick := []fault.Pace{{Latency: fault.Latency{Fixed: time.Millisecond}}} // no two at one instant
		tr, b, get := track(t, fault.Plan{Pace: tick}, 4)
		for range 6 {
			get("/")
		}
		tr.Look(time.Now())
		if got := b.numbers(); got != "1.3 1.4 1.5 1.6" {
			t.Errorf("reported %q, want the four that are kept", got)
		}
		for range 3 {
			get("/")
		}
		tr.Look(time.Now())
		if got := b.numbers(); got != "1.7 1.8 1.9" {
			t.Errorf("reported %q, want three more", got)
		}
		for range 5 {
			get("/")
		}
		tr.Look(time.Now())
		if got := b.numbers(); got != "1.11 1.12 1.13 1.14" {
			t.Errorf("reported %q, want the last four", got)
		}
		if s := tr.Summary(); s.Missed != 3 || s.Attempts != 14 {
			t.Errorf("%d of %d missed, want 3 of 14", s.Missed, s.Attempts)
		}
		for _, tt := range []struct {
			after, most int
			numbers     string
			gone        int
		}{{0, 10, "11 12 13 14", 10}, {10, 10, "11 12 13 14", 0}, {11, 2, "12 13", 0}, {14, 2, "", 0}, {99, 2, "", 0}} {
			_, lines, gone := tr.Page(tt.after, tt.most)
			var numbers []string
			for _, l := range lines {
				numbers = append(numbers, fmt.Sprint(l.Number))
			}
			if got := strings.Join(numbers, " "); got != tt.numbers || gone != tt.gone {
				t.Errorf("page after %d: %q and %d gone, want %q and %d", tt.after, got, gone, tt.numbers, tt.gone)
			}
		}
	})
}
