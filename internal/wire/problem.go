package wire

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// maxProblemText bounds each field of a Problem, in bytes.
const maxProblemText = 4 << 10

// Problem is a service's description of an error (RFC 9457).
type Problem struct {
	Type, Title, Detail, Instance string
}

// ParseProblem parses the beginning of an answer's body if it is
// application/problem+json. A member that is not a string counts as absent (RFC 9457,
// 3.1), and all of them do if the object is cut off.
func ParseProblem(h http.Header, body []byte) Problem {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if media != "application/problem+json" || err != nil && err != mime.ErrInvalidMediaParameter {
		return Problem{}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return Problem{}
	}
	text := func(name string) string {
		var s string
		if json.Unmarshal(members[name], &s) != nil {
			return ""
		}
		if len(s) > maxProblemText {
			s = strings.ToValidUTF8(s[:maxProblemText], "")
		}
		return s
	}
	return Problem{Type: text("type"), Title: text("title"), Detail: text("detail"), Instance: text("instance")}
}
