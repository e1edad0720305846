package holdfast_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/internal/world"
)

// virtualWire is net/http and a service behind it, in virtual time: a RoundTripper
// that answers as a faultserver does over HTTP/1.1, and calls the hooks of package
// httptrace. The first request meets the first fault of the script, and so on; an
// empty Fault, and what comes after the script, is a healthy answer. An idle connection
// stays for ever, and none is dialled that no request uses, as net/http may do.
type virtualWire struct {
	script  []fault.Fault
	backend faultserver.Service
	asked   int // requests so far
	idle    int // connections that can be used again
}

// exchange is one request and its answer, of which it is the body.
type exchange struct {
	wire  *virtualWire
	ctx   context.Context
	fault fault.Fault
	again func() // reports that the request is to be sent again; nil if it is not
	data  []byte
	sent  int   // of data
	end   error // after data
	over  bool  // all was read
}

// CloseIdleConnections does nothing, as there are none. A pool that cannot be emptied has
// more repetitions.
func (v *virtualWire) CloseIdleConnections() {}

func (v *virtualWire) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{wire: v, ctx: req.Context(), end: io.EOF}
	if err := x.ctx.Err(); err != nil {
		return nil, err
	}
	if v.asked < len(v.script) {
		x.fault = v.script[v.asked]
	}
	v.asked++
	body, err := x.send(req)
	if err != nil {
		return nil, err
	}
	answer := v.backend(faultserver.Request{Method: req.Method, Path: req.URL.Path, Header: req.Header, Body: body})
	if latency := x.fault.Latency; latency != nil {
		x.pause(latency.Fixed)
	}
	return x.receive(req, answer)
}

// send connects and sends the request, which takes no time.
func (x *exchange) send(req *http.Request) (body []byte, err error) {
	reused := x.wire.idle > 0
	if reused {
		x.wire.idle--
	}
	trace := httptrace.ContextClientTrace(x.ctx)
	if trace != nil { // holdfast's own
		trace.GetConn(req.URL.Host)
		trace.GotConn(httptrace.GotConnInfo{Conn: connection{}, Reused: reused})
	}
	if trace != nil && reused && req.Body == nil { // as net/http has it
		x.again = func() { trace.GetConn(req.URL.Host) }
	}
	if req.Body != nil {
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	if trace != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	return body, err
}

// connection is one that nothing is written to.
type connection struct{ net.Conn }

// receive waits for the headers of the answer.
func (x *exchange) receive(req *http.Request, answer faultserver.Answer) (*http.Response, error) {
	resp := &http.Response{
		StatusCode: answer.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, Body: x,
		Header: http.Header{"Content-Type": {answer.ContentType}},
	}
	x.data = answer.Body
	switch f := x.fault; {
	case f.Status != 0:
		resp.StatusCode, x.data = f.Status, []byte(http.StatusText(f.Status)+"\n")
		if f.RetryAfter > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
	case f.Hang == fault.BeforeAnswer:
		x.pause(0)
	case f.Close == fault.BeforeAnswer:
		if x.again != nil {
			x.again()
		}
		return nil, io.EOF
	case f.Cut != nil && f.Cut.Of == fault.Chunks:
		cut := 0
		for _, n := range answer.Chunks[:f.Cut.After] {
			cut += n
		}
		x.data, x.end = x.data[:cut], io.ErrUnexpectedEOF
	case f.Cut != nil:
		x.data, x.end = x.data[:f.Cut.After], io.ErrUnexpectedEOF
	}
	if resp.ContentLength = int64(len(answer.Body)); len(answer.Chunks) > 0 {
		resp.ContentLength = -1
	}
	return resp, x.ctx.Err()
}

// pause waits for d, zero for as long as the caller does.
func (x *exchange) pause(d time.Duration) {
	w := world.Of(x.ctx)
	p := w.Parker()
	defer p.Free()
	until := time.Time{}
	if d > 0 {
		until = w.Now().Add(d)
	}
	p.Park(x.ctx, until)
}

func (x *exchange) Read(p []byte) (int, error) {
	rest := x.data[x.sent:]
	if stall := x.fault.Stall; stall != nil {
		if x.sent < stall.After {
			rest = rest[:stall.After-x.sent]
		} else {
			x.fault.Stall = nil
			x.pause(stall.For)
		}
	}
	if err := x.ctx.Err(); err != nil {
		return 0, err
	}
	n := copy(p, rest)
	if x.sent += n; n > 0 || len(p) == 0 {
		return n, nil
	}
	if x.end == io.EOF && !x.over {
		x.over = true
		x.wire.idle++
	}
	return 0, x.end
}

func (x *exchange) Close() error {
	x.end = http.ErrBodyReadAfterClose
	return nil
}
