package wire

import (
	"net"
	"testing"
	"time"
)

// What is idle may get PINGs for days. A flood has its end after 64 KiB.
func TestUnasked(t *testing.T) {
	start := time.Unix(1e9, 0)
	for name, tt := range map[string]struct {
		bytes  int
		every  time.Duration
		unread int64
		after  int64 // bytes until the end; zero for none
	}{
		"a PING every 15 s, over TLS":         {39, 15 * time.Second, 0, 0},
		"PINGs and their answers, each 1 s":   {4 * 39, time.Second, 0, 0},
		"all that is allowed":                 {unaskedMinute, time.Minute, 0, 0},
		"more than that":                      {unaskedMinute + 1<<10, time.Minute, 0, 49 * (unaskedMinute + 1<<10)},
		"a flood":                             {1 << 10, 0, 0, unaskedMost + 1<<10},
		"a flood in one second":               {1 << 10, time.Millisecond, 0, unaskedMost + 1<<10},
		"a flood after a request given up":    {1 << 10, 0, unreadMost, unreadMost + unaskedMost + 1<<10},
		"what is left of an answer, and more": {3 << 10, 0, 4 << 10, 23 * 3 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			var u unasked
			u.unread.Store(tt.unread)
			sum, now := int64(0), start
			for now.Before(start.Add(3*24*time.Hour)) && sum < 1<<30 {
				sum += int64(tt.bytes)
				if u.read(tt.bytes, now) {
					if sum != tt.after {
						t.Errorf("it ends after %d bytes, want %d", sum, tt.after)
					}
					return
				}
				now = now.Add(tt.every)
			}
			if tt.after != 0 {
				t.Error("it does not end")
			}
		})
	}
}

// What counts is what is read while no request has the connection, since the last one.
func TestUnaskedOfAConnection(t *testing.T) {
	rt := NewTransport(TransportConfig{})
	for name, tt := range map[string]struct {
		http2 bool
		steps func(c *trackedConn, read func(n int))
		open  bool
	}{
		"idle": {true, func(c *trackedConn, read func(int)) {
			c.join(false)
			c.leave(true)
			read(unaskedMost + 1)
		}, false},
		"with a request between": {true, func(c *trackedConn, read func(int)) {
			c.join(false)
			c.leave(true)
			read(unaskedMost)
			c.join(true)
			c.leave(true)
			read(unaskedMost)
		}, true},
		"in a request": {true, func(c *trackedConn, read func(int)) {
			c.join(false)
			read(1 << 20)
		}, true},
		"after a request given up": {true, func(c *trackedConn, read func(int)) {
			c.join(false)
			c.leave(false)
			read(unreadMost + unaskedMost)
		}, true},
		"before the first request": {true, func(_ *trackedConn, read func(int)) { read(unaskedMost + 1) }, false},
		"in a handshake":           {false, func(_ *trackedConn, read func(int)) { read(1 << 20) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			go func() {
				for piece := make([]byte, 1<<10); ; {
					if _, err := there.Write(piece); err != nil {
						return
					}
				}
			}()
			c := &trackedConn{Conn: here, transport: rt, limiter: &rt.limiter, pool: rt.current.Load()}
			rt.limiter.acquire("x.test:443")
			rt.limiter.track(c)
			defer c.Close()
			c.http2.Store(tt.http2)
			tt.steps(c, func(n int) {
				for n > 0 {
					one, err := c.Read(make([]byte, min(n, 1<<10)))
					if err != nil {
						t.Error(err)
						return
					}
					n -= one
				}
			})
			if open := !c.closed.Load(); open != tt.open {
				t.Errorf("open is %v, want %v", open, tt.open)
			}
		})
	}
}
