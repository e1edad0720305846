package faultserver

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// strike does to the request what the settled fault f says. It returns only from
// a fault that is an ordinary answer; every other one ends the connection.
func (x *exchange) strike(f *fault.Fault) {
	switch {
	case f.Status != 0:
		x.strikeStatus(f)
	case f.Hang == fault.BeforeAnswer:
		x.hang()
	case f.Hang == fault.AfterHeaders:
		x.sendPart(0, len(x.answer.Body))
		x.hang()
	case f.Reset != "":
		x.reset()
	case f.Close != "":
		x.disconnect()
	case f.Cut != nil:
		x.cut(f.Cut)
	}
}

func (x *exchange) strikeStatus(f *fault.Fault) {
	header := x.w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	for name, value := range f.Header {
		header.Set(name, value)
	}
	body := f.Body
	if body == "" && f.Status != http.StatusNoContent && f.Status != http.StatusNotModified {
		body = http.StatusText(f.Status) + "\n"
	}
	if body != "" {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(f.Status)
	io.WriteString(x.w, body)
}

// cut sends part of the body under headers that promise more.
func (x *exchange) cut(c *fault.Cut) {
	send := min(c.After, len(x.answer.Body))
	x.sendPart(send, max(len(x.answer.Body), send+1))
	if c.By == fault.RST {
		x.reset()
	}
	x.disconnect()
}

// sendPart puts the headers and the first bytes of the body on the wire.
func (x *exchange) sendPart(send, promised int) {
	header := x.w.Header()
	header.Set("Content-Type", x.answer.ContentType)
	header.Set("Content-Length", strconv.Itoa(promised))
	x.w.WriteHeader(x.answer.Status)
	x.w.Write(x.answer.Body[:send])
	http.NewResponseController(x.w).Flush() // fails only if the caller has left
}

// hang sends nothing more until the caller leaves or the server is closed.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.s.closing:
	}
	x.disconnect()
}

// reset ends the connection with a RST: what lingers for zero seconds is thrown
// away by the kernel, which then tells the other side so.
func (x *exchange) reset() {
	switch c := x.conn.Conn.(type) {
	case *net.TCPConn:
		c.SetLinger(0) // fails only if the connection is gone already
	case *pipeConn:
		c.resetPeer()
	}
	x.disconnect()
}

// disconnect ends the connection without another byte. net/http takes this panic as
// the order to do just that, without a log line.
func (x *exchange) disconnect() { panic(http.ErrAbortHandler) }
