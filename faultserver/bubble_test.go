package faultserver

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/fault"
)

// What would hang in a bubble, or end the program, is an error that names the cure.
func TestBubbles(t *testing.T) {
	names := func(t *testing.T, what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "InMemory()") || !strings.Contains(err.Error(), "holdfast.WithDialContext(server.Dial)") {
			t.Errorf("%s: %v, want an error that names InMemory and Dial", what, err)
		}
	}
	outside, socket := Start(t, fault.Plan{}, InMemory()), Start(t, fault.Plan{})
	var other *Server
	synctest.Test(t, func(t *testing.T) {
		_, err := New(fault.Plan{})
		names(t, "a socket in a bubble", err)
		_, err = outside.Dial(t.Context(), "", "")
		names(t, "a server from outside", err)
		_, err = socket.Dial(t.Context(), "", "")
		names(t, "a socket from outside", err)

		own := Start(t, fault.Plan{}, InMemory())
		conn, err := own.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		other = own
	})
	_, err := other.Dial(t.Context(), "", "")
	names(t, "outside, a server of a bubble", err)
	synctest.Test(t, func(t *testing.T) {
		_, err := other.Dial(t.Context(), "", "")
		names(t, "in another bubble", err)
	})
}
