// Package address finds an address to connect to for an address to listen on.
package address

import (
	"net"
	"net/netip"
)

// ToDial returns a host and port that connect to a listener at this address. For
// all addresses of the machine, 0.0.0.0 and [::], it is 127.0.0.1, which both
// accept; any other address is unchanged.
func ToDial(listening string) string {
	at, err := netip.ParseAddrPort(listening)
	if err != nil || !at.Addr().IsUnspecified() {
		return listening
	}
	_, port, _ := net.SplitHostPort(listening) // parsed before
	return net.JoinHostPort("127.0.0.1", port)
}
