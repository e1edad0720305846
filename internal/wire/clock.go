package wire

import (
	"context"
	"net"
	"time"
)

// This file has every read of the clock and every timer of the package.

func now() time.Time                       { return time.Now() }
func since(t time.Time) time.Duration      { return time.Since(t) }
func newTimer(d time.Duration) *time.Timer { return time.NewTimer(d) }

// afterFunc calls f in a goroutine of its own after d.
func afterFunc(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d, f) }

// dialWithin bounds a dial; zero is no limit. net/http goes on with a dial after the
// request for it has ended, so the request cannot bound it.
func dialWithin(ctx context.Context, limit time.Duration, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	if limit <= 0 {
		return dial(ctx)
	}
	end := now().Add(limit)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	conn, err := dial(ctx)
	// A socket has the deadline too, and may reach it before the context does.
	if err != nil && !now().Before(end) {
		return nil, &connectTimeout{err}
	}
	return conn, err
}
