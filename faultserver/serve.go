package faultserver

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
)

// MaxRequestBody bounds what is read of a request; a longer one is answered with
// 413 and is not recorded.
const MaxRequestBody = 16 << 20

// exchange is one request on its way through the server.
type exchange struct {
	s        *Server
	run      *run
	w        http.ResponseWriter
	r        *http.Request
	conn     *connection
	seized   net.Conn // what was taken from net/http; nil: nothing
	at       time.Duration
	decision fault.Decision
	fault    *fault.Fault  // that strikes; nil: none
	delay    time.Duration // before that
	key      string        // by which a repeat is recognised; empty: none
	answer   Answer        // of the healthy service
	seq      uint64        // of the attempt in the record
}

// handle serves one request: ask the plan, read the request, wait, then either
// do the work and answer, or strike.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	x := exchange{s: s, w: w, r: r, conn: r.Context().Value(connKey{}).(*connection)}
	defer x.release()
	x.decide(time.Now())
	if x.fault != nil && x.fault.BeforeBody() {
		x.beforeBody(x.fault)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "request body too large", http.StatusRequestEntityTooLarge)
			return
		}
		x.disconnect() // the caller left within its request
	}
	x.ask(body)
	if !x.wait(x.delay) {
		x.disconnect()
	}
	if x.fault == nil || x.fault.AfterEffect() {
		if !x.work() {
			return
		}
		x.effect()
	}
	if x.fault == nil {
		x.write(x.answer)
		return
	}
	x.strike(x.fault)
}

// decide asks the plan.
func (x *exchange) decide(arrived time.Time) {
	req := fault.Request{Method: x.r.Method, Path: x.r.URL.Path, Header: x.r.Header}
	if x.r.URL.RawQuery != "" {
		req.Query = x.r.URL.Query()
	}
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	x.run = s.run
	x.at = x.run.at(arrived)
	x.decision = x.run.machine.Next(x.run.since(arrived), req)
	x.fault, x.delay = x.decision.Fault, x.decision.Delay
}

// ask has the service answer the request, and notes the attempt.
func (x *exchange) ask(body []byte) {
	x.key = ledger.Key(x.r.Header)
	x.answer = x.s.service(Request{Method: x.r.Method, Path: x.r.URL.Path, Header: x.r.Header, Body: body})
	x.note(len(body))
}

// note puts the attempt on record.
func (x *exchange) note(bytes int) {
	d := &x.decision
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.seq = x.run.record.Add(Attempt{
		At:         x.at,
		Connection: x.conn.number,
		Method:     x.r.Method,
		Path:       x.r.URL.Path,
		RequestID:  x.r.Header.Get("X-Request-ID"),
		Operation:  x.answer.Operation,
		Bytes:      bytes,
		Rule:       d.Rule,
		N:          d.N,
		Faults:     d.IDs,
		Delay:      d.Delay,
		Status:     x.status(),
	})
	x.run.ledger.Arrived(x.answer.Operation)
}

// status is what the caller is going to see, 0 for none.
func (x *exchange) status() int {
	f := x.fault
	switch {
	case f == nil:
		return x.answer.Status
	case f.Status != 0:
		return f.Status
	case f.Redirect != "":
		return http.StatusTemporaryRedirect
	case f.Upload == fault.UploadAnsweredEarly:
		return http.StatusRequestEntityTooLarge
	case f.H1 == fault.SwitchingProtocols:
		return http.StatusSwitchingProtocols
	case f.Endless:
		return http.StatusOK
	case f.Hang == fault.BeforeAnswer, f.Reset == fault.BeforeAnswer, f.Close == fault.BeforeAnswer, f.Upload != "",
		f.H1 == fault.Garbage, f.H1 == fault.HTTP09, f.Cut != nil && f.Cut.Of == fault.Head,
		f.Stall != nil && f.Stall.Of == fault.Head && f.Stall.For == 0:
		return 0
	default:
		return x.answer.Status
	}
}

// wait lets d pass; false if the server is closed before. It does not end when
// the caller leaves: a service learns of that only when it answers, and has done
// the work by then. A request that times out and is repeated is how work comes
// to be done twice.
func (x *exchange) wait(d time.Duration) bool { return x.take(d, nil) }

// take is wait, and ends too when the caller has left.
func (x *exchange) take(d time.Duration, left <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-left:
		return false
	case <-x.s.closing:
		return false
	}
}

// effect does the work, or finds that it was done under the same key and puts
// the stored answer in place of the new one. An answer that refuses the request
// is no work.
func (x *exchange) effect() {
	if x.answer.Status >= 400 {
		return
	}
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, done := x.run.ledger.Execute(x.key, x.answer.Operation, x.answer, len(x.answer.Body))
	x.answer = answer
	x.run.record.Amend(x.seq, func(a *Attempt) { a.Effect, a.Status = done, x.status() })
}

// write sends an answer.
func (x *exchange) write(a Answer) {
	if len(a.Chunks) > 0 {
		x.begin(-1)
		x.stream(a.pieces())
		return
	}
	header := x.w.Header()
	header.Set("Content-Type", a.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	x.w.WriteHeader(a.Status)
	x.w.Write(a.Body) // a caller that has left is no concern of the server's
}

// readBody reads the whole request, so that nothing unread is left in the
// socket: the kernel would turn a FIN into a RST for it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= MaxRequestBody {
		b.Grow(int(r.ContentLength) + bytes.MinRead) // room to find the end without growing
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, MaxRequestBody))
	return b.Bytes(), err
}
