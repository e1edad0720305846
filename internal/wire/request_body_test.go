package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A body is read in chunks, keeps its own error apart, and is closed once.
func TestRequestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := func(r io.Reader) (*RoundTrip, *source, io.ReadCloser) {
			roundTrip, s := new(RoundTrip), &source{Reader: r}
			roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{Write: time.Second, Read: time.Second})
			return roundTrip, s, roundTrip.Body(s, -1)
		}
		roundTrip, s, body := begin(zeros{})
		if n, err := body.Read(make([]byte, 1<<20)); n != Chunk || err != nil {
			t.Errorf("a chunk of %d bytes, %v", n, err)
		}
		for range 2 {
			body.Close()
		}
		if roundTrip.End(); s.closes() != 1 || roundTrip.BodyFailed() != nil {
			t.Errorf("closed %d times, %v", s.closes(), roundTrip.BodyFailed())
		}
		// A body that was not read may still be sent: net/http closes it also when there
		// was no connection.
		roundTrip, s, body = begin(zeros{})
		if body.Close(); s.closes() != 0 {
			t.Error("it was closed before it was read")
		}
		if roundTrip.End(); s.closes() != 1 {
			t.Errorf("closed %d times", s.closes())
		}
		gone := errors.New("the disk is gone")
		roundTrip, _, body = begin(io.MultiReader(strings.NewReader("x"), failing{gone}))
		if _, err := io.ReadAll(body); err != gone || roundTrip.BodyFailed() != gone {
			t.Errorf("%v, %v", err, roundTrip.BodyFailed())
		}
		roundTrip.End()
		// The end of the attempt frees a Read that blocks, here the limit of a write. That
		// is no failure of the source.
		r, w := io.Pipe()
		roundTrip, s, body = begin(r)
		go io.WriteString(w, "x")
		io.ReadFull(body, make([]byte, 1))
		<-roundTrip.Done()
		synctest.Wait()
		if p, limit, _, ok := roundTrip.Expired(); !ok || p != PhaseWrite || limit != time.Second || s.closes() != 1 {
			t.Errorf("%v, %v, closed %d times", p, limit, s.closes())
		}
		if _, err := body.Read(make([]byte, 1)); err == nil || roundTrip.BodyFailed() != nil {
			t.Errorf("%v, %v", err, roundTrip.BodyFailed())
		}
		roundTrip.End()
	})
}
