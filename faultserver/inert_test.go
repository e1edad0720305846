package faultserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// plainHandler answers like Echo with net/http only.
func plainHandler(tb testing.TB) (addr string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	plain := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		a := Echo(Request{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body})
		w.Header().Set("Content-Type", a.ContentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
		w.WriteHeader(a.Status)
		w.Write(a.Body)
	})}
	go plain.Serve(listener)
	tb.Cleanup(func() { plain.Close() })
	return listener.Addr().String()
}

// elsewhere is a plan with every kind of rule, none of which fits the tests'
// requests.
func elsewhere() fault.Plan {
	struck := fault.Fault{Reset: fault.BeforeAnswer, Latency: &fault.Latency{Fixed: time.Minute}}
	return fault.Plan{
		Pace: []fault.Pace{{Match: fault.Match{Path: "/other"}, Latency: fault.Latency{Fixed: time.Minute}}},
		Connections: []fault.ConnRule{
			{When: fault.Window{From: time.Hour}, Fault: fault.ConnFault{Refuse: true}},
			{Nth: "1000000-", Fault: fault.ConnFault{Hang: true}},
			{Probability: 1e-300, Fault: fault.ConnFault{Reset: true}},
		},
		Rules: []fault.Rule{
			{Match: fault.Match{Path: "/other"}, Fault: struck},
			{Match: fault.Match{Method: "DELETE"}, Fault: struck},
			{Match: fault.Match{Query: map[string]string{"q": "other"}}, Fault: fault.Fault{H1: fault.Garbage}},
			{Match: fault.Match{Shard: &fault.Shard{Header: "X-Shard", Of: 2, Is: []int{0, 1}}}, Fault: fault.Fault{Upload: fault.UploadStall}},
			{When: fault.Window{From: time.Hour}, Fault: struck},
			{Nth: "1000000-", Fault: struck},
			{Probability: 1e-300, Fault: struck},
			{Fault: fault.Fault{Quota: &fault.Quota{Limit: 1_000_000_000, Per: time.Hour}}},
		},
		Capacity: &fault.Capacity{Workers: 100, Queue: 100},
	}
}

// TestInertWhereNothingMatches compares, byte for byte, whole conversations
// with a server with rules for other requests, a server without a plan, and
// net/http's own server.
func TestInertWhereNothingMatches(t *testing.T) {
	withRules, without := Start(t, elsewhere()), Start(t, fault.Plan{})
	plain := plainHandler(t)
	for name, said := range map[string]string{
		"one and close":       "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: op-1\r\nConnection: close\r\nContent-Length: 9\r\n\r\nsome work",
		"without a body":      "GET /work?q=1&q=2 HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD":                "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunks":              "POST /work HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome work\r\n0\r\n\r\n",
		"a body that waits":   "POST /work HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\nsome work",
		"three in a row":      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/1.0":            "GET /work HTTP/1.0\r\n\r\n",
		"no HTTP":             "hello\r\n\r\n",
		"no host":             "GET / HTTP/1.1\r\n\r\n",
		"a header malformed":  "GET / HTTP/1.1\r\nHost: x\r\nA B\r\n\r\n",
		"a length malformed":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
		"an odd expectation":  "POST / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n",
		"nothing at all":      "",
		"OPTIONS * of HTTP/1": "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			want := converse(t, plain, said)
			for i, addr := range []string{withRules.Addr(), without.Addr()} {
				if got := converse(t, addr, said); got != want {
					t.Errorf("%s rules\n%s\nnet/http\n%s", []string{"with", "without"}[i], got, want)
				}
			}
		})
	}
	for _, a := range withRules.Record() {
		if a.Rule != -1 || a.N != 0 || len(a.Faults) != 0 || a.Delay != 0 || a.Status != 200 || !a.Effect && a.RequestID == "" {
			t.Errorf("recorded as %+v", a)
		}
	}
}

// converse sends text and returns all that comes back, except dates, and
// whether the connection is still open.
func converse(t *testing.T, addr, said string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(conn, said)
	if said == "" {
		conn.(*net.TCPConn).CloseWrite()
	}
	var b strings.Builder
	r := bufio.NewReader(conn)
	for { // the first line, then until no more comes
		part, err := r.ReadString('\n')
		if !strings.HasPrefix(part, "Date: ") {
			b.WriteString(part)
		}
		if err != nil {
			if os.IsTimeout(err) {
				return b.String() + "(open)"
			}
			return b.String() + "(" + err.Error() + ")"
		}
		conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	}
}

// BenchmarkInert compares the answers per second of a server with rules that
// never fit with those of a plain handler. It alternates between them, so that
// other load on the machine affects both.
func BenchmarkInert(b *testing.B) {
	s := Start(b, elsewhere())
	addrs := []string{plainHandler(b), s.Addr()}
	const request = "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: op-1\r\nContent-Length: 9\r\n\r\nsome work"
	const callers, turn = 4, 250
	conns := make([][]net.Conn, 2)
	for side, addr := range addrs {
		for range callers {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			conns[side] = append(conns[side], conn)
		}
	}
	ask := func(side int) time.Duration {
		begun := time.Now()
		done := make(chan error, callers)
		for _, conn := range conns[side] {
			go func() {
				r := bufio.NewReader(conn)
				var err error
				for n := 0; n < turn && err == nil; n++ {
					io.WriteString(conn, request)
					var resp *http.Response
					if resp, err = http.ReadResponse(r, nil); err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
					}
				}
				done <- err
			}()
		}
		for range callers {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(begun)
	}
	ask(0)
	ask(1)
	var ratios []float64
	var took [2]time.Duration
	for range b.N {
		var now [2]time.Duration
		order := len(ratios) % 2
		for _, side := range []int{order, 1 - order} {
			now[side] = ask(side)
			took[side] += now[side]
		}
		ratios = append(ratios, float64(now[0])/float64(now[1]))
	}
	slices.Sort(ratios)
	answers := float64(b.N * callers * turn)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(answers/took[0].Seconds(), "plain-answers/s")
	b.ReportMetric(answers/took[1].Seconds(), "inert-answers/s")
	b.ReportMetric(ratios[len(ratios)/2], "median-ratio")
}

// callerOf is the environment variable with an address. If it is set, this
// program holds connections to the address. It is a separate process, since
// 10,000 connections with both ends exceed the file limit of one process on
// many systems.
const callerOf = "FAULTSERVER_TEST_CALLER_OF"

const held = 10_000

func TestMain(m *testing.M) {
	addr := os.Getenv(callerOf)
	if addr == "" {
		os.Exit(m.Run())
	}
	for i := range held {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintf(conn, "POST /work HTTP/1.1\r\nHost: x\r\nX-Request-ID: %d\r\nContent-Length: 9\r\n\r\nsome work", i)
		defer conn.Close()
	}
	io.Copy(io.Discard, os.Stdin) // until it is no longer needed
}

// BenchmarkHanging holds 10,000 connections in hanging requests, and then as
// many that hang before a request, and reports the memory of the server's
// process. It needs 10,100 file descriptors.
func BenchmarkHanging(b *testing.B) {
	for name, plan := range map[string]fault.Plan{
		"requests":    strikeAll(fault.Fault{Hang: fault.BeforeAnswer}),
		"connections": {Connections: []fault.ConnRule{{Fault: fault.ConnFault{Hang: true}}}},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				debug.FreeOSMemory()
				before := resident(b)
				s := Start(b, plan)
				caller := exec.Command(os.Args[0])
				caller.Env = append(os.Environ(), callerOf+"="+s.Addr())
				caller.Stderr = os.Stderr
				stop, err := caller.StdinPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := caller.Start(); err != nil {
					b.Fatal(err)
				}
				onRecord := func() int { // without the copy of Record
					s.mu.Lock()
					defer s.mu.Unlock()
					return s.run.record.Len()
				}
				for deadline := time.Now().Add(time.Minute); onRecord() < held; runtime.Gosched() {
					if time.Now().After(deadline) {
						b.Fatalf("%d connections after a minute", s.Connections())
					}
				}
				after := resident(b)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(after-before)/(1<<20), "MiB-more")
				b.ReportMetric(float64(after)/(1<<20), "MiB-resident")
				s.Close()
				stop.Close()
				if err := caller.Wait(); err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// resident returns the bytes of memory of this process.
func resident(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		tb.Fatal(err)
	}
	return pages * os.Getpagesize()
}
