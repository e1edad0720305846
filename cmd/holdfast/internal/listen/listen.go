// Package listen checks the addresses that commands listen at.
package listen

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
)

// CheckAddress checks that an address is a host and a port. The operating system decides
// whether they can be used.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("must be a host and a port from 0 to 65535, such as 127.0.0.1:8080")
	}
	return nil
}

// IsLoopback reports whether an IP address with a port is a loopback address.
func IsLoopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// IsEvery reports whether an address is that of every interface of the machine: without a
// host, or with 0.0.0.0 or [::].
func IsEvery(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(host)
	return host == "" || err == nil && at.IsUnspecified()
}
