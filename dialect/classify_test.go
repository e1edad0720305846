package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

var medias = []string{
	jsonMedia, eventMedia, lineMedia, amazonMedia, "", "application/problem+json", "text/html", "application/json; charset=utf-8",
	"application/x-amz-json-1.1", "text/plain",
}

func header(media string) http.Header {
	h := http.Header{}
	if media != "" {
		h.Set("Content-Type", media)
	}
	return h
}

// check reports a Verdict that is not allowed.
func check(t testing.TB, d dialect.Dialect, v holdfast.Verdict) {
	t.Helper()
	if v.RetryAfter < 0 || v.RetryAfter > 365*24*time.Hour || len(v.Text) > 200 || !utf8.ValidString(v.Text) || strings.ContainsAny(v.Text, "\n\r\x1b\x00") ||
		v.Class > holdfast.ClassCanceled || v.More && v.Class != holdfast.ClassNone {
		t.Errorf("%s: %+v", d.Name, v)
	}
}

// Whatever arrives, a Verdict is bounded.
func FuzzClassify(f *testing.F) {
	for _, d := range all {
		for _, g := range readGolden(f, d.Name) {
			for _, a := range g.answers() {
				media := uint8(0)
				for i, m := range medias {
					if m == g.header.Get("Content-Type") {
						media = uint8(i)
					}
				}
				data := a.Body
				if a.Stream {
					data = a.Event.Data
				}
				f.Add(uint16(a.Status), media, a.Stream, a.Ended, a.Event.Type, data, a.Path)
			}
		}
	}
	f.Add(uint16(429), uint8(0), false, false, "", []byte(`{"error":{"message":"try again in -5s sk-12345678901234567890 try again in 99999999999999999h","code":1e400}}`), "/")
	f.Add(uint16(200), uint8(1), true, false, "error", bytes.Repeat([]byte(`{"error":`), 5000), "/responses")
	f.Add(uint16(200), uint8(0), false, false, "", bytes.Repeat([]byte(`[{"error":`), 5000), "/m:streamGenerateContent")
	f.Fuzz(func(t *testing.T, status uint16, media uint8, stream, ended bool, kind string, data []byte, path string) {
		a := holdfast.Answer{Method: "POST", Path: path, Status: int(status), Header: header(medias[int(media)%len(medias)])}
		if a.Stream = stream; stream {
			a.Ended, a.Event = ended, holdfast.ServerEvent{Type: kind, Data: data}
			if ended {
				a.Seen = len(data) % 3
			}
		} else {
			a.Body, a.Whole = data, ended
		}
		before := bytes.Clone(data)
		for _, d := range all {
			v := d.Classify(&a)
			check(t, d, v)
			if again := d.Classify(&a); again != v {
				t.Errorf("%s: %+v, and then %+v", d.Name, v, again)
			}
			if v.Class != holdfast.ClassNone && (status < 200 || status >= 600 || status >= 300 && status < 400) {
				t.Errorf("%s: status %d is %+v", d.Name, status, v)
			}
			if d.Ends != nil {
				d.Ends(a.Event)
			}
		}
		if !bytes.Equal(before, data) {
			t.Error("the answer was changed")
		}
	})
}

// healthy are answers of each dialect with a text of the model, or of a user.
func healthy(text string) map[string][]holdfast.Answer {
	b, _ := json.Marshal(text)
	quoted := string(b)
	body := func(path, format string) holdfast.Answer {
		return holdfast.Answer{Method: "POST", Path: path, Status: 200, Header: header(jsonMedia), Body: fmt.Appendf(nil, format, quoted), Whole: true}
	}
	event := func(media, kind, format string) holdfast.Answer {
		return holdfast.Answer{
			Method: "POST", Path: "/", Status: 200, Header: header(media), Stream: true,
			Event: holdfast.ServerEvent{Type: kind, Data: fmt.Appendf(nil, format, quoted)},
		}
	}
	openAI := []holdfast.Answer{
		body("/chat/completions", `{"object":"chat.completion","choices":[{"message":{"content":%s},"finish_reason":"stop"}]}`),
		body("/v1/responses", `{"object":"response","status":"completed","error":null,"output":[{"content":[{"text":%s}]}]}`),
		body("/files", `{"object":"file","filename":%s,"status":"failed","status_details":%[1]s}`),
		body("/embeddings", `{"object":"list","data":[{"embedding":[0.1]}],"model":%s}`),
		event(eventMedia, "message", `{"object":"chat.completion.chunk","choices":[{"delta":{"content":%s},"finish_reason":null}]}`),
		event(eventMedia, "message", `{"object":"chat.completion.chunk","choices":[{"delta":{"tool_calls":[{"function":{"arguments":%s}}]}}]}`),
		event(eventMedia, "response.output_text.delta", `{"type":"response.output_text.delta","delta":%s}`),
	}
	return map[string][]holdfast.Answer{
		"OpenAI": openAI, "OpenAIGateway": openAI,
		"Anthropic": {
			body("/v1/messages", `{"type":"message","content":[{"type":"text","text":%s}],"error":null}`),
			event(eventMedia, "content_block_delta", `{"type":"content_block_delta","delta":{"type":"text_delta","text":%s}}`),
			event(eventMedia, "content_block_delta", `{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":%s}}`),
		},
		"Ollama": {
			body("/api/generate", `{"model":"m","response":%s,"done":true}`),
			event(lineMedia, "", `{"model":"m","message":{"content":%s},"done":false}`),
		},
		"Bedrock": {
			body("/model/m/converse", `{"output":{"message":{"content":[{"text":%s}]}}}`),
			event(amazonMedia, "contentBlockDelta", `{"delta":{"text":%s}}`),
		},
		"Gemini": {
			body("/m:generateContent", `{"candidates":[{"content":{"parts":[{"text":%s}]}}]}`),
			body("/m:streamGenerateContent", `[{"candidates":[{"content":{"parts":[{"text":%s}]}}]}]`),
			event(eventMedia, "message", `{"candidates":[{"content":{"parts":[{"text":%s}]}}]}`),
		},
		"GitHub": {
			body("/graphql", `{"data":{"repository":{"description":%s}}}`),
			body("/repos/o/r", `{"message":%s,"description":%[1]s}`),
		},
		"Standard": {body("/", `%s`), body("/", `{"error":%s}`)},
	}
}

var quotes = []string{
	`{"error":{"code":429,"type":"rate_limit_error","status":"RESOURCE_EXHAUSTED","message":"x"}}`, `"error":`, `"failed"`, `\"error\":{`, "event: error\ndata: {}\n\n",
	`{"__type":"ThrottlingException"}`, `{"errors":[{"type":"RATE_LIMITED"}]}`, "[DONE]", `","error":"`, `"},"error":{"code":429,"message":"x"}`,
	"You exceeded your current quota. Please try again in 20s. secondary rate limit, credit balance is too low",
}

// A text that quotes an error is not one.
func FuzzQuoted(f *testing.F) {
	for _, text := range quotes {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		answers := healthy(text)
		for _, d := range all {
			for i, a := range answers[d.Name] {
				if v := d.Classify(&a); v != (holdfast.Verdict{}) && text != "" {
					t.Errorf("%s, answer %d: %+v", d.Name, i, v)
				}
			}
		}
	})
}

// What is not the API's own form is left to the status.
func TestLeftToTheStatus(t *testing.T) {
	bodies := []string{"", " ", "null", "[]", "{}", "<html>", `"error"`, `{"error":null}`, `{"error":true}`, `{"error":{}}`, `{"error":`, `{"error":{"message":5`, "\xff\xfe", `{"errors":5}`, `{"errors":[5]}`}
	for _, d := range all {
		for _, status := range []int{100, 200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 429, 500, 503} {
			for _, media := range medias {
				for _, body := range bodies {
					stream := status == 200 && (media == eventMedia || media == lineMedia)
					a := holdfast.Answer{Method: "POST", Path: "/graphql", Status: status, Header: header(media), Body: []byte(body), Whole: !stream}
					if v := d.Classify(&a); v.Class != holdfast.ClassNone {
						t.Errorf("%s: %d %s %q is %+v", d.Name, status, media, body, v)
					}
				}
			}
		}
		// The right form, of another media type.
		for _, g := range readGolden(t, d.Name) {
			for _, a := range g.answers() {
				a.Header = header("text/html")
				if v := d.Classify(&a); v != (holdfast.Verdict{}) {
					t.Errorf("%s: %s as text/html is %+v", d.Name, g.title, v)
				}
			}
		}
	}
}

// Statuses with a meaning of their own keep it, and a service that is down may quote anything.
func TestStatusComesFirst(t *testing.T) {
	const limited = `{"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"try again in 5s","status":"RESOURCE_EXHAUSTED"},"type":"error"}`
	const badKey = `{"error":{"type":"authentication_error","code":"invalid_api_key","message":"m","status":"UNAUTHENTICATED"},"type":"error"}`
	const bad = `{"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"m","status":"INVALID_ARGUMENT"},"type":"error"}`
	for _, d := range []dialect.Dialect{dialect.OpenAI, dialect.OpenAIGateway, dialect.Anthropic, dialect.Gemini} {
		for body, statuses := range map[string][]int{limited: {408, 409, 421, 425, 500, 503, 529}, badKey: {409, 429, 500}, bad: {401, 409, 429, 500}} {
			for _, status := range statuses {
				a := holdfast.Answer{Method: "POST", Path: "/x", Status: status, Header: header(jsonMedia), Body: []byte(body), Whole: true}
				if v := d.Classify(&a); v.Class != holdfast.ClassNone || v.RetryAfter != 0 || v.Text == "" {
					t.Errorf("%s: %d %s is %+v", d.Name, status, body, v)
				}
			}
		}
		a := holdfast.Answer{Status: 400, Header: header(jsonMedia), Body: []byte(limited), Whole: true}
		if v := d.Classify(&a); v.Class != holdfast.ClassThrottled || v.RetryAfter != 5*time.Second {
			t.Errorf("%s: %+v", d.Name, v)
		}
		a.Header.Set("Retry-After", "9")
		if v := d.Classify(&a); v.Class != holdfast.ClassThrottled || v.RetryAfter != 0 {
			t.Errorf("%s beside a header: %+v", d.Name, v)
		}
	}
}

// What has the form of a failure is none in another place.
func TestOtherPlaces(t *testing.T) {
	const limited = `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}`
	const failed = `{"object":"response","status":"failed","error":{"code":"server_error","message":"m"}}`
	for _, tt := range []struct {
		dialect            dialect.Dialect
		method, path, body string
		class              holdfast.Class
	}{
		{dialect.OpenAIGateway, "POST", "/chat/completions", limited, holdfast.ClassThrottled},
		{dialect.OpenAIGateway, "POST", "/chat/completions", limited + "x", holdfast.ClassNone},
		{dialect.OpenAIGateway, "POST", "/chat/completions", `{"data":[1],"error":{"code":429,"message":"m"}}`, holdfast.ClassNone},
		{dialect.OpenAIGateway, "POST", "/v1/responses", failed, holdfast.ClassServer},
		{dialect.OpenAI, "POST", "/v1/responses", failed, holdfast.ClassServer},
		{dialect.OpenAI, "POST", "/v1/responses", failed + "x", holdfast.ClassNone},
		{dialect.OpenAI, "POST", "/v1/responses", `{"object":"response","status":"completed","instructions":"failed","x":"failed"}`, holdfast.ClassNone},
		{dialect.OpenAI, "GET", "/v1/responses", failed, holdfast.ClassNone},
		{dialect.OpenAI, "POST", "/v1/other", failed, holdfast.ClassNone},
		{dialect.OpenAI, "POST", "/chat/completions", limited, holdfast.ClassNone},
		{dialect.Gemini, "POST", "/m:streamGenerateContent", "[" + limited + "]", holdfast.ClassThrottled},
		{dialect.Gemini, "POST", "/m:batch", "[" + limited + "]", holdfast.ClassNone},
		{dialect.Gemini, "GET", "/v1beta/models/m:generateContent", limited, holdfast.ClassNone},
		{dialect.Gemini, "POST", "/v1beta/files", limited, holdfast.ClassNone},
		{dialect.Gemini, "POST", "/m:generateContent", limited, holdfast.ClassThrottled},
		{dialect.Gemini, "POST", "/m:generateContent", limited + "x", holdfast.ClassNone},
		{dialect.Gemini, "POST", "/m:generateContent", `{"candidates":[],` + limited[1:], holdfast.ClassNone},
		{dialect.Ollama, "POST", "/api/generate", `{"error":"m"}`, holdfast.ClassServer},
		{dialect.Ollama, "GET", "/api/tags", `{"error":"m"}`, holdfast.ClassNone},
		{dialect.Ollama, "POST", "/api/generate", `{"error":"m","done":true}`, holdfast.ClassNone},
		{dialect.Anthropic, "POST", "/v1/messages", `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`, holdfast.ClassOverloaded},
		{dialect.Anthropic, "GET", "/v1/messages/batches/1", `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`, holdfast.ClassNone},
		{dialect.Anthropic, "POST", "/v1/messages", `{"type":"message","content":[{"type":"error","error":{"type":"overloaded_error"}}]}`, holdfast.ClassNone},
		{dialect.Anthropic, "POST", "/v1/messages", `{"type":"error","error":"m"}`, holdfast.ClassNone},
		{dialect.Anthropic, "POST", "/v1/messages", `{"type":"message","error":{"type":"overloaded_error","message":"m"}}`, holdfast.ClassNone},
	} {
		a := holdfast.Answer{Method: tt.method, Path: tt.path, Status: 200, Header: header(jsonMedia), Body: []byte(tt.body), Whole: true}
		if v := tt.dialect.Classify(&a); v.Class != tt.class {
			t.Errorf("%s: %s %s %s is %+v", tt.dialect.Name, tt.method, tt.path, tt.body, v)
		}
	}
	a := holdfast.Answer{Status: 200, Header: header(eventMedia), Stream: true}
	a.Event = holdfast.ServerEvent{Type: "response.output_item.done", Data: []byte(`{"type":"response.output_item.done","error":{"code":"server_error","message":"m"}}`)}
	if v := dialect.OpenAI.Classify(&a); v != (holdfast.Verdict{}) {
		t.Errorf("a part of a response is %+v", v)
	}
	a.Event = holdfast.ServerEvent{Type: "message", Data: []byte(`{"object":"error","message":"m","type":"BadRequestError","code":400}`)}
	if v := dialect.OpenAI.Classify(&a); v.Class != holdfast.ClassRequest || v.Text != "m" {
		t.Errorf("an event that is an error object is %+v", v)
	}
	a.Ended, a.Seen = true, 3
	a.Event = holdfast.ServerEvent{Data: []byte("id: 7")}
	if v := dialect.OpenAI.Classify(&a); v != (holdfast.Verdict{}) {
		t.Errorf("an end after a line without data is %+v", v)
	}
	a.Event = holdfast.ServerEvent{Type: "message", Data: []byte(`{"object":"chat.completion.chunk","choices":5}`)}
	if v := dialect.OpenAIGateway.Classify(&a); v.Class != holdfast.ClassLost {
		t.Errorf("an end after a chunk of another form is %+v", v)
	}
	a = holdfast.Answer{Status: 400, Header: header(jsonMedia), Body: []byte(`{"object":"error","message":"m","type":"BadRequestError","code":400}`)}
	if v := dialect.OpenAI.Classify(&a); v.Class != holdfast.ClassRequest || v.Text != "m" {
		t.Errorf("a body that is an error object is %+v", v)
	}
}

// net/http's server gives a stream without a type the type text/plain.
func TestPlainLines(t *testing.T) {
	a := holdfast.Answer{Method: "POST", Path: "/api/chat", Status: 200, Header: header("text/plain"), Stream: true}
	a.Event.Data = []byte(`{"error":"model runner has unexpectedly stopped"}`)
	if v := dialect.Ollama.Classify(&a); v.Class != holdfast.ClassServer {
		t.Errorf("a line of text/plain is %+v", v)
	}
	a.Event.Data, a.Ended, a.Seen = []byte("Ollama is running"), true, 1
	if v := dialect.Ollama.Classify(&a); v != (holdfast.Verdict{}) {
		t.Errorf("the end of a text is %+v", v)
	}
}

// A wait in a header of a stream is finer than that in the text of an event.
func TestWaitOfAnEvent(t *testing.T) {
	a := holdfast.Answer{Status: 200, Header: header(eventMedia), Stream: true}
	a.Event = holdfast.ServerEvent{Type: "message", Data: []byte(`{"error":{"code":"rate_limit_exceeded","message":"try again in 5s"}}`)}
	if v := dialect.OpenAI.Classify(&a); v.RetryAfter != 5*time.Second {
		t.Errorf("%+v", v)
	}
	a.Header.Set("Retry-After-Ms", "5200")
	if v := dialect.OpenAI.Classify(&a); v.Class != holdfast.ClassThrottled || v.RetryAfter != 0 {
		t.Errorf("%+v", v)
	}
}

// A stream that was received as a whole is judged by its events and by its end.
func TestWholeStreams(t *testing.T) {
	for _, tt := range wireCases {
		if tt.media != eventMedia && tt.media != lineMedia {
			continue
		}
		for body, want := range map[string]bool{
			tt.start + tt.content + tt.end:                     false,
			tt.start + tt.content + tt.bad:                     true,
			tt.start + tt.bad:                                  true,
			tt.start + tt.content:                              true,
			"\n" + tt.start + tt.content + tt.content + tt.end: false,
		} {
			a := holdfast.Answer{Method: "POST", Path: tt.path, Status: 200, Header: header(tt.media), Body: []byte(body), Whole: true}
			if v := tt.dialect.Classify(&a); (v.Class != holdfast.ClassNone) != want || v.Text == "" && want {
				t.Errorf("%s: %q is %+v", tt.dialect.Name, body, v)
			}
			if a.Whole = false; !strings.Contains(body, tt.bad) && tt.dialect.Classify(&a).Class != holdfast.ClassNone {
				t.Errorf("%s: the beginning %q is a failure", tt.dialect.Name, body)
			}
		}
	}
}

// A stream that is read by its lines has the same meaning as one that is read by its events.
func TestLinesOfEvents(t *testing.T) {
	for _, d := range []dialect.Dialect{dialect.OpenAI, dialect.OpenAIGateway, dialect.Anthropic, dialect.Gemini} {
		for _, g := range readGolden(t, d.Name) {
			if !g.isStream() {
				continue
			}
			for i, a := range g.answers() {
				want := d.Classify(&a)
				byLine := a
				byLine.Event = holdfast.ServerEvent{Data: append([]byte("data: "), a.Event.Data...)}
				if got := d.Classify(&byLine); got != want && a.Event.Type != "new_event" {
					t.Errorf("%s: %s, event %d: %+v, want %+v", d.Name, g.title, i, got, want)
				}
				if d.Ends(byLine.Event) != d.Ends(a.Event) {
					t.Errorf("%s: %s, event %d: Ends differs", d.Name, g.title, i)
				}
			}
		}
		name := holdfast.Answer{Status: 200, Header: header(eventMedia), Stream: true, Event: holdfast.ServerEvent{Data: []byte("event: error")}}
		if v := d.Classify(&name); v != (holdfast.Verdict{More: true}) {
			t.Errorf("%s: a line with the name of an event is %+v", d.Name, v)
		}
	}
}

// The JSON of an answer that is no stream, which Client.Stream reads by its lines.
func TestLinesOfJSON(t *testing.T) {
	a := holdfast.Answer{Method: "POST", Path: "/chat/completions", Status: 200, Header: header(jsonMedia), Stream: true}
	a.Event.Data = []byte(`{"error":{"code":429,"message":"full"}}`)
	if v := dialect.OpenAIGateway.Classify(&a); v.Class != holdfast.ClassThrottled {
		t.Errorf("the first line is %+v", v)
	}
	a.Seen = 1
	if v := dialect.OpenAIGateway.Classify(&a); v != (holdfast.Verdict{}) {
		t.Errorf("a later line is %+v", v)
	}
	if a.Ended = true; dialect.OpenAIGateway.Classify(&a) != (holdfast.Verdict{}) {
		t.Error("the end of it is a failure")
	}
}

// The last event of a response has all of it, and may be long.
func TestLongEvents(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	e := holdfast.ServerEvent{Type: "response.completed", Data: []byte(`{"type":"response.completed","response":{"output":"` + long + `"}}`)}
	if !dialect.OpenAI.Ends(e) {
		t.Error("a long event does not end the stream")
	}
	a := holdfast.Answer{Status: 200, Header: header(eventMedia), Stream: true}
	a.Event = holdfast.ServerEvent{Type: "response.failed", Data: []byte(`{"response":{"instructions":"` + long + `","object":"response","status":"failed","error":{"code":"server_error","message":"m"}},"type":"response.failed"}`)}
	if v := dialect.OpenAI.Classify(&a); v.Class != holdfast.ClassServer {
		t.Errorf("a long failure is %+v", v)
	}
	gemini := holdfast.ServerEvent{Type: "message", Data: []byte(`{"candidates":[{"content":{"parts":[{"inlineData":"` + long + `"}]},"finishReason":"STOP"}]}`)}
	if !dialect.Gemini.Ends(gemini) {
		t.Error("a long chunk of Gemini does not end the stream")
	}
}

// A stream with nothing in it has broken off.
func TestEmptyStream(t *testing.T) {
	for d, media := range map[*dialect.Dialect]string{
		&dialect.OpenAI: eventMedia, &dialect.Anthropic: eventMedia, &dialect.Ollama: lineMedia, &dialect.Bedrock: amazonMedia, &dialect.Gemini: eventMedia,
	} {
		a := holdfast.Answer{Method: "POST", Status: 200, Header: header(media), Stream: true, Ended: true}
		if v := d.Classify(&a); v.Class != holdfast.ClassLost {
			t.Errorf("%s: %+v", d.Name, v)
		}
		a.Status = 202
		if v := d.Classify(&a); v.Class != holdfast.ClassNone {
			t.Errorf("%s: 202 is %+v", d.Name, v)
		}
	}
}

// A healthy answer costs no allocation, and no parsing.
func TestHealthyCostsNothing(t *testing.T) {
	long := strings.Repeat("rye and spelt, ", 4000)
	for _, d := range all {
		for i, a := range healthy(long)[d.Name] {
			a.Seen = 20
			if n := testing.AllocsPerRun(10, func() { d.Classify(&a) }); n > 0 {
				t.Errorf("%s, answer %d: %v allocations", d.Name, i, n)
			}
		}
	}
}
