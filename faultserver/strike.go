package faultserver

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// strike applies the resolved fault f. It returns only if the connection stays
// with net/http or is hijacked. Otherwise it ends the connection.
func (x *exchange) strike(f *fault.Fault) {
	switch {
	case f.Status != 0:
		x.strikeStatus(f)
	case f.API != "":
		x.refuse()
	case f.Stream != "":
		x.strikeStream(f)
	case f.Redirect != "":
		x.redirect(f.Redirect)
	case f.Hang == fault.BeforeAnswer:
		x.hang()
	case f.Hang == fault.AfterHeaders:
		x.sendPart(0, len(x.answer.Body))
		x.hang()
	case f.Reset == fault.NextRequest:
		x.conn.endNext(fault.RST)
		x.write(x.answer)
	case f.Reset != "":
		x.conn.reset()
		x.disconnect()
	case f.Close == fault.NextRequest:
		x.conn.endNext(fault.FIN)
		x.write(x.answer)
	case f.Close != "":
		x.disconnect()
	case f.Cut != nil:
		x.cut(f.Cut)
	case f.Stall != nil:
		x.stall(f.Stall)
	case f.Drip != nil:
		x.drip(f.Drip)
	case f.Gzip != "":
		x.strikeGzip(f)
	case f.Endless:
		x.endless()
	case f.H1 != "":
		x.strikeH1(f)
	}
}

func (x *exchange) strikeStatus(f *fault.Fault) {
	header := x.w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	body := f.Body
	if refusal := x.added.Refusal; body == "" && refusal.Body != nil {
		body = string(refusal.Body)
		header.Set("Content-Type", refusal.ContentType)
	}
	x.add(x.added.Refusal.Header)
	retryAfter(header, f, time.Now())
	for name, value := range f.Header {
		header.Set(name, value)
	}
	if body == "" && f.Status != http.StatusNoContent && f.Status != http.StatusNotModified {
		body = http.StatusText(f.Status) + "\n"
	}
	if body != "" {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(f.Status)
	io.WriteString(x.w, body)
}

// retryAfter sets Retry-After in the form of the fault.
func retryAfter(header http.Header, f *fault.Fault, now time.Time) {
	value := ""
	switch f.RetryAfterAs {
	case fault.RetryDate:
		at := now.Add(f.RetryAfter + time.Second - 1).Truncate(time.Second) // rounded up
		value = at.UTC().Format(http.TimeFormat)
	case fault.RetryMillis:
		header.Set("Retry-After-Ms", strconv.FormatInt(int64((f.RetryAfter+time.Millisecond-1)/time.Millisecond), 10))
		return
	case fault.RetryPast:
		value = now.Add(-time.Hour).UTC().Format(http.TimeFormat)
	case fault.RetryHuge:
		value = "31536000"
	case fault.RetryOverflow:
		value = "9223372037"
	case fault.RetryGarbage:
		value = "soon"
	default:
		if f.RetryAfter == 0 {
			return
		}
		value = strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10)
	}
	header.Set("Retry-After", value)
}

// redirect sends the caller to the same URL, at this or another origin.
func (x *exchange) redirect(to fault.Redirect) {
	location := x.r.URL.RequestURI()
	if to == fault.RedirectElsewhere {
		location = x.s.scheme() + "://" + otherName(x.r.Host) + location
	}
	x.w.Header().Set("Location", location)
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusTemporaryRedirect)
}

// otherName returns another origin of this server.
func otherName(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	other := "localhost"
	if name == other {
		other = "127.0.0.1"
	}
	if port == "" {
		return other
	}
	return net.JoinHostPort(other, port)
}

// hang sends no more bytes until the caller leaves or the server is closed.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.s.closing:
	}
	x.disconnect()
}

// disconnect ends the connection without further bytes, even TLS's
// close_notify. The panic makes net/http do so without a log line.
func (x *exchange) disconnect() {
	x.conn.Close()
	panic(http.ErrAbortHandler)
}
