package wire

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// maxProblemText bounds each field of a Problem, in bytes.
const maxProblemText = 4 << 10

// Problem is what a service says of a refusal (RFC 9457).
type Problem struct {
	Type, Title, Detail, Instance string
}

// ParseProblem reads the beginning of an answer's body, if it is
// application/problem+json. A member that is no string is as good as absent
// (RFC 9457, 3.1); so is everything if the object is cut off.
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
