package wire

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
)

// gzipOnly is one for all requests, and is how a header that was set here is told
// from one that the caller set: copies of the headers share the values.
var gzipOnly = []string{"gzip"}

// acceptGzip asks for a compressed answer where net/http would, if the caller has not
// said what it accepts: net/http makes a second set of headers for it with each
// request, a twelfth of what a call allocates. Like net/http it leaves alone HEAD, whose
// answer has no body, and a range, which cannot be unpacked by itself.
//
// The first attempt sets the header, and the others find it: what sends an earlier one
// may still be reading it.
func (t *Trip) acceptGzip(req *http.Request, rt *http.Transport) {
	h := req.Header
	own := h["Accept-Encoding"]
	if len(own) == 0 && !rt.DisableCompression && req.Method != http.MethodHead && len(h["Range"]) == 0 {
		own = gzipOnly
		h["Accept-Encoding"] = own
	}
	t.unpacks = len(own) > 0 && &own[0] == &gzipOnly[0]
}

// unpack has the body of an answer come as it was before it was compressed, if that
// was asked for here.
func (t *Trip) unpack(resp *http.Response) {
	if !t.unpacks || !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
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
