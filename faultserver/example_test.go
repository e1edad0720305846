package faultserver_test

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// In a test, use s := faultserver.Start(t, plan): the test closes it.
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

// The work is done, but the answer is lost. The client repeats it under the
// same id, and Effects shows whether that was safe.
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
			strings.NewReader(`{"model": "mxbai-embed-large-v1", "input": "a text"}`))
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
	// 382632c74f3e60e5 0 true [commit.then_drop conn.fin_before_answer]
	// 382632c74f3e60e5 200 false []
	// 382632c74f3e60e5 200 true []
}

// A server that answers like OpenAI: it admits one request in a minute, and the
// stream of that request ends without its end mark.
func ExampleAs() {
	s, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Quota: &fault.Quota{Limit: 1, Per: time.Minute}}},
		{Fault: fault.Fault{Stream: fault.StreamEndMissing}},
	}}, faultserver.As(fault.OpenAI))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	for range 2 {
		resp, err := http.Post(s.URL()+"/v1/chat/completions", "application/json",
			strings.NewReader(`{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Header.Get("X-Ratelimit-Remaining-Requests"), "requests left,",
			strings.Count(string(body), "data: "), "events, [DONE]:", strings.Contains(string(body), "[DONE]"))
		if resp.StatusCode == http.StatusTooManyRequests {
			fmt.Println(string(body)[:strings.Index(string(body), ".")])
		}
	}
	// Output:
	// 200 0 requests left, 18 events, [DONE]: false
	// 429 0 requests left, 0 events, [DONE]: false
	// {"error":{"message":"Rate limit reached for requests per min (RPM)
}

// A service that works, then refuses connections, then works again: the plan
// changes while the server runs.
func ExampleServer_SetPlan() {
	s, err := faultserver.New(fault.Plan{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	connect := func() {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			fmt.Println("refused:", errors.Is(err, syscall.ECONNREFUSED))
			return
		}
		conn.Close()
		fmt.Println("connected")
	}
	for _, plan := range []fault.Plan{
		{},
		{Connections: []fault.ConnRule{{Fault: fault.ConnFault{Refuse: true}}}},
		{Connections: []fault.ConnRule{{Nth: "0"}}}, // invalid: the plan before stays
		{},
	} {
		if err := s.SetPlan(plan); err != nil {
			fmt.Println(err)
		}
		connect()
	}
	// Output:
	// connected
	// refused: true
	// faultserver: fault plan: 2 problems
	//   connections[0].nth: "0" must be a number from 1, a range like "1-2", or "4-" for all from the fourth on
	//   connections[0].fault: is empty: name a fault
	// refused: true
	// connected
}

// An expired certificate, then a valid one.
func ExampleTLS() {
	s, err := faultserver.New(fault.Plan{Connections: []fault.ConnRule{
		{Nth: "1", Fault: fault.ConnFault{TLS: fault.TLSExpired}},
	}}, faultserver.TLS())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	client := http.Client{Transport: &http.Transport{TLSClientConfig: s.ClientTLS()}}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(s.URL())
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) {
			fmt.Println("expired:", invalid.Reason == x509.Expired)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// expired: true
	// 200 OK
}

// A stream that is cut after two words.
func ExampleOllama() {
	s, err := faultserver.New(fault.Plan{Rules: []fault.Rule{
		{Fault: fault.Fault{Cut: &fault.Cut{After: 2, Of: fault.Chunks}}},
	}}, faultserver.Backend(faultserver.Ollama))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	resp, err := http.Post(s.URL()+"/api/generate", "application/json", strings.NewReader(`{"model": "llama3.2", "prompt": "bread?"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var line struct {
			Response string
			Done     bool
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%q %v\n", line.Response, line.Done)
	}
	fmt.Println(lines.Err())
	// Output:
	// "flour" false
	// " yeast" false
	// unexpected EOF
}
