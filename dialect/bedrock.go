package dialect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/holdfast-go/holdfast"
)

// Bedrock is the runtime API of Amazon Bedrock. Its Scope is the model in the path. A stream of
// ConverseStream ends with the event messageStop, which a metadata follows. One of
// InvokeModelWithResponseStream has chunks of the model's own form; the last one has
// amazon-bedrock-invocationMetrics.
var Bedrock = Dialect{Name: "Bedrock", Classify: bedrock.classify, Scope: scopeBedrock, Ends: endsBedrock}

var bedrock = &format{
	streams: mediaAmazon, mark: "messageStop",
	declined: bedrockDeclined, event: bedrockEvent, ended: bedrockEnded,
}

// bedrockClasses are the exceptions, in lower case.
var bedrockClasses = map[string]holdfast.Class{
	"throttlingexception": holdfast.ClassThrottled, "throttling": holdfast.ClassThrottled, "toomanyrequestsexception": holdfast.ClassThrottled,
	"requestlimitexceeded": holdfast.ClassThrottled, "modelnotreadyexception": holdfast.ClassThrottled,

	"servicequotaexceededexception": holdfast.ClassQuota,

	"serviceunavailableexception": holdfast.ClassOverloaded, "serviceunavailable": holdfast.ClassOverloaded,

	"internalserverexception": holdfast.ClassServer, "internalfailure": holdfast.ClassServer, "internalserverfailure": holdfast.ClassServer,
	"modelstreamerrorexception": holdfast.ClassServer,

	"modeltimeoutexception": holdfast.ClassTimeout,

	"validationexception": holdfast.ClassRequest, "resourcenotfoundexception": holdfast.ClassRequest,

	"accessdeniedexception": holdfast.ClassCredential, "unrecognizedclientexception": holdfast.ClassCredential,
	"invalidsignatureexception": holdfast.ClassCredential, "incompletesignatureexception": holdfast.ClassCredential,
	"missingauthenticationtokenexception": holdfast.ClassCredential, "expiredtokenexception": holdfast.ClassCredential,
	"invalidclienttokenid": holdfast.ClassCredential, "optinrequired": holdfast.ClassCredential,
}

// bedrockFailure is the verdict on an exception with its payload.
func bedrockFailure(exception string, payload []byte) holdfast.Verdict {
	var p struct {
		Message        scalar
		OriginalStatus scalar `json:"originalStatusCode"`
	}
	if isObject(payload) && len(payload) <= maxText {
		_ = json.Unmarshal(payload, &p)
	}
	name := strings.ToLower(exception)
	class := bedrockClasses[name]
	if original := classOfStatus(string(p.OriginalStatus)); original != holdfast.ClassNone && strings.HasPrefix(name, "model") {
		class = original // of the model behind it
	}
	if class == holdfast.ClassThrottled && strings.Contains(strings.ToLower(string(p.Message)), "per day") {
		class = holdfast.ClassQuota
	}
	f := failure{Message: p.Message, Code: scalar(exception)}
	return f.verdict(class)
}

// The exception's name is in a header, or in the body as __type.
func bedrockDeclined(a *holdfast.Answer) holdfast.Verdict {
	name := a.Header.Get("X-Amzn-Errortype")
	if name == "" {
		name = textMember(a.Body, "__type")
	}
	if i := strings.LastIndexByte(name, '#'); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, ":")
	return bedrockFailure(name, a.Body)
}

func bedrockEvent(_ *holdfast.Answer, kind string, data []byte) holdfast.Verdict {
	switch kind {
	case "messageStart", "contentBlockStart", "initial-response":
		return holdfast.Verdict{More: true}
	case "chunk":
		if of := chunkOf(data); isObject(of) {
			return holdfast.Verdict{More: anthropicEvent(nil, "", of).More}
		}
		return holdfast.Verdict{}
	case "contentBlockDelta", "contentBlockStop", "messageStop", "metadata":
		return holdfast.Verdict{}
	}
	if v := bedrockFailure(kind, data); v.Class != holdfast.ClassNone {
		return v
	} else if strings.HasSuffix(kind, "Exception") {
		return unknown(v)
	}
	return holdfast.Verdict{}
}

// chunkOf returns what a chunk has of the model's own stream.
func chunkOf(data []byte) []byte {
	value := member(data, "bytes")
	if len(value) < 2 || len(value) > maxText || value[0] != '"' {
		return nil
	}
	text, err := base64.StdEncoding.AppendDecode(nil, value[1:len(value)-1])
	if err != nil {
		return nil
	}
	return text
}

func bedrockEnded(kind string, data []byte) (ended, marked bool) {
	switch kind {
	case "messageStop", "metadata":
		return true, true
	case "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop":
		return false, true
	case "chunk":
		of := chunkOf(data)
		if isLastChunk(of) {
			return true, true
		}
		return anthropicEnded("", of) // of another model, no mark is known
	}
	return false, false
}

func isLastChunk(of []byte) bool {
	const name = "amazon-bedrock-invocationMetrics"
	return bytes.Contains(of, []byte(name)) && member(of, name) != nil
}

func endsBedrock(e holdfast.ServerEvent) bool {
	switch e.Type {
	case "metadata":
		return true
	case "chunk":
		return isLastChunk(chunkOf(e.Data))
	}
	return false
}

// scopeBedrock is the model: /model/ID/converse.
func scopeBedrock(req *http.Request) string { return segmentAfter(req.URL, "model") }
