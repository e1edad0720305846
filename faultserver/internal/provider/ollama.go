package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// ollamaAPI has generate, chat and embed.
var ollamaAPI = &API{
	report: reportOllama,
	event:  line,
	ping:   emptied,
}

func reportOllama(e Error) report {
	status, message := e.Status, ""
	own := func(usual int, m string) {
		if status == 0 {
			status = usual
		}
		message = m
	}
	var header http.Header
	if e.Kind != "" {
		header = e.retryAfter()
	}
	switch {
	case e.Kind == Quota:
		own(429, "you have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade")
	case e.Kind == RateLimit, e.Kind == "" && status == 429:
		own(429, "too many requests")
	case e.Kind == Overloaded, e.Kind == "" && status == 503:
		own(503, "server busy, please try again.  maximum pending requests exceeded")
	case e.Kind == Server, status == 500:
		own(500, "model runner has unexpectedly stopped")
	case status == 404:
		own(404, "model not found, try pulling it first")
	default:
		own(400, strings.ToLower(textOf(status)))
	}
	return report{status: status, header: header, body: map[string]string{"error": e.message(message)}}
}

// Ollama is faultserver.Ollama.
func Ollama(r Request) Answer {
	handle, ok := ollamaPosts[r.Path]
	switch {
	case ok && r.Method == http.MethodPost:
		return handle(r.Body)
	case ok:
		return plainAnswer(http.StatusMethodNotAllowed, "405 method not allowed")
	}
	answer, ok := ollamaGets[r.Path]
	switch {
	case !ok:
		return plainAnswer(http.StatusNotFound, "404 page not found")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return plainAnswer(http.StatusMethodNotAllowed, "405 method not allowed")
	}
	return answer
}

var ollamaPosts = map[string]func(body []byte) Answer{
	"/api/generate": ollamaGenerate,
	"/api/chat":     ollamaChat,
	"/api/embed":    ollamaEmbed,
}

var ollamaGets = map[string]Answer{
	"/":            plainAnswer(http.StatusOK, "Ollama is running"),
	"/api/version": jsonAnswer(http.StatusOK, "", map[string]string{"version": "0.12.0"}),
	"/api/tags":    jsonAnswer(http.StatusOK, "", map[string][]any{"models": {}}),
}

func plainAnswer(status int, text string) Answer {
	return Answer{Status: status, ContentType: "text/plain; charset=utf-8", Body: []byte(text)}
}

func ollamaRefusal(format string, args ...any) Answer {
	return ollamaAPI.refuse(http.StatusBadRequest, format, args...)
}

// ollamaCreated is the time of every answer, since a Service is a pure function.
const ollamaCreated = "2026-01-02T03:04:05.678901Z"

// ollamaCommon holds the fields of all requests for words.
type ollamaCommon struct {
	Model   string `json:"model"`
	Stream  *bool  `json:"stream"` // default true
	Options struct {
		NumPredict *int `json:"num_predict"` // negative: no limit
	} `json:"options"`
}

func (in *ollamaCommon) streams() bool { return in.Stream == nil || *in.Stream }

// words returns the tokens of an answer, with a blank before each but the first.
func (in *ollamaCommon) words(prompt string) []string {
	n := defaultTokens
	if p := in.Options.NumPredict; p != nil && *p >= 0 {
		n = min(*p, maxTokens)
	}
	return answerTo(in.Model, prompt, n)
}

// ollamaReply is one line of an answer. generate sets Response, chat sets Message.
type ollamaReply struct {
	Model      string         `json:"model"`
	CreatedAt  string         `json:"created_at"`
	Response   *string        `json:"response,omitempty"`
	Message    *ollamaMessage `json:"message,omitempty"`
	Done       bool           `json:"done"`
	DoneReason string         `json:"done_reason,omitempty"`
	Context    []int          `json:"context,omitempty"`
	*ollamaCosts
}

type ollamaMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ollamaCosts are part of the last line. Durations are in nanoseconds.
type ollamaCosts struct {
	TotalDuration      int `json:"total_duration"`
	LoadDuration       int `json:"load_duration"`
	PromptEvalCount    int `json:"prompt_eval_count"`
	PromptEvalDuration int `json:"prompt_eval_duration"`
	EvalCount          int `json:"eval_count"`
	EvalDuration       int `json:"eval_duration"`
}

func costs(prompt string, words int) *ollamaCosts {
	c := ollamaCosts{LoadDuration: 1_000_000, PromptEvalCount: len(strings.Fields(prompt)), EvalCount: words}
	c.PromptEvalDuration = 100_000 * c.PromptEvalCount
	c.EvalDuration = 1_000_000 * c.EvalCount
	c.TotalDuration = c.LoadDuration + c.PromptEvalDuration + c.EvalDuration
	return &c
}

func ollamaGenerate(body []byte) Answer {
	var in struct {
		ollamaCommon
		Prompt string `json:"prompt"`
	}
	if refused, ok := ollamaRead(body, &in, &in.Model); !ok {
		return refused
	}
	text := func(reply *ollamaReply, s string) { reply.Response = &s }
	if in.Prompt == "" {
		return ollamaLoaded(in.Model, text)
	}
	return ollamaAnswer(&in.ollamaCommon, in.Prompt, text, []int{1, 2, 3})
}

func ollamaChat(body []byte) Answer {
	var in struct {
		ollamaCommon
		Messages []ollamaMessage `json:"messages"`
	}
	if refused, ok := ollamaRead(body, &in, &in.Model); !ok {
		return refused
	}
	text := func(reply *ollamaReply, s string) { reply.Message = &ollamaMessage{"assistant", s} }
	if len(in.Messages) == 0 {
		return ollamaLoaded(in.Model, text)
	}
	var prompt strings.Builder
	for _, m := range in.Messages {
		if !slices.Contains([]string{"system", "user", "assistant", "tool"}, m.Role) {
			return ollamaRefusal("invalid role: %q, must be one of system, user, assistant, tool", m.Role)
		}
		fmt.Fprintf(&prompt, "%s %s\n", m.Role, m.Content)
	}
	return ollamaAnswer(&in.ollamaCommon, prompt.String(), text, nil)
}

// ollamaRead decodes a request. It returns the refusal and false for an invalid
// one.
func ollamaRead(body []byte, in any, model *string) (Answer, bool) {
	if len(body) == 0 {
		return ollamaRefusal("missing request body"), false
	}
	if err := json.Unmarshal(body, in); err != nil {
		return ollamaRefusal("%s", err), false
	}
	if *model == "" {
		return ollamaRefusal("model is required"), false
	}
	return Answer{}, true
}

// ollamaLoaded answers a request without a prompt.
func ollamaLoaded(model string, text func(*ollamaReply, string)) Answer {
	reply := ollamaReply{Model: model, CreatedAt: ollamaCreated, Done: true, DoneReason: "load"}
	text(&reply, "")
	return jsonAnswer(http.StatusOK, "", reply)
}

// ollamaAnswer returns the whole answer at once, or a stream of one line for
// each word and a last line.
func ollamaAnswer(in *ollamaCommon, prompt string, text func(*ollamaReply, string), context []int) Answer {
	words := in.words(prompt)
	end := ollamaReply{Model: in.Model, CreatedAt: ollamaCreated, Done: true, DoneReason: "stop", Context: context, ollamaCosts: costs(prompt, len(words))}
	operation := WorkOf(prompt)
	if !in.streams() {
		text(&end, strings.Join(words, ""))
		return jsonAnswer(http.StatusOK, operation, end)
	}
	var lines [][]byte
	for _, word := range words {
		reply := ollamaReply{Model: in.Model, CreatedAt: ollamaCreated}
		text(&reply, word)
		lines = append(lines, line(reply))
	}
	text(&end, "")
	return stream("application/x-ndjson", operation, append(lines, line(end))...)
}

func ollamaEmbed(body []byte) Answer {
	var in struct {
		Model      string    `json:"model"`
		Input      oneOrMany `json:"input"`
		Dimensions int       `json:"dimensions"`
	}
	if refused, ok := ollamaRead(body, &in, &in.Model); !ok {
		return refused
	}
	switch {
	case len(in.Input) > maxInputs:
		return ollamaRefusal("%d inputs, at most %d are allowed", len(in.Input), maxInputs)
	case in.Dimensions < 0 || in.Dimensions > maxDimensions:
		return ollamaRefusal("dimensions: %d must be 1 to %d", in.Dimensions, maxDimensions)
	case in.Dimensions == 0:
		in.Dimensions = defaultDimensions
	}
	out := struct {
		Model           string      `json:"model"`
		Embeddings      [][]float32 `json:"embeddings"`
		TotalDuration   int         `json:"total_duration"`
		LoadDuration    int         `json:"load_duration"`
		PromptEvalCount int         `json:"prompt_eval_count"`
	}{Model: in.Model, Embeddings: [][]float32{}, TotalDuration: 14_000_000, LoadDuration: 1_000_000}
	operation := ""
	if len(in.Input) > 0 {
		operation = WorkOf(in.Input...)
	}
	for _, text := range in.Input {
		out.Embeddings = append(out.Embeddings, vector(in.Model, "", text, in.Dimensions, true))
		out.PromptEvalCount += len(strings.Fields(text))
	}
	return jsonAnswer(http.StatusOK, operation, out)
}
