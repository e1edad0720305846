package h2fault_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver/h2fault"
)

// In a test, use s := h2fault.Start(t, plan): the test closes it.
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
	// net/http has repeated the second request by itself: GOAWAY marked it as
	// not processed.
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
	// h2.goaway_graceful - a server that is being replaced: it finishes the streams it has begun and accepts no more
	// h2.goaway_excluding - a server that goes away and reports a request as not processed: it can be sent again, whatever its method
}
