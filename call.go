package holdfast

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/internal/wire"
)

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	attempt time.Duration
	header  http.Header
	key     string
	repeat  Repeat
	isCheck bool // of health: see Client.Healthy
	isDoor  bool // refusals are answers: see Client.HTTPClient
	problem error
}

// with is what a call's options come to.
func (c *Client) with(method string, target *url.URL, opts []CallOption) (callOptions, error) {
	all := callOptions{attempt: c.rules.attempt, repeat: c.settings.repeat}
	if len(opts) == 0 {
		return all, nil
	}
	chosen := new(callOptions) // of its own: where nobody chooses, nothing is allocated
	*chosen = all
	for _, opt := range opts {
		opt(chosen)
	}
	if chosen.problem != nil {
		return all, c.misuse(method, wire.Shown(target), chosen.problem)
	}
	return *chosen, nil
}

// WithAttemptTimeout limits each attempt of this call, instead of
// Timeouts.Attempt; Off for no limit. The context bounds the whole call.
func WithAttemptTimeout(d time.Duration) CallOption {
	return func(o *callOptions) {
		switch {
		case d == Off:
			o.attempt = 0
		case d <= 0 || d > longest:
			o.problem = fmt.Errorf("holdfast: WithAttemptTimeout is %v: must be positive and at most %v, or Off", d, longest)
		default:
			o.attempt = d
		}
	}
}

// WithHeader sends a header with this call, instead of what Config.Header says of
// it.
func WithHeader(name, value string) CallOption {
	return func(o *callOptions) {
		ck := check{}
		ck.header("WithHeader", name, []string{value})
		if err := ck.err(); err != nil {
			o.problem = err
			return
		}
		if o.header == nil {
			o.header = http.Header{}
		}
		o.header.Set(name, value)
	}
}

// WithIdempotencyKey sends key as Idempotency-Key, and as the operation's id
// where no other was given: for a call that must not be made twice even by
// different processes.
func WithIdempotencyKey(key string) CallOption {
	return func(o *callOptions) {
		if key == "" || !plain(key) {
			o.problem = fmt.Errorf("holdfast: WithIdempotencyKey is empty or has a control character: must be printable")
			return
		}
		o.key = key
	}
}

// WithNoRepeat sends this call once if it may have reached the service, whatever
// its method; see RepeatNever.
func WithNoRepeat() CallOption {
	return func(o *callOptions) { o.repeat = RepeatNever }
}

// Response is an answer, read to its end: there is nothing to close.
type Response struct {
	Status    int
	Proto     string // HTTP/1.1 or HTTP/2.0
	Header    http.Header
	Body      []byte
	RequestID string // the operation's
	Attempts  int    // how many it took

	target *url.URL
}

// Decode decodes the body, which is JSON, into v.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return &Error{URL: shown(r.target), RequestID: r.RequestID, Err: wire.Undecoded(err), kind: ErrDecode}
	}
	return nil
}

// shown is an address as errors show it, empty for none.
func shown(u *url.URL) string {
	if u == nil {
		return ""
	}
	return wire.Shown(u)
}

// encode makes a body of what a caller hands in, and says what type it is.
func encode(in any) (body []byte, mediaType string, err error) {
	switch in := in.(type) {
	case nil:
		return nil, "", nil
	case []byte:
		return in, "application/octet-stream", nil
	case json.RawMessage:
		return in, "application/json", nil
	case io.Reader:
		return nil, "", fmt.Errorf("a %T cannot be encoded as JSON: send it with Client.Do", in)
	}
	body, err = json.Marshal(in)
	return body, "application/json", err
}

// newID is a UUIDv4 (RFC 9562, 5.4). The system is asked for each: bytes that are
// kept for the next would be the same in every machine that is started from one
// snapshot, and two payments would have one key.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand says so
	return uuid(b)
}

// uuid makes a UUIDv4 of bytes of chance.
func uuid(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	const hex = "0123456789abcdef"
	id := make([]byte, 0, 36)
	for i, v := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			id = append(id, '-')
		}
		id = append(id, hex[v>>4], hex[v&15])
	}
	return string(id)
}

// misuse is a call that could not be made: the error of a caller's own mistake.
func (c *Client) misuse(method, shown string, err error) *Error {
	return &Error{
		Name: c.rules.name, Method: method, URL: shown, Err: err, kind: ErrInvalidRequest,
		Stopped: "the request cannot be made",
	}
}
