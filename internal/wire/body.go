package wire

import (
	"errors"
	"io"
	"time"
)

const (
	// drainBytes and drainTime bound what a connection is worth: a body that is
	// read to its end leaves the connection to the next attempt, one that is not
	// costs a new one.
	drainBytes = 256 << 10
	drainTime  = 50 * time.Millisecond
	// errorBody is how much of a refusal's body is kept.
	errorBody = 64 << 10
	// errorTime is how long a retry waits for it.
	errorTime = 500 * time.Millisecond
)

// ErrTooLong is a body longer than ReadAll may keep.
var ErrTooLong = errors.New("body too long")

// ReadAll reads a body to its end, at most limit bytes; zero is no limit. length is
// what the answer announced, -1 if nothing.
func ReadAll(body io.Reader, length, limit int64) ([]byte, error) {
	// An announced length is believed up to a point: it costs nothing to promise.
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

// ReadError reads the beginning of a refusal's body. That it breaks off is not
// worth mentioning beside the refusal; whole says that it did not, and that there
// is no more of it. hurry, if there is one, is called if it takes too long for
// what is to follow.
func ReadError(body io.Reader, hurry func()) (b []byte, whole bool) {
	if hurry != nil {
		timer := time.AfterFunc(errorTime, hurry)
		defer timer.Stop()
	}
	b, err := ReadAll(body, -1, errorBody)
	return b, err == nil
}

// Drain reads what is left of a body and closes it, so that its connection can
// be used again; cancel is called if that takes too long.
func Drain(body io.ReadCloser, cancel func()) {
	timer := time.AfterFunc(drainTime, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, drainBytes)
	_ = body.Close()
}
