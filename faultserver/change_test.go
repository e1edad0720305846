package faultserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

func TestSetPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := fault.Fault{Reset: fault.BeforeAnswer}
		s := Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "2-", Fault: reset}}}, InMemory())
		c := client(t, s)
		ask := func(want int) {
			t.Helper()
			if status, _, _ := post(c, s.URL(), map[string]string{"X-Request-ID": "1"}, ""); status != want {
				t.Errorf("status %d, want %d", status, want)
			}
		}
		time.Sleep(time.Minute)
		ask(200)
		ask(0)

		// A plan that is not supported changes nothing.
		for _, bad := range []fault.Plan{
			{Rules: []fault.Rule{{Fault: fault.Fault{Status: 99}}}},
			{Connections: []fault.ConnRule{{Fault: fault.ConnFault{TLS: fault.TLSAlert}}}},
		} {
			var malformed *fault.Error
			if err := s.SetPlan(bad); !errors.As(err, &malformed) {
				t.Errorf("%v", err)
			}
		}
		if len(s.Plan().Rules) != 1 {
			t.Errorf("%+v", s.Plan())
		}
		ask(0) // the third: counting continues

		// The new plan's clock and counts begin now.
		if err := s.SetPlan(fault.Plan{Rules: []fault.Rule{
			{Nth: "1", When: fault.Window{Until: time.Second}, Fault: fault.Fault{Status: 503}},
		}}); err != nil {
			t.Fatal(err)
		}
		ask(503)
		ask(200)

		// Record and effects continue.
		if a := s.Record(); len(a) != 5 || a[4].At != time.Minute || s.Effects() != (Effects{Done: 1, Resent: 4}) {
			t.Errorf("%+v, %+v", a, s.Effects())
		}

		// Begin uses the current plan.
		s.Begin()
		ask(503)
		if n := len(s.Record()); n != 1 {
			t.Errorf("%d on record", n)
		}
	})
}

func TestPlansThatThisServerCannotFollow(t *testing.T) {
	_, err := New(fault.Plan{
		Connections: []fault.ConnRule{{Fault: fault.ConnFault{TLS: fault.TLSExpired}}, {Fault: fault.ConnFault{H2: fault.PingSilence}}},
		Rules: []fault.Rule{{Fault: fault.Fault{H2: fault.GoAwayGraceful}}, {Fault: fault.Fault{Mix: []fault.Choice{
			{Weight: 1, Fault: fault.Fault{H2: fault.RSTRefused}},
		}}}},
	})
	const want = `faultserver: fault plan: 4 problems
  connections[0].fault.tls: this server does not speak TLS: use the option TLS
  connections[1].fault.h2: this server speaks HTTP/1.1 only
  rules[0].fault.h2: this server speaks HTTP/1.1 only
  rules[1].fault.mix[0].fault.h2: this server speaks HTTP/1.1 only`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// TestThePlanChangesUnderLoad: each request meets one of the plans and is
// recorded.
func TestThePlanChangesUnderLoad(t *testing.T) {
	s := Start(t, fault.Plan{})
	c := client(t, s)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 50 {
				if status, _, err := post(c, s.URL(), nil, ""); status != 200 && status != 503 {
					t.Errorf("status %d, %v", status, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for i := 0; ; i++ {
		plan := fault.Plan{Capacity: &fault.Capacity{Workers: 4, Queue: 8}}
		if i%2 == 0 {
			plan = strikeAll(fault.Fault{Status: 503})
		}
		if err := s.SetPlan(plan); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			if n := len(s.Record()); n != 400 {
				t.Errorf("%d on record", n)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

// TestThePortComesAndGoes: a plan that refuses closes the port, another plan
// reopens it.
func TestThePortComesAndGoes(t *testing.T) {
	s := Start(t, fault.Plan{})
	kept := dialWire(t, s)
	kept.send("op-1")
	kept.full()
	for range 3 {
		if err := s.SetPlan(fault.Plan{Connections: []fault.ConnRule{{Fault: fault.ConnFault{Refuse: true}}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("shut: %v", err)
		}
		kept.send("op-1") // stays open
		kept.full()
		if err := s.SetPlan(fault.Plan{}); err != nil {
			t.Fatal(err)
		}
		w := dialWire(t, s)
		w.send("op-2")
		w.full() // so it is accepted before the port is shut again
	}
}

// TestThePortIsTriedAgain: the server retries until another process has
// released the port.
func TestThePortIsTriedAgain(t *testing.T) {
	s := Start(t, fault.Plan{Connections: []fault.ConnRule{{Fault: fault.ConnFault{Refuse: true}}}})
	occupier, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPlan(fault.Plan{}); err != nil {
		t.Fatal(err)
	}
	occupier.Close()
	awaitOpen(t, s)
	w := dialWire(t, s)
	w.send("op-1")
	w.full()
}

func TestCloseWhileRefusing(t *testing.T) {
	s := Start(t, fault.Plan{Connections: []fault.ConnRule{
		{Repeat: fault.Repeat{Every: 2 * time.Hour, For: time.Hour}, Fault: fault.ConnFault{Refuse: true}},
	}})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.SetPlan(fault.Plan{}); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("listens after Close")
	}
}

// TestConnectionsInMemory has every connection fault that is possible in
// memory.
func TestConnectionsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{
			Connections: []fault.ConnRule{
				{When: fault.Window{Until: time.Second}, Fault: fault.ConnFault{Refuse: true}},
				{Nth: "1", Fault: fault.ConnFault{Hang: true}},
				{Nth: "2", Fault: fault.ConnFault{Close: true}},
				{Nth: "3", Fault: fault.ConnFault{Reset: true}},
				{Nth: "4", Fault: fault.ConnFault{Latency: &fault.Latency{Fixed: time.Hour}}},
			},
			Rules: []fault.Rule{{Nth: "2", Fault: fault.Fault{Close: fault.NextRequest}}, {Nth: "3", Fault: fault.Fault{Reset: fault.NextRequest}}},
		}, InMemory())
		var conn net.Conn
		ask := func(fresh bool) error {
			if fresh {
				var err error
				if conn, err = s.Dial(t.Context(), "", ""); err != nil {
					return err
				}
				t.Cleanup(func() { conn.Close() })
				conn.SetDeadline(time.Now().Add(2 * time.Hour))
			}
			go io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx") // may fail
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			return err
		}
		for i, step := range []struct {
			fresh bool
			err   error
			took  time.Duration
		}{
			{true, syscall.ECONNREFUSED, 0},
			{true, os.ErrDeadlineExceeded, 2 * time.Hour}, // hangs until the client leaves
			{true, io.ErrUnexpectedEOF, 0},
			{true, syscall.ECONNRESET, 0},
			{true, nil, time.Hour},
			{false, nil, 0},
			{false, io.ErrUnexpectedEOF, time.Millisecond}, // the idle connection; a pipe is drained before it is closed
			{true, nil, 0},
			{false, syscall.ECONNRESET, 0},
		} {
			sent := time.Now()
			if err := ask(step.fresh); !errors.Is(err, step.err) || time.Since(sent) != step.took {
				t.Errorf("step %d: %v after %s", i, err, time.Since(sent))
			}
			if i == 0 {
				time.Sleep(time.Second)
			}
		}
		var ids []string
		for _, a := range s.Record() {
			for _, id := range a.Faults {
				ids = append(ids, string(id))
			}
		}
		want := "conn.hang conn.fin_on_accept conn.rst_on_accept conn.slow_accept conn.fin_next_request conn.rst_next_request"
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("on record\n%s\nwant\n%s", got, want)
		}
	})
}

// TestAbandonedWork: work is finished or dropped after its caller has left.
func TestAbandonedWork(t *testing.T) {
	for _, test := range []struct {
		abandoned fault.Abandoned
		second    time.Duration // duration of the next request
		want      Effects
	}{
		{fault.AbandonedFinished, 19 * time.Second, Effects{Untracked: 2}},
		{fault.AbandonedDropped, 10 * time.Second, Effects{Untracked: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := Start(t, fault.Plan{Capacity: &fault.Capacity{
				Workers: 1, Queue: 1, ServiceTime: 10 * time.Second, Abandoned: test.abandoned,
			}}, InMemory())
			c := client(t, s)
			impatient := *c
			impatient.Timeout = time.Second
			post(&impatient, s.URL(), nil, "")
			synctest.Wait()
			sent := time.Now()
			post(c, s.URL(), nil, "")
			if took := time.Since(sent); took != test.second || s.Effects() != test.want {
				t.Errorf("%s: the next took %s, %+v", test.abandoned, took, s.Effects())
			}
		})
	}
}

// TestCapacityIsLeftByAll: every request frees its place, however it ends.
func TestCapacityIsLeftByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, fault.Plan{Capacity: &fault.Capacity{
			Workers: 2, Queue: 3, ServiceTime: time.Second, Abandoned: fault.AbandonedDropped,
		}}, InMemory())
		c := client(t, s)
		status := map[int]int{}
		var mu sync.Mutex
		var callers sync.WaitGroup
		for i := range 40 {
			callers.Go(func() {
				time.Sleep(time.Duration(i%5) * 300 * time.Millisecond)
				impatient := http.Client{Transport: c.Transport, Timeout: time.Duration(1+i%7) * 400 * time.Millisecond}
				got, _, _ := post(&impatient, s.URL(), nil, "")
				mu.Lock()
				status[got]++
				mu.Unlock()
			})
		}
		callers.Wait()
		time.Sleep(time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.run.load; l.InFlight() != 0 || len(l.waiting) != 0 || status[200] == 0 || status[503] == 0 || status[0] == 0 {
			t.Errorf("%d in flight, %d waiting; %v", l.InFlight(), len(l.waiting), status)
		}
	})
}

// TestCloseFreesWhatIsHeld: Close ends everything that a fault holds.
func TestCloseFreesWhatIsHeld(t *testing.T) {
	before := runtime.NumGoroutine()
	plan := fault.Plan{
		Connections: []fault.ConnRule{
			{Nth: "1", Fault: fault.ConnFault{Hang: true}},
			{Nth: "2", Fault: fault.ConnFault{Latency: &fault.Latency{Fixed: time.Hour}}},
			{Nth: "3", Fault: fault.ConnFault{TLS: fault.TLSHandshakeStall}},
		},
		Capacity: &fault.Capacity{Workers: 100, Queue: 1},
	}
	held := []fault.Fault{
		{H1: fault.SwitchingProtocols},
		{H1: fault.ContentLengthShort},
		{H1: fault.SurplusLater},
		{H1: fault.HeaderOversized, Size: fault.MaxSize},
		{H1: fault.InterimFlood, Size: fault.MaxSize},
		{Upload: fault.UploadStall},
		{Upload: fault.UploadAnsweredEarly},
		{Stall: &fault.Stall{Of: fault.Head}},
		{Stall: &fault.Stall{Of: fault.Chunks}},
		{Stall: &fault.Stall{For: time.Hour}},
		{Drip: &fault.Drip{Of: fault.Head, Every: time.Hour}},
		{Drip: &fault.Drip{Every: time.Hour}},
		{Endless: true},
	}
	for i, f := range held {
		plan.Rules = append(plan.Rules, fault.Rule{Nth: strconv.Itoa(i + 1), Fault: f})
	}
	s, err := New(plan, TLS())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dialWire(t, s)
	}
	for len(s.Record()) < 3 {
		runtime.Gosched()
	}
	for i := range held {
		conn, err := shake(dialWire(t, s), s.ClientTLS())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
		for len(s.Record()) < 3+i+1 {
			runtime.Gosched()
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	if n := len(s.hijacked); n != 0 {
		t.Errorf("%d connections are still registered", n)
	}
}
