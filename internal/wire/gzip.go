package wire

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// onlyGzip is one value for all requests, and is never written to.
var onlyGzip = []string{"gzip"}

// AsksGzip asks for a compressed answer where net/http would, and reports whether it
// did: then the answer is to be unpacked here (Trip.Unpack). net/http would make a second
// set of headers for it with each request, a twelfth of what a call allocates.
//
// It leaves alone a request that says itself what it accepts, and like net/http HEAD,
// whose answer has no body, and a range, which cannot be unpacked by itself. A transport
// that is not net/http's is left to do as it does.
func AsksGzip(rt http.RoundTripper, req *http.Request) bool {
	inner := netHTTP(rt)
	h := req.Header
	if inner == nil || inner.DisableCompression || req.Method == http.MethodHead || len(h["Accept-Encoding"]) > 0 || len(h["Range"]) > 0 {
		return false
	}
	h["Accept-Encoding"] = onlyGzip
	return true
}

// unpack makes the body of a compressed answer what it was before it was compressed.
func unpack(resp *http.Response) {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Body = &unpacked{packed: resp.Body}
}

// unpacked is the body of a compressed answer.
type unpacked struct {
	packed io.ReadCloser
	mu     sync.Mutex // of one Read at a time
	from   *unpacker  // nil before the first Read, and after the last
	err    error      // what the last came to
}

// unpacker is what unpacking takes, some 45 KB: too much to be made for each answer.
type unpacker struct {
	in  bufio.Reader
	out gzip.Reader
}

var unpackers = sync.Pool{New: func() any { return new(unpacker) }}

func (u *unpacked) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return 0, u.err
	}
	if u.from == nil {
		u.from = unpackers.Get().(*unpacker)
		u.from.in.Reset(u.packed)
		if err := u.from.out.Reset(&u.from.in); err != nil {
			u.end(err)
			return 0, err
		}
	}
	n, err := u.from.out.Read(p)
	if err != nil {
		u.end(err)
	}
	return n, err
}

// end keeps what reading came to, and gives back what it took. It is called under
// the lock.
func (u *unpacked) end(err error) {
	if u.err == nil {
		u.err = err
	}
	if u.from != nil {
		u.from.in.Reset(nil)
		unpackers.Put(u.from)
		u.from = nil
	}
}

// Close frees a Read that blocks, and waits for it.
func (u *unpacked) Close() error {
	err := u.packed.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end(http.ErrBodyReadAfterClose)
	return err
}
