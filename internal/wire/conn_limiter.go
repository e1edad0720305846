package wire

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// connLimiter bounds the connections of a Transport. Over HTTP/1 net/http keeps to its
// MaxConnsPerHost, and requests wait there. Over HTTP/2 it does not: it opens another
// connection whenever all streams are in use. And it does not know of connections that
// carry a long answer and do not count. So the limiter counts, and fails a dial that is
// one too many. Its request then waits in line, and tries again when it is at the head and
// a connection or a stream may be free.
type connLimiter struct {
	max   int           // zero is no limit
	both  bool          // it also counts over HTTP/1
	http2 atomic.Bool   // the service speaks HTTP/2
	seq   atomic.Uint64 // counts the requests that were given a connection

	mu     sync.Mutex
	open   int // connections and dials
	long   int // of them those that carry a stream over HTTP/1
	conns  map[*trackedConn]struct{}
	closed bool // by closeAll

	head    chan struct{} // held by the request at the head of the line
	freed   chan struct{} // a connection or a stream may be free
	look    chan struct{} // the head is to look by itself
	waiting atomic.Int64
}

// errFull is the error of a dial that the limiter has rejected.
var errFull = errors.New("every connection is in use")

// acquire takes a place for a dial of addr; false if there is none. An idle connection to
// another address, to which a redirect led, makes room.
func (l *connLimiter) acquire(addr string) bool {
	l.mu.Lock()
	if l.max == 0 || l.open-l.long < l.max || !l.both && !l.http2.Load() {
		l.open++
		l.mu.Unlock()
		return true
	}
	var idle *trackedConn
	for c := range l.conns {
		if c.addr != addr && c.users.CompareAndSwap(0, retired) {
			idle = c
			break
		}
	}
	if idle != nil {
		l.open++ // before its place is given back, so that no other dial takes it
	}
	l.mu.Unlock()
	if idle == nil {
		return false
	}
	_ = idle.Close()
	return true
}

// boundBoth bounds the connections of HTTP/1, too: two pools have some.
func (l *connLimiter) boundBoth() {
	l.mu.Lock()
	l.both = true
	l.mu.Unlock()
}

// room reports whether another connection may be dialled.
func (l *connLimiter) room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.max == 0 || l.open-l.long < l.max
}

// carry changes the number of connections that carry a stream over HTTP/1.
func (l *connLimiter) carry(n int) {
	l.mu.Lock()
	l.long += n
	l.mu.Unlock()
	l.notify()
}

// release gives the place back.
func (l *connLimiter) release() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.notify()
}

// track keeps the connection of a place until it is closed. After closeAll that is at
// once.
func (l *connLimiter) track(c *trackedConn) *trackedConn {
	c.users.Store(unused)
	c.asking.init(c.Conn)
	c.born = l.seq.Load()
	c.heard.Store(c.born)
	l.mu.Lock()
	if l.conns == nil {
		l.conns = make(map[*trackedConn]struct{})
	}
	l.conns[c] = struct{}{}
	closed := l.closed
	l.mu.Unlock()
	if closed {
		_ = c.Close()
	}
	return c
}

// remove gives back the place of a connection that was closed.
func (l *connLimiter) remove(c *trackedConn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.release()
}

// retire closes the idle connections that may have ended like the one that a round trip
// took. It reports whether others of the pool have streams under way, and there is room
// for another connection.
//
// What was heard of since is well. If that is so of any connection that is as old, then
// not all have ended: those that were idle as long may have, if that was long.
func (l *connLimiter) retire(t taken, pool *http.Transport) (shared bool) {
	var idle []*trackedConn
	l.mu.Lock()
	until := t.seq
	for c := range l.conns {
		if c.born < t.seq && c.heard.Load() >= t.seq {
			until = 0
			if t.idle >= idleLong {
				until = t.heard + 1
			}
			break
		}
	}
	for c := range l.conns {
		switch {
		case c.heard.Load() >= until:
		case c.users.CompareAndSwap(0, retired), c.isReady() && c.users.CompareAndSwap(unused, retired):
			idle = append(idle, c)
		case c.users.Load() == unused:
			c.suspect.Store(true)
		case c.http2.Load() && c.pool == pool:
			shared = true
		}
	}
	room := l.max == 0 || l.open-l.long-len(idle) < l.max
	l.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
	return shared && room
}

// closeIdle closes the idle connections of a pool that gets no more requests. The others
// are closed after their last.
func (l *connLimiter) closeIdle(pool *http.Transport) {
	var idle []*trackedConn
	l.mu.Lock()
	for c := range l.conns {
		if c.pool == pool && c.users.CompareAndSwap(0, retired) {
			idle = append(idle, c)
		}
	}
	l.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// closeAll closes every connection, and those that are dialled later.
func (l *connLimiter) closeAll() {
	l.mu.Lock()
	l.closed = true
	all := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// notify wakes the head of the line.
func (l *connLimiter) notify() {
	if l.waiting.Load() > 0 {
		select {
		case l.freed <- struct{}{}:
		default:
		}
	}
}

// lookNow has the head look by itself.
func (l *connLimiter) lookNow() {
	select {
	case l.look <- struct{}{}:
	default:
	}
}

// A stream becomes free a moment after its answer was read, of which there is no
// notice. So the head of the line also looks by itself, at growing intervals.
const (
	firstLook = time.Millisecond
	lastLook  = 64 * time.Millisecond
)

// sendInLine sends req once there is a connection for it. A request that arrives while
// others wait tries first, as with a sync.Mutex: a strict order would cost a busy
// machine a wake-up for each request.
func (r *RoundTrip) sendInLine(req *http.Request) (*http.Response, error) {
	resp, err := r.own.current.Load().RoundTrip(req)
	if !r.mustWait(err) {
		return resp, err
	}
	defer r.leaveHead()
	look := r.world.AfterFunc(lastLook, r.limiter.lookNow)
	defer look.Stop()
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		r.beginAcquire()
		if !r.awaitHead() {
			return nil, r.Err()
		}
		resp, err := r.own.current.Load().RoundTrip(req)
		if !r.mustWait(err) {
			return resp, err
		}
		look.Reset(wait)
		select {
		case <-r.limiter.freed:
			wait = firstLook
		case <-r.limiter.look:
		case <-r.Done():
			return nil, r.Err()
		}
	}
}

// mustWait reports whether there was no connection for the request, or no stream of
// one. In the second case net/http closes the request's body, which it has not read,
// and then cannot send it on another connection.
func (r *RoundTrip) mustWait(err error) bool {
	if err == nil || errors.Is(err, errFull) {
		return err != nil
	}
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return !r.conn.wroteHeaders && r.conn.ended == nil && strings.Contains(err.Error(), "cannot rewind body after connection loss")
}

// awaitHead waits until the request is at the head of the line; false if its context
// ends before.
func (r *RoundTrip) awaitHead() bool {
	if r.isHead.Load() {
		return true
	}
	r.limiter.waiting.Add(1)
	select {
	case r.limiter.head <- struct{}{}:
		r.isHead.Store(true)
		return true
	case <-r.Done():
		r.limiter.waiting.Add(-1)
		return false
	}
}

// leaveHead makes room for the next in line: the request has a connection or a dial of
// its own, or has ended.
func (r *RoundTrip) leaveHead() {
	if r.isHead.CompareAndSwap(true, false) {
		<-r.limiter.head
		r.limiter.waiting.Add(-1)
	}
}
