package faultserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
)

// Limits of Ollama.
const (
	defaultTokens = 16   // words of an answer
	maxTokens     = 4096 // limit of options.num_predict
)

// Ollama answers like an Ollama server: POST /api/generate, /api/chat and
// /api/embed, GET /api/version, /api/tags and /. Every model exists. An answer
// has 16 words, or options.num_predict, made by hash from model and prompt. It
// is streamed as one line of JSON for each word unless stream is false. Vectors
// are those of [Embeddings], with 8 numbers or the given dimensions. The time
// created_at is constant.
//
// The operation is a hash of the whole prompt, of all messages, or of all texts. A
// malformed request is answered with 400, another path with 404, another method
// with 405. Requests for health, version and models have no operation.
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
	return jsonAnswer(http.StatusBadRequest, "", map[string]string{"error": fmt.Sprintf(format, args...)})
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
	tokens := make([]string, n)
	for i := range tokens {
		h := fnv.New64a()
		fmt.Fprintf(h, "%q %q %d", in.Model, prompt, i)
		tokens[i] = " " + ollamaWords[h.Sum64()%uint64(len(ollamaWords))]
	}
	if n > 0 {
		tokens[0] = tokens[0][1:]
	}
	return tokens
}

var ollamaWords = strings.Fields("flour water salt yeast starter dough knead fold rest proof shape score bake crust crumb loaf")

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
	operation := workOf(prompt)
	if !in.streams() {
		text(&end, strings.Join(words, ""))
		return jsonAnswer(http.StatusOK, operation, end)
	}
	stream := Answer{Status: http.StatusOK, ContentType: "application/x-ndjson", Operation: operation}
	var b bytes.Buffer
	line := func(reply ollamaReply) {
		before := b.Len()
		b.Write(jsonAnswer(http.StatusOK, "", reply).Body)
		b.WriteByte('\n')
		stream.Chunks = append(stream.Chunks, b.Len()-before)
	}
	for _, word := range words {
		reply := ollamaReply{Model: in.Model, CreatedAt: ollamaCreated}
		text(&reply, word)
		line(reply)
	}
	text(&end, "")
	line(end)
	stream.Body = b.Bytes()
	return stream
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
		operation = workOf(in.Input...)
	}
	for _, text := range in.Input {
		out.Embeddings = append(out.Embeddings, vector(in.Model, "", text, in.Dimensions, true))
		out.PromptEvalCount += len(strings.Fields(text))
	}
	return jsonAnswer(http.StatusOK, operation, out)
}
