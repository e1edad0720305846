package faultserver

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// Service makes the healthy answer. It must be a pure function of the request and
// safe for concurrent use. The server calls it for every request, also for those
// that a fault strikes. The work is counted separately, by the answer's Operation.
type Service func(Request) Answer

// Request is a complete request. A Service must not change it.
type Request struct {
	Method string
	Path   string
	Query  url.Values // nil without a query
	Header http.Header
	Body   []byte
}

// Answer is a healthy answer.
type Answer struct {
	// Status of 400 or more rejects the request: no work is done.
	Status      int
	ContentType string
	Body        []byte
	// Chunks are the lengths of the pieces of a streamed Body. Each piece is
	// sent at once as an HTTP chunk; the rest of Body is the last one. Empty
	// means the whole Body at once, with a Content-Length.
	Chunks []int
	// Operation identifies the requested work across attempts and request ids. Two
	// requests with the same Operation ask for the same work. Empty means unknown.
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
		panic("faultserver: answer cannot be encoded as JSON: " + err.Error())
	}
	return Answer{Status: status, ContentType: "application/json", Body: body, Operation: operation}
}
