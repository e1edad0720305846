//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package wire

import (
	"crypto/tls"
	"net"
	"syscall"
)

// socketLook looks for bytes that a socket has received and that were not read.
type socketLook struct {
	socket syscall.RawConn // nil if the connection is no socket
	peek   func(fd uintptr)
	buffer [16]byte
	found  int
}

func (l *socketLook) init(conn net.Conn) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	l.socket = raw
	l.peek = func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), l.buffer[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == nil {
			l.found = n
		}
	}
}

// bytes returns the first of these bytes, up to the next call. It does not wait, and takes
// none. One goroutine may call it at a time.
func (l *socketLook) bytes() []byte {
	if l.found = 0; l.socket == nil || l.socket.Control(l.peek) != nil {
		return nil
	}
	return l.buffer[:l.found]
}

// hasBytes reports whether the socket below a connection has bytes that were not read.
func hasBytes(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	var l socketLook
	l.init(conn)
	return len(l.bytes()) > 0
}
