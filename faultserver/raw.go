package faultserver

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// Defaults of a fault's Size in bytes.
const (
	defaultHeader = 16 << 20
	defaultFlood  = 1 << 20
	defaultBomb   = 256 << 20
)

func sizeOr(size, otherwise int) int {
	if size > 0 {
		return size
	}
	return otherwise
}

// hijack takes the connection from net/http, to write what an HTTP server would
// not. The connection is closed when the handler returns, or before.
func (x *exchange) hijack() (net.Conn, *bufio.Reader) {
	c, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic("faultserver: cannot hijack the connection: " + err.Error())
	}
	x.hijacked = c
	x.s.mu.Lock()
	x.s.hijacked[x.conn] = struct{}{}
	x.s.mu.Unlock()
	select {
	case <-x.s.closing: // Close may have run before this connection was registered
		x.conn.Close()
	default:
	}
	return c, buffered.Reader
}

// release closes a hijacked connection, which net/http no longer does.
func (x *exchange) release() {
	if x.hijacked == nil {
		return
	}
	x.hijacked.Close()
	x.s.mu.Lock()
	delete(x.s.hijacked, x.conn)
	x.s.mu.Unlock()
	x.s.serving.Done()
}

// head returns a status line and headers in the form of net/http.
func head(status int, lines ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	fmt.Fprintf(&b, "Date: %s\r\n\r\n", time.Now().UTC().Format(http.TimeFormat))
	return b.Bytes()
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d", n) }

const lastAnswer = "Connection: close"

// header returns the healthy answer's head with more lines.
func (x *exchange) header(lines ...string) []byte {
	own := []string{"Content-Type: " + x.answer.ContentType}
	for _, name := range slices.Sorted(maps.Keys(x.added.Header)) {
		own = append(own, name+": "+x.added.Header.Get(name))
	}
	return head(x.answer.Status, append(own, lines...)...)
}

// strikeH1 writes an answer that violates HTTP/1.1.
func (x *exchange) strikeH1(f *fault.Fault) {
	switch f.H1 {
	case fault.SurplusAtOnce, fault.SurplusLater, fault.SurplusNextRequest:
		x.strikeSurplus(f.H1)
		return
	}
	c, _ := x.hijack()
	body := x.answer.Body
	half := len(body) / 2
	switch f.H1 {
	case fault.ContentLengthLong:
		writeAll(c, x.header(length(len(body)+10), lastAnswer), body)
	case fault.ContentLengthShort:
		writeAll(c, x.header(length(half)), body)
		discard(c)
	case fault.ContentLengthConflict:
		writeAll(c, x.header(length(len(body)), length(len(body)+1), lastAnswer), body)
	case fault.ChunkSizeMalformed:
		writeAll(c, x.header("Transfer-Encoding: chunked", lastAnswer), chunk(body[:half]), []byte("zz\r\n"), body[half:], []byte("\r\n0\r\n\r\n"))
	case fault.LastChunkMissing:
		writeAll(c, x.header("Transfer-Encoding: chunked", lastAnswer), chunk(body[:half]), chunk(body[half:]))
	case fault.CloseDelimitedCut:
		writeAll(c, x.header(lastAnswer), body[:half])
	case fault.HeaderMalformed:
		writeAll(c, x.header("this line has no colon", length(len(body)), lastAnswer), body)
	case fault.HeaderOversized:
		x.oversized(c, sizeOr(f.Size, defaultHeader))
	case fault.Garbage:
		writeAll(c, garbage())
	case fault.HTTP09:
		writeAll(c, body)
	case fault.InterimFlood:
		x.flood(c, sizeOr(f.Size, defaultFlood))
	case fault.SwitchingProtocols:
		writeAll(c, []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: nothing\r\n\r\n"))
		discard(c)
	}
}

// lateTime is the time between an answer and its late surplus.
const lateTime = time.Millisecond

// surplus is a whole answer that belongs to no request.
func surplus() []byte {
	const body = `{"surplus":"an answer to no request"}`
	return append(head(http.StatusOK, "Content-Type: application/json", "X-Request-ID: of-no-request", length(len(body))), body...)
}

// strikeSurplus sends the healthy answer and a second one. The connection stays with
// net/http.
func (x *exchange) strikeSurplus(when fault.H1) {
	more := surplus()
	if when == fault.SurplusNextRequest {
		x.conn.surplus.Store(&more)
		x.conn.endNext(fault.FIN)
	}
	a := x.answer
	if len(a.Chunks) > 0 { // the end of chunks would follow the surplus
		a.Body, a.Chunks = bytes.Join(a.pieces(), nil), nil
	}
	x.write(a)
	switch when {
	case fault.SurplusAtOnce:
		if x.conn.secure == nil {
			x.conn.behind.Store(&more)
		}
		x.flush()
		if x.conn.secure != nil || x.conn.behind.Swap(nil) != nil {
			x.conn.over().Write(more)
		}
	case fault.SurplusLater:
		x.flush()
		go func() {
			timer := time.NewTimer(lateTime)
			defer timer.Stop()
			select {
			case <-timer.C:
				x.conn.over().Write(more)
			case <-x.conn.closed:
			}
		}()
	}
}

// writeAll writes all parts at once. It ignores errors: the caller has left.
func writeAll(c io.Writer, parts ...[]byte) { c.Write(bytes.Join(parts, nil)) }

func chunk(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }

func (x *exchange) oversized(c io.Writer, size int) {
	start := x.header("X-Padding: ")
	start = start[:bytes.Index(start, []byte("X-Padding: "))+len("X-Padding: ")]
	if _, err := c.Write(start); err != nil {
		return
	}
	if repeat(c, bytes.Repeat([]byte("x"), 32<<10), size) {
		writeAll(c, []byte("\r\n"+length(len(x.answer.Body))+"\r\n"+lastAnswer+"\r\n\r\n"), x.answer.Body)
	}
}

func (x *exchange) flood(c io.Writer, size int) {
	interim := []byte("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n")
	for sent := 0; sent < size; sent += len(interim) {
		if _, err := c.Write(interim); err != nil {
			return
		}
	}
	writeAll(c, x.header(length(len(x.answer.Body)), lastAnswer), x.answer.Body)
}

// repeat writes size bytes by repeating piece. It returns false on an error.
func repeat(w io.Writer, piece []byte, size int) bool {
	for size > 0 {
		n, err := w.Write(piece[:min(size, len(piece))])
		if err != nil {
			return false
		}
		size -= n
	}
	return true
}

// garbage returns 256 constant bytes that are not the start of an HTTP answer.
func garbage() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i*73 + 21)
	}
	return b
}

// beforeBody strikes before the request's body is read.
func (x *exchange) beforeBody(f *fault.Fault) {
	if f.H1 != fault.ContinueNever {
		x.note(0)
	}
	if !x.wait(x.delay) {
		x.disconnect()
	}
	switch {
	case f.Upload == fault.UploadStall:
		if tcp, ok := x.conn.Conn.(*net.TCPConn); ok {
			tcp.SetReadBuffer(4 << 10) // to fill it soon
		}
		<-x.s.closing
		x.disconnect()
	case f.Upload == fault.UploadAnsweredEarly:
		c, _ := x.hijack()
		const text = "Request Entity Too Large\n"
		writeAll(c, head(http.StatusRequestEntityTooLarge, "Content-Type: text/plain; charset=utf-8", length(len(text)), lastAnswer), []byte(text))
		x.conn.CloseWrite()
		discard(c)
	default:
		x.neverContinue()
	}
}

// neverContinue reads the body and answers without sending the 100 that
// net/http would send.
func (x *exchange) neverContinue() {
	c, in := x.hijack()
	body := io.LimitReader(in, x.r.ContentLength)
	if x.r.ContentLength < 0 {
		body = httputil.NewChunkedReader(in)
	}
	b, err := io.ReadAll(io.LimitReader(body, MaxRequestBody))
	if err != nil || int64(len(b)) < x.r.ContentLength {
		x.disconnect()
	}
	x.ask(b)
	x.effect()
	writeAll(c, x.header(length(len(x.answer.Body)), lastAnswer), x.answer.Body)
}
