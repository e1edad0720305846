package dialect

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// Anthropic is the Messages API of Anthropic. Its Scope is the model. A stream ends with the
// event message_stop.
var Anthropic = Dialect{Name: "Anthropic", Classify: anthropic.classify, Scope: holdfast.ScopeModel, Ends: anthropic.ends}

var anthropic = &format{
	streams: mediaEvents, mark: "message_stop",
	declined: anthropicDeclined, body: anthropicBody, event: anthropicEvent, ended: anthropicEnded,
}

var anthropicClasses = map[string]holdfast.Class{
	"invalid_request_error": holdfast.ClassRequest,
	"authentication_error":  holdfast.ClassCredential,
	"billing_error":         holdfast.ClassQuota,
	"permission_error":      holdfast.ClassCredential,
	"not_found_error":       holdfast.ClassRequest,
	"request_too_large":     holdfast.ClassRequest,
	"rate_limit_error":      holdfast.ClassThrottled,
	"api_error":             holdfast.ClassServer,
	"timeout_error":         holdfast.ClassTimeout,
	"overloaded_error":      holdfast.ClassOverloaded,
}

// spent are the parts of messages that say that money or a quota is gone. Their type is
// invalid_request_error.
var spent = [...]string{"credit balance is too low", "specified API usage limits"}

func anthropicFailure(value []byte) (v holdfast.Verdict, ok bool) {
	f, ok := readFailure(value)
	if !ok || !isObject(value) {
		return v, false
	}
	class := anthropicClasses[string(f.Type)]
	for _, text := range spent {
		if strings.Contains(string(f.Message), text) {
			class = holdfast.ClassQuota
		}
	}
	return f.verdict(class), true
}

func anthropicDeclined(a *holdfast.Answer) holdfast.Verdict {
	if textMember(a.Body, "type") != "error" {
		return holdfast.Verdict{}
	}
	v, _ := anthropicFailure(member(a.Body, "error"))
	return v
}

// anthropicBody finds an error in the place of a message: a gateway may have lost the status.
func anthropicBody(a *holdfast.Answer) holdfast.Verdict {
	if a.Method != http.MethodPost || !bytes.Contains(a.Body, errorName) || !bytes.Equal(member(a.Body, "type"), errorName) {
		return holdfast.Verdict{}
	}
	v, ok := anthropicFailure(member(a.Body, "error"))
	if !ok {
		return holdfast.Verdict{}
	}
	return unknown(v)
}

// anthropicType is the type of an event: its data has it, too.
func anthropicType(kind string, data []byte) string {
	if kind != "" && kind != "message" || !isObject(data) {
		return kind
	}
	return textMember(data, "type")
}

func anthropicEvent(_ *holdfast.Answer, kind string, data []byte) holdfast.Verdict {
	switch anthropicType(kind, data) {
	case "message_start", "content_block_start", "ping":
		return holdfast.Verdict{More: true}
	case "error":
		if bytes.Contains(data, errorName) {
			if v, ok := anthropicFailure(member(data, "error")); ok {
				return unknown(v)
			}
		}
	}
	return holdfast.Verdict{}
}

func anthropicEnded(kind string, data []byte) (ended, marked bool) {
	switch anthropicType(kind, data) {
	case "message_stop":
		return true, true
	case "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping", "error":
		return false, true
	}
	return false, false
}
