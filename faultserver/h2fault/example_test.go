package h2fault_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// In a test, write s := h2fault.Start(t, plan) instead: it closes itself.
func ExampleNew() {
	s, err := h2fault.New(fault.Plan{Rules: []fault.Rule{
		{Nth: "1", Fault: fault.Fault{H2: fault.RSTInternal}},
		{Nth: "2", Fault: fault.Fault{H2: fault.GoAwayExcluding}},
	}}, h2fault.TLS())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.ClientTLS(), ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(s.URL() + "/hello")
		if err != nil {
			fmt.Println("no answer")
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Proto, string(body))
	}
	// net/http has sent the second request twice, unasked: GOAWAY said that the
	// server had not looked at it.
	for _, a := range s.Record() {
		fmt.Println(a.Connection, a.Faults, a.Effect)
	}
	// Output:
	// no answer
	// 200 HTTP/2.0 {"method":"GET","path":"/hello","request_id":"","body_bytes":0}
	// 1 [h2.rst_stream_internal] false
	// 1 [h2.goaway_excluding] false
	// 2 [] true
}

func ExampleCatalog() {
	for _, entry := range h2fault.Catalog()[:2] {
		fmt.Println(entry.ID, "-", entry.Purpose)
	}
	// Output:
	// h2.goaway_graceful - a server that is being replaced: what it has begun it finishes, what comes now belongs elsewhere
	// h2.goaway_excluding - a request that a server which is going away has not looked at, and says so: it can be sent again whatever it is
}
