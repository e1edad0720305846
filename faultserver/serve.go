package faultserver

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// MaxRequestBody bounds what is read of a request; a longer one is answered with
// 413 and has no part in the plan.
const MaxRequestBody = 16 << 20

// exchange is one request on its way through the server.
type exchange struct {
	s      *Server
	run    *run
	w      http.ResponseWriter
	r      *http.Request
	conn   *connection
	key    string       // by which a repeat is recognised; empty: none
	answer Answer       // of the healthy service
	fault  *fault.Fault // that strikes; nil: none
	seq    uint64       // of the attempt in the record
}

// handle serves one request: read it, ask the plan, wait, then either do the
// work and answer, or strike.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	x := exchange{s: s, w: w, r: r, conn: r.Context().Value(connKey{}).(*connection)}
	body, err := readBody(w, r)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "request body too large", http.StatusRequestEntityTooLarge)
			return
		}
		x.disconnect() // the caller left within its request
	}
	x.key = idempotencyKey(r.Header)
	x.answer = s.service(Request{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body})

	delay := x.decide(arrived, len(body))
	if !x.wait(delay) {
		x.disconnect()
	}
	if x.fault == nil || x.fault.AfterEffect() {
		x.effect()
	}
	if x.fault == nil {
		x.write(x.answer)
		return
	}
	x.strike(x.fault)
}

// decide asks the plan, notes the attempt, and gives the time to wait.
func (x *exchange) decide(arrived time.Time, bytes int) time.Duration {
	s := x.s
	s.mu.Lock()
	defer s.mu.Unlock()
	x.run = s.run
	// A request that was being read when Begin was called arrives with it.
	at := max(arrived.Sub(x.run.start), 0)
	d := x.run.machine.Next(at, fault.Request{Method: x.r.Method, Path: x.r.URL.Path, Header: x.r.Header})
	x.fault = d.Fault
	x.seq = x.run.record.add(Attempt{
		At:         at,
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
	x.run.ledger.arrived(x.answer.Operation)
	return d.Delay
}

// status is what the caller is going to see, 0 for none.
func (x *exchange) status() int {
	if f := x.fault; f != nil && f.Cut == nil && f.Hang != fault.AfterHeaders {
		return f.Status
	}
	return x.answer.Status
}

// wait lets d pass; false if the server is closed before. It does not end when
// the caller leaves: a service learns of that only when it answers, and has done
// the work by then. A request that times out and is repeated is how work comes
// to be done twice.
func (x *exchange) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
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
	answer, done := x.run.ledger.execute(x.key, x.answer)
	x.answer = answer
	x.run.record.settle(x.seq, done, x.status())
}

// write sends an answer.
func (x *exchange) write(a Answer) {
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

// idempotencyKey is the name under which a caller may ask again for the same
// answer: the key if it has one, else the request's id, which holdfast keeps the
// same over all attempts of an operation.
func idempotencyKey(h http.Header) string {
	if key := h.Get("Idempotency-Key"); key != "" {
		return key
	}
	return h.Get("X-Request-ID")
}
