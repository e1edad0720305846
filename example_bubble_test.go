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
		_, err = client.Get(t.Context(), "/x") // three waits between its attempts take no real time
		if took := time.Since(began); err != nil || took == 0 || took > 7*time.Second {
			t.Errorf("%v after %v, want an answer after three waits", err, took)
		}
	})
}
