package provider

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// gemini has generateContent, streamGenerateContent (events with alt=sse, else one
// array in pieces), embedContent, batchEmbedContents, and a list of models. It has
// no headers of limits: a body tells the wait.
var gemini = &API{
	report: reportGemini,
	event:  dataEventCRLF,
	ping:   comment(": ping\r\n\r\n"),
}

type geminiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
	Details []any  `json:"details,omitempty"`
}

// geminiStatuses are the names of google.rpc.Code.
var geminiStatuses = map[int]string{
	401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED", 429: "RESOURCE_EXHAUSTED",
	499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}

func reportGemini(e Error) report {
	status, message := e.Status, ""
	own := func(usual int, m string) {
		if status == 0 {
			status = usual
		}
		message = m
	}
	var details []any
	const exceeded = "You exceeded your current quota, please check your plan and billing details."
	switch {
	case e.Kind == Quota:
		own(429, exceeded)
		// The day is over, and the answer has a short wait all the same, as the
		// provider's has: a client must not follow it.
		details = append(details, geminiViolation("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), geminiWait(34*time.Second))
	case e.Kind == RateLimit:
		own(429, exceeded)
		details = append(details, geminiViolation("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"))
	case e.Kind == "" && status == 429:
		own(429, "Resource has been exhausted (e.g. check quota).")
	case e.Kind == Overloaded, e.Kind == "" && status == 503:
		own(503, "The model is overloaded. Please try again later.")
	case e.Kind == Server, e.Kind == "" && status == 500:
		own(500, "An internal error has occurred.")
	default:
		own(400, textOf(status))
	}
	if e.Kind != "" && e.Wait > 0 {
		details = append(details, geminiWait(e.Wait))
	}
	name := geminiStatuses[status]
	switch {
	case name != "":
	case status >= 500:
		name = "INTERNAL"
	default:
		name = "INVALID_ARGUMENT"
	}
	return report{status: status, body: map[string]any{"error": geminiError{status, e.message(message), name, details}}}
}

func geminiViolation(quota string) any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []any{map[string]any{
		"quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
		"quotaId":     quota,
	}}}
}

// geminiWait is a RetryInfo, with seconds as protobuf writes them: "47s", "47.5s".
func geminiWait(d time.Duration) any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"}
}

func serveGemini(r Request) Answer {
	resource, method, called := strings.Cut(r.Path[strings.LastIndexByte(r.Path, '/')+1:], ":")
	if r.Method == http.MethodGet && !called && resource == "models" {
		return jsonAnswer(http.StatusOK, "", map[string]any{"models": []any{map[string]any{
			"name": "models/gemini-2.5-flash", "displayName": "Gemini 2.5 Flash", "supportedGenerationMethods": []string{"generateContent"},
		}}})
	}
	if r.Method == http.MethodPost {
		switch method {
		case "generateContent", "streamGenerateContent":
			return geminiGenerate(resource, method, r.Query.Get("alt") == "sse", r.Body)
		case "embedContent", "batchEmbedContents":
			return geminiEmbed(resource, method, r.Body)
		}
	}
	return gemini.refuse(http.StatusNotFound, "Requested entity was not found.")
}

type geminiContent struct {
	Parts []geminiPart `json:"parts"`
	Role  string       `json:"role,omitempty"`
}

type geminiPart struct {
	Text string `json:"text"`
}

type geminiReply struct {
	Candidates []geminiCandidate `json:"candidates"`
	Usage      geminiUsage       `json:"usageMetadata"`
	Model      string            `json:"modelVersion"`
	ID         string            `json:"responseId"`
}

type geminiCandidate struct {
	Content geminiContent `json:"content"`
	Finish  string        `json:"finishReason,omitempty"`
	Index   int           `json:"index"`
}

type geminiUsage struct {
	Prompt     int `json:"promptTokenCount"`
	Candidates int `json:"candidatesTokenCount,omitempty"`
	Total      int `json:"totalTokenCount"`
}

func geminiGenerate(model, method string, sse bool, body []byte) Answer {
	var in struct {
		Contents []json.RawMessage              `json:"contents"`
		Config   struct{ MaxOutputTokens *int } `json:"generationConfig"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return gemini.refuse(http.StatusBadRequest, "Invalid JSON payload received. %s", err)
	}
	if len(in.Contents) == 0 {
		return gemini.refuse(http.StatusBadRequest, "* GenerateContentRequest.contents: contents is not specified")
	}
	n, cut := limited(in.Config.MaxOutputTokens)
	finish := "STOP"
	if cut {
		finish = "MAX_TOKENS"
	}
	prompt := joined(in.Contents)
	words := answerTo(model, prompt, n)
	work := WorkOf(prompt)
	reply := func(text, finish string, sent int) geminiReply {
		return geminiReply{
			Candidates: []geminiCandidate{{Content: geminiContent{[]geminiPart{{text}}, "model"}, Finish: finish}},
			Usage:      geminiUsage{tokens(prompt), sent, tokens(prompt) + sent}, Model: model, ID: work,
		}
	}
	if method == "generateContent" {
		return jsonAnswer(http.StatusOK, work, reply(strings.Join(words, ""), finish, n))
	}
	var all [][]byte
	for i, word := range words {
		all = append(all, geminiPiece(sse, i, reply(word, "", i+1)))
	}
	all = append(all, geminiPiece(sse, n, reply("", finish, n)))
	if sse {
		return stream("text/event-stream", work, all...)
	}
	return stream("application/json; charset=UTF-8", work, append(all, []byte("\n]"))...)
}

// geminiPiece is an event, or an item of an array.
func geminiPiece(sse bool, i int, v any) []byte {
	switch {
	case sse:
		return dataEventCRLF(v)
	case i == 0:
		return encoded("[", v, "")
	}
	return encoded(",\r\n", v, "")
}

func geminiEmbed(model, method string, body []byte) Answer {
	type one struct {
		Content    geminiContent `json:"content"`
		Dimensions *int          `json:"outputDimensionality"`
	}
	var in struct {
		one
		Requests []one `json:"requests"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return gemini.refuse(http.StatusBadRequest, "Invalid JSON payload received. %s", err)
	}
	if method == "embedContent" {
		in.Requests = []one{in.one}
	}
	if n := len(in.Requests); n == 0 || n > maxInputs {
		return gemini.refuse(http.StatusBadRequest, "* BatchEmbedContentsRequest.requests: %d requests, must be 1 to %d", n, maxInputs)
	}
	var texts []string
	embeddings := []any{}
	for _, r := range in.Requests {
		var text strings.Builder
		for _, part := range r.Content.Parts {
			text.WriteString(part.Text)
		}
		dimensions := defaultDimensions
		if r.Dimensions != nil {
			dimensions = *r.Dimensions
		}
		switch {
		case len(r.Content.Parts) == 0:
			return gemini.refuse(http.StatusBadRequest, "* EmbedContentRequest.content: contents is not specified")
		case dimensions < 1 || dimensions > maxDimensions:
			return gemini.refuse(http.StatusBadRequest, "* EmbedContentRequest.output_dimensionality: %d must be 1 to %d", dimensions, maxDimensions)
		}
		texts = append(texts, text.String())
		embeddings = append(embeddings, map[string]any{"values": vector(model, "", text.String(), dimensions, true)})
	}
	if method == "embedContent" {
		return jsonAnswer(http.StatusOK, WorkOf(texts...), map[string]any{"embedding": embeddings[0]})
	}
	return jsonAnswer(http.StatusOK, WorkOf(texts...), map[string]any{"embeddings": embeddings})
}
