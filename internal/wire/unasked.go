package wire

import (
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// An idle connection of HTTP/2 carries a few frames: PINGs and their answers, SETTINGS,
// WINDOW_UPDATEs. net/http reads and answers frames for as long as a service sends them, and
// logs a line for each one of a type that it does not know: 175,000 lines a second. So a
// trackedConn counts the bytes that it reads while no request has it, and closes itself above
// a bound that a service does not reach without intent. (Over HTTP/1.1 net/http closes a
// connection at the first such byte.)
const (
	unaskedMost   = 64 << 10 // bytes, until the next request
	unaskedMinute = 16 << 10 // more of them, each minute

	// unreadMost is how much of an answer may be on its way when its request is given up: its
	// headers, and what a stream of HTTP/2 has as its window in net/http.
	unreadMost = maxResponseHeader + 4<<20
)

// unasked counts the bytes of a connection that no request has asked for.
type unasked struct {
	count  atomic.Int64 // since the last request, less what the time allows
	unread atomic.Int64 // that may still come of answers that were given up
	since  atomic.Int64 // when count was last lowered, in Unix seconds
}

// read counts n bytes at now. It reports whether there are too many.
func (u *unasked) read(n int, now time.Time) bool {
	if u.unread.Load() > 0 {
		if left := u.unread.Add(int64(-n)); left >= 0 {
			return false
		} else if u.unread.CompareAndSwap(left, 0) {
			n = int(-left)
		}
	}
	count := u.count.Load()
	if last := u.since.Swap(now.Unix()); last > 0 {
		seconds := max(0, now.Unix()-last)
		count = max(0, count-seconds*unaskedMinute/60)
	}
	count += int64(n)
	u.count.Store(count)
	return count > unaskedMost
}

// readUnasked is called after a Read of n bytes. The handshake of a new connection is not idle.
func (c *trackedConn) readUnasked(n int) {
	users := c.users.Load()
	if users > 0 || users == unused && !c.isReady() || users == retired {
		return
	}
	var sockets world.World
	if c.unasked.read(n, sockets.Now()) && c.users.CompareAndSwap(users, retired) { // otherwise a request has it now
		_ = c.Close()
	}
}
