package provider

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
)

// openAI has chat completions, whole or as a stream, embeddings, and a list of models.
var openAI = &API{
	report: reportOpenAI,
	limits: openAILimits,
	usual: func(body []byte) Limits {
		return Limits{full(10_000, 1, time.Minute), full(2_000_000, len(body)/4, time.Minute)}
	},
	id: "x-request-id",
	// OpenAI itself has no errors in a 200. Its gateways do, with a status as the code: that
	// of a quota that is gone is 402.
	in200: func(r report) any {
		code := r.status
		if e, ok := r.body.(map[string]any)["error"].(openAIError); ok && e.Type == "insufficient_quota" {
			code = http.StatusPaymentRequired
		}
		return map[string]any{"error": map[string]any{"message": r.text, "code": code}}
	},
	event: dataEvent,
	ping:  comment(": keep-alive\n\n"),
}

type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func reportOpenAI(e Error) report {
	status, message, kind, code := e.Status, "", "", ""
	var header http.Header
	own := func(usual int, m, k, c string) {
		if status == 0 {
			status = usual
		}
		message, kind, code = m, k, c
	}
	switch {
	case e.Kind == Quota:
		own(429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota")
	case e.Kind == RateLimit, e.Kind == "" && status == 429:
		text := "Rate limit reached for requests per min (RPM)."
		if e.Wait > 0 {
			text += " Please try again in " + shortly(e.Wait) + "."
		}
		own(429, text, "requests", "rate_limit_exceeded")
	case e.Kind == Overloaded, e.Kind == "" && (status == 503 || status == 529):
		header = e.retryAfter()
		own(503, "The engine is currently overloaded, please try again later.", "server_error", "")
	case e.Kind == Server, status >= 500:
		own(500, "The server had an error while processing your request.", "server_error", "")
	case status == 401:
		own(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
	case status == 404:
		own(404, "The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found")
	default:
		own(400, textOf(status)+".", "invalid_request_error", "")
	}
	out := openAIError{Message: e.message(message), Type: kind}
	if code != "" && e.Message == "" {
		out.Code = &code
	}
	return report{status: status, header: header, body: map[string]any{"error": out}, text: out.Message}
}

func serveOpenAI(r Request) Answer {
	switch {
	case strings.HasSuffix(r.Path, "/models") && r.Method == http.MethodGet:
		return jsonAnswer(http.StatusOK, "", map[string]any{"object": "list", "data": []any{
			map[string]any{"id": "gpt-4o-mini", "object": "model", "created": createdUnix, "owned_by": "openai"},
			map[string]any{"id": "text-embedding-3-small", "object": "model", "created": createdUnix, "owned_by": "openai"},
		}})
	case strings.HasSuffix(r.Path, "/chat/completions") && r.Method == http.MethodPost:
		return openAIChat(r.Body)
	case strings.HasSuffix(r.Path, "/embeddings") && r.Method == http.MethodPost:
		return openAIEmbed(r.Body)
	}
	return openAI.refuse(http.StatusNotFound, "Invalid URL (%s %s)", r.Method, r.Path)
}

type openAIUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

type openAIChoice struct {
	Index   int            `json:"index"`
	Message *openAIMessage `json:"message,omitempty"`
	Delta   *openAIDelta   `json:"delta,omitempty"`
	Finish  *string        `json:"finish_reason"`
}

type openAIMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type openAIDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type openAICompletion struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int            `json:"created"`
	Model   string         `json:"model"`
	Choices []openAIChoice `json:"choices"`
	Usage   *openAIUsage   `json:"usage,omitempty"`
}

func openAIChat(body []byte) Answer {
	var in struct {
		Model    string            `json:"model"`
		Messages []json.RawMessage `json:"messages"`
		Stream   bool              `json:"stream"`
		Options  struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		MaxTokens *int `json:"max_tokens"`
		MaxNew    *int `json:"max_completion_tokens"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return openAI.refuse(http.StatusBadRequest, "We could not parse the JSON body of your request: %s", err)
	}
	switch {
	case in.Model == "":
		return openAI.refuse(http.StatusBadRequest, "you must provide a model parameter")
	case len(in.Messages) == 0:
		return openAI.refuse(http.StatusBadRequest, "Missing required parameter: 'messages'.")
	}
	if in.MaxNew == nil {
		in.MaxNew = in.MaxTokens
	}
	n, cut := limited(in.MaxNew)
	finish := "stop"
	if cut {
		finish = "length"
	}
	prompt := joined(in.Messages)
	words := answerTo(in.Model, prompt, n)
	work := WorkOf(prompt)
	usage := openAIUsage{tokens(prompt), n, tokens(prompt) + n}
	out := openAICompletion{ID: "chatcmpl-" + work, Object: "chat.completion", Created: createdUnix, Model: in.Model}
	if !in.Stream {
		out.Choices = []openAIChoice{{Message: &openAIMessage{"assistant", strings.Join(words, ""), nil}, Finish: &finish}}
		out.Usage = &usage
		return jsonAnswer(http.StatusOK, work, out)
	}
	out.Object = "chat.completion.chunk"
	var all [][]byte
	chunk := func(choices ...openAIChoice) {
		out.Choices = append([]openAIChoice{}, choices...)
		all = append(all, dataEvent(out))
	}
	empty := ""
	chunk(openAIChoice{Delta: &openAIDelta{"assistant", &empty}})
	for _, word := range words {
		chunk(openAIChoice{Delta: &openAIDelta{Content: &word}})
	}
	chunk(openAIChoice{Delta: &openAIDelta{}, Finish: &finish})
	if in.Options.IncludeUsage {
		out.Usage = &usage
		chunk()
	}
	return stream("text/event-stream; charset=utf-8", work, append(all, []byte("data: [DONE]\n\n"))...)
}

func openAIEmbed(body []byte) Answer {
	var in struct {
		Model      string    `json:"model"`
		Input      oneOrMany `json:"input"`
		Dimensions *int      `json:"dimensions"`
		Format     string    `json:"encoding_format"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return openAI.refuse(http.StatusBadRequest, "We could not parse the JSON body of your request: %s", err)
	}
	dimensions := defaultDimensions
	if in.Dimensions != nil {
		dimensions = *in.Dimensions
	}
	switch {
	case in.Model == "":
		return openAI.refuse(http.StatusBadRequest, "you must provide a model parameter")
	case len(in.Input) == 0:
		return openAI.refuse(http.StatusBadRequest, "'$.input' is invalid. Please check the API reference.")
	case len(in.Input) > 2048:
		return openAI.refuse(http.StatusBadRequest, "'$.input' has %d texts, at most 2048 are allowed", len(in.Input))
	case dimensions < 1 || dimensions > maxDimensions:
		return openAI.refuse(http.StatusBadRequest, "'$.dimensions' is %d, must be 1 to %d", dimensions, maxDimensions)
	}
	data, used := []any{}, 0
	for i, text := range in.Input {
		var embedding any = vector(in.Model, "", text, dimensions, true)
		if in.Format == "base64" {
			embedding = packed(vector(in.Model, "", text, dimensions, true))
		}
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": embedding})
		used += tokens(text)
	}
	return jsonAnswer(http.StatusOK, WorkOf(in.Input...), map[string]any{
		"object": "list", "data": data, "model": in.Model, "usage": map[string]int{"prompt_tokens": used, "total_tokens": used},
	})
}

// packed returns a vector as base64 of little-endian numbers of 32 bits.
func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}
