package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// gzipped returns text compressed.
func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.Bytes()
}

// An unpacker goes back to the pool at the end of an answer, and has nothing of that
// answer for the next.
func TestUnpacked(t *testing.T) {
	whole := gzipped(strings.Repeat("words ", 100))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-6] ^= 1
	for range 3 {
		for _, c := range []struct {
			name   string
			packed []byte
			want   string
			err    error
		}{
			{"whole", whole, strings.Repeat("words ", 100), nil},
			{"two in one", append(bytes.Clone(whole), gzipped("and more")...), strings.Repeat("words ", 100) + "and more", nil},
			{"cut", whole[:len(whole)-9], "words", io.ErrUnexpectedEOF},
			{"cut in its head", whole[:5], "", io.ErrUnexpectedEOF},
			{"empty", nil, "", io.EOF},
			{"damaged", damaged, "words", gzip.ErrChecksum},
			{"not packed", []byte("plain words, of some length"), "", gzip.ErrHeader},
		} {
			u := &unpacked{packed: io.NopCloser(bytes.NewReader(c.packed))}
			var b bytes.Buffer
			var err error
			piece := make([]byte, 64)
			for reads := 0; err == nil && reads < 100; reads++ {
				var n int
				n, err = u.Read(piece)
				b.Write(piece[:n])
			}
			if want := c.err; !errors.Is(err, want) && (want != nil || err != io.EOF) {
				t.Errorf("%s: %v, want %v", c.name, err, want)
			}
			if !strings.HasPrefix(b.String(), c.want) || c.err == nil && b.String() != c.want {
				t.Errorf("%s: %q", c.name, b.String())
			}
			if _, again := u.Read(make([]byte, 1)); again != err {
				t.Errorf("%s: read again: %v, before %v", c.name, again, err)
			}
			if u.from != nil {
				t.Errorf("%s: it keeps its unpacker", c.name)
			}
			if err := u.Close(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// A body may be closed by another goroutine during a Read, and cannot be read then.
func TestUnpackedIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		u := &unpacked{packed: r}
		read := make(chan error)
		go func() {
			var err error
			for reads := 0; err == nil && reads < 100; reads++ {
				_, err = u.Read(make([]byte, 64))
			}
			read <- err
		}()
		packed := gzipped("words")
		w.Write(packed[:len(packed)-4]) // without its end
		synctest.Wait()
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		if err := <-read; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the Read that blocked: %v", err)
		}
		if _, err := u.Read(make([]byte, 1)); err == nil || u.from != nil {
			t.Errorf("read after it was closed: %v", err)
		}
	})
	u := &unpacked{packed: io.NopCloser(bytes.NewReader(gzipped("words")))}
	if u.Close(); u.from != nil {
		t.Error("Close took an unpacker")
	}
	if _, err := u.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
		t.Errorf("read after it was closed: %v", err)
	}
}

// The header is set where the request leaves the choice.
func TestAsksGzip(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		header  http.Header
		rt      http.RoundTripper
		accepts string
		asks    bool
	}{
		{"nothing is said", "GET", http.Header{}, &http.Transport{}, "gzip", true},
		{"by a client's own transport", "GET", http.Header{}, NewTransport(TransportConfig{}), "gzip", true},
		{"an empty list", "GET", http.Header{"Accept-Encoding": {}}, &http.Transport{}, "gzip", true},
		{"the caller says the same", "GET", http.Header{"Accept-Encoding": {"gzip"}}, &http.Transport{}, "gzip", false},
		{"the caller accepts nothing", "GET", http.Header{"Accept-Encoding": {""}}, &http.Transport{}, "", false},
		{"HEAD", "HEAD", http.Header{}, &http.Transport{}, "", false},
		{"a range", "GET", http.Header{"Range": {"bytes=0-1"}}, &http.Transport{}, "", false},
		{"a transport that must not", "GET", http.Header{}, &http.Transport{DisableCompression: true}, "", false},
		{"a wrapped transport, which asks itself", "GET", http.Header{}, transportFunc((&http.Transport{}).RoundTrip), "", false},
	} {
		req := &http.Request{Method: c.method, Header: c.header}
		asks := AsksGzip(c.rt, req)
		if got := strings.Join(req.Header["Accept-Encoding"], ", "); got != c.accepts || asks != c.asks {
			t.Errorf("%s: accepts %q, asks %v; want %q, %v", c.name, got, asks, c.accepts, c.asks)
		}
	}
}

func TestUnpack(t *testing.T) {
	for _, c := range []struct {
		encoding      string
		asked, unpack bool
	}{{"gzip", true, true}, {"GZIP", true, true}, {"br", true, false}, {"", true, false}, {"gzip", false, false}} {
		rt := transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 200, ContentLength: 5, Body: io.NopCloser(bytes.NewReader(gzipped("words"))),
				Header: http.Header{"Content-Encoding": {c.encoding}, "Content-Length": {"5"}},
			}, nil
		})
		roundTrip := &RoundTrip{Unpack: c.asked}
		roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
		resp, err := roundTrip.Do(rt, get(t, roundTrip, "http://x.test"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) == "words" != c.unpack || resp.Uncompressed != c.unpack || resp.ContentLength < 0 != c.unpack || (len(resp.Header) == 0) != c.unpack {
			t.Errorf("%+v: %q, %v, %+v", c, b, err, resp)
		}
		roundTrip.End()
	}
}
