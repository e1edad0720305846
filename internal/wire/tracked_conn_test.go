package wire

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"
)

// The SETTINGS are awaited on the connection of the handshake, also if a request has two
// dials under way.
func TestExpectSettings(t *testing.T) {
	rt, s := secure(t, TransportConfig{}, func(http.ResponseWriter, *http.Request) {})
	roundTrip := new(RoundTrip)
	roundTrip.Start(&attempt{Context: t.Context()}, time.Now(), time.Time{}, &Limits{})
	defer roundTrip.End()
	var conns [2]*trackedConn
	for i := range conns {
		conn, err := rt.current.Load().DialContext(roundTrip, "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = trackedBelow(conn)
	}
	cfg := rt.current.Load().TLSClientConfig.Clone()
	cfg.ServerName = "example.com"
	shaken := tls.Client(conns[0], cfg)
	if err := shaken.Handshake(); err != nil {
		t.Fatal(err)
	}
	rt.current.Load().TLSNextProto["h2"]("example.com", shaken)
	defer rt.CloseIdleConnections()
	if conns[1].settings != nil {
		t.Error("they are expected on the other")
	}
	if conns[0].settings == nil {
		t.Fatal("they are not expected")
	}
	<-conns[0].settings // a real server sends them
}
