package wire

import (
	"context"
	"net"
	"time"

	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/world"
)

// dialWithin bounds a dial; zero is no limit. net/http goes on with a dial after the
// request for it has ended, so the request cannot bound it.
//
// The limit is one of the real World: a net.Dialer gives the context's deadline to its
// socket, which has the system's clock.
func dialWithin(ctx context.Context, limit time.Duration, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	if limit <= 0 {
		return dial(ctx)
	}
	var sockets world.World
	end := sockets.Now().Add(limit)
	var within lazyctx.Context
	within.Init(ctx, end)
	defer within.End()
	conn, err := dial(&within)
	// The socket may reach the deadline before the context does.
	if err != nil && sockets.Until(end) <= 0 {
		return nil, &connectTimeout{err}
	}
	return conn, err
}
