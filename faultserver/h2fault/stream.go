package h2fault

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/faultserver/internal/ledger"
	"github.com/holdfast-go/holdfast/faultserver/internal/provider"
)

// stream is one request and its answer.
type stream struct {
	c      *conn
	id     uint32
	method string
	url    *url.URL
	header http.Header

	// Guarded by the connection's mu.
	window   int64 // for DATA
	body     []byte
	tooLarge bool
	ended    bool // of the body

	complete  chan struct{} // closed when the body has ended
	abandoned chan struct{} // closed when the answer is no longer wanted

	// Used by the exchange's goroutine only.
	run      *run
	at       time.Duration
	decision fault.Decision
	key      string // identifies a repeat; empty: none
	answer   faultserver.Answer
	number   uint64            // of the request
	added    provider.Addition // by a provider
	seq      uint64            // number of the attempt in the record
}

func newStream(c *conn, f *http2.MetaHeadersFrame) *stream {
	st := &stream{
		c: c, id: f.StreamID, window: c.initialWindow,
		method:   f.PseudoValue("method"),
		header:   make(http.Header),
		complete: make(chan struct{}), abandoned: make(chan struct{}),
	}
	for _, field := range f.RegularFields() {
		st.header.Add(field.Name, field.Value)
	}
	var err error
	if st.url, err = url.ParseRequestURI(f.PseudoValue("path")); err != nil {
		st.url = &url.URL{} // CONNECT has no path
	}
	if f.StreamEnded() {
		st.endBody()
	}
	return st
}

func (st *stream) h2Fault() fault.H2 {
	if f := st.decision.Fault; f != nil {
		return f.H2
	}
	return ""
}

// stalls reports whether the stream's window never grows.
func (st *stream) stalls() bool {
	f := st.decision.Fault
	return f != nil && f.Upload == fault.UploadStall
}

func (st *stream) takeBody(data []byte) {
	switch {
	case st.stalls() || st.tooLarge || st.ended: // not wanted
	case len(st.body)+len(data) > faultserver.MaxRequestBody:
		st.tooLarge, st.body = true, nil
		close(st.complete)
	default:
		st.body = append(st.body, data...)
	}
}

func (st *stream) endBody() {
	if !st.ended && !st.tooLarge {
		close(st.complete)
	}
	st.ended = true
}

// abandon ends an exchange when its answer is no longer wanted.
func (st *stream) abandon() { close(st.abandoned) }

// decide applies the plan to the request.
func (st *stream) decide(now time.Time) {
	req := fault.Request{Method: st.method, Path: st.url.Path, Header: st.header}
	if st.url.RawQuery != "" {
		req.Query = st.url.Query()
	}
	s := st.c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	st.run = s.run
	st.at = max(now.Sub(st.run.epoch), 0)
	st.run.requests++
	st.number = st.run.requests
	st.decision = st.run.machine.Next(max(now.Sub(st.run.start), 0), req)
	st.decision.IDs = named(st.decision.IDs)
}

// serve runs the exchange: read the request, wait, then either do the work and
// answer, or strike.
func (st *stream) serve(headersTooLarge bool) {
	if headersTooLarge {
		st.refuse(http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	if st.stalls() {
		st.note()
		<-st.abandoned
		return
	}
	select {
	case <-st.complete:
	case <-st.abandoned:
	}
	st.c.mu.Lock()
	ended, tooLarge := st.ended, st.tooLarge
	st.c.mu.Unlock()
	switch {
	case tooLarge:
		st.refuse(http.StatusRequestEntityTooLarge)
		return
	case !ended: // the caller left before the end of its request
		return
	}
	st.key = ledger.Key(st.header)
	req := faultserver.Request{Method: st.method, Path: st.url.Path, Header: st.header, Body: st.body}
	if st.url.RawQuery != "" {
		req.Query = st.url.Query()
	}
	st.answer = st.run.service(req)
	if api := st.run.api; api != nil {
		st.added = api.Add(&st.decision, provider.Answer(st.answer), st.body, st.number, time.Now())
	}
	st.note()
	// The wait does not end when the caller leaves: a service notices that only
	// when it answers, after the work.
	if !st.c.s.wait(st.decision.Delay) {
		return
	}
	f := st.decision.Fault
	if f == nil || f.AfterEffect() {
		st.effect()
	}
	if f == nil {
		st.send(st.answer)
		return
	}
	st.strike(f)
}

// note records the attempt.
func (st *stream) note() {
	d := &st.decision
	s := st.c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	st.seq = st.run.record.Add(faultserver.Attempt{
		At:          st.at,
		Connection:  st.c.number,
		Method:      st.method,
		Path:        st.url.Path,
		RequestID:   st.header.Get("X-Request-ID"),
		Traceparent: st.header.Get("Traceparent"),
		Operation:   st.answer.Operation,
		Bytes:       len(st.body),
		Rule:        d.Rule,
		N:           d.N,
		Faults:      d.IDs,
		Delay:       d.Delay,
		Status:      st.status(),
	})
	st.run.ledger.Arrived(st.answer.Operation)
}

// noteRefused records a stream beyond the limit, which no rule has seen.
func (st *stream) noteRefused() {
	s, now := st.c.s, time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.record.Add(faultserver.Attempt{
		At:          max(now.Sub(s.run.epoch), 0),
		Connection:  st.c.number,
		Method:      st.method,
		Path:        st.url.Path,
		RequestID:   st.header.Get("X-Request-ID"),
		Traceparent: st.header.Get("Traceparent"),
		Rule:        -1,
		Faults:      []fault.ID{"h2." + fault.ID(fault.MaxConcurrent1)},
	})
}

// status returns the status that the caller will get, 0 for none.
func (st *stream) status() int {
	f := st.decision.Fault
	switch {
	case f == nil:
		return st.answer.Status
	case f.Status != 0:
		return f.Status
	case f.API != "":
		return st.added.Refusal.Status
	case f.Stream != "", f.Cut != nil, f.Stall != nil, f.Hang == fault.AfterHeaders, f.H2 == fault.GoAwayGraceful, f.H2 == fault.RSTAfterHeaders:
		return st.answer.Status
	default:
		return 0
	}
}

// effect does the work. If it was already done under the same key, the stored
// answer replaces the new one.
func (st *stream) effect() {
	if st.answer.Status >= 400 {
		return
	}
	s := st.c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, done := st.run.ledger.Execute(st.key, st.answer.Operation, st.answer, len(st.answer.Body))
	st.answer = answer
	st.run.record.Amend(st.seq, func(a *faultserver.Attempt) { a.Effect, a.Status = done, st.status() })
}

// strike applies the resolved fault.
func (st *stream) strike(f *fault.Fault) {
	body := st.answer.Body
	switch {
	case f.Status != 0:
		st.sendStatus(f)
	case f.API != "":
		refusal := st.added.Refusal
		st.sendWhole(refusal.Status, fieldsWith(refusal.Header, refusal.ContentType, len(refusal.Body)), refusal.Body)
	case f.Stream != "":
		st.sendScript(f)
	case f.Hang == fault.BeforeAnswer:
		<-st.abandoned
	case f.Hang == fault.AfterHeaders:
		st.sendHead(st.answer.Status, st.fields(len(body)), false)
		<-st.abandoned
	case f.Cut != nil:
		n := min(f.Cut.After, len(body))
		st.sendHead(st.answer.Status, st.fields(max(len(body), n+1)), false)
		if f.Cut.By == fault.RST {
			st.sendData(body[:n], false)
			st.reset(http2.ErrCodeInternal)
		} else {
			st.sendData(body[:n], true)
		}
	case f.Stall != nil:
		st.stall(f.Stall)
	case f.Reset != "":
		st.c.reset()
	case f.Close != "":
		st.c.mu.Lock()
		st.c.end()
		st.c.mu.Unlock()
	default:
		st.strikeH2(f.H2)
	}
}

func (st *stream) strikeH2(word fault.H2) {
	c := st.c
	switch word {
	case fault.GoAwayGraceful:
		c.mu.Lock()
		c.goAway(st.id, http2.ErrCodeNo)
		c.mu.Unlock()
		st.send(st.answer)
	case fault.GoAwayExcluding:
		c.mu.Lock()
		c.goAway(c.last, http2.ErrCodeNo)
		c.forget(st.id)
		c.mu.Unlock()
	case fault.GoAwayCalm:
		c.mu.Lock()
		c.goAway(st.id, http2.ErrCodeEnhanceYourCalm)
		c.end()
		c.mu.Unlock()
	case fault.RSTRefused:
		st.reset(http2.ErrCodeRefusedStream)
	case fault.RSTInternal:
		st.reset(http2.ErrCodeInternal)
	case fault.RSTAfterHeaders:
		st.sendHead(st.answer.Status, st.fields(len(st.answer.Body)), false)
		st.reset(http2.ErrCodeInternal)
	}
}

// stall sends the beginning, stops for a time, then goes on.
func (st *stream) stall(f *fault.Stall) {
	body := st.answer.Body
	n := min(f.After, len(body))
	st.sendHead(st.answer.Status, st.fields(len(body)), false)
	st.sendData(body[:n], false)
	if f.For == 0 {
		<-st.abandoned
		return
	}
	if st.c.s.wait(f.For) {
		st.sendData(body[n:], true)
	}
}

// send sends a healthy answer.
func (st *stream) send(a faultserver.Answer) {
	if len(a.Chunks) == 0 {
		st.sendWhole(a.Status, st.fields(len(a.Body)), a.Body)
		return
	}
	st.sendHead(a.Status, st.fields(-1), false)
	rest := a.Body
	for _, n := range a.Chunks {
		n = min(n, len(rest))
		st.sendData(rest[:n], false)
		rest = rest[n:]
	}
	st.sendData(rest, true)
}

// sendStatus answers instead of the service.
func (st *stream) sendStatus(f *fault.Fault) {
	body := f.Body
	if body == "" && f.Status != http.StatusNoContent && f.Status != http.StatusNotModified {
		body = http.StatusText(f.Status) + "\n"
	}
	header := map[string]string{"content-type": "text/plain; charset=utf-8"}
	refusal := st.added.Refusal
	for name := range refusal.Header {
		header[strings.ToLower(name)] = refusal.Header.Get(name)
	}
	if f.Body == "" && refusal.Body != nil {
		body, header["content-type"] = string(refusal.Body), refusal.ContentType
	}
	if f.RetryAfter > 0 {
		header["retry-after"] = strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10)
	}
	for name, value := range f.Header {
		header[strings.ToLower(name)] = value
	}
	if body != "" {
		header["content-length"] = strconv.Itoa(len(body))
	}
	st.sendWhole(f.Status, fieldsOf(header), []byte(body))
}

// refuse answers a request that is not subject to the plan.
func (st *stream) refuse(status int) {
	body := http.StatusText(status) + "\n"
	st.sendWhole(status, []hpack.HeaderField{{Name: "content-length", Value: strconv.Itoa(len(body))}}, []byte(body))
}

// fields returns the healthy answer's headers. A negative length is omitted.
func (st *stream) fields(length int) []hpack.HeaderField {
	return fieldsWith(st.added.Header, st.answer.ContentType, length)
}

// fieldsWith returns headers with a type and a length. A negative length is omitted.
func fieldsWith(more http.Header, contentType string, length int) []hpack.HeaderField {
	header := map[string]string{"content-type": contentType}
	if length >= 0 {
		header["content-length"] = strconv.Itoa(length)
	}
	for name := range more {
		header[strings.ToLower(name)] = more.Get(name)
	}
	return fieldsOf(header)
}

// pause waits for d. It returns false if the answer is no longer wanted.
func (st *stream) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-st.abandoned:
	case <-st.c.s.closing:
	}
	return false
}

// sendScript sends a stream with a defect.
func (st *stream) sendScript(f *fault.Fault) {
	script := st.added.Script(f, provider.Answer(st.answer))
	st.sendHead(st.answer.Status, st.fields(-1), false)
	for i, event := range script.Events {
		if i < len(script.Pauses) && !st.pause(script.Pauses[i]) {
			return
		}
		st.sendData(event, false)
	}
	if script.Cut {
		st.reset(http2.ErrCodeInternal)
		return
	}
	st.sendData(nil, true)
}

// fieldsOf returns headers in a fixed order. HTTP/2 has no connection-specific
// headers (RFC 9113, 8.2.2).
func fieldsOf(header map[string]string) []hpack.HeaderField {
	var fields []hpack.HeaderField
	for name, value := range header {
		switch name {
		case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		default:
			fields = append(fields, hpack.HeaderField{Name: name, Value: value})
		}
	}
	slices.SortFunc(fields, func(a, b hpack.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// sendWhole sends headers and body and ends the stream.
func (st *stream) sendWhole(status int, fields []hpack.HeaderField, body []byte) {
	if len(body) == 0 || st.method == http.MethodHead {
		st.sendHead(status, fields, true)
		return
	}
	st.sendHead(status, fields, false)
	st.sendData(body, true)
}

// isOpen reports whether the stream can still send.
func (st *stream) isOpen() bool { return st.c.streams[st.id] == st }

// sendHead queues the headers.
func (st *stream) sendHead(status int, fields []hpack.HeaderField, end bool) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.isOpen() {
		return
	}
	c.block.Reset()
	c.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(status)})
	c.encoder.WriteField(hpack.HeaderField{Name: "date", Value: time.Now().UTC().Format(http.TimeFormat)})
	for _, field := range fields {
		c.encoder.WriteField(field)
	}
	block := c.block.Bytes()
	first := block[:min(len(block), c.frameSize)]
	rest := block[len(first):]
	c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: st.id, BlockFragment: first, EndStream: end, EndHeaders: len(rest) == 0,
	})
	for len(rest) > 0 {
		next := rest[:min(len(rest), c.frameSize)]
		rest = rest[len(next):]
		c.framer.WriteContinuation(st.id, len(rest) == 0, next)
	}
	if end {
		st.finish()
	}
	c.changed.Broadcast()
}

// sendData queues DATA as far as the client's windows allow, and waits for them
// to grow. It returns early if the answer is no longer wanted.
func (st *stream) sendData(data []byte, end bool) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for st.isOpen() && len(data) > 0 && (c.window <= 0 || st.window <= 0 || c.queue.Len() >= maxQueued) {
			c.changed.Wait()
		}
		if !st.isOpen() || len(data) == 0 && !end {
			return
		}
		n := int(min(int64(len(data)), max(c.window, 0), max(st.window, 0), int64(c.frameSize)))
		over := n == len(data)
		c.framer.WriteData(st.id, end && over, data[:n])
		c.window -= int64(n)
		st.window -= int64(n)
		data = data[n:]
		c.changed.Broadcast()
		if over {
			if end {
				st.finish()
			}
			return
		}
	}
}

// finish removes a stream after the end of its answer. The rest of its request
// is no longer needed (RFC 9113, 8.1).
func (st *stream) finish() {
	if !st.ended {
		st.c.framer.WriteRSTStream(st.id, http2.ErrCodeNo)
	}
	st.c.forget(st.id)
}

// reset resets the stream.
func (st *stream) reset(code http2.ErrCode) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.isOpen() {
		c.resetStream(st.id, code)
	}
}
