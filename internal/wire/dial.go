package wire

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/holdfast-go/holdfast/internal/bubble"
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

// dialNetwork opens a real socket.
func dialNetwork(ctx context.Context, network, addr string) (net.Conn, error) {
	if bubble.Inside() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errInBubble}
	}
	d := net.Dialer{KeepAlive: 30 * time.Second}
	if r, _ := ctx.Value(roundTripKey{}).(*RoundTrip); r != nil && r.PublicOnly {
		d.ControlContext = onlyPublic
	}
	return d.DialContext(ctx, network, addr)
}

// errInBubble is the error of a client that has no dialler of its own in a bubble. With a
// socket the first wait would never end, and the test would end by its time limit.
var errInBubble = errors.New("a real socket stops the clock of a testing/synctest bubble, so that no wait in it ends: " +
	"make the server in the bubble with faultserver.InMemory(), and the client with holdfast.WithDialContext(server.Dial)")
