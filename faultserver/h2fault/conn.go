package h2fault

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/holdfast-go/holdfast/fault"
)

// Bounds of a connection.
const (
	maxStreams       = 250              // open at the same time: SETTINGS_MAX_CONCURRENT_STREAMS
	maxExchanges     = 1000             // served at the same time, including streams that the client has reset
	maxHeaderList    = 1 << 20          // bytes of a request's headers; more are answered with 431
	maxQueued        = 64 << 10         // bytes of DATA in the queue
	maxBacklog       = 1 << 20          // bytes of all frames in the queue; beyond it, the connection is dropped
	handshakeTimeout = 10 * time.Second // limit of the TLS handshake and the client's preface
	closeTimeout     = time.Second      // time for the client to close after the last frame
)

const initialWindow = 65_535 // RFC 9113, 6.9.2: of a stream, and of a connection

// conn is one accepted connection. One goroutine reads frames, one writes the
// queue, and each stream has one for its exchange. No goroutine blocks on the
// network while it holds mu, and the reader never blocks on writing: over a
// pipe, client and server could otherwise wait for each other.
type conn struct {
	s      *Server
	raw    net.Conn // a socket, or one end of a pipe
	rw     net.Conn // raw, or TLS over it
	number int
	late   time.Duration
	fault  *fault.ConnFault // nil: none

	exchanges sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // the condition of all fields below
	queue   bytes.Buffer
	framer  *http2.Framer // writes into queue
	encoder *hpack.Encoder
	block   bytes.Buffer // the output of encoder
	ending  bool         // the queue is final; close after writing it
	dropped bool         // the connection is lost or given up

	window        int64 // for DATA on this connection
	initialWindow int64 // for DATA on a new stream
	frameSize     int   // of DATA and HEADERS, at most

	streams    map[uint32]*stream // open
	running    int                // exchanges
	seen       uint32             // the highest stream seen
	last       uint32             // the highest stream accepted
	goingAway  bool               // no more streams are accepted
	sentGoAway bool
}

func newConn(s *Server, raw net.Conn, number int, d fault.ConnDecision) *conn {
	c := &conn{
		s: s, raw: raw, rw: raw, number: number, late: d.Delay, fault: d.Fault,
		window: initialWindow, initialWindow: initialWindow, frameSize: 16 << 10,
		streams: make(map[uint32]*stream),
	}
	c.changed.L = &c.mu
	c.framer = http2.NewFramer(&c.queue, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

func (c *conn) h2Fault() fault.H2 {
	if c.fault == nil {
		return ""
	}
	return c.fault.H2
}

// serve runs the connection; the caller closes it.
func (c *conn) serve() {
	if !c.s.wait(c.late) || !c.begin() || !c.handshake() {
		return
	}
	var writing sync.WaitGroup
	writing.Go(c.write)
	c.read()
	c.drop()
	c.exchanges.Wait()
	writing.Wait()
}

// begin applies the faults before the first read. It returns false if there is
// nothing more to do.
func (c *conn) begin() bool {
	switch f := c.fault; {
	case f == nil:
		return true
	case f.Close:
	case f.Reset:
		c.reset()
	case f.Hang:
		io.CopyBuffer(io.Discard, struct{ io.Reader }{c.raw}, make([]byte, 256)) // small buffer: thousands may hang
	default:
		return true
	}
	return false
}

// handshake does the TLS handshake, reads the client's preface and queues the
// settings. It returns false if the client does not speak HTTP/2.
func (c *conn) handshake() bool {
	c.raw.SetDeadline(time.Now().Add(handshakeTimeout))
	if c.s.identity != nil {
		encrypted := tls.Server(c.raw, c.s.identity.server)
		if encrypted.HandshakeContext(context.Background()) != nil {
			return false
		}
		c.rw = encrypted
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.rw, preface); err != nil || string(preface) != http2.ClientPreface {
		return false
	}
	c.raw.SetDeadline(time.Time{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(c.streamLimit())},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaderList},
	)
	return true
}

func (c *conn) streamLimit() int {
	if c.h2Fault() == fault.MaxConcurrent1 {
		return 1
	}
	return maxStreams
}

// read handles frames until the client leaves or violates the protocol.
func (c *conn) read() {
	framer := http2.NewFramer(nil, bufio.NewReader(c.rw))
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = maxHeaderList
	framer.SetMaxReadFrameSize(16 << 10)
	for {
		frame, err := framer.ReadFrame()
		c.mu.Lock()
		if err == nil && !c.ending {
			err = c.handle(frame)
		}
		var ofStream http2.StreamError
		var ofConn http2.ConnectionError
		switch {
		case err == nil:
		case errors.As(err, &ofStream):
			c.resetStream(ofStream.StreamID, ofStream.Code)
			err = nil
		case errors.As(err, &ofConn):
			c.goAway(c.last, http2.ErrCode(ofConn))
			c.end()
			err = nil // later frames are discarded
		}
		if c.queue.Len() > maxBacklog {
			err = io.ErrShortBuffer
		}
		c.mu.Unlock()
		c.changed.Broadcast()
		if err != nil {
			return
		}
	}
}

// handle handles one frame. Its error is a StreamError or a ConnectionError. This
// method and all below run with mu held, unless their comment says otherwise.
func (c *conn) handle(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return c.handleHeaders(f)
	case *http2.DataFrame:
		c.handleData(f)
	case *http2.SettingsFrame:
		return c.handleSettings(f)
	case *http2.PingFrame:
		if !f.IsAck() && c.h2Fault() != fault.PingSilence {
			c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		return c.handleWindowUpdate(f)
	case *http2.RSTStreamFrame:
		c.forget(f.StreamID)
	}
	return nil // GOAWAY needs no action: the client closes
}

func (c *conn) handleHeaders(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	if st := c.streams[id]; st != nil { // trailers
		st.endBody()
		return nil
	}
	if id%2 == 0 {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if id <= c.seen {
		return nil // of a stream that has ended
	}
	c.seen = id
	if c.goingAway {
		return nil // GOAWAY marks this stream as not processed
	}
	st := newStream(c, f)
	if len(c.streams) >= c.streamLimit() || c.running >= maxExchanges {
		c.framer.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		if c.h2Fault() == fault.MaxConcurrent1 {
			st.noteRefused()
		}
		return nil
	}
	c.streams[id] = st
	c.running++
	st.decide(time.Now())
	// Later streams are not accepted from here on, so that GOAWAY is correct
	// when it is sent.
	switch st.h2Fault() {
	case fault.GoAwayExcluding:
		c.goingAway = true
	case fault.GoAwayGraceful, fault.GoAwayCalm:
		c.last, c.goingAway = id, true
	default:
		c.last = id
	}
	c.exchanges.Go(func() {
		st.serve(f.Truncated)
		c.mu.Lock()
		c.running--
		c.mu.Unlock()
	})
	return nil
}

// handleData returns the window at once, except for a stalled stream.
func (c *conn) handleData(f *http2.DataFrame) {
	size := f.Length // including padding
	if size > 0 {
		c.framer.WriteWindowUpdate(0, size)
	}
	st := c.streams[f.StreamID]
	if st == nil {
		return
	}
	st.takeBody(f.Data())
	if f.StreamEnded() {
		st.endBody()
	} else if size > 0 && !st.stalls() {
		c.framer.WriteWindowUpdate(f.StreamID, size)
	}
}

func (c *conn) handleSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(set http2.Setting) error {
		if err := set.Valid(); err != nil {
			return err
		}
		switch set.ID {
		case http2.SettingInitialWindowSize:
			more := int64(set.Val) - c.initialWindow
			c.initialWindow += more
			for _, st := range c.streams {
				st.window += more
			}
		case http2.SettingMaxFrameSize:
			c.frameSize = int(min(set.Val, maxQueued))
		case http2.SettingHeaderTableSize:
			c.encoder.SetMaxDynamicTableSizeLimit(min(set.Val, 4096))
		}
		return nil
	})
	if err == nil {
		c.framer.WriteSettingsAck()
	}
	return err
}

const maxWindow = 1<<31 - 1 // RFC 9113, 6.9.1

func (c *conn) handleWindowUpdate(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		c.window += int64(f.Increment)
		if c.window > maxWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
	} else if st := c.streams[f.StreamID]; st != nil {
		st.window += int64(f.Increment)
		if st.window > maxWindow {
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
		}
	}
	return nil
}

// resetStream ends a stream in both directions.
func (c *conn) resetStream(id uint32, code http2.ErrCode) {
	if !c.ending && c.framer.WriteRSTStream(id, code) == nil {
		c.forget(id)
	}
}

// forget removes a stream that has ended. If the connection is going away, it
// ends with the last stream.
func (c *conn) forget(id uint32) {
	if st := c.streams[id]; st != nil {
		delete(c.streams, id)
		st.abandon()
	}
	c.endIfDone()
}

func (c *conn) endIfDone() {
	if c.sentGoAway && len(c.streams) == 0 {
		c.end()
	}
	c.changed.Broadcast()
}

// goAway sends the last accepted stream to the client.
func (c *conn) goAway(last uint32, code http2.ErrCode) {
	if !c.ending {
		c.framer.WriteGoAway(last, code, nil)
	}
	c.goingAway, c.sentGoAway = true, true
	c.endIfDone() // all streams may have been reset before
}

// end closes the connection after the queue is written.
func (c *conn) end() {
	c.ending = true
	for id, st := range c.streams {
		delete(c.streams, id)
		st.abandon()
	}
	c.changed.Broadcast()
}

// drop ends everything after the client has left. It locks mu.
func (c *conn) drop() {
	c.mu.Lock()
	c.dropped = true
	c.end()
	c.mu.Unlock()
	c.raw.Close()
}

// write writes the queue until the connection ends. It locks mu.
func (c *conn) write() {
	var out bytes.Buffer
	for {
		c.mu.Lock()
		for c.queue.Len() == 0 && !c.ending && !c.dropped {
			c.changed.Wait()
		}
		c.queue, out = out, c.queue
		over := c.dropped
		c.mu.Unlock()
		c.changed.Broadcast() // the queue has space
		switch {
		case over:
			return
		case out.Len() == 0:
			c.shutdown()
			return
		}
		if _, err := c.rw.Write(out.Bytes()); err != nil {
			c.drop()
			return
		}
		out.Reset()
	}
}

// shutdown sends a FIN and gives the client time to close: the kernel would
// answer later bytes to a closed socket with a RST.
func (c *conn) shutdown() {
	half, ok := c.rw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.raw.Close()
		return
	}
	if tcp, ok := c.raw.(*net.TCPConn); ok && c.rw != c.raw {
		tcp.CloseWrite() // TLS sends only its close_notify
	}
	c.raw.SetReadDeadline(time.Now().Add(closeTimeout)) // ends read
}

// reset ends the connection with a RST: with a linger time of zero the kernel
// discards unsent bytes and resets.
func (c *conn) reset() {
	if tcp, ok := c.raw.(*net.TCPConn); ok {
		tcp.SetLinger(0) // fails only if the connection is already closed
	}
	c.raw.Close()
}
