package faultserver

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
)

// MaxRequestBody is the limit of a request's body, 16 MiB. A longer one is
// answered with 413 and not recorded.
const MaxRequestBody = 16 << 20

// exchange is one request during its processing.
type exchange struct {
	s        *Server
	run      *run
	w        http.ResponseWriter
	r        *http.Request
	conn     *connection
	hijacked net.Conn // hijacked from net/http; nil: not hijacked
	at       time.Duration
	decision fault.Decision
	fault    *fault.Fault  // nil: none
	delay    time.Duration // before the fault or the answer
	query    url.Values    // nil without a query
	key      string        // identifies a repeat; empty: none
	answer   Answer        // of the service
	seq      uint64        // number of the attempt in the record

	// With a provider only.
	number uint64 // of the request
	added  provider.Addition
}

// handle serves one request: apply the plan, read the request, wait, then
// either do the work and answer, or strike.
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
		x.disconnect() // the caller left before the end of its request
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

// decide applies the plan to the request.
func (x *exchange) decide(arrived time.Time) {
	req := fault.Request{Method: x.r.Method, Path: x.r.URL.Path, Header: x.r.Header}
	if x.r.URL.RawQuery != "" {
		req.Query = x.r.URL.Query()
	}
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	x.run = s.run
	x.run.requests++
	x.number = x.run.requests
	x.query = req.Query
	x.at = x.run.at(arrived)
	x.decision = x.run.machine.Next(x.run.since(arrived), req)
	x.fault, x.delay = x.decision.Fault, x.decision.Delay
}

// ask calls the service and records the attempt.
func (x *exchange) ask(body []byte) {
	x.key = ledger.Key(x.r.Header)
	x.answer = x.run.service(Request{Method: x.r.Method, Path: x.r.URL.Path, Query: x.query, Header: x.r.Header, Body: body})
	x.speak(body)
	x.note(len(body))
}

// note records the attempt.
func (x *exchange) note(bytes int) {
	d := &x.decision
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.seq = x.run.record.Add(Attempt{
		At:          x.at,
		Connection:  x.conn.number,
		Method:      x.r.Method,
		Path:        x.r.URL.Path,
		RequestID:   x.r.Header.Get("X-Request-ID"),
		Traceparent: x.r.Header.Get("Traceparent"),
		Operation:   x.answer.Operation,
		Bytes:       bytes,
		Rule:        d.Rule,
		N:           d.N,
		Faults:      d.IDs,
		Delay:       d.Delay,
		Status:      x.status(),
	})
	x.run.ledger.Arrived(x.answer.Operation)
}

// status returns the status that the caller will get, 0 for none.
func (x *exchange) status() int {
	f := x.fault
	switch {
	case f == nil:
		return x.answer.Status
	case f.Status != 0:
		return f.Status
	case f.API != "":
		return x.added.Refusal.Status
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

// wait waits for d. It returns false if the server is closed before. It does
// not end when the caller leaves: a service notices that only when it answers,
// after the work. This is why a request that times out and is repeated can do
// its work twice.
func (x *exchange) wait(d time.Duration) bool { return x.waitUnless(d, nil) }

// waitUnless is wait that also ends when the caller has left.
func (x *exchange) waitUnless(d time.Duration, left <-chan struct{}) bool {
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

// effect does the work. If it was already done under the same key, the stored
// answer replaces the new one. An answer that rejects the request does no work.
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
	x.add(x.added.Header)
	header := x.w.Header()
	header.Set("Content-Type", a.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	x.w.WriteHeader(a.Status)
	x.w.Write(a.Body) // ignore errors: the caller has left
}

// readBody reads the whole request: the kernel would turn a FIN into a RST if
// bytes were left in the socket.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= MaxRequestBody {
		b.Grow(int(r.ContentLength) + bytes.MinRead) // detects the end without growing
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, MaxRequestBody))
	return b.Bytes(), err
}
