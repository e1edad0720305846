package faultserver

import (
	"encoding/json"
	"net/http"
)

// Service is what a healthy server answers. It must be a pure function of the
// request: it is asked about every request, also about those that are then
// struck, and the work it stands for is counted apart, by the answer's Operation.
// It is called from many goroutines at once.
type Service func(Request) Answer

// Request is a request, read to its end. A Service changes nothing in it.
type Request struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// Answer is a healthy answer.
type Answer struct {
	// Status of 400 and above refuses the request: no work is done.
	Status      int
	ContentType string
	Body        []byte
	// Chunks are the lengths of the pieces in which Body is streamed, each sent
	// as soon as there is one before it, in chunks of HTTP; what they leave of
	// Body is one more. Empty: the whole Body at once, with a Content-Length.
	Chunks []int
	// Operation names the work that the request asks for, however often and
	// under whatever request id it is asked; two requests with the same one ask
	// for the same work. Empty: unknown.
	Operation string
}

// Echo answers every request with 200 and a JSON object of its method, path,
// request_id and body_bytes. The operation is the header X-Operation-ID, else
// X-Request-ID.
func Echo(r Request) Answer {
	id := r.Header.Get("X-Request-ID")
	operation := r.Header.Get("X-Operation-ID")
	if operation == "" {
		operation = id
	}
	return jsonAnswer(http.StatusOK, operation, struct {
		Method    string `json:"method"`
		Path      string `json:"path"`
		RequestID string `json:"request_id"`
		BodyBytes int    `json:"body_bytes"`
	}{r.Method, r.Path, id, len(r.Body)})
}

func jsonAnswer(status int, operation string, v any) Answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic("faultserver: an answer that is no JSON: " + err.Error())
	}
	return Answer{Status: status, ContentType: "application/json", Body: body, Operation: operation}
}
