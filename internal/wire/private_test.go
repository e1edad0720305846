package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestIsPrivateHost(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.255.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "172.32.0.1": false, "192.168.0.1": true,
		"169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "fd00::1": true, "fec0::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"100.64.0.1": true, "100.128.0.1": false, "::ffff:127.0.0.1": true, "::ffff:8.8.8.8": false, "64:ff9b::a00:1": true, "64:ff9b::808:808": false,
		"64:ff9b:1::7f00:1": true, "2002:7f00:1::": true, "2002:808:808::": false, "::7f00:1": true, "ff02::1": true,
		"8.8.8.8": false, "192.0.2.1": false, "2001:db8::1": false,
		"localhost": true, "LocalHost.": true, "a.localhost": true, "localhost.localdomain": true, "ip6-loopback": true,
		"notlocalhost": false, "localhost.test": false, "a.test": false, "1.test": false, "": false, "0x.test": false, "a0x1": false,
		"127.1": true, "2130706433": true, "0x7f000001": true, "0177.0.0.1": true, "127.0x0.1": true, "127.0.0.0x1": true, "8.8": true,
	} {
		if got := IsPrivateHost(host); got != want {
			t.Errorf("%q is private: %v, want %v", host, got, want)
		}
	}
}

// For a PublicOnly round trip there is no connection to a private address, with the dial of
// the package, and none that stays with another.
func TestPublicOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	other := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}
	address := "http://" + l.Addr().String()
	for name, cfg := range map[string]TransportConfig{"own": {}, "another": {Dial: other}} {
		rt := NewTransport(cfg)
		r := &RoundTrip{PublicOnly: true}
		r.Start(&attempt{Context: t.Context()}, time.Now(), time.Now().Add(time.Second), &Limits{})
		if _, err := r.Do(rt, get(t, r, address)); !errors.Is(err, ErrPrivate) {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "another" {
			conn := <-accepted
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%s: read %d, %v", name, n, err)
			}
			conn.Close()
		}
		rt.Close()
	}
	select {
	case <-accepted:
		t.Error("there was a connection")
	default:
	}
}

// A proxy dials for itself, and it may be in the network of this side.
func TestUsesProxy(t *testing.T) {
	proxy := func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.test") }
	none := func(*http.Request) (*url.URL, error) { return nil, nil }
	wrong := func(*http.Request) (*url.URL, error) { return nil, errors.New("no") }
	for _, c := range []struct {
		rt   http.RoundTripper
		want bool
	}{
		{NewTransport(TransportConfig{}), false}, {NewTransport(TransportConfig{Proxy: none}), false}, {NewTransport(TransportConfig{Proxy: proxy}), true},
		{&http.Transport{}, false}, {&http.Transport{Proxy: none}, false}, {&http.Transport{Proxy: proxy}, true}, {&http.Transport{Proxy: wrong}, true},
		{transportFunc(nil), true},
	} {
		if got := usesProxy(c.rt, get(t, t.Context(), "http://a.test")); got != c.want {
			t.Errorf("%T: %v, want %v", c.rt, got, c.want)
		}
	}
	if isPrivatePeer(nil) {
		t.Error("no connection is private")
	}
}
