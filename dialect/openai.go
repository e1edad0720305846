package dialect

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// OpenAI is the API of OpenAI: chat, responses, embeddings. Azure and many other services and
// servers of models have it, too. Its Scope is the model, or the deployment of Azure. A stream
// of completions ends with the data [DONE], one of responses with an event such as
// response.completed.
//
// Use OpenAIGateway for a service that answers a failed request with 200, or that leaves out
// [DONE].
var OpenAI = Dialect{Name: "OpenAI", Classify: openAI.classify, Scope: scopeOpenAI, Ends: openAI.ends}

// OpenAIGateway is OpenAI for a gateway that passes requests on to other services, as
// OpenRouter does: a 200 may have the body {"error":{"code":429,"message":"…"}}, or a choice
// with such an error. A stream may also end with a chunk that has a finish_reason.
var OpenAIGateway = Dialect{Name: "OpenAIGateway", Classify: openAIGateway.classify, Scope: scopeOpenAI, Ends: openAI.ends}

var openAI = &format{
	streams: mediaEvents, mark: "[DONE] or response.completed",
	declined: openAIDeclined, body: openAIBody, event: openAIEvent, ended: openAIEnded,
}

var openAIGateway = &format{
	streams: mediaEvents, mark: "[DONE] or response.completed",
	declined: openAIDeclined, body: gatewayBody, event: openAIEvent, ended: gatewayEnded,
}

// openAIClasses are the codes and types of errors, of OpenAI and of services with its API.
var openAIClasses = map[string]holdfast.Class{
	"rate_limit_exceeded": holdfast.ClassThrottled, "rate_limit_error": holdfast.ClassThrottled, "rate_limit_reached_error": holdfast.ClassThrottled,
	"tokens": holdfast.ClassThrottled, "requests": holdfast.ClassThrottled, "too_many_requests": holdfast.ClassThrottled,

	"insufficient_quota": holdfast.ClassQuota, "exceeded_current_quota_error": holdfast.ClassQuota, "billing_hard_limit_reached": holdfast.ClassQuota,
	"billing_not_active": holdfast.ClassQuota,

	"engine_overloaded": holdfast.ClassOverloaded, "engine_overloaded_error": holdfast.ClassOverloaded, "overloaded_error": holdfast.ClassOverloaded,
	"slow_down": holdfast.ClassOverloaded, "service_unavailable": holdfast.ClassOverloaded, "service_unavailable_error": holdfast.ClassOverloaded,

	"server_error": holdfast.ClassServer, "internal_error": holdfast.ClassServer, "internal_server_error": holdfast.ClassServer,
	"api_error": holdfast.ClassServer, "vector_store_timeout": holdfast.ClassServer,

	"invalid_api_key": holdfast.ClassCredential, "invalid_authentication_error": holdfast.ClassCredential, "authentication_error": holdfast.ClassCredential,
	"permission_error": holdfast.ClassCredential, "account_deactivated": holdfast.ClassCredential,
	"unsupported_country_region_territory": holdfast.ClassCredential,

	"invalid_request_error": holdfast.ClassRequest, "context_length_exceeded": holdfast.ClassRequest, "model_not_found": holdfast.ClassRequest,
	"not_found_error": holdfast.ClassRequest, "invalid_prompt": holdfast.ClassRequest, "content_filter": holdfast.ClassRequest,
	"content_policy_violation": holdfast.ClassRequest,
}

// openAIFailure is the verdict on an error object. Its class is ClassNone if the code and
// the type are not known. The code is finer than the type.
func openAIFailure(f failure) holdfast.Verdict {
	class := openAIClasses[string(f.Code)]
	switch {
	case openAIClasses[string(f.Type)] == holdfast.ClassQuota:
		class = holdfast.ClassQuota
	case class == holdfast.ClassNone:
		if class = classOfStatus(string(f.Code)); class == holdfast.ClassNone {
			class = openAIClasses[string(f.Type)]
		}
	}
	if class == holdfast.ClassServer && strings.Contains(string(f.Message), "overloaded") {
		class = holdfast.ClassOverloaded // the type is server_error here, too
	}
	return f.verdict(class)
}

// The member error is that of a body, or the body itself, as some servers send it.
func openAIDeclined(a *holdfast.Answer) holdfast.Verdict {
	value := member(a.Body, "error")
	if value == nil && textMember(a.Body, "object") == "error" {
		value = a.Body
	}
	f, ok := readFailure(value)
	if !ok {
		return holdfast.Verdict{}
	}
	return openAIFailure(f)
}

var errorName, failedName = []byte(`"error"`), []byte(`"failed"`)

// openAIBody finds a response that was made and has failed. One that is only fetched has not
// failed now.
func openAIBody(a *holdfast.Answer) holdfast.Verdict {
	if a.Method != http.MethodPost || !bytes.Contains(a.Body, failedName) || !strings.HasSuffix(a.Path, "/responses") {
		return holdfast.Verdict{}
	}
	if v := failedResponse(a.Body); isWhole(a.Body) {
		return v
	}
	return holdfast.Verdict{}
}

// failedResponse is the verdict on an object of the Responses API.
func failedResponse(body []byte) holdfast.Verdict {
	if textMember(body, "object") != "response" || textMember(body, "status") != "failed" {
		return holdfast.Verdict{}
	}
	f, ok := readFailure(member(body, "error"))
	if !ok {
		f.Message = "the response has failed"
	}
	return unknown(openAIFailure(f))
}

// gatewayBody finds an error in the place of a completion.
func gatewayBody(a *holdfast.Answer) holdfast.Verdict {
	if a.Method == http.MethodPost && bytes.Contains(a.Body, errorName) {
		if v := gatewayFailure(a.Body); v.Class != holdfast.ClassNone && isWhole(a.Body) {
			return v
		}
	}
	return openAIBody(a)
}

// gatewayFailure is the verdict on a body with an error and without a result.
func gatewayFailure(body []byte) holdfast.Verdict {
	value := member(body, "error")
	for choice := range elements(member(body, "choices")) {
		if value = member(choice, "error"); !isObject(value) {
			return holdfast.Verdict{} // one choice is an answer
		}
	}
	if !isObject(value) {
		return holdfast.Verdict{}
	}
	f, _ := readFailure(value)
	if f.Message == "" {
		return holdfast.Verdict{}
	}
	if member(body, "choices") == nil {
		for _, result := range [...]string{"data", "output", "object"} {
			if member(body, result) != nil {
				return holdfast.Verdict{}
			}
		}
	}
	return openAIFailure(f)
}

// openAIStarts are the events of the Responses API before its content.
var openAIStarts = map[string]bool{
	"response.created": true, "response.queued": true, "response.in_progress": true, "response.output_item.added": true,
	"response.content_part.added": true, "keepalive": true,
}

func openAIEvent(a *holdfast.Answer, kind string, data []byte) holdfast.Verdict {
	if !isObject(data) {
		return holdfast.Verdict{}
	}
	if kind == "error" || bytes.Contains(data, errorName) || bytes.Contains(data, failedName) {
		if v := openAIErrorEvent(kind, data); v.Class != holdfast.ClassNone {
			return v
		}
	}
	if a.Seen < maxStart {
		return holdfast.Verdict{More: openAIStarts[textMember(data, "type")] || isRoleOnly(data)}
	}
	return holdfast.Verdict{More: kind == "keepalive"}
}

// maxStart is the number of events of a stream that may be its start: the client asks for
// no more.
const maxStart = 16

func openAIErrorEvent(kind string, data []byte) holdfast.Verdict {
	event := textMember(data, "type")
	value := member(data, "error")
	switch {
	case event == "response.failed":
		return failedResponse(member(data, "response"))
	case strings.HasPrefix(event, "response."):
		return holdfast.Verdict{}
	case !isObject(value) && (event == "error" || kind == "error" || textMember(data, "object") == "error"):
		value = data
	}
	f, ok := readFailure(value)
	if !ok {
		return holdfast.Verdict{}
	}
	if f.Type == "error" { // of the event
		f.Type = ""
	}
	return unknown(openAIFailure(f))
}

// isRoleOnly reports whether a chunk of a completion announces its choices, and has nothing
// of them.
func isRoleOnly(data []byte) bool {
	var chunk struct {
		Choices []struct {
			Delta        map[string]json.RawMessage
			Text         *string
			FinishReason *string `json:"finish_reason"`
		}
		Usage json.RawMessage
	}
	if len(data) > maxText || member(data, "choices") == nil || json.Unmarshal(data, &chunk) != nil {
		return false
	}
	for _, c := range chunk.Choices {
		if c.FinishReason != nil || c.Text != nil || c.Delta == nil {
			return false
		}
		for name, value := range c.Delta {
			if name != "role" && string(value) != `""` && string(value) != "null" {
				return false
			}
		}
	}
	return true
}

func openAIEnded(kind string, data []byte) (ended, marked bool) {
	if string(data) == "[DONE]" {
		return true, true
	}
	if !isObject(data) {
		return false, false
	}
	switch event := textMember(data, "type"); event {
	case "response.completed", "response.incomplete", "response.failed":
		return true, true
	default:
		object := textMember(data, "object")
		return false, strings.HasPrefix(event, "response.") || object == "chat.completion.chunk" || object == "text_completion"
	}
}

func gatewayEnded(kind string, data []byte) (ended, marked bool) {
	if ended, marked = openAIEnded(kind, data); ended || !marked {
		return ended, marked
	}
	var chunk struct {
		Choices []struct {
			FinishReason scalar `json:"finish_reason"`
		}
		Usage map[string]any
	}
	if len(data) > maxText || json.Unmarshal(data, &chunk) != nil {
		return false, true
	}
	for _, c := range chunk.Choices {
		if c.FinishReason == "" {
			return false, true
		}
	}
	return len(chunk.Choices) > 0 || chunk.Usage != nil, true
}

// scopeOpenAI is the model, or the deployment of Azure, which stands in the path.
func scopeOpenAI(req *http.Request) string {
	if name := segmentAfter(req.URL, "deployments"); name != "" {
		return name
	}
	return holdfast.ScopeModel(req)
}

// segmentAfter returns the segment of a path after the one that is name.
func segmentAfter(u *url.URL, name string) string {
	_, rest, ok := strings.Cut(u.EscapedPath(), "/"+name+"/")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "/")
	plain, _ := url.PathUnescape(rest) // it is valid
	return plain
}
