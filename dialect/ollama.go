package dialect

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// Ollama is the API of Ollama. An error of it is a text, also as the first or a later line of a
// 200. Its Scope is the model. A stream ends with the line that has "done":true, or of a
// download "status":"success". Its endpoints below /v1 are those of OpenAI.
var Ollama = Dialect{Name: "Ollama", Classify: classifyOllama, Scope: holdfast.ScopeModel, Ends: endsOllama}

var ollama = &format{
	streams: mediaLines, plain: true, mark: `"done":true or "status":"success"`,
	declined: ollamaDeclined, body: ollamaBody, event: ollamaEvent, ended: ollamaEnded,
}

// An event stream is one of OpenAI.
func classifyOllama(a *holdfast.Answer) holdfast.Verdict {
	if mediaOf(a.Header) == mediaEvents {
		return openAI.classify(a)
	}
	return ollama.classify(a)
}

func endsOllama(e holdfast.ServerEvent) bool { return ollama.ends(e) || openAI.ends(e) }

// ollamaTexts are parts of the texts of errors within a 200, in lower case. Any other is a
// failure of the server.
var ollamaTexts = [...]struct {
	part  string
	class holdfast.Class
}{
	{usageLimit, holdfast.ClassQuota},
	{"too many requests", holdfast.ClassThrottled},
	{"rate limit", holdfast.ClassThrottled},
	{"server busy", holdfast.ClassOverloaded},
	{"overloaded", holdfast.ClassOverloaded},
	{"unauthorized", holdfast.ClassCredential},
	{"not found", holdfast.ClassRequest},
	{"does not exist", holdfast.ClassRequest},
	{"does not support", holdfast.ClassRequest},
	{"invalid", holdfast.ClassRequest},
}

// usageLimit is a part of the text of an error when a limit of the cloud is used up, for hours or
// days.
const usageLimit = "usage limit"

// A status from 400 on is right, and the text is its reason; but for a 429, which has two.
func ollamaDeclined(a *holdfast.Answer) holdfast.Verdict {
	value := member(a.Body, "error")
	if isObject(value) { // of /v1
		return openAIDeclined(a)
	}
	f, _ := readFailure(value)
	v := holdfast.Verdict{Text: f.text()}
	if a.Status == http.StatusTooManyRequests && strings.Contains(string(f.Message), usageLimit) {
		v.Class = holdfast.ClassQuota
	}
	return v
}

// ollamaFailure is the verdict on an object that has an error and no part of an answer.
func ollamaFailure(data []byte) holdfast.Verdict {
	if !isObject(data) || !bytes.Contains(data, errorName) || !isWhole(data) {
		return holdfast.Verdict{}
	}
	for _, name := range [...]string{"done", "model", "response", "message", "models", "embeddings"} {
		if member(data, name) != nil {
			return holdfast.Verdict{}
		}
	}
	value := member(data, "error")
	f, ok := readFailure(value)
	if !ok || isObject(value) {
		return holdfast.Verdict{}
	}
	class := classOfStatus(string(member(data, "StatusCode")))
	text := strings.ToLower(string(f.Message[:min(len(f.Message), maxRead)]))
	for i := 0; class == holdfast.ClassNone && i < len(ollamaTexts); i++ {
		if strings.Contains(text, ollamaTexts[i].part) {
			class = ollamaTexts[i].class
		}
	}
	if class == holdfast.ClassNone {
		class = holdfast.ClassServer
	}
	return f.verdict(class)
}

func ollamaBody(a *holdfast.Answer) holdfast.Verdict {
	if a.Method != http.MethodPost {
		return holdfast.Verdict{}
	}
	return ollamaFailure(a.Body)
}

func ollamaEvent(_ *holdfast.Answer, _ string, data []byte) holdfast.Verdict {
	return ollamaFailure(data)
}

func ollamaEnded(_ string, data []byte) (ended, marked bool) {
	if done := member(data, "done"); done != nil {
		return string(done) == "true", true
	}
	status := textMember(data, "status")
	return status == "success", status != ""
}
