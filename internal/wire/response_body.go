package wire

import (
	"errors"
	"io"
	"time"
)

const (
	// Only a body that is read to its end leaves its connection to the next request.
	drainBytes = 256 << 10
	drainTime  = 50 * time.Millisecond

	errorBody = 64 << 10               // that is kept of a declining answer's body
	errorTime = 500 * time.Millisecond // that a retry waits for it
)

// ErrTooLong is the error for a body that is longer than ReadAll may keep.
var ErrTooLong = errors.New("body too long")

// responseBody is the body of an answer. Only a Read is timed: a caller that reads
// slowly is not the service's fault.
type responseBody struct {
	io.ReadCloser
	deadlines *deadlines
}

// maxEmpty is the bound of package bufio for reads in a row that read nothing.
const maxEmpty = 100

func (b *responseBody) Read(p []byte) (int, error) {
	b.deadlines.set(dueChunk)
	n, err := b.ReadCloser.Read(p)
	b.deadlines.clear(dueChunk)
	if err == io.EOF {
		b.deadlines.answer.Store(answerRead)
	}
	if n > 0 || err != nil || len(p) == 0 {
		b.deadlines.empty = 0
		return n, err
	}
	if err := b.deadlines.ctx.Err(); err != nil { // net/http's body knows of it
		return 0, err
	}
	if b.deadlines.empty++; b.deadlines.empty >= maxEmpty {
		b.deadlines.empty = 0
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

// ReadAll reads a body to its end, at most limit bytes; zero is no limit. length is the
// one that the answer announced, -1 for none.
func ReadAll(body io.Reader, length, limit int64) ([]byte, error) {
	// A length that is announced may be wrong, so the first buffer is bounded.
	size := int64(512)
	if length >= 0 {
		size = min(length+1, 1<<20) // one more, so that the Read that meets the end has room
	}
	buf := make([]byte, 0, size)
	for {
		room := buf[len(buf):cap(buf)]
		if limit > 0 {
			room = room[:min(int64(len(room)), limit+1-int64(len(buf)))]
		}
		n, err := body.Read(room)
		buf = buf[:len(buf)+n]
		switch {
		case limit > 0 && int64(len(buf)) > limit:
			return buf[:limit], ErrTooLong
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		case len(buf) == cap(buf):
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// ReadError reads the beginning of a declining answer's body, and reports whether that
// is all of it. An error of the body matters less than the answer, and is not returned.
// hurry bounds the time, so that a retry need not wait longer: the round trip ends then.
func (r *RoundTrip) ReadError(body io.Reader, hurry bool) (b []byte, whole bool) {
	if hurry {
		timer := r.world.AfterFunc(errorTime, r.End)
		defer timer.Stop()
	}
	b, err := ReadAll(body, -1, errorBody)
	return b, err == nil
}

// Drain reads the rest of a body and closes it, so that its connection can be used
// again. If that takes too long, the round trip ends.
func (r *RoundTrip) Drain(body io.ReadCloser) {
	timer := r.world.AfterFunc(drainTime, r.End)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, drainBytes)
	_ = body.Close()
}
