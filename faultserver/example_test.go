package faultserver_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// In a test, write s := faultserver.Start(t, plan) instead: it closes itself.
func ExampleNew() {
	s, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Statuses: []int{503, 503, 200}}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	for range 3 {
		resp, err := http.Get(s.URL() + "/hello")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, strings.TrimSpace(string(body)))
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 200 {"method":"GET","path":"/hello","request_id":"","body_bytes":0}
}

// The work was done, but the answer lost; the client repeats it under the same
// id, and the server tells whether that was safe.
func ExampleServer_Effects() {
	s, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Nth: "1", Fault: fault.Fault{Commit: true, Close: fault.BeforeAnswer}},
	}}, faultserver.Backend(faultserver.Embeddings))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	send := func(requestID string) {
		req, err := http.NewRequest("POST", s.URL()+"/v1/embeddings",
			strings.NewReader(`{"model": "mxbai-embed-large-v1", "input": "op-1 a text"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-Request-ID", requestID)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
		fmt.Printf("%+v\n", s.Effects())
	}
	send("id-1")
	send("id-1")
	send("a-fresh-one")
	for _, a := range s.Record() {
		fmt.Println(a.Operation, a.Status, a.Effect, a.Faults)
	}
	// Output:
	// {Done:1 Duplicates:0 Resent:0 Untracked:0}
	// {Done:1 Duplicates:0 Resent:1 Untracked:0}
	// {Done:1 Duplicates:1 Resent:2 Untracked:0}
	// op-1 0 true [commit.then_drop conn.fin_before_answer]
	// op-1 200 false []
	// op-1 200 true []
}
