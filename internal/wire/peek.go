package wire

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Peek reads the beginning of a body that the caller reads afterwards: up to errorBody
// bytes, for errorTime at most. body is then the whole again, from its first byte. It reports
// whether the beginning is all of it.
//
// A Read of net/http cannot be given up. So it is made by another goroutine, which is
// waited for by the first Read of the caller if it is still under way.
func (r *RoundTrip) Peek(of io.ReadCloser) (beginning []byte, body io.ReadCloser, whole bool) {
	p := &peeked{ReadCloser: of, done: make(chan struct{})}
	if !r.world.IsReal() { // there the body does not wait for a socket
		p.read()
	} else {
		parker := r.world.Parker()
		r.world.Go(func() {
			p.read()
			parker.Wake()
		})
		if parker.Park(context.Background(), r.world.Now().Add(errorTime)) != world.ByWake {
			p.stop.Store(true)
			return nil, p, false // the parker is left to the goroutine
		}
		parker.Free()
	}
	return p.bytes, p, p.err == io.EOF
}

// peeked is a body of which the beginning was read.
type peeked struct {
	io.ReadCloser
	stop atomic.Bool   // the goroutine reads no more
	done chan struct{} // it has ended; then the fields below are the caller's

	bytes []byte // that were read
	at    int    // the caller has had those before
	err   error  // of the last Read
}

func (p *peeked) read() {
	defer close(p.done)
	buf := make([]byte, 4<<10)
	for p.err == nil && len(p.bytes) < errorBody && !p.stop.Load() {
		var n int
		n, p.err = p.ReadCloser.Read(buf[:min(len(buf), errorBody-len(p.bytes))])
		p.bytes = append(p.bytes, buf[:n]...)
	}
}

func (p *peeked) Read(b []byte) (int, error) {
	<-p.done
	if p.at < len(p.bytes) {
		n := copy(b, p.bytes[p.at:])
		p.at += n
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.ReadCloser.Read(b)
}
