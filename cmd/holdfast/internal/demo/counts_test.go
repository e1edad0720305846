package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/faultserver"
)

const ms = time.Millisecond

func TestAttemptsWhileOpen(t *testing.T) {
	changes := []stateChange{
		{at: 100 * ms, epoch: 1, to: holdfast.Open, retryAt: 600 * ms},
		{at: 600 * ms, epoch: 2, to: holdfast.HalfOpen},
		{at: 610 * ms, epoch: 3, to: holdfast.Open, retryAt: 1110 * ms},
		{at: 1112 * ms, epoch: 4, to: holdfast.HalfOpen},
		{at: 1130 * ms, epoch: 5, to: holdfast.Closed},
	}
	tests := []struct {
		name  string
		a     attempt
		wrong bool
	}{
		{"before it opened", attempt{at: 99 * ms}, false},
		{"in the very moment", attempt{at: 100 * ms}, false},
		{"while open", attempt{at: 101 * ms}, true},
		{"a probe in half-open", attempt{at: 601 * ms, probe: true, permit: 600 * ms}, false},
		{"a permit of the half-open before, after a probe failed", attempt{at: 611 * ms, probe: true, permit: 601 * ms}, true},
		{"the permit that made it half-open, its clock read before", attempt{at: 1111 * ms, probe: true, permit: 1111 * ms}, false},
		{"the same instant without a permit", attempt{at: 1111 * ms}, true},
		{"a permit that came before its time", attempt{at: 1109 * ms, probe: true, permit: 1109 * ms}, true},
		{"closed again", attempt{at: 1131 * ms}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guarded := measurement{calls: make([]call, 1), changes: changes}
			guarded.calls[0].attempts = []attempt{tt.a}
			var c counts
			c.countBreaker(newScript(usualLength), guarded)
			if got := c.AttemptsWhileOpen > 0; got != tt.wrong {
				t.Errorf("counted: %v, want %v", got, tt.wrong)
			}
		})
	}
	// The breaker stays open until the end.
	guarded := measurement{calls: make([]call, 1), changes: changes[:1]}
	guarded.calls[0].attempts = []attempt{{at: time.Hour}}
	var c counts
	if c.countBreaker(newScript(usualLength), guarded); c.AttemptsWhileOpen != 1 {
		t.Errorf("an attempt after the last opening: counted %d times, want 1", c.AttemptsWhileOpen)
	}
}

func TestPermits(t *testing.T) {
	tests := []struct {
		name                    string
		permits                 []permit
		attempts                []attempt
		ending                  result
		stood, void, made, most int
	}{
		{"one attempt", []permit{{1 * ms, 0, 1}}, []attempt{{at: 2 * ms, probe: true}}, answered, 1, 0, 1, 1},
		{"another probe failed in between", []permit{{1 * ms, 0, 0}}, nil, rejected, 0, 1, 0, 0},
		{"the breaker closed in between", []permit{{1 * ms, 0, 0}}, []attempt{{at: 2 * ms}}, answered, 0, 1, 0, 0},
		{"forgotten", []permit{{1 * ms, 0, 0}}, nil, failed, 1, 0, 0, 0},
		{"forgotten after an attempt", []permit{{3 * ms, 1, 0}}, []attempt{{at: 2 * ms}}, failed, 1, 0, 0, 0},
		{"used twice", []permit{{1 * ms, 0, 2}}, []attempt{{at: 2 * ms, probe: true}, {at: 3 * ms, probe: true}}, answered, 1, 0, 2, 2},
		{"an attempt without one", nil, []attempt{{at: 2 * ms, probe: true}}, answered, 0, 0, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guarded := measurement{calls: make([]call, 1)}
			one := &guarded.calls[0]
			one.permits, one.attempts, one.result = tt.permits, tt.attempts, tt.ending
			var c counts
			c.countBreaker(newScript(usualLength), guarded)
			if c.HalfOpenPermits != tt.stood || c.HalfOpenVoid != tt.void || c.HalfOpenAttempts != tt.made || c.HalfOpenMost != tt.most {
				t.Errorf("%d stood, %d void, %d attempts, at most %d with one; want %d, %d, %d, %d",
					c.HalfOpenPermits, c.HalfOpenVoid, c.HalfOpenAttempts, c.HalfOpenMost, tt.stood, tt.void, tt.made, tt.most)
			}
		})
	}
}

func TestRecoveredAfter(t *testing.T) {
	back := newScript(usualLength).recovery().From
	at := func(after time.Duration, to holdfast.State) stateChange { return stateChange{at: back + after, to: to} }
	for _, tt := range []struct {
		name    string
		changes []stateChange
		want    float64 // -1 for null
	}{
		{"never opened", nil, -1},
		{"closed", []stateChange{at(-4000*ms, holdfast.Open), at(200*ms, holdfast.HalfOpen), at(300*ms, holdfast.Closed)}, 300},
		{"closed before the recovery, which does not count", []stateChange{at(-500*ms, holdfast.Closed)}, -1},
		{"opened once more", []stateChange{at(300*ms, holdfast.Closed), at(400*ms, holdfast.Open)}, -1},
		{"closed at last", []stateChange{at(300*ms, holdfast.Closed), at(400*ms, holdfast.Open), at(900*ms, holdfast.Closed)}, 900},
	} {
		var c counts
		c.countBreaker(newScript(usualLength), measurement{changes: tt.changes})
		got := -1.0
		if c.RecoveredAfter != nil {
			got = *c.RecoveredAfter
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSentInsideRetryAfter(t *testing.T) {
	// A 429 with a Retry-After of one second arrived at 1000 ms, and the client had read
	// it at 1001 ms.
	asking := attempt{at: 990 * ms, cooldown: window{1001 * ms, 2000 * ms}}
	for _, tt := range []struct {
		at         time.Duration
		violations int
	}{
		{1000 * ms, 0}, // the client cannot know yet
		{1001 * ms, 0},
		{1002 * ms, 1},
		{1999 * ms, 1},
		{2000 * ms, 0}, // over
	} {
		calls := make([]call, 2)
		calls[0].attempts = []attempt{asking}
		calls[1].attempts = []attempt{{at: tt.at}}
		if asked, violations := countCooldowns(calls); asked != 1 || violations != tt.violations {
			t.Errorf("an attempt at %v: asked %d, violations %d; want 1, %d", tt.at, asked, violations, tt.violations)
		}
	}
}

func TestCount(t *testing.T) {
	d := comparison{seed: 7, script: newScript(usualLength)}
	guarded := measurement{
		calls:  make([]call, 5),
		record: []faultserver.Attempt{{At: 5 * time.Second}, {At: 6 * time.Second}, {At: 9999 * ms}, {At: 10 * time.Second}},
	}
	for i, e := range []struct {
		due, began, ended time.Duration
		ending            result
	}{
		{10 * ms, 11 * ms, 20 * ms, answered},
		{10 * ms, 12 * ms, 40 * ms, answered},
		{10 * ms, 12 * ms, 12*ms + 3*time.Microsecond, rejected},
		{0, 0, 0, failed},
		{0, 0, 0, crowded},
	} {
		c := &guarded.calls[i]
		c.due, c.began, c.ended, c.result = e.due, e.began, e.ended, e.ending
	}
	bare := measurement{calls: make([]call, 2)} // lost
	c := count(d, guarded, bare, measurement{}, 0)
	if c.Calls != 5 || c.Succeeded != 2 || c.Rejected != 1 || c.Failed != 2 || c.Crowded != 1 || c.BareCalls != 2 || c.BareFailed != 0 {
		t.Errorf("%+v", c)
	}
	if c.AttemptsInOutage != 2 || c.AttemptsByServer != 4 {
		t.Errorf("%d of %d in the outage, want 2 of 4", c.AttemptsInOutage, c.AttemptsByServer)
	}
	// Latencies count from the scheduled start: 10 and 30 ms. That of a rejected call
	// counts from its actual start.
	if c.P50 != 30 || c.P99 != 30 || c.RejectedP50 != 3 {
		t.Errorf("p50 %v, p99 %v, rejected %v; want 30, 30, 3", c.P50, c.P99, c.RejectedP50)
	}
	if c.Verdict != "fails" || len(c.Problems) == 0 {
		t.Errorf("verdict %q, want fails", c.Verdict)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, tt := range []struct {
		ds   []time.Duration
		q    float64
		want time.Duration
	}{{nil, 0.5, 0}, {[]time.Duration{4}, 0.99, 4}, {hundred, 0.5, 51}, {hundred, 0.99, 100}, {hundred, 0, 1}, {hundred, 1, 100}} {
		if got := quantile(tt.ds, tt.q); got != tt.want {
			t.Errorf("quantile(%d of them, %v) = %v, want %v", len(tt.ds), tt.q, got, tt.want)
		}
	}
}

// The object has the documented names.
func TestJSONNames(t *testing.T) {
	text, err := json.Marshal(counts{})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(`calls succeeded failed rejected attempts attempts_while_open
		half_open_permits half_open_attempts bare_calls bare_succeeded bare_attempts effects duplicate_effects
		resent_after_effect p50_ms p99_ms rejected_p50_us breaker_transitions recovered_after_ms
		sent_inside_retry_after connections_opened bare_connections_opened goroutines_leaked verdict
		loop late_starts bare_late_starts latest_start_ms`) {
		if _, there := object[name]; !there {
			t.Errorf("the object has no %s", name)
		}
	}
}
