package faultserver

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// pieceSize is the chunk size of a body that its service does not stream.
const pieceSize = 16

// pieces returns the body in the chunks of its stream.
func (a *Answer) pieces() [][]byte {
	var pieces [][]byte
	rest := a.Body
	for _, n := range a.Chunks {
		n = min(n, len(rest))
		pieces, rest = append(pieces, rest[:n]), rest[n:]
	}
	if len(a.Chunks) > 0 && len(rest) > 0 {
		return append(pieces, rest)
	}
	for len(rest) > 0 {
		n := min(pieceSize, len(rest))
		pieces, rest = append(pieces, rest[:n]), rest[n:]
	}
	return pieces
}

// stream sends each piece as one chunk.
func (x *exchange) stream(pieces [][]byte) {
	for _, piece := range pieces {
		x.w.Write(piece) // ignore errors: the caller has left
		x.flush()
	}
}

func (x *exchange) flush() { http.NewResponseController(x.w).Flush() } // fails only if the caller has left

// begin sends the healthy answer's status and headers. A negative length means
// chunks.
func (x *exchange) begin(length int) {
	x.add(x.added.Header)
	header := x.w.Header()
	header.Set("Content-Type", x.answer.ContentType)
	if length >= 0 {
		header.Set("Content-Length", strconv.Itoa(length))
	}
	x.w.WriteHeader(x.answer.Status)
}

// sendPart sends the headers and the first bytes of the body.
func (x *exchange) sendPart(send, promised int) {
	x.begin(promised)
	x.w.Write(x.answer.Body[:send])
	x.flush()
}

// cut sends part of the answer, then ends the connection.
func (x *exchange) cut(c *fault.Cut) {
	switch body := x.answer.Body; c.Of {
	case fault.Head:
		conn, _ := x.hijack()
		whole := x.header(length(len(body)))
		conn.Write(whole[:min(c.After, len(whole)-1)])
	case fault.Chunks:
		pieces := x.answer.pieces()
		x.begin(-1)
		x.stream(pieces[:min(c.After, len(pieces))])
		x.flush()
	default:
		send := min(c.After, len(body))
		x.sendPart(send, max(len(body), send+1))
	}
	if c.By == fault.RST {
		x.conn.reset()
	}
	x.disconnect()
}

// stall sends part of the answer, waits, and sends the rest.
func (x *exchange) stall(s *fault.Stall) {
	switch body := x.answer.Body; s.Of {
	case fault.Head:
		conn, _ := x.hijack()
		whole := x.header(length(len(body)), lastAnswer)
		send := min(s.After, len(whole))
		conn.Write(whole[:send])
		if s.For == 0 {
			discard(conn)
			return
		}
		x.pause(s.For)
		writeAll(conn, whole[send:], body)
	case fault.Chunks:
		pieces := x.answer.pieces()
		send := min(s.After, len(pieces))
		x.begin(-1)
		x.flush()
		x.stream(pieces[:send])
		x.pause(s.For)
		x.stream(pieces[send:])
	default:
		send := min(s.After, len(body))
		x.sendPart(send, len(body))
		x.pause(s.For)
		x.w.Write(body[send:])
	}
}

// pause sends nothing for d, or until the caller leaves if d is zero.
func (x *exchange) pause(d time.Duration) {
	if d == 0 {
		x.hang()
	}
	if !x.wait(d) {
		x.disconnect()
	}
}

// drip sends one part of the answer in small pieces.
func (x *exchange) drip(d *fault.Drip) {
	drop := max(d.Bytes, 1)
	if d.Of == fault.Head {
		conn, _ := x.hijack()
		rest := x.header(length(len(x.answer.Body)), lastAnswer)
		for len(rest) > drop {
			if _, err := conn.Write(rest[:drop]); err != nil {
				return
			}
			rest = rest[drop:]
			x.pause(d.Every)
		}
		writeAll(conn, rest, x.answer.Body)
		return
	}
	x.begin(len(x.answer.Body))
	x.flush()
	for rest := x.answer.Body; len(rest) > 0; {
		x.pause(d.Every)
		n := min(drop, len(rest))
		if _, err := x.w.Write(rest[:n]); err != nil {
			return
		}
		x.flush()
		rest = rest[n:]
	}
}

// endless sends a body until the caller leaves.
func (x *exchange) endless() {
	x.w.Header().Set("Content-Type", "application/octet-stream")
	zeros := make([]byte, 32<<10)
	for {
		if _, err := x.w.Write(zeros); err != nil {
			x.disconnect()
		}
	}
}

// strikeGzip sends a bad compressed answer.
func (x *exchange) strikeGzip(f *fault.Fault) {
	var packed []byte
	if f.Gzip == fault.GzipBomb {
		packed = gzipZeros(sizeOr(f.Size, defaultBomb))
	} else {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(x.answer.Body) // a Buffer never fails
		w.Close()
		packed = b.Bytes()
	}
	switch f.Gzip {
	case fault.GzipCorrupt:
		packed[len(packed)-8] ^= 1 // of the checksum
	case fault.GzipTruncated:
		packed = packed[:len(packed)/2]
	}
	x.w.Header().Set("Content-Encoding", "gzip")
	x.begin(len(packed))
	x.w.Write(packed)
}

// gzipZeros compresses size zeros. It repeats one flushed piece of a deflate
// stream: a piece that refers only to zeros may follow itself.
func gzipZeros(size int) []byte {
	zeros := make([]byte, min(size, 1<<20))
	piece := deflate(zeros, (*flate.Writer).Flush)
	b := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff} // gzip, deflate, no name, no time, unknown system
	sum := uint32(0)
	rest := size
	for ; rest >= len(zeros) && rest > 0; rest -= len(zeros) {
		b = append(b, piece...)
		sum = crc32.Update(sum, crc32.IEEETable, zeros)
	}
	b = append(b, deflate(zeros[:rest], (*flate.Writer).Close)...)
	sum = crc32.Update(sum, crc32.IEEETable, zeros[:rest])
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

func deflate(data []byte, finish func(*flate.Writer) error) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic("faultserver: compression level: " + err.Error())
	}
	w.Write(data) // a Buffer never fails
	finish(w)
	return b.Bytes()
}
