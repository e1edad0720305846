package wire

import (
	"errors"
	"io"
	"math"
	"os"
	"sync"
)

// keepUpload is how much of a body that can be read once is kept, so that the
// request can be sent again.
const keepUpload = 1 << 20

var errUploadOver = errors.New("the request body is closed")

// Upload is the body of a request whose attempts have to share it, since it
// cannot be had again. A file is read by offset, from where it stood. Of anything
// else the beginning is kept as it is sent, and a repeat sends that, and then what
// follows; never do two attempts read it.
type Upload struct {
	body  io.ReadCloser
	file  io.ReaderAt // nil if it is none
	start int64       // where it stood

	length int64 // announced; zero or less if unknown

	reading sync.Mutex // held by the one that reads the body

	mu     sync.Mutex
	keep   int // how much is kept; more than that is not kept at all
	kept   []byte
	read   int64
	inside bool  // somebody is reading it right now
	end    error // what its last Read came to
	gone   bool  // it cannot be had from its beginning any more
	closed bool
}

// NewUpload takes over body, whose length is zero or less if it is not known. If it
// is not to be repeated, nothing is kept.
func NewUpload(body io.ReadCloser, length int64, repeat bool) *Upload {
	u := &Upload{body: body, length: length}
	if repeat {
		u.keep = keepUpload
	}
	if f, ok := body.(interface {
		io.ReaderAt
		io.Seeker
	}); ok {
		if f, ok := body.(*os.File); ok {
			if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // pipes, terminals
				return u
			}
		}
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			u.file, u.start = f, at
		}
	}
	return u
}

// Again reports whether the next attempt can have the whole body.
func (u *Upload) Again() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.gone
}

// Settled reports whether Again will say the same when the attempts that have the
// body have ended: one that is reading it takes it along.
func (u *Upload) Settled() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.file != nil || u.over() || u.gone
}

// over reports whether all of the body has been read. Its end may not have been
// seen: net/http looks for it after it has sent what was announced, and by then
// the answer may be there. It is asked under the lock.
func (u *Upload) over() bool {
	return u.end != nil || u.length > 0 && u.read >= u.length
}

// Open gives an attempt the body from its beginning.
func (u *Upload) Open() (io.ReadCloser, error) {
	switch {
	case u.file != nil:
		return io.NopCloser(io.NewSectionReader(u.file, u.start, math.MaxInt64-u.start)), nil
	case !u.Again():
		return nil, errUploadOver
	}
	return &view{u: u}, nil
}

// Close closes the body, once. An attempt that is reading it gets an error.
func (u *Upload) Close() {
	u.mu.Lock()
	was := u.closed
	u.closed = true
	u.gone = u.gone || !u.over()
	u.mu.Unlock()
	if !was {
		_ = u.body.Close()
	}
}

// view is the body as one attempt sees it.
type view struct {
	u      *Upload
	at     int64
	closed bool // under u.mu
}

func (v *view) Read(p []byte) (int, error) {
	u := v.u
	u.reading.Lock()
	defer u.reading.Unlock()
	if n, err := v.enter(p); n > 0 || err != nil {
		return n, err
	}
	n, err := u.body.Read(p)
	v.leave(p[:n], err)
	return n, err
}

// enter gives what is kept, or the right to read what follows it.
func (v *view) enter(p []byte) (int, error) {
	u := v.u
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case v.closed:
		return 0, errUploadOver
	case v.at < int64(len(u.kept)):
		n := copy(p, u.kept[v.at:])
		v.at += int64(n)
		return n, nil
	case u.end != nil:
		return 0, u.end
	case u.closed && u.over() && v.at == u.read:
		return 0, io.EOF
	case u.closed, v.at != u.read:
		return 0, errUploadOver
	}
	u.inside = true
	return 0, nil
}

// leave keeps what was read, as long as that is all of it.
func (v *view) leave(p []byte, err error) {
	u := v.u
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inside = false
	u.read += int64(len(p))
	v.at += int64(len(p))
	if err != nil && !u.closed {
		u.end = err
	}
	switch {
	case u.gone:
	case len(u.kept)+len(p) > u.keep:
		u.gone, u.kept = true, nil
	default:
		u.kept = append(u.kept, p...)
	}
}

// Close ends the attempt's view. The body stays open as long as another attempt
// may go on with it. Whoever blocks in its Read is freed, at the cost of the body.
func (v *view) Close() error {
	u := v.u
	u.mu.Lock()
	v.closed = true
	over := u.inside || u.gone || u.end != nil
	u.mu.Unlock()
	if over {
		u.Close()
	}
	return nil
}
