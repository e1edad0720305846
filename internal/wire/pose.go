//go:build golden

package wire

// Pose puts t into the state after a round trip. Only the generator of
// internal/core/judge/testdata/golden.txt uses it, and goes with it.
func (t *Trip) Pose(ctx Context, sent bool, expired Phase, failed error) {
	t.Context = ctx
	t.conn.foreign = sent
	t.expired, t.phase = expired != Whole, expired
	t.request.failed.Store(nil)
	if failed != nil {
		t.request.failed.Store(&failed)
	}
}

// ConnectTimeoutError is the error of a dial that its own limit has ended.
func ConnectTimeoutError(err error) error { return &connectTimeout{err} }
