package holdfast_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// What docs/troubleshooting.md shows is from here.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{{Nth: "1-3", Fault: fault.Fault{Status: 503}}}}, faultserver.InMemory())
		client, err := holdfast.New(holdfast.Config{BaseURL: server.URL()}, holdfast.WithDialContext(server.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()

		began := time.Now()
		_, err = client.Get(t.Context(), "/x")
		t.Log(err, time.Since(began)) // after three waits of seconds, which take no real time
		if err != nil || time.Since(began) == 0 {
			t.Errorf("%v after %v, want an answer after some time", err, time.Since(began))
		}
	})
}
