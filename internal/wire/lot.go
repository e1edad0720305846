package wire

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lot is where the connections of a transport have their places, and requests wait
// for one.
//
// net/http keeps to its MaxConnsPerHost over HTTP/1, and whoever is one too many
// waits there. Over HTTP/2 it does not: it forgets a connection whose streams are
// all in use, opens another, and so on without end. So here they are counted, and a
// dial that is one too many fails at once, before anything is opened. Its request
// then waits in line, and tries again when it is the first and a stream may have
// come free.
type lot struct {
	max  int // zero is no limit
	mu   sync.Mutex
	open int // connections, and dials

	conns  map[*counted]struct{} // the connections
	closed bool                  // there are to be none

	shared atomic.Bool // the service speaks HTTP/2: over HTTP/1 net/http keeps to the bound

	turn    chan struct{} // held by the first in line
	freed   chan struct{} // something may have come free
	waiting atomic.Int64
}

// errFull is a dial that was not made.
var errFull = errors.New("every connection is in use")

// enter takes a place.
func (l *lot) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && l.open >= l.max && l.shared.Load() {
		return false
	}
	l.open++
	return true
}

// hold keeps the connection of a place until it is closed, which is at once if the
// lot has been cleared.
func (l *lot) hold(conn net.Conn) *counted {
	c := &counted{Conn: conn, lot: l}
	l.mu.Lock()
	if l.conns == nil {
		l.conns = make(map[*counted]struct{})
	}
	l.conns[c] = struct{}{}
	late := l.closed
	l.mu.Unlock()
	if late {
		_ = c.Close()
	}
	return c
}

// clear closes every connection, and those that come later.
func (l *lot) clear() {
	l.mu.Lock()
	l.closed = true
	all := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// left gives back the place of a connection.
func (l *lot) left(c *counted) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.leave()
}

// leave gives the place back.
func (l *lot) leave() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.signal()
}

// signal tells the first in line that it may be worth another try.
func (l *lot) signal() {
	if l.waiting.Load() > 0 {
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// A stream comes free a moment after its answer was read, which nobody tells, so
// that the first in line also looks by itself.
const (
	firstLook = time.Millisecond
	lastLook  = 64 * time.Millisecond
)

// queue sends req, once there is a connection for it. Whoever comes while others
// wait tries first, as a mutex lets them: if each had to wait for the one before it
// to be woken, a busy machine would do little else.
func (t *Trip) queue(rt *http.Transport, req *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTrip(req)
	if !t.mayWait(err) {
		return resp, err
	}
	defer t.leaveTurn()
	var look *time.Timer
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		t.pool()
		if !t.takeTurn() {
			return nil, t.Err()
		}
		resp, err := rt.RoundTrip(req)
		if !t.mayWait(err) {
			return resp, err
		}
		if look == nil {
			look = time.NewTimer(wait)
			defer look.Stop()
		}
		look.Reset(wait)
		select {
		case <-t.lot.freed:
			wait = firstLook
		case <-look.C:
		case <-t.Done():
			return nil, t.Err()
		}
	}
}

// mayWait reports whether there was no connection for the request, or no stream of
// one. net/http closes the body of a request that a connection had no stream for,
// and then cannot send it on the next; but nobody has read it.
func (t *Trip) mayWait(err error) bool {
	if err == nil || errors.Is(err, errFull) {
		return err != nil
	}
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	return !t.conn.headed && t.conn.ended == nil && strings.Contains(err.Error(), "cannot rewind body after connection loss")
}

// takeTurn waits until the request is the first in line; false if its time is over
// before.
func (t *Trip) takeTurn() bool {
	if t.myTurn.Load() {
		return true
	}
	t.lot.waiting.Add(1)
	select {
	case t.lot.turn <- struct{}{}:
		t.myTurn.Store(true)
		return true
	case <-t.Done():
		t.lot.waiting.Add(-1)
		return false
	}
}

// leaveTurn lets the next in line try, if this was the first: it has a connection,
// or a dial of its own, or has given up.
func (t *Trip) leaveTurn() {
	if t.myTurn.CompareAndSwap(true, false) {
		<-t.lot.turn
		t.lot.waiting.Add(-1)
	}
}
