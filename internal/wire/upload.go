package wire

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"reflect"
	"sync"
)

// keepUpload bounds what is kept of a body that can be read only once, so that the
// request can be sent again.
const keepUpload = 1 << 20

var errUploadOver = errors.New("the request body is closed")

// Upload is a request's body that can be read only once, and that the attempts share. A
// file is read by offset, from its position at the start. Of any other body the
// beginning is kept while it is sent: a repeat sends that, and then reads on. Two
// attempts never read the body at the same time.
type Upload struct {
	body  io.ReadCloser
	file  io.ReaderAt // nil if the body is not a file
	start int64       // its position
	size  int64       // from there to its end; negative if it is not known

	length int64 // announced; zero or less if unknown

	reading sync.Mutex // held by the attempt that reads the body

	mu     sync.Mutex
	keep   int // a longer body is not kept at all
	kept   []byte
	read   int64
	inside bool  // a Read is going on
	end    error // of the last Read
	gone   bool  // the beginning was read and not kept
	closed bool
}

// NewUpload takes over body, whose length is zero or less if it is not known. Without
// repeat nothing is kept.
func NewUpload(body io.ReadCloser, length int64, repeat bool) *Upload {
	u := &Upload{body: body, length: length}
	if repeat {
		u.keep = keepUpload
	}
	if f, ok := readerAt(body); ok {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return u
		}
		end, err := f.Seek(0, io.SeekEnd)
		if _, back := f.Seek(at, io.SeekStart); err == nil && back == nil {
			u.file, u.start, u.size = f, at, max(0, end-at)
			if n, _ := f.ReadAt(make([]byte, 1), at); u.size == 0 && n > 0 { // a file of the kernel's
				u.size = -1
			}
		}
	}
	return u
}

// file is what can be read by offset.
type file interface {
	io.ReaderAt
	io.Seeker
}

// readerAt returns body as a file, or a section of one. Any other reader that has the
// methods may have a Read of its own beside them, which gives something else.
func readerAt(body io.Reader) (file, bool) {
	body, _ = belowNopCloser(body)
	switch f := body.(type) {
	case *os.File:
		info, err := f.Stat()
		return f, err == nil && info.Mode().IsRegular() // no pipe or terminal
	case *io.SectionReader:
		return f, true
	}
	if f, ok := body.(file); ok && reflect.TypeOf(body).String() == "multipart.sectionReadCloser" {
		return f, true
	}
	return nil, false
}

// Size returns the length of a file, from its position to its end, and false if it is not
// known, as of any other body.
func (u *Upload) Size() (int64, bool) { return u.size, u.file != nil && u.size >= 0 }

// Again reports whether the next attempt can send the whole body.
func (u *Upload) Again() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.gone
}

// Settled reports whether the value of Again is final. It is not while an attempt may
// still read the body.
func (u *Upload) Settled() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.file != nil || u.over() || u.gone
}

// over reports whether all of the body was read. The Read that meets the end may not
// have happened yet: net/http makes it after it has sent the announced length, and the
// answer may arrive before. The lock is held.
func (u *Upload) over() bool {
	return u.end != nil || u.length > 0 && u.read >= u.length
}

// Open returns the body from its beginning, for one attempt.
func (u *Upload) Open() (io.ReadCloser, error) {
	switch {
	case u.file != nil:
		size := u.size
		if size < 0 {
			size = math.MaxInt64 - u.start
		}
		return &fileReader{io.NewSectionReader(u.file, u.start, size), u}, nil
	case !u.Again():
		return nil, errUploadOver
	}
	return &uploadReader{u: u}, nil
}

// fileReader is a file as the body of one attempt.
type fileReader struct {
	*io.SectionReader
	u *Upload
}

// Close leaves the file to the next attempt.
func (*fileReader) Close() error { return nil }

// send sends at most n bytes of an *os.File to a socket, without a copy of them in this
// process, and moves the reader. The position of the file is shared, so that no other
// attempt may read it meanwhile.
func (r *fileReader) send(to *net.TCPConn, n int64) (int64, error) {
	r.u.reading.Lock()
	defer r.u.reading.Unlock()
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	f := r.u.file.(*os.File)
	if _, err := f.Seek(r.u.start+at, io.SeekStart); err != nil {
		return 0, err
	}
	sent, err := to.ReadFrom(&io.LimitedReader{R: f, N: min(n, r.Size()-at)})
	_, _ = r.Seek(at+sent, io.SeekStart)
	return sent, err
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

// uploadReader is the body of one attempt.
type uploadReader struct {
	u      *Upload
	at     int64
	closed bool // under u.mu
}

func (r *uploadReader) Read(p []byte) (int, error) {
	u := r.u
	u.reading.Lock()
	defer u.reading.Unlock()
	if n, err := r.beginRead(p); n > 0 || err != nil {
		return n, err
	}
	n, err := u.body.Read(p)
	r.endRead(p[:n], err)
	return n, err
}

// beginRead reads what is kept. If it returns nothing, the attempt may read on.
func (r *uploadReader) beginRead(p []byte) (int, error) {
	u := r.u
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case r.closed:
		return 0, errUploadOver
	case r.at < int64(len(u.kept)):
		n := copy(p, u.kept[r.at:])
		r.at += int64(n)
		return n, nil
	case u.end != nil:
		return 0, u.end
	case u.closed && u.over() && r.at == u.read:
		return 0, io.EOF
	case u.closed, r.at != u.read:
		return 0, errUploadOver
	}
	u.inside = true
	return 0, nil
}

// endRead keeps what was read, up to the bound.
func (r *uploadReader) endRead(p []byte, err error) {
	u := r.u
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inside = false
	u.read += int64(len(p))
	r.at += int64(len(p))
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

// Close ends the attempt's use of the body, which stays open if another attempt can go
// on with it. It frees a Read that blocks, and then closes the body.
func (r *uploadReader) Close() error {
	u := r.u
	u.mu.Lock()
	r.closed = true
	over := u.inside || u.gone || u.end != nil
	u.mu.Unlock()
	if over {
		u.Close()
	}
	return nil
}
