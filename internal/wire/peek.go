package wire

import (
	"context"
	"io"
	"time"

	"github.com/holdfast-go/holdfast/internal/world"
)

// Peeked is a body of which the beginning is read before its reader gets it: up to errorBody
// bytes, unless its user has another bound. To its reader it is the whole body.
//
// A Read of net/http cannot be given up. So with a limit it is made by another goroutine,
// and if it is still under way then, the first Read of the reader waits for it.
type Peeked struct {
	io.ReadCloser
	Most      int // bytes of the beginning
	roundTrip *RoundTrip
	until     time.Time // of all reads ahead; zero for no limit
	beginning []byte
	returned  int // bytes of beginning that the reader has
	err       error

	room    []byte
	n       int           // of room, by the last read ahead
	pending chan struct{} // closed when a read ahead ends that was given up; nil for none
}

// PeekTime is how long the reads ahead of a Peeked take at most, where nothing else says it.
const PeekTime = errorTime

// Peek returns a body whose beginning can be read ahead, for at most d from now on; zero is
// no limit but those of the round trip.
func (r *RoundTrip) Peek(of io.ReadCloser, d time.Duration) *Peeked {
	p := &Peeked{ReadCloser: of, Most: errorBody, roundTrip: r}
	if d > 0 {
		p.until = r.world.Now().Add(d)
	}
	return p
}

// More reads the next piece of the beginning, and returns it. It is empty if the body has
// ended or failed, if the beginning has its full length, or if the time is over.
func (p *Peeked) More() []byte {
	if p.pending != nil || p.err != nil || len(p.beginning) >= p.Most {
		return nil
	}
	if p.room == nil {
		p.room = make([]byte, 4<<10)
	}
	room := p.room[:min(len(p.room), p.Most-len(p.beginning))]
	for range 100 { // the bound of package bufio for empty reads
		if !p.ahead(room) {
			return nil
		}
		if piece := p.settle(); len(piece) > 0 || p.err != nil {
			return piece
		}
	}
	p.err = io.ErrNoProgress
	return nil
}

// ahead reads into room. It is false if the time is over before that.
func (p *Peeked) ahead(room []byte) bool {
	w := p.roundTrip.world
	if p.until.IsZero() || !w.IsReal() { // there the body does not wait for a socket
		p.n, p.err = p.ReadCloser.Read(room)
		return true
	}
	done, parker := make(chan struct{}), w.Parker()
	w.Go(func() {
		p.n, p.err = p.ReadCloser.Read(room)
		close(done)
		parker.Wake()
	})
	if parker.Park(context.Background(), p.until) != world.ByWake {
		p.pending = done // the parker is left to the goroutine
		return false
	}
	parker.Free()
	return true
}

// settle takes over what a read ahead has read.
func (p *Peeked) settle() []byte {
	at := len(p.beginning)
	p.beginning = append(p.beginning, p.room[:p.n]...)
	p.n = 0
	return p.beginning[at:]
}

// All reads as much of the beginning as there is, and reports whether it is the whole body.
func (p *Peeked) All() (beginning []byte, whole bool) {
	for len(p.More()) > 0 {
	}
	if p.pending != nil {
		return p.beginning, false
	}
	return p.beginning, p.err == io.EOF
}

// Late reports whether the time was over before a read ahead ended.
func (p *Peeked) Late() bool { return p.pending != nil }

// Err is the error of the last read ahead, io.EOF at the end of the body. Call it only if
// Late is false.
func (p *Peeked) Err() error { return p.err }

func (p *Peeked) Read(b []byte) (int, error) {
	if p.pending != nil {
		<-p.pending
		p.pending = nil
		p.settle()
	}
	if p.returned < len(p.beginning) {
		n := copy(b, p.beginning[p.returned:])
		if p.returned += n; p.returned == len(p.beginning) {
			p.beginning, p.room, p.returned = nil, nil, 0
		}
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.ReadCloser.Read(b)
}
