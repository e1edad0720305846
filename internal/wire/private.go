package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// ErrPrivate is the error of a dial to a private address for a RoundTrip that is PublicOnly.
var ErrPrivate = errors.New("the address is private")

// privateRanges are the addresses beside those that netip knows which lead into a network of
// this side: this host (RFC 1122), that of a provider (RFC 6598), and site-local ones
// (RFC 3879).
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fec0::/10"),
}

// embedding are the ranges of IPv6 that have an address of IPv4 in them, at this byte: those
// of NAT64 (RFC 6052) and 6to4 (RFC 3056), and the compatible ones (RFC 4291).
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, {netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2}, {netip.MustParsePrefix("::/96"), 12},
}

// isPrivate reports whether an address is private, loopback or link-local.
func isPrivate(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast() || ip.IsUnspecified() {
		return true
	}
	for _, r := range privateRanges {
		if r.Contains(ip) {
			return true
		}
	}
	for _, e := range embedding {
		if b := ip.As16(); ip.Is6() && e.prefix.Contains(ip) {
			return isPrivate(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	return false
}

// localNames are names of this host, and the ends of such names.
var localNames = []string{"localhost", "localdomain", "ip6-localhost", "ip6-loopback"}

// IsPrivateHost reports whether a host without its port is an address that is private, loopback
// or link-local, or a name of this host. Of other names only a dial knows.
func IsPrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return isPrivate(ip)
	}
	for _, name := range localNames {
		if host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	// 127.1, 0x7f000001 and 2130706433 are no names: a resolver may take them for addresses.
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") && strings.Trim(last[2:], "0123456789abcdef") == "")
}

// dialPublic is dial, to no private address.
func dialPublic(ctx context.Context, network, addr string, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, error) {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if isPrivatePeer(conn) {
		_ = conn.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Addr: conn.RemoteAddr(), Err: ErrPrivate}
	}
	return conn, nil
}

// isPrivatePeer reports whether a connection leads to a private address.
func isPrivatePeer(conn net.Conn) bool {
	if conn == nil || conn.RemoteAddr() == nil {
		return false
	}
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && isPrivate(peer.Addr())
}

// onlyPublic is the ControlContext of a net.Dialer that connects to no private address.
func onlyPublic(_ context.Context, _, address string, _ syscall.RawConn) error {
	if peer, err := netip.ParseAddrPort(address); err != nil || isPrivate(peer.Addr()) {
		return ErrPrivate
	}
	return nil
}

// IsPrivate reports whether the connection of a round trip leads to a private address and not
// to a proxy, as far as that is known: of a RoundTripper around net/http's it is not.
func (r *RoundTrip) IsPrivate(rt http.RoundTripper, req *http.Request) bool {
	if usesProxy(rt, req) {
		return false
	}
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	return isPrivatePeer(r.conn.conn)
}

// usesProxy reports whether a request may go through a proxy, which dials for itself.
func usesProxy(rt http.RoundTripper, req *http.Request) bool {
	var proxy func(*http.Request) (*url.URL, error)
	switch rt := rt.(type) {
	case *Transport:
		proxy = rt.cfg.Proxy
	case *http.Transport:
		proxy = rt.Proxy
	default:
		return true
	}
	if proxy == nil {
		return false
	}
	address, err := proxy(req)
	return address != nil || err != nil
}
