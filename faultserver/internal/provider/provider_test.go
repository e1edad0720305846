package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// chats are requests for a stream of two words.
var chats = map[fault.Provider]Request{
	fault.OpenAI:    {Method: "POST", Path: "/v1/chat/completions", Body: []byte(`{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "max_tokens": 2}`)},
	fault.Anthropic: {Method: "POST", Path: "/v1/messages", Body: []byte(`{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "max_tokens": 2}`)},
	fault.Ollama:    {Method: "POST", Path: "/api/generate", Body: []byte(`{"model": "m", "prompt": "hi", "options": {"num_predict": 2}}`)},
	fault.Gemini: {Method: "POST", Path: "/v1beta/models/m:streamGenerateContent", Query: url.Values{"alt": {"sse"}},
		Body: []byte(`{"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 2}}`)},
}

// Each event of a healthy stream is JSON in the provider's frame, except the end of
// OpenAI, and the last is the end mark.
func TestStreams(t *testing.T) {
	for as, want := range map[fault.Provider]struct {
		frame, end string
		events     int
		mark       string
	}{
		fault.OpenAI:    {"data: ", "\n\n", 5, "data: [DONE]\n\n"},
		fault.Anthropic: {"event: ", "\n\n", 8, "event: message_stop\n"},
		fault.Ollama:    {"{", "\n", 3, `"done":true`},
		fault.Gemini:    {"data: ", "\r\n\r\n", 3, `"finishReason":"MAX_TOKENS"`},
	} {
		a := Of(as).Serve(chats[as])
		all := events(a)
		if !IsStream(a) || len(all) != want.events || a.Operation == "" {
			t.Errorf("%s: %d events, %+v", as, len(all), a)
			continue
		}
		for i, event := range all {
			text := string(event)
			if !strings.HasPrefix(text, want.frame) || !strings.HasSuffix(text, want.end) || strings.Contains(text, want.mark) != (i == len(all)-1) {
				t.Errorf("%s, event %d: %q", as, i, text)
			}
			if begin := bytes.IndexByte(event, '{'); begin >= 0 && !json.Valid(event[begin:]) {
				t.Errorf("%s, event %d is not JSON: %q", as, i, text)
			}
		}
	}
}

// The defects of each provider's stream, by the events that differ from the healthy one.
func TestDefects(t *testing.T) {
	for as, request := range chats {
		api := Of(as)
		answer := api.Serve(request)
		healthy := events(answer)
		last := len(healthy) - 1
		play := func(f fault.Fault) Script { return api.Defective(&f, answer, Error{Kind: Server, ID: "req_1"}) }
		same := func(what string, got, want [][]byte) {
			t.Helper()
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%s, %s: %q\nwant %q", as, what, got, want)
			}
		}
		isError := func(event []byte) bool {
			return bytes.Contains(event, []byte(`"error"`)) && bytes.HasSuffix(event, ending(healthy[0]))
		}

		if s := play(fault.Fault{Stream: fault.StreamErrorFirst}); len(s.Events) != 1 || !isError(s.Events[0]) || s.Cut {
			t.Errorf("%s, error first: %q", as, s.Events)
		}
		s := play(fault.Fault{Stream: fault.StreamErrorAfter, Events: 2})
		same("error after", s.Events[:2], healthy[:2])
		if len(s.Events) != 3 || !isError(s.Events[2]) {
			t.Errorf("%s, error after: %q", as, s.Events)
		}
		// Never more than all events but the end mark.
		s = play(fault.Fault{Stream: fault.StreamErrorAfter, Events: 1000})
		same("error after all", s.Events[:len(s.Events)-1], healthy[:last])

		s = play(fault.Fault{Stream: fault.StreamPings, Events: 4, Every: time.Second})
		if len(s.Events) != len(healthy)+4 || len(s.Pauses) != api.lead+4 || s.Pauses[api.lead] != time.Second || api.lead > 0 && s.Pauses[0] != 0 {
			t.Errorf("%s, pings: %q, pauses %v", as, s.Events, s.Pauses)
		}
		same("without pings", slices.Delete(slices.Clone(s.Events), api.lead, api.lead+4), healthy)

		same("end missing", play(fault.Fault{Stream: fault.StreamEndMissing}).Events, healthy[:last])
		same("end twice", play(fault.Fault{Stream: fault.StreamEndTwice}).Events, append(slices.Clone(healthy), healthy[last]))

		s = play(fault.Fault{Stream: fault.StreamCut, Events: 1})
		same("cut", s.Events, [][]byte{healthy[0], healthy[1][:len(healthy[1])/2]})
		if !s.Cut {
			t.Errorf("%s, cut: the connection stays open", as)
		}

		s = play(fault.Fault{Stream: fault.StreamMalformed, Events: 1})
		same("malformed before", s.Events[:1], healthy[:1])
		same("malformed after", s.Events[2:], healthy[2:])
		spoilt := s.Events[1]
		if json.Valid(spoilt[bytes.IndexByte(spoilt, '{'):]) || !bytes.HasSuffix(spoilt, ending(healthy[1])) {
			t.Errorf("%s, malformed: %q", as, spoilt)
		}
		same("the healthy stream is unchanged", events(api.Serve(request)), healthy)
	}
}

// ending is the end of an event's frame.
func ending(event []byte) []byte { return event[len(bytes.TrimRight(event, "\r\n")):] }

// Whole answers and requests that are rejected.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		as           fault.Provider
		method, path string
		body         string
		status       int
		has          string
	}{
		{fault.OpenAI, "POST", "/v1/chat/completions", `{"model": "m", "messages": [{}]}`, 200, `"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":16,"total_tokens":17}}`},
		{fault.OpenAI, "POST", "/v1/chat/completions", `{"model": "m", "messages": [{}], "max_completion_tokens": 0}`, 200, `"content":"","refusal":null},"finish_reason":"length"`},
		{fault.OpenAI, "POST", "/v1/chat/completions", `{"model": "m", "messages": [{}], "stream": true, "stream_options": {"include_usage": true}}`, 200, `"choices":[],"usage":{"prompt_tokens":1,`},
		{fault.OpenAI, "POST", "/v1/chat/completions", `{"model": "m"}`, 400, `Missing required parameter: 'messages'.`},
		{fault.OpenAI, "POST", "/v1/chat/completions", `{`, 400, `could not parse the JSON body`},
		{fault.OpenAI, "POST", "/v1/embeddings", `{"model": "m", "input": []}`, 400, `'$.input' is invalid`},
		{fault.OpenAI, "POST", "/v1/embeddings", `{"model": "m", "input": "a", "dimensions": 4097}`, 400, `must be 1 to 4096`},
		{fault.OpenAI, "POST", "/v1/embeddings", `{"input": "a"}`, 400, `you must provide a model parameter`},
		{fault.OpenAI, "POST", "/v1/embeddings", `{"model": "m", "input": 1}`, 400, `could not parse the JSON body`},
		{fault.OpenAI, "GET", "/v1/models", ``, 200, `"object":"list"`},
		{fault.OpenAI, "GET", "/v1/embeddings", ``, 404, `Invalid URL (GET /v1/embeddings)`},
		{fault.Anthropic, "POST", "/v1/messages", `{"model": "m", "messages": [{}], "max_tokens": 1000}`, 200, `"stop_reason":"end_turn"`},
		{fault.Anthropic, "POST", "/v1/messages", `{"model": "m", "messages": [{}]}`, 400, `max_tokens: Field required`},
		{fault.Anthropic, "POST", "/v1/messages", `{"model": "m", "messages": []}`, 400, `at least one message is required`},
		{fault.Anthropic, "POST", "/v1/messages", `{"model": "m"}`, 400, `messages: Field required`},
		{fault.Anthropic, "POST", "/v1/messages", `{"messages": [{}]}`, 400, `model: Field required`},
		{fault.Anthropic, "POST", "/v1/messages", `[]`, 400, `not valid JSON`},
		{fault.Anthropic, "POST", "/v1/messages/count_tokens", `{"model": "m", "messages": [{}]}`, 200, `{"input_tokens":1}`},
		{fault.Anthropic, "GET", "/v1/models", ``, 200, `"has_more":false`},
		{fault.Anthropic, "POST", "/v1/embeddings", `{}`, 404, `"type":"not_found_error"`},
		{fault.Gemini, "POST", "/v1beta/models/m:generateContent", `{"contents": [{}]}`, 200, `"finishReason":"STOP"`},
		{fault.Gemini, "POST", "/v1beta/models/m:streamGenerateContent", `{"contents": [{}]}`, 200, "},\r\n{"},
		{fault.Gemini, "POST", "/v1beta/models/m:generateContent", `{}`, 400, `"status":"INVALID_ARGUMENT"`},
		{fault.Gemini, "POST", "/v1beta/models/m:generateContent", `x`, 400, `Invalid JSON payload received.`},
		{fault.Gemini, "POST", "/v1beta/models/m:embedContent", `{"content": {"parts": [{"text": "a"}, {"text": "b"}]}}`, 200, `{"embedding":{"values":[`},
		{fault.Gemini, "POST", "/v1beta/models/m:embedContent", `{}`, 400, `contents is not specified`},
		{fault.Gemini, "POST", "/v1beta/models/m:embedContent", `x`, 400, `Invalid JSON payload received.`},
		{fault.Gemini, "POST", "/v1beta/models/m:batchEmbedContents", `{}`, 400, `0 requests, must be 1 to 256`},
		{fault.Gemini, "POST", "/v1beta/models/m:batchEmbedContents", `{"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2}]}`, 200, `{"embeddings":[{"values":[`},
		{fault.Gemini, "POST", "/v1beta/models/m:batchEmbedContents", `{"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 0}]}`, 400, `0 must be 1 to 4096`},
		{fault.Gemini, "GET", "/v1beta/models", ``, 200, `"models":[`},
		{fault.Gemini, "GET", "/v1beta/models/m:generateContent", ``, 404, `"status":"NOT_FOUND"`},
		{fault.GitHub, "GET", "/repos/octocat/bread", ``, 200, `"full_name":"octocat/bread"`},
		{fault.GitHub, "GET", "/repos/octocat/bread/issues", ``, 200, `[{"`},
		{fault.GitHub, "POST", "/repos/octocat/bread/issues", `{"title": "cold"}`, 201, `"title":"cold"`},
		{fault.GitHub, "POST", "/repos/octocat/bread/issues", `{}`, 422, `wasn't supplied`},
		{fault.GitHub, "POST", "/repos/octocat/bread/issues", `{`, 400, `Problems parsing JSON`},
		{fault.GitHub, "POST", "/graphql", `{}`, 200, `{"data":{`},
		{fault.GitHub, "GET", "/user", ``, 200, `"login":"octocat"`},
		{fault.GitHub, "GET", "/rate_limit", ``, 200, `"resources":{"core":{`},
		{fault.GitHub, "GET", "/repos/octocat", ``, 404, `"message":"Not Found"`},
	} {
		a := Of(tt.as).Serve(Request{Method: tt.method, Path: tt.path, Body: []byte(tt.body)})
		if a.Status != tt.status || !strings.Contains(string(a.Body), tt.has) {
			t.Errorf("%s %s %s: %d %s\nwant %d and %s", tt.as, tt.path, tt.body, a.Status, a.Body, tt.status, tt.has)
		}
		works := tt.method == "POST" && tt.status < 300 && !strings.HasSuffix(tt.path, "count_tokens")
		if (a.Operation != "") != works || tt.path != "/v1beta/models/m:streamGenerateContent" && a.ContentType[:len("application/json")] != "application/json" && !IsStream(a) {
			t.Errorf("%s %s %s: operation %q, %s", tt.as, tt.path, tt.body, a.Operation, a.ContentType)
		}
	}
	if Of("") != nil || len(apis) != len(fault.Providers()) {
		t.Errorf("providers %v, APIs %v", fault.Providers(), slices.Sorted(maps.Keys(apis)))
	}
	for _, p := range fault.Providers() {
		if Of(p) == nil || Of(p).Serve == nil {
			t.Errorf("%s has no API", p)
		}
	}
}

// The vector in base64 is the one in numbers.
func TestBase64(t *testing.T) {
	embed := func(format string) json.RawMessage {
		a := Of(fault.OpenAI).Serve(Request{Method: "POST", Path: "/embeddings", Body: []byte(`{"model": "m", "input": "bread", "encoding_format": "` + format + `"}`)})
		var out struct {
			Data []struct{ Embedding json.RawMessage }
		}
		if err := json.Unmarshal(a.Body, &out); err != nil {
			t.Fatal(err)
		}
		return out.Data[0].Embedding
	}
	var numbers []float32
	var text string
	if err := json.Unmarshal(embed("float"), &numbers); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(embed("base64"), &text); err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(packed) != 4*len(numbers) || len(numbers) != 8 {
		t.Fatalf("%d bytes for %d numbers, %v", len(packed), len(numbers), err)
	}
	for i, want := range numbers {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(packed[4*i:])); got != want {
			t.Errorf("number %d: %v, want %v", i, got, want)
		}
	}
}

// The headers of limits have the forms of the providers.
func TestLimits(t *testing.T) {
	now := time.Date(2026, 11, 30, 5, 0, 0, 1, time.UTC)
	quota := &fault.QuotaState{Limit: 60, Remaining: 7, Reset: 2*time.Minute + 59*time.Second + 559*time.Millisecond + 1}
	for as, want := range map[fault.Provider]map[string]string{
		fault.OpenAI:    {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-remaining-tokens": "1999000", "x-ratelimit-reset-tokens": "30ms", "x-request-id": "req_1"},
		fault.Anthropic: {"anthropic-ratelimit-requests-limit": "60", "anthropic-ratelimit-requests-remaining": "7", "anthropic-ratelimit-requests-reset": "2026-11-30T05:03:00Z", "anthropic-ratelimit-tokens-remaining": "1999000", "anthropic-ratelimit-output-tokens-limit": "2000000", "request-id": "req_1"},
		fault.GitHub:    {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "7", "X-RateLimit-Used": "53", "X-RateLimit-Reset": "1796014980", "X-RateLimit-Resource": "core", "X-GitHub-Request-Id": "req_1"},
		fault.Gemini:    {},
		fault.Ollama:    {},
	} {
		header := Of(as).Headers(make([]byte, 4000), quota, "req_1", now)
		for name, value := range want {
			if got := header.Get(name); got != value {
				t.Errorf("%s: %s: %q, want %q", as, name, got, value)
			}
		}
		if len(want) == 0 && len(header) != 0 {
			t.Errorf("%s: %v", as, header)
		}
	}
	if got := Of(fault.OpenAI).Headers(nil, nil, "", now).Get("x-ratelimit-reset-requests"); got != "6ms" {
		t.Errorf("without a quota %s", got)
	}
}
