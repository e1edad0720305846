package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestRead(t *testing.T) {
	text := strings.Repeat("0123456789", 500)
	for _, length := range []int64{-1, 0, 5000, 1 << 62} { // an announced length may be wrong
		for _, limit := range []int64{0, 5000, 4999, 10} {
			got, err := ReadAll(iotest.OneByteReader(strings.NewReader(text)), length, limit)
			want, long := text, false
			if limit > 0 && limit < 5000 {
				want, long = text[:limit], true
			}
			if string(got) != want || errors.Is(err, ErrTooLong) != long {
				t.Errorf("length %d, limit %d: %d bytes, %v", length, limit, len(got), err)
			}
		}
	}
	got, err := ReadAll(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, 0)
	if string(got) != "abc" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", got, err)
	}
	if got, whole := new(RoundTrip).ReadError(bytes.NewReader(make([]byte, 100<<10)), false); len(got) != errorBody || whole {
		t.Errorf("%d bytes of a refusal are kept", len(got))
	}
}

// The first buffer has room for the announced length, up to a bound; without one it has
// room for a short error.
func TestReadMakesRoom(t *testing.T) {
	for _, c := range []struct {
		length int64
		text   string
		room   int
	}{
		{5000, strings.Repeat("x", 5000), 5001}, // and for the Read that meets the end
		{0, "", 1},
		{1 << 62, "abc", 1 << 20},
		{-1, "abc", 512},
	} {
		got, err := ReadAll(strings.NewReader(c.text), c.length, 0)
		if string(got) != c.text || err != nil || cap(got) != c.room {
			t.Errorf("length %d: %d bytes, %v, in room for %d, want %d", c.length, len(got), err, cap(got), c.room)
		}
	}
	if got, _ := new(RoundTrip).ReadError(strings.NewReader("abc"), false); cap(got) != 512 {
		t.Errorf("a refusal of three bytes is in room for %d", cap(got))
	}
}

// One byte beyond the limit is read, and no more.
func TestReadStopsAtTheLimit(t *testing.T) {
	long := &body{Reader: strings.NewReader(strings.Repeat("x", 100))}
	got, err := ReadAll(iotest.HalfReader(long), -1, 10)
	if len(got) != 10 || err != ErrTooLong || long.read != 11 {
		t.Errorf("%d bytes, %v, of %d that were read", len(got), err, long.read)
	}
}

// A retry waits half a second for a declining answer's body.
func TestReadErrorIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go io.WriteString(w, "sorry")
		start := time.Now()
		got, whole := endingBy(t, w).ReadError(r, true)
		if string(got) != "sorry" || whole || time.Since(start) != 500*time.Millisecond {
			t.Errorf("%q, whole %v, after %v", got, whole, time.Since(start))
		}
		roundTrip := endingBy(t, w)
		got, whole = roundTrip.ReadError(strings.NewReader("sorry"), true)
		if time.Sleep(time.Minute); string(got) != "sorry" || !whole || roundTrip.Err() != nil {
			t.Errorf("%q, whole %v, %v", got, whole, roundTrip.Err())
		}
	})
}

// endingBy is a round trip whose end closes a pipe.
func endingBy(t *testing.T, w *io.PipeWriter) *RoundTrip {
	r := new(RoundTrip)
	r.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
	r.AfterFunc(func() { w.CloseWithError(context.Canceled) })
	return r
}

// Draining is bounded in bytes and in time.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short := &body{Reader: strings.NewReader("rest")}
		r, w := io.Pipe()
		roundTrip := endingBy(t, w)
		roundTrip.Drain(short)
		if short.read != 4 || !short.closed {
			t.Errorf("read %d, closed %v", short.read, short.closed)
		}
		endless := &body{Reader: io.LimitReader(zeros{}, 1<<40)}
		roundTrip.Drain(endless)
		if endless.read > drainBytes+64<<10 || !endless.closed {
			t.Errorf("read %d, closed %v", endless.read, endless.closed)
		}
		start := time.Now()
		if err := roundTrip.Err(); err != nil {
			t.Errorf("ended: %v", err)
		}
		roundTrip.Drain(r)
		if time.Since(start) != drainTime || roundTrip.Err() == nil {
			t.Errorf("gave up after %v: %v", time.Since(start), roundTrip.Err())
		}
	})
}
