package conformance

import (
	"bytes"
	"context"
	"net"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Goroutines and sockets are counted for each meeting separately, so that
// meetings can run concurrently. A goroutine inherits the label of its creator.
// A client's socket is one with the service's port as its remote port.

const labelName = "conformance"

// label runs f with the label, which all goroutines started by f inherit.
func label(value string, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(labelName, value)))
		f()
	}()
	<-done
}

// snapshot is a count of all labelled goroutines. Since taking one stops the
// world, concurrent callers share it.
var snapshot struct {
	sync.Mutex
	taken time.Time
	count map[string]int
}

const snapshotLife = 20 * time.Millisecond

// goroutines returns the number of goroutines with the label at some time after
// since.
func goroutines(value string, since time.Time) int {
	snapshot.Lock()
	defer snapshot.Unlock()
	if snapshot.taken.Before(since) || time.Since(snapshot.taken) > snapshotLife {
		snapshot.taken = time.Now()
		snapshot.count = countLabels()
	}
	return snapshot.count[value]
}

// countLabels parses the goroutine profile as text: "3 @ 0x…", and in the next
// line "# labels: {"conformance":"17"}".
func countLabels() map[string]int {
	var text bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&text, 1)
	count, n := map[string]int{}, 0
	for line := range strings.Lines(text.String()) {
		if before, _, ok := strings.Cut(line, " @ "); ok {
			n, _ = strconv.Atoi(before)
		} else if _, after, ok := strings.Cut(line, `"`+labelName+`":"`); ok {
			value, _, _ := strings.Cut(after, `"`)
			count[value] += n
		}
	}
	return count
}

// sockets is a count of all open sockets of this machine by their remote port.
// Concurrent callers share it: reading it takes the kernel some milliseconds.
var sockets struct {
	sync.Mutex
	taken time.Time
	count map[int]int
	known bool // the system reports them
}

// descriptors returns the number of open sockets of this machine to the ports of the
// addresses at some time after since, and false if the system does not report them.
func descriptors(addrs []string, since time.Time) (n int, known bool) {
	sockets.Lock()
	defer sockets.Unlock()
	if sockets.taken.Before(since) || time.Since(sockets.taken) > snapshotLife {
		sockets.taken = time.Now()
		sockets.count, sockets.known = countSockets()
	}
	for _, addr := range addrs {
		_, text, _ := net.SplitHostPort(addr)
		port, _ := strconv.Atoi(text)
		n += sockets.count[port]
	}
	return n, sockets.known
}

func countSockets() (count map[int]int, known bool) {
	count = map[int]int{}
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, false
		}
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[9] == "0" { // closed: only the kernel still has it
				continue
			}
			_, hex, _ := strings.Cut(f[2], ":")
			if port, err := strconv.ParseInt(hex, 16, 32); err == nil {
				count[int(port)]++
			}
		}
	}
	return count, true
}

// settle polls until all returns true or the limit is over. It polls less often
// the longer it takes, because a poll may read all sockets of the machine.
func settle(limit time.Duration, all func() bool) {
	wait := minPoll
	for end := time.Now().Add(limit); !all() && time.Now().Before(end); wait = min(wait*5/4, maxPoll) {
		time.Sleep(min(wait, time.Until(end)))
	}
}

const (
	minPoll = 5 * time.Millisecond
	maxPoll = 100 * time.Millisecond
)
