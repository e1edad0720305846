package dialect

import (
	"encoding/json"
	"strconv"

	"github.com/holdfast-go/holdfast"
)

// scalar is the text of a string or of a number. Another value has none: services disagree
// on the types of codes.
type scalar string

// UnmarshalJSON never fails.
func (s *scalar) UnmarshalJSON(b []byte) error {
	*s = ""
	if b[0] == '"' {
		_ = json.Unmarshal(b, (*string)(s))
	} else if b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		*s = scalar(b)
	}
	return nil
}

// failure is an error as a service describes it, in an object or as a text.
type failure struct {
	Code    scalar `json:"code"`
	Type    scalar `json:"type"`
	Message scalar `json:"message"`
}

// readFailure reads the value of a member "error". ok is false for a value that is none.
func readFailure(value []byte) (f failure, ok bool) {
	if len(value) == 0 || len(value) > maxText {
		return f, false
	}
	switch value[0] {
	case '{':
		_ = json.Unmarshal(value, &f)
	case '"':
		_ = json.Unmarshal(value, &f.Message)
	}
	return f, f != failure{}
}

// text is the reason for people.
func (f *failure) text() string {
	for _, s := range [...]scalar{f.Message, f.Code, f.Type} {
		if s != "" {
			return reason(string(s))
		}
	}
	return ""
}

// verdict is a failure of a class, with the wait of its message where it may have one.
func (f *failure) verdict(class holdfast.Class) holdfast.Verdict {
	v := holdfast.Verdict{Class: class, Text: f.text()}
	if class == holdfast.ClassThrottled || class == holdfast.ClassOverloaded {
		v.RetryAfter = waitIn(string(f.Message))
	}
	return v
}

// classOfStatus is the class of a status that stands in a body, or ClassNone.
func classOfStatus(code string) holdfast.Class {
	if len(code) != 3 {
		return holdfast.ClassNone
	}
	switch n, _ := strconv.Atoi(code); n {
	case 400, 404, 405, 413, 415, 422, 501:
		return holdfast.ClassRequest
	case 401, 403:
		return holdfast.ClassCredential
	case 402:
		return holdfast.ClassQuota
	case 408, 504, 524:
		return holdfast.ClassTimeout
	case 429:
		return holdfast.ClassThrottled
	case 500, 502, 520, 521, 522, 523:
		return holdfast.ClassServer
	case 503, 529:
		return holdfast.ClassOverloaded
	}
	return holdfast.ClassNone
}

// unknown is the verdict on an error event of which the code is not known: the answer is no
// success, and no more is known.
func unknown(v holdfast.Verdict) holdfast.Verdict {
	if v.Class == holdfast.ClassNone {
		v.Class = holdfast.ClassContent
	}
	return v
}
