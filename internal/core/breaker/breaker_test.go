package breaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// The timelines use a breaker that three failures in a row open, for ten
// seconds, and that then admits two probes at once. Instants are seconds after
// noon. An operation may take five seconds, so a probe expires after fifteen.
var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	cfg  = Config{Threshold: 3, OpenFor: 10 * time.Second, Probes: 2}
)

const limit = 5 * time.Second

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

const (
	success   = outcome.Success
	transient = outcome.Transient
	permanent = outcome.Permanent
	throttled = outcome.Throttled
	canceled  = outcome.Canceled
	unknown   = outcome.Unknown
)

// step is one line of a timeline: an instant, an operation and what it does, and
// the state afterwards.
type step struct {
	at    float64
	who   string
	do    string // ask, confirm, done, note, began, ended, look
	with  outcome.Outcome
	ok    bool    // ask, confirm: admitted
	retry float64 // ask, confirm: the instant of a rejection
	state State
}

// run plays a timeline. Each name is an operation and keeps its last ticket,
// returned or not.
func run(t *testing.T, b *Breaker, steps []step) map[string]Ticket {
	t.Helper()
	tickets := map[string]Ticket{}
	for i, s := range steps {
		now, line := at(s.at), fmt.Sprintf("step %d, %vs: %s %s %v", i+1, s.at, s.who, s.do, s.with)
		before := b.Stats(now).State
		if before == HalfOpen {
			before = b.state // the stored state, not the state at this instant
		}
		var ticket Ticket
		var retryAt time.Time
		var c Change
		ok := s.ok
		switch s.do {
		case "ask":
			ticket, retryAt, c, ok = b.Allow(now, limit)
		case "confirm":
			ticket, retryAt, c, ok = b.Confirm(now, tickets[s.who], limit)
		case "done":
			c = b.Done(now, tickets[s.who], s.with)
		case "note":
			c = b.Note(now, tickets[s.who], s.with)
		case "began":
			c = b.AnswerBegan(now, tickets[s.who])
		case "ended":
			c = b.AnswerEnded(now, tickets[s.who], s.with)
		case "look":
		default:
			t.Fatalf("%s: do what?", line)
		}
		if ok != s.ok {
			t.Fatalf("%s: admitted %v, want %v", line, ok, s.ok)
		}
		if asks := s.do == "ask" || s.do == "confirm"; asks && ok {
			tickets[s.who] = ticket
		} else if asks && !retryAt.Equal(at(s.retry)) {
			t.Fatalf("%s: retry at %v, want %vs", line, retryAt, s.retry)
		}
		if got := b.State(now); got != s.state {
			t.Fatalf("%s: then %v, want %v", line, got, s.state)
		}
		if changed := before != b.state; c.Happened() != changed || changed && (c.From != before || c.To != b.state) {
			t.Fatalf("%s: reports the change %+v, from %v to %v", line, c, before, b.state)
		}
	}
	return tickets
}

func TestTimelines(t *testing.T) {
	tests := []struct {
		rule  string
		steps []step
	}{
		{"B1a: a threshold of consecutive failures; N successes in half-open close", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{1, "a", "done", transient, false, 0, Closed},
			{1, "b", "ask", 0, true, 0, Closed},
			{1, "c", "ask", 0, true, 0, Closed},
			{2, "b", "done", transient, false, 0, Closed},
			{3, "c", "done", transient, false, 0, Open}, // the third in a row
			{4, "d", "ask", 0, false, 13, Open},         // open admits nothing and gives the instant of the next probe
			{12.999, "d", "ask", 0, false, 13, Open},
			{13, "", "look", 0, false, 0, HalfOpen}, // state reads as half-open as soon as the timeout has passed
			{13, "d", "ask", 0, true, 0, HalfOpen},
			{14, "e", "ask", 0, true, 0, HalfOpen},
			{14, "f", "ask", 0, false, 28, HalfOpen}, // at most two at once; d's probe would be the first to expire
			{15, "d", "done", success, false, 0, HalfOpen},
			{15, "f", "ask", 0, true, 0, HalfOpen}, // d's probe is free
			{16, "e", "done", success, false, 0, Closed},
			{17, "f", "done", transient, false, 0, Closed}, // an older epoch: it neither opens nor counts
		}},
		{"B1a: a success in closed resets the count", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{2, "a", "done", success, false, 0, Closed},
			{3, "b", "ask", 0, true, 0, Closed},
			{3, "b", "note", transient, false, 0, Closed},
			{3, "b", "note", transient, false, 0, Closed},
			{3, "b", "note", transient, false, 0, Open},
		}},
		{"A7: in closed only Transient counts; the others neither count nor reset", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{2, "a", "note", permanent, false, 0, Closed},
			{2, "a", "note", throttled, false, 0, Closed},
			{2, "a", "note", canceled, false, 0, Closed},
			{2, "a", "note", unknown, false, 0, Closed},
			{3, "a", "note", transient, false, 0, Open},
		}},
		{"B1a: one failure in half-open opens, for the whole time again", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "done", transient, false, 0, Open},
			{11, "b", "ask", 0, true, 0, HalfOpen},
			{11, "c", "ask", 0, true, 0, HalfOpen},
			{12, "b", "done", success, false, 0, HalfOpen},
			{13, "c", "done", transient, false, 0, Open},
			{14, "d", "ask", 0, false, 23, Open},
			{23, "d", "ask", 0, true, 0, HalfOpen},
			{24, "d", "done", success, false, 0, HalfOpen}, // b's success belongs to the half-open before
			{24, "e", "ask", 0, true, 0, HalfOpen},
			{25, "e", "done", success, false, 0, Closed},
		}},
		{"A7, departs: a Permanent answer is a successful probe; Throttled, Canceled and Unknown give their probe back without a verdict", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "done", transient, false, 0, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen},
			{10, "c", "ask", 0, true, 0, HalfOpen},
			{11, "b", "done", throttled, false, 0, HalfOpen},
			{11, "c", "done", canceled, false, 0, HalfOpen},
			{11, "d", "ask", 0, true, 0, HalfOpen}, // both probes are back
			{11, "e", "ask", 0, true, 0, HalfOpen},
			{12, "d", "done", unknown, false, 0, HalfOpen},
			{12, "e", "done", permanent, false, 0, HalfOpen},
			{12, "f", "ask", 0, true, 0, HalfOpen},
			{13, "f", "done", permanent, false, 0, Closed}, // else a breaker of a service that answers 404 never closes
		}},
		{"half-open permits are returned once; a second or late return is ignored", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "done", transient, false, 0, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen},
			{10, "b", "done", success, false, 0, HalfOpen},
			{10, "b", "done", success, false, 0, HalfOpen}, // returned again: two successes would close
			{10, "c", "ask", 0, true, 0, HalfOpen},         // in b's place
			{11, "d", "ask", 0, true, 0, HalfOpen},
			{11, "b", "done", transient, false, 0, HalfOpen}, // neither opens nor frees c's probe
			{11, "e", "ask", 0, false, 25, HalfOpen},
			{25, "c", "done", transient, false, 0, HalfOpen}, // c's probe expires at this instant: too late
			{25, "e", "ask", 0, true, 0, HalfOpen},           // e takes the probe
			{25, "c", "done", transient, false, 0, HalfOpen}, // no effect for c
			{25, "f", "ask", 0, false, 26, HalfOpen},
		}},
		{"half-open always ends: a probe that is never returned expires, and its place is free again", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "done", transient, false, 0, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen}, // b and c are never returned
			{12, "c", "ask", 0, true, 0, HalfOpen},
			{24.999, "d", "ask", 0, false, 25, HalfOpen},
			{25, "d", "ask", 0, true, 0, HalfOpen},
			{26, "d", "done", success, false, 0, HalfOpen},
			{26, "d", "ask", 0, true, 0, HalfOpen},
			{26, "e", "ask", 0, false, 27, HalfOpen},
			{1000, "", "look", 0, false, 0, HalfOpen}, // half-open never reopens by time alone
			{1000, "e", "ask", 0, true, 0, HalfOpen},
			{1001, "e", "done", success, false, 0, Closed},
		}},
		{"answers that begin and break off: the beginning forgets no failure", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{1, "a", "began", 0, false, 0, Closed},
			{2, "a", "ended", transient, false, 0, Closed},
			{3, "a", "ask", 0, true, 0, Closed},
			{4, "a", "began", 0, false, 0, Closed},
			{5, "a", "ended", transient, false, 0, Closed},
			{6, "b", "ask", 0, true, 0, Closed},
			{6, "b", "began", 0, false, 0, Closed},
			{7, "b", "ended", success, false, 0, Closed}, // a good end does
			{8, "a", "ended", transient, false, 0, Closed},
			{9, "a", "ended", transient, false, 0, Closed},
			{10, "a", "ended", transient, false, 0, Open},
			{11, "b", "ended", success, false, 0, Open}, // an older epoch
		}},
		{"a probe's answer: its beginning closes, and its break counts in the epoch that it began", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen},
			{10, "c", "ask", 0, true, 0, HalfOpen},
			{11, "b", "began", 0, false, 0, HalfOpen},
			{12, "b", "ended", success, false, 0, HalfOpen}, // counted already
			{13, "c", "began", 0, false, 0, Closed},
			{14, "c", "ended", transient, false, 0, Closed},
			{14, "a", "ended", transient, false, 0, Closed}, // an older epoch, and no probe
			{15, "d", "ask", 0, true, 0, Closed},
			{15, "d", "note", transient, false, 0, Closed},
			{16, "d", "note", transient, false, 0, Open}, // the third in a row
			{17, "c", "ended", transient, false, 0, Open},
			{26, "e", "ask", 0, true, 0, HalfOpen},
			{27, "e", "began", 0, false, 0, HalfOpen},
			{28, "e", "ended", transient, false, 0, Open}, // a probe that breaks off opens it again
		}},
		{"every state change bumps an epoch; a result that started under an older epoch is ignored", []step{
			{0, "old", "ask", 0, true, 0, Closed},
			{0, "late", "ask", 0, true, 0, Closed},
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Open},
			{1, "old", "done", transient, false, 0, Open}, // must not prolong it
			{9, "b", "ask", 0, false, 10, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen},
			{11, "late", "done", success, false, 0, HalfOpen}, // sent before the outage
			{11, "late", "note", success, false, 0, HalfOpen},
			{11, "late", "done", transient, false, 0, HalfOpen},
			{11, "b", "done", success, false, 0, HalfOpen},
			{12, "b", "ask", 0, true, 0, HalfOpen},
			{12, "b", "done", success, false, 0, Closed},
			{13, "b", "note", transient, false, 0, Closed}, // a body that broke after its probe had closed the breaker
			{13, "old", "note", transient, false, 0, Closed},
			{13, "late", "note", transient, false, 0, Closed},
		}},
		{"every attempt asks the breaker again: while open nothing starts, also of operations admitted before", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "b", "ask", 0, true, 0, Closed},
			{1, "b", "confirm", 0, true, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{1, "a", "note", transient, false, 0, Closed},
			{1, "a", "note", transient, false, 0, Open},
			{2, "b", "confirm", 0, false, 11, Open},
			{11, "b", "confirm", 0, true, 0, HalfOpen}, // admitted anew, as a probe
			{12, "b", "confirm", 0, true, 0, HalfOpen}, // still a probe
			{12, "c", "ask", 0, true, 0, HalfOpen},
			{13, "d", "ask", 0, false, 26, HalfOpen}, // so b has one probe and not two
			{26, "d", "ask", 0, true, 0, HalfOpen},   // b's has expired
			{26, "b", "confirm", 0, false, 27, HalfOpen},
			{27, "b", "confirm", 0, true, 0, HalfOpen}, // in c's place, which c loses
			{27, "c", "confirm", 0, false, 41, HalfOpen},
		}},
		{"a probe that has expired is admitted anew even if its place is free", []step{
			{0, "a", "ask", 0, true, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "note", transient, false, 0, Closed},
			{0, "a", "done", transient, false, 0, Open},
			{10, "b", "ask", 0, true, 0, HalfOpen},
			{30, "b", "confirm", 0, true, 0, HalfOpen}, // else two more could start
			{30, "c", "ask", 0, true, 0, HalfOpen},
			{30, "d", "ask", 0, false, 45, HalfOpen},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			b := New(cfg)
			run(t, &b, tt.steps)
		})
	}
}

// A probe without a limit expires after ten minutes and the open time.
func TestProbeWithoutLimit(t *testing.T) {
	b := opened(t)
	for range cfg.Probes {
		b.Allow(at(10), 0)
	}
	want := at(10).Add(10*time.Minute + cfg.OpenFor)
	if _, retryAt, _, ok := b.Allow(at(10), 0); ok || !retryAt.Equal(want) {
		t.Errorf("admitted %v, retry at %v, want %v", ok, retryAt, want)
	}
}

// opened returns a breaker that opened at noon.
func opened(t *testing.T) Breaker {
	t.Helper()
	b := New(cfg)
	a, _, _, _ := b.Allow(at(0), limit)
	for range cfg.Threshold {
		b.Note(at(0), a, transient)
	}
	if b.State(at(0)) != Open {
		t.Fatal("three failures did not open it")
	}
	return b
}

// Next is the instant at which time alone changes an answer.
func TestNext(t *testing.T) {
	expect := func(b *Breaker, now, want float64) {
		t.Helper()
		next, ok := b.Next(at(now))
		if ok != (want > 0) || ok && !next.Equal(at(want)) {
			t.Errorf("at %vs: %v %v, want %vs", now, next, ok, want)
		}
	}
	b := New(cfg)
	expect(&b, 0, 0) // closed: time changes nothing
	b = opened(t)
	expect(&b, 1, 10)
	expect(&b, 10, 0) // half-open, without another change by time
	first, _, _, _ := b.Allow(at(10), limit)
	expect(&b, 10, 0) // a permit is free
	b.Allow(at(11), limit)
	expect(&b, 11, 25) // no permit is free until the first expires
	expect(&b, 25, 0)
	b.Done(at(12), first, success)
	expect(&b, 12, 0)
}

// "Time may stand still": everything happens in one instant, and the order of
// the steps decides.
func TestClockStandsStill(t *testing.T) {
	b := opened(t)
	if _, _, _, ok := b.Allow(at(0), limit); ok {
		t.Error("admitted while open")
	}
	b.cfg.OpenFor = 0 // an open time of zero
	b = New(b.cfg)
	run(t, &b, []step{
		{0, "a", "ask", 0, true, 0, Closed},
		{0, "a", "note", transient, false, 0, Closed},
		{0, "a", "note", transient, false, 0, Closed},
		{0, "a", "note", transient, false, 0, HalfOpen}, // the next call finds half-open
		{0, "b", "ask", 0, true, 0, HalfOpen},
		{0, "c", "ask", 0, true, 0, HalfOpen},
		{0, "d", "ask", 0, false, 5, HalfOpen}, // no probe expires, so there are two
		{0, "b", "done", success, false, 0, HalfOpen},
		{0, "c", "done", success, false, 0, Closed},
	})
}

// "Time may run backwards; no answer may become wrong by it": an open breaker
// stays open until its instant, a probe stays in use until its own, and a
// returned probe counts.
func TestClockRunsBackwards(t *testing.T) {
	b := opened(t)
	run(t, &b, []step{
		{-3600, "b", "ask", 0, false, 10, Open},
		{10, "b", "ask", 0, true, 0, HalfOpen},
		{-3600, "", "look", 0, false, 0, HalfOpen}, // it was asked at its time and does not reopen
		{-3600, "c", "ask", 0, true, 0, HalfOpen},  // expires at -3585
		{-3600, "d", "ask", 0, false, -3585, HalfOpen},
		{9, "d", "ask", 0, true, 0, HalfOpen}, // c's place
		{-3600, "e", "ask", 0, false, 24, HalfOpen},
		{-3600, "c", "done", transient, false, 0, HalfOpen}, // c's generation is over at any time
		{-3600, "b", "done", success, false, 0, HalfOpen},
		{-7200, "d", "done", success, false, 0, Closed},
	})
}

func TestChange(t *testing.T) {
	var none Change
	if none.Happened() {
		t.Error("the zero Change is none")
	}
	b := New(cfg)
	a, _, _, _ := b.Allow(at(0), limit)
	b.Note(at(1), a, transient)
	b.Note(at(2), a, transient)
	if got, want := b.Note(at(3), a, transient), (Change{From: Closed, To: Open, Epoch: 1, Failures: 3, Since: at(3), RetryAt: at(13)}); got != want {
		t.Errorf("opening is %+v, want %+v", got, want)
	}
	p, _, got, _ := b.Allow(at(20), limit)
	if want := (Change{From: Open, To: HalfOpen, Epoch: 2, Since: at(3)}); got != want {
		t.Errorf("half-opening is %+v, want %+v", got, want)
	}
	if !p.Probe() || a.Probe() {
		t.Error("the half-open ticket is the probe")
	}
	if got, want := b.Done(at(21), p, transient), (Change{From: HalfOpen, To: Open, Epoch: 3, Failures: 4, Since: at(21), RetryAt: at(31)}); got != want {
		t.Errorf("reopening is %+v, want %+v", got, want)
	}
	b.Allow(at(31), limit)
	q, _, _, _ := b.Allow(at(31), limit)
	b.Note(at(32), q, success)
	if got, want := b.Done(at(32), q, success), (Change{From: HalfOpen, To: Closed, Epoch: 5, Since: at(21)}); got != want {
		t.Errorf("closing is %+v, want %+v", got, want)
	}
}

func TestStats(t *testing.T) {
	b := New(cfg)
	a, _, _, _ := b.Allow(at(0), limit)
	b.Note(at(1), a, transient)
	if got, want := b.Stats(at(2)), (Stats{State: Closed, Failures: 1, LastFailure: at(1)}); got != want {
		t.Errorf("closed: %+v, want %+v", got, want)
	}
	b = opened(t)
	open := Stats{State: Open, Failures: 3, OpenedAt: at(0), RetryAt: at(10), LastFailure: at(0)}
	if got := b.Stats(at(2)); got != open {
		t.Errorf("open: %+v, want %+v", got, open)
	}
	p, _, _, _ := b.Allow(at(10), limit)
	b.Done(at(10), p, success)
	b.Allow(at(10), limit)
	half := open
	half.State, half.Successes, half.Probing = HalfOpen, 1, 1
	if got := b.Stats(at(11)); got != half {
		t.Errorf("half-open: %+v, want %+v", got, half)
	}
	half.Probing = 0
	if got := b.Stats(at(30)); got != half {
		t.Errorf("half-open, the probe expired: %+v, want %+v", got, half)
	}
}

func TestClone(t *testing.T) {
	b := opened(t)
	b.Allow(at(10), limit)
	c := b.Clone()
	c.Allow(at(10), limit)
	if b.Stats(at(10)).Probing != 1 || c.Stats(at(10)).Probing != 2 {
		t.Error("the clone shares its probes with the original")
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range map[State]string{Closed: "closed", Open: "open", HalfOpen: "half_open", HalfOpen + 1: "invalid"} {
		if s.String() != want {
			t.Errorf("State(%d) is %q, want %q", uint8(s), s, want)
		}
	}
}
