package dialect

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast"
)

// Gemini is the API of Google's Gemini, also on Vertex AI. Its errors are a google.rpc.Status.
// Its Scope is the model in the path. A stream ends with a chunk in which every candidate has
// a finishReason.
var Gemini = Dialect{Name: "Gemini", Classify: gemini.classify, Scope: scopeGemini, Ends: gemini.ends}

var gemini = &format{
	streams: mediaEvents, mark: "finishReason",
	declined: geminiDeclined, body: geminiBody, event: geminiEvent, ended: geminiEnded,
}

// geminiClasses are the names of google.rpc.Code.
var geminiClasses = map[string]holdfast.Class{
	"INVALID_ARGUMENT":    holdfast.ClassRequest,
	"FAILED_PRECONDITION": holdfast.ClassRequest,
	"OUT_OF_RANGE":        holdfast.ClassRequest,
	"NOT_FOUND":           holdfast.ClassRequest,
	"UNIMPLEMENTED":       holdfast.ClassRequest,
	"UNAUTHENTICATED":     holdfast.ClassCredential,
	"PERMISSION_DENIED":   holdfast.ClassCredential,
	"RESOURCE_EXHAUSTED":  holdfast.ClassThrottled,
	"INTERNAL":            holdfast.ClassServer,
	"UNKNOWN":             holdfast.ClassServer,
	"DATA_LOSS":           holdfast.ClassServer,
	"UNAVAILABLE":         holdfast.ClassOverloaded,
	"DEADLINE_EXCEEDED":   holdfast.ClassTimeout,
}

// rpcStatus is a google.rpc.Status, with those details that matter.
type rpcStatus struct {
	Status  scalar
	Message scalar
	Details []struct {
		Type       string `json:"@type"`
		Reason     string
		RetryDelay string
		Violations []struct{ QuotaID string }
		Metadata   struct {
			QuotaLimit string `json:"quota_limit"`
		}
	}
}

func geminiFailure(value []byte) (v holdfast.Verdict, ok bool) {
	if !isObject(value) || len(value) > maxText {
		return v, false
	}
	var s rpcStatus
	_ = json.Unmarshal(value, &s)
	class := geminiClasses[string(s.Status)]
	var wait time.Duration
	for _, d := range s.Details {
		switch {
		case strings.HasPrefix(d.Reason, "API_KEY_"):
			class = holdfast.ClassCredential
		case strings.HasSuffix(d.Type, "google.rpc.RetryInfo"):
			wait = parseWait(d.RetryDelay)
		case class == holdfast.ClassThrottled && strings.Contains(d.Metadata.QuotaLimit, "PerDay"):
			class = holdfast.ClassQuota
		}
		for _, violation := range d.Violations {
			if class == holdfast.ClassThrottled && strings.Contains(violation.QuotaID, "PerDay") {
				class = holdfast.ClassQuota
			}
		}
	}
	f := failure{Message: s.Message, Code: s.Status}
	if v = f.verdict(class); wait > 0 && (class == holdfast.ClassThrottled || class == holdfast.ClassOverloaded) {
		v.RetryAfter = wait
	}
	return v, s.Status != "" || s.Message != ""
}

// A method that streams declines with a list of one error.
func geminiDeclined(a *holdfast.Answer) (v holdfast.Verdict) {
	body := a.Body
	for element := range elements(body) {
		body = element
		break
	}
	v, _ = geminiFailure(member(body, "error"))
	return v
}

// geminiBody finds an error in the place of an answer, since a gateway may have lost the status,
// and in a stream that is a list: streamGenerateContent without alt=sse.
func geminiBody(a *holdfast.Answer) holdfast.Verdict {
	if a.Method != http.MethodPost || !bytes.Contains(a.Body, errorName) || !strings.Contains(a.Path, ":") {
		return holdfast.Verdict{}
	}
	if strings.HasSuffix(a.Path, ":streamGenerateContent") {
		for element := range elements(a.Body) {
			if v, ok := geminiFailure(member(element, "error")); ok {
				return unknown(v)
			}
		}
	}
	if member(a.Body, "candidates") == nil && isObject(member(a.Body, "error")) && isWhole(a.Body) {
		if v, _ := geminiFailure(member(a.Body, "error")); v.Class != holdfast.ClassNone {
			return v
		}
	}
	return holdfast.Verdict{}
}

func geminiEvent(_ *holdfast.Answer, _ string, data []byte) holdfast.Verdict {
	if !bytes.Contains(data, errorName) {
		return holdfast.Verdict{}
	}
	if v, ok := geminiFailure(member(data, "error")); ok {
		return unknown(v)
	}
	return holdfast.Verdict{}
}

var finishName, blockName = []byte(`"finishReason"`), []byte(`"blockReason"`)

func geminiEnded(_ string, data []byte) (ended, marked bool) {
	marked = member(data, "candidates") != nil || member(data, "usageMetadata") != nil
	if !bytes.Contains(data, finishName) && !bytes.Contains(data, blockName) {
		return false, marked
	}
	if textMember(member(data, "promptFeedback"), "blockReason") != "" {
		return true, true
	}
	for candidate := range elements(member(data, "candidates")) {
		if ended = textMember(candidate, "finishReason") != ""; !ended {
			break
		}
	}
	return ended, marked
}

// scopeGemini is the model: /v1beta/models/NAME:generateContent.
func scopeGemini(req *http.Request) string {
	name := segmentAfter(req.URL, "models")
	if name == "" {
		name = segmentAfter(req.URL, "tunedModels")
	}
	name, _, _ = strings.Cut(name, ":")
	return name
}
