package judge

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxBody bounds the body that is parsed.
const maxBody = 64 << 10

// An errorBody has the fields of a declining answer that tell of a wait.
type errorBody struct {
	Code    scalar `json:"code"`
	Type    scalar `json:"type"`
	Message string `json:"message"`

	RetryAfter    scalar `json:"retry_after"`
	EstimatedTime scalar `json:"estimated_time"`
	Parameters    struct {
		RetryAfter scalar `json:"retry_after"`
	} `json:"parameters"`
	Details []struct {
		Type       string `json:"@type"`
		RetryDelay scalar `json:"retryDelay"`
		Violations []struct {
			QuotaID string `json:"quotaId"`
		} `json:"violations"`
		Metadata struct {
			QuotaLimit string `json:"quota_limit"`
		} `json:"metadata"`
	} `json:"details"`
}

// scalar is the text of a number or of a string. Another value has a text that means
// nothing.
type scalar string

// UnmarshalJSON never fails: services disagree on whether a value is a number or a string.
func (s *scalar) UnmarshalJSON(b []byte) error {
	if len(b) <= maxWaitText {
		*s = scalar(bytes.Trim(b, `"`))
	}
	return nil
}

// readBody reads the wait that a JSON body states. ok means that it states one, or that
// a quota is gone.
func readBody(body []byte) (w Wait, ok bool) {
	body = bytes.TrimSpace(body[:min(len(body), maxBody)])
	if len(body) == 0 || body[0] != '{' && body[0] != '[' {
		return Wait{}, false
	}
	if !slices.ContainsFunc(clues[:], func(clue []byte) bool { return bytes.Contains(body, clue) }) {
		return Wait{}, false
	}
	return parseBody(body).wait()
}

// A body without any of the clues has nothing to read, and is not parsed.
var clues = [...][]byte{[]byte("retry"), []byte("quota"), []byte("estimated_time"), []byte("billing_"), []byte("credit balance")}

// An answerBody is a body, which has the fields itself or in its object "error".
type answerBody struct {
	errorBody
	Error errorBody `json:"error"`
}

// parseBody parses a JSON object, or a list of one: Google sends a list where a success
// is a stream. A field of another type leaves the other fields as they are, and what is
// no JSON leaves all of them empty.
func parseBody(body []byte) *answerBody {
	var list [1]answerBody
	if body[0] == '[' {
		_ = json.Unmarshal(body, &list)
	} else {
		_ = json.Unmarshal(body, &list[0])
	}
	return &list[0]
}

// wait returns the wait of the error, or else that of the body. ok is as in readBody.
func (b *answerBody) wait() (w Wait, ok bool) {
	if b.isQuota() || b.Error.isQuota() {
		return Wait{Quota: true}, true
	}
	if w, ok = b.Error.wait(); ok {
		return w, true
	}
	return b.errorBody.wait()
}

// isQuota reports whether a day's quota or the money is gone.
func (b *errorBody) isQuota() bool {
	for _, word := range [...]scalar{b.Code, b.Type} {
		if word == "insufficient_quota" || word == "exceeded_current_quota_error" || strings.HasPrefix(string(word), "billing_") {
			return true
		}
	}
	for i := range b.Details {
		d := &b.Details[i]
		if strings.Contains(d.Metadata.QuotaLimit, "PerDay") {
			return true
		}
		for _, v := range d.Violations {
			if strings.Contains(v.QuotaID, "PerDay") {
				return true
			}
		}
	}
	return strings.Contains(b.Message, "credit balance is too low")
}

// wait returns the first wait of the fields.
func (b *errorBody) wait() (Wait, bool) {
	for i := range b.Details {
		if strings.HasSuffix(b.Details[i].Type, "google.rpc.RetryInfo") {
			if d, ok := parseSeconds(string(b.Details[i].RetryDelay)); ok {
				return waitFor(d, "body: retryDelay"), true
			}
		}
	}
	for _, field := range [...]struct {
		value scalar
		from  string
	}{
		{b.RetryAfter, "body: retry_after"},
		{b.Parameters.RetryAfter, "body: parameters.retry_after"},
		{b.EstimatedTime, "body: estimated_time"},
	} {
		if d, ok := parseSeconds(string(field.value)); ok {
			return waitFor(d, field.from), true
		}
	}
	return Wait{}, false
}
