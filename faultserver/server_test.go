package faultserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// client makes connections to s and closes them with the test.
func client(t *testing.T, s *Server) *http.Client {
	transport := &http.Transport{DialContext: s.Dial, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends one request and reads its answer. Status 0 means no answer.
func post(c *http.Client, url string, header map[string]string, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestEffects(t *testing.T) {
	type step struct {
		operation, request, key string
		status                  int // 0: reset
		effect                  bool
	}
	reset := fault.Fault{Reset: fault.BeforeAnswer}
	committed := fault.Fault{Reset: fault.BeforeAnswer, Commit: true}
	tests := []struct {
		name  string
		rules []fault.Rule
		steps []step
		want  Effects
	}{
		{"each operation once", nil, []step{
			{"a", "1", "", 200, true},
			{"b", "2", "", 200, true},
		}, Effects{Done: 2}},
		{"struck before the work: the repeat does it", []fault.Rule{{Nth: "1", Fault: reset}}, []step{
			{"a", "1", "", 0, false},
			{"a", "1", "", 200, true},
		}, Effects{Done: 1}},
		{"struck after the work: the repeat is recognised by its id", []fault.Rule{{Nth: "1", Fault: committed}}, []step{
			{"a", "1", "", 0, true},
			{"a", "1", "", 200, false},
			{"a", "1", "", 200, false},
		}, Effects{Done: 1, Resent: 2}},
		{"a fresh id with each attempt is caught", []fault.Rule{{Nth: "1", Fault: committed}}, []step{
			{"a", "1", "", 0, true},
			{"a", "2", "", 200, true},
			{"a", "2", "", 200, false},
		}, Effects{Done: 1, Duplicates: 1, Resent: 2}},
		{"so is no id at all", nil, []step{
			{"a", "", "", 200, true},
			{"a", "", "", 200, true},
		}, Effects{Done: 1, Duplicates: 1, Resent: 1}},
		{"the idempotency key counts where there is one", nil, []step{
			{"a", "1", "k", 200, true},
			{"a", "2", "k", 200, false},
			{"a", "2", "l", 200, true},
		}, Effects{Done: 1, Duplicates: 1, Resent: 2}},
		{"one id for two operations: both are done", nil, []step{
			{"a", "1", "", 200, true},
			{"b", "1", "", 200, true},
		}, Effects{Done: 2}},
		{"an operation without a name is not tracked", nil, []step{
			{"", "", "", 200, true},
			{"", "", "", 200, true},
		}, Effects{Untracked: 2}},
		{"a status instead of the work, and after it", []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Status: 503}},
			{Nth: "2", Fault: fault.Fault{Status: 503, Commit: true}},
		}, []step{
			{"a", "1", "", 503, false},
			{"a", "1", "", 503, true},
			{"a", "1", "", 200, false},
		}, Effects{Done: 1, Resent: 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := Start(t, fault.Plan{Rules: test.rules})
			c := client(t, s)
			for i, step := range test.steps {
				header := map[string]string{"X-Operation-ID": step.operation, "X-Request-ID": step.request, "Idempotency-Key": step.key}
				maps.DeleteFunc(header, func(_, v string) bool { return v == "" })
				status, _, err := post(c, s.URL()+"/work", header, "")
				if status != step.status || (status == 0) != errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("step %d: status %d, %v", i, status, err)
				}
				if a := s.Record()[i]; a.Effect != step.effect || a.RequestID != step.request {
					t.Errorf("step %d: recorded as %+v", i, a)
				}
			}
			if got := s.Effects(); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestARepeatIsGivenTheStoredAnswer(t *testing.T) {
	s := Start(t, fault.Plan{})
	c := client(t, s)
	header := map[string]string{"X-Request-ID": "1"}
	_, first, _ := post(c, s.URL(), header, "one")
	_, second, _ := post(c, s.URL(), header, "and another")
	if first != second || !strings.Contains(first, `"body_bytes":3`) {
		t.Errorf("first %s, then %s", first, second)
	}
}

func TestARefusalIsNoWork(t *testing.T) {
	s := Start(t, fault.Plan{}, Backend(Embeddings))
	c := client(t, s)
	if status, _, _ := post(c, s.URL()+"/v1/embeddings", nil, `{"input":"a"}`); status != 422 {
		t.Errorf("status %d", status)
	}
	if got := s.Effects(); got != (Effects{}) {
		t.Errorf("%+v", got)
	}
}

func TestRecordIsARing(t *testing.T) {
	s := Start(t, fault.Plan{}, Keep(3))
	c := client(t, s)
	for i := range 5 {
		post(c, fmt.Sprintf("%s/%d", s.URL(), i), nil, "")
	}
	var paths []string
	for _, a := range s.Record() {
		if !a.Effect {
			t.Errorf("%s has no effect", a.Path)
		}
		paths = append(paths, a.Path)
	}
	if got := fmt.Sprint(paths); got != "[/2 /3 /4]" || s.Dropped() != 2 {
		t.Errorf("kept %s, dropped %d", got, s.Dropped())
	}
}

func TestRecordMayKeepNothing(t *testing.T) {
	s := Start(t, fault.Plan{}, Keep(0))
	post(client(t, s), s.URL(), nil, "")
	if n := len(s.Record()); n != 0 || s.Dropped() != 1 || s.Effects().Untracked != 1 {
		t.Errorf("kept %d, dropped %d, %+v", n, s.Dropped(), s.Effects())
	}
}

func TestRecordOfOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{
			Pace: []fault.Pace{{Latency: fault.Latency{Fixed: 8 * time.Millisecond}}},
			Rules: []fault.Rule{{Name: "half", Match: fault.Match{Method: "POST"},
				Fault: fault.Fault{Commit: true, Status: 503, Latency: &fault.Latency{Fixed: time.Second}}}},
		}, InMemory())
		c := client(t, s)
		time.Sleep(5 * time.Second)
		post(c, s.URL()+"/work?q=1", map[string]string{"X-Request-ID": "r", "X-Operation-ID": "o", "Traceparent": "00-1-2-01"}, "12345")
		got := fmt.Sprintf("%+v", s.Record())
		want := "[{At:5s Connection:1 Method:POST Path:/work RequestID:r Traceparent:00-1-2-01 Operation:o Bytes:5 Rule:0 N:1 " +
			"Faults:[time.latency commit.then_drop http.status] Delay:1.008s Status:503 Effect:true}]"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// TestABubble runs in virtual time: windows, latencies and a hang that the
// client's deadline ends.
func TestABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{
			Pace: []fault.Pace{{When: fault.Window{Until: 3 * time.Second}, Latency: fault.Latency{Fixed: 8 * time.Millisecond}}},
			Rules: []fault.Rule{
				{When: fault.Window{From: 1 * time.Second, Until: 2 * time.Second}, Fault: fault.Fault{Reset: fault.BeforeAnswer}},
				{When: fault.Window{From: 2 * time.Second, Until: 3 * time.Second}, Fault: fault.Fault{Cut: &fault.Cut{After: 5}}},
				{When: fault.Window{From: 3 * time.Second, Until: 4 * time.Second}, Fault: fault.Fault{Hang: fault.BeforeAnswer}},
			},
		}, InMemory())
		c := client(t, s)
		c.Timeout = 700 * time.Millisecond
		for _, step := range []struct {
			at     time.Duration
			status int
			err    error
			took   time.Duration
		}{
			{0, 200, nil, 8 * time.Millisecond},
			{1 * time.Second, 0, syscall.ECONNRESET, 8 * time.Millisecond},
			{2 * time.Second, 200, io.ErrUnexpectedEOF, 8 * time.Millisecond},
			{3 * time.Second, 0, context.DeadlineExceeded, 700 * time.Millisecond},
			{4 * time.Second, 200, nil, 0},
		} {
			time.Sleep(step.at - time.Since(s.run.start))
			sent := time.Now()
			status, _, err := post(c, s.URL(), nil, "x")
			if took := time.Since(sent); status != step.status || !errors.Is(err, step.err) || took != step.took {
				t.Errorf("at %s: status %d, %v, after %s", step.at, status, err, took)
			}
		}
		if got := s.Connections(); got != 4 { // three are ended by faults, one by the client
			t.Errorf("%d connections", got)
		}
	})
}

func TestWorkGoesOnWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Pace: []fault.Pace{{Latency: fault.Latency{Fixed: time.Second}}}}, InMemory())
		c := client(t, s)
		c.Timeout = 100 * time.Millisecond
		header := map[string]string{"X-Request-ID": "1"}
		post(c, s.URL(), header, "")
		if got := s.Effects(); got != (Effects{}) {
			t.Errorf("before the work: %+v", got)
		}
		time.Sleep(2 * time.Second)
		post(c, s.URL(), header, "")
		time.Sleep(2 * time.Second)
		if got := s.Effects(); got != (Effects{Done: 1, Resent: 1}) {
			t.Errorf("after the work: %+v", got)
		}
	})
}

func TestBeginStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Rules: []fault.Rule{
			{Nth: "1", When: fault.Window{Until: time.Second}, Fault: fault.Fault{Status: 503}},
		}}, InMemory())
		c := client(t, s)
		for range 2 {
			for _, want := range []int{503, 200} {
				if status, _, _ := post(c, s.URL(), map[string]string{"X-Request-ID": "1"}, ""); status != want {
					t.Errorf("status %d, want %d", status, want)
				}
			}
			if len(s.Record()) != 2 || s.Effects() != (Effects{Done: 1}) {
				t.Errorf("%d attempts, %+v", len(s.Record()), s.Effects())
			}
			time.Sleep(time.Minute)
			s.Begin()
		}
		if len(s.Record()) != 0 || s.Effects() != (Effects{}) || s.Connections() != 1 {
			t.Errorf("after Begin: %d attempts, %+v, %d connections", len(s.Record()), s.Effects(), s.Connections())
		}
	})
}

// TestConcurrencyDoesNotChangeWhatIsHit sends the same requests through 1 and
// through 32 connections and compares the faults of each number.
func TestConcurrencyDoesNotChangeWhatIsHit(t *testing.T) {
	plan := fault.Plan{Seed: 7, Rules: []fault.Rule{
		{Probability: 0.2, Fault: fault.Fault{Status: 503}},
		{Probability: 0.1, Fault: fault.Fault{Mix: []fault.Choice{
			{Weight: 1, Fault: fault.Fault{Status: 429}}, {Weight: 1, Fault: fault.Fault{Cut: &fault.Cut{After: 3}}},
		}}},
	}}
	run := func(workers int) map[string]int {
		s := Start(t, plan, InMemory())
		c := client(t, s)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range 1024 / workers {
					post(c, s.URL(), nil, "")
				}
			})
		}
		wg.Wait()
		seen := map[string]int{}
		for _, a := range s.Record() {
			seen[fmt.Sprint(a.Rule, a.N, a.Faults)]++
		}
		return seen
	}
	if serial, parallel := run(1), run(32); !maps.Equal(serial, parallel) {
		t.Errorf("serial %v\nparallel %v", serial, parallel)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := New(fault.Plan{Rules: []fault.Rule{
		{Match: fault.Match{Path: "/hang"}, Fault: fault.Fault{Hang: fault.BeforeAnswer}},
		{Match: fault.Match{Path: "/body"}, Fault: fault.Fault{Hang: fault.AfterHeaders}},
		{Match: fault.Match{Path: "/slow"}, Fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Hour}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for _, request := range []string{
		"", // nothing is sent yet
		"GET / HTTP/1.1\r\nHo",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal",
		"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /body HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request)
		conns = append(conns, conn)
	}
	for len(s.Record()) < 3 { // the last three have arrived
		runtime.Gosched()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	for i, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("still listens")
	}
	if got := s.Effects(); got != (Effects{Untracked: 1}) { // the work of /body: its headers were sent
		t.Errorf("a request that Close interrupted did its work: %+v", got)
	}
	// Goroutines may be visible for another moment after they report their end.
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestShutdownWaitsForWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Rules: []fault.Rule{
			{Nth: "1", Fault: fault.Fault{Latency: &fault.Latency{Fixed: time.Second}}},
		}}, InMemory())
		c := client(t, s)
		answered := make(chan int)
		go func() {
			status, _, _ := post(c, s.URL(), nil, "")
			answered <- status
		}()
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- s.Shutdown(t.Context()) }()
		if status := <-answered; status != 200 {
			t.Errorf("status %d", status)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownDoesNotWaitForAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, strikeAll(fault.Fault{Hang: fault.BeforeAnswer}), InMemory())
		c := client(t, s)
		failed := make(chan error)
		go func() {
			_, _, err := post(c, s.URL(), nil, "")
			failed <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-failed; !errors.Is(err, io.EOF) {
			t.Errorf("the hung call: %v", err)
		}
	})
}

func TestDialInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{}, InMemory())
		s.Close()
		if _, err := s.Dial(t.Context(), "tcp", "anywhere:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	taken := Start(t, fault.Plan{})
	var malformed *fault.Error
	if _, err := New(strikeAll(fault.Fault{Status: 99})); !errors.As(err, &malformed) ||
		err.Error() != "faultserver: fault plan: rules[0].fault.status: 99 must be 200 to 599" {
		t.Errorf("a malformed plan: %v", err)
	}
	if _, err := New(fault.Plan{}, Listen(taken.Addr())); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), taken.Addr()) {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := New(fault.Plan{}, InMemory(), TLS()); err == nil || !strings.Contains(err.Error(), "InMemory with TLS") {
		t.Errorf("TLS in memory: %v", err)
	}
	if _, err := New(fault.Plan{}, Keep(-1)); err == nil || err.Error() != "faultserver: Keep(-1): must be 0 or more" {
		t.Errorf("Keep(-1): %v", err)
	}
	if _, err := New(fault.Plan{}, Backend(nil)); err == nil || err.Error() != "faultserver: Backend(nil): must be a Service such as Echo" {
		t.Errorf("Backend(nil): %v", err)
	}
	tb := &recorder{TB: t}
	if s := Start(tb, strikeAll(fault.Fault{})); s != nil || !strings.Contains(tb.failed, "rules[0].fault: is empty") {
		t.Errorf("Start: %v, %q", s, tb.failed)
	}
}

// recorder is a TB that records the failure instead of ending the test.
type recorder struct {
	testing.TB
	failed string
}

func (r *recorder) Fatalf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }
