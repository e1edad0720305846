package faultserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// proofsOfConnections are the proofs of faults before and between requests.
var proofsOfConnections = map[fault.ID]proof{
	fault.IDRefuse: {
		plan: fault.Plan{Connections: []fault.ConnRule{
			{When: fault.Window{Until: 150 * time.Millisecond}, Fault: fault.ConnFault{Refuse: true}},
		}},
		dials: true,
		prove: func(t *testing.T, s *Server, _ *wire) {
			if _, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatalf("connecting: %v", err)
			}
			awaitOpen(t, s) // the port reopens
			w := dialWire(t, s)
			w.send("op-1")
			if _, body := w.full(); body != echoBody {
				t.Errorf("afterwards %q", body)
			}
		},
		unseen: true,
	},
	fault.IDConnHang: {
		conn: fault.ConnFault{Hang: true},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			w.wantNoBytes()
			s.Close()
			w.wantEnd(0, io.EOF)
		},
	},
	fault.IDCloseOnAccept: {
		conn: fault.ConnFault{Close: true},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.wantEnd(0, io.EOF)
		},
	},
	fault.IDResetOnAccept: {
		conn:  fault.ConnFault{Reset: true},
		dials: true,
		prove: func(t *testing.T, s *Server, _ *wire) {
			conn, err := net.Dial("tcp", s.Addr())
			if err == nil {
				defer conn.Close()
				_, err = conn.Read(make([]byte, 1))
			}
			if !errors.Is(err, syscall.ECONNRESET) { // while connecting, or right after
				t.Errorf("%v", err)
			}
		},
	},
	fault.IDSlowAccept: {
		conn: fault.ConnFault{Latency: &fault.Latency{Fixed: 150 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 { // only the first is late
				w.send("op-1")
				if len(s.Record()) == 1 {
					w.wantNoBytes()
				}
				if _, body := w.full(); body != echoBody {
					t.Errorf("%q", body)
				}
			}
		},
	},
	fault.IDCloseNext: nextProof(fault.Fault{Close: fault.NextRequest}, io.EOF),
	fault.IDResetNext: nextProof(fault.Fault{Reset: fault.NextRequest}, syscall.ECONNRESET),
}

// nextProof proves an end at the first byte of the next request.
func nextProof(f fault.Fault, end error) proof {
	return proof{
		fault: f,
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			if resp, body := w.full(); body != echoBody || resp.Close {
				t.Errorf("%q, close %v", body, resp.Close)
			}
			w.wantNoBytes() // idle and open
			w.send("op-2")
			w.wantEnd(0, end)
			if n := len(s.Record()); n != 1 {
				t.Errorf("%d requests on record", n)
			}
		},
		status: 200, effect: true,
	}
}

// awaitOpen connects until the server listens.
func awaitOpen(t *testing.T, s *Server) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		conn, err := net.Dial("tcp", s.Addr())
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// proofsOfCapacity are the proofs of a limited service.
var proofsOfCapacity = map[fault.ID]proof{
	fault.IDCapacityRefuse: {
		plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, ServiceTime: time.Minute}},
		prove: func(t *testing.T, s *Server, w *wire) {
			w.send("op-1")
			awaitInFlight(t, s, 1)
			second := dialWire(t, s)
			second.send("op-2")
			if resp, body := second.full(); resp.StatusCode != 503 || body != "Service Unavailable\n" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			w.wantNoBytes() // the first is still in progress
		},
		status: 503,
	},
	fault.IDCapacityQueue: {
		plan: fault.Plan{Capacity: &fault.Capacity{Workers: 1, Queue: 1, ServiceTime: 150 * time.Millisecond}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			w.send("op-1")
			awaitInFlight(t, s, 1)
			second := dialWire(t, s)
			second.send("op-2")
			awaitInFlight(t, s, 2)
			w.full()
			second.wantNoBytes() // its own work has just begun
			second.full()
			if took := time.Since(sent); took < 300*time.Millisecond {
				t.Errorf("both done after %s", took)
			}
		},
		status: 200, effect: true,
	},
	fault.IDCapacityLoad: {
		plan: fault.Plan{Capacity: &fault.Capacity{Latency: fault.LoadLatency{PerInFlight: 50 * time.Millisecond}}},
		prove: func(t *testing.T, s *Server, w *wire) {
			sent := time.Now()
			var others []*wire
			for i := range 3 {
				other := dialWire(t, s)
				other.send(fmt.Sprint(i))
				awaitInFlight(t, s, i+1)
				others = append(others, other)
			}
			for i, other := range others {
				other.full()
				if took, least := time.Since(sent), time.Duration(i+1)*50*time.Millisecond; took < least {
					t.Errorf("answer %d after %s, not before %s", i+1, took, least)
				}
			}
		},
		status: 200, effect: true,
	},
}

// awaitInFlight waits until the service has n requests.
func awaitInFlight(t *testing.T, s *Server, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		s.mu.Lock()
		have := s.run.load.InFlight()
		s.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d in flight, want %d", have, n)
		}
	}
}
