package wire

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Both are shared by all requests, and never written to.
var onlyGzip, onlyIdentity = []string{"gzip"}, []string{"identity"}

// AsksGzip asks for a compressed answer where net/http would, and reports whether it
// did: then the round trip is to unpack the answer (RoundTrip.Unpack). net/http would
// copy the headers of each request for it, a twelfth of a call's allocations.
//
// A request that has an Accept-Encoding keeps it. Like net/http, AsksGzip leaves out
// HEAD, whose answer has no body, and a range, which cannot be unpacked by itself. A
// RoundTripper that is not net/http's decides for itself.
func AsksGzip(rt http.RoundTripper, req *http.Request) bool {
	inner := netHTTP(rt)
	h := req.Header
	if inner == nil || inner.DisableCompression || req.Method == http.MethodHead || len(h["Accept-Encoding"]) > 0 || len(h["Range"]) > 0 {
		return false
	}
	h["Accept-Encoding"] = onlyGzip
	return true
}

// AsksIdentity asks for an answer that is not compressed, because compression would delay
// the events of a stream, and reports whether it did. Then the round trip is to unpack an
// answer that is compressed nevertheless.
//
// A request that has an Accept-Encoding keeps it.
func AsksIdentity(req *http.Request) bool {
	if len(req.Header["Accept-Encoding"]) > 0 {
		return false
	}
	req.Header["Accept-Encoding"] = onlyIdentity
	return true
}

// unpack unpacks the body of an answer that is compressed.
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
	mu     sync.Mutex // held by a Read
	from   *unpacker  // nil before the first Read and after the last
	err    error      // of the last Read
}

// unpacker has the 45 KB or so that unpacking takes, which a pool lends.
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

// Close frees a Read that blocks, and waits for it.
func (u *unpacked) Close() error {
	err := u.packed.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end(http.ErrBodyReadAfterClose)
	return err
}

// end keeps the first error and returns the unpacker to the pool. The lock is held.
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
