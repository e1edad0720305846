package dialect_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
)

// wireCase are answers of one API.
type wireCase struct {
	dialect dialect.Dialect
	path    string
	media   string
	start   string // of a stream: what decides nothing
	bad     string // a failure that the breaker counts
	content string
	end     string
	quota   reply
}

func sse(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		kind, data, _ := strings.Cut(e, " ")
		b.Write(encode(eventMedia, holdfast.ServerEvent{Type: kind, Data: []byte(data)}))
	}
	return b.String()
}

func amazon(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		kind, data, _ := strings.Cut(e, " ")
		b.Write(amazonMessage(holdfast.ServerEvent{Type: kind, Data: []byte(data)}))
	}
	return b.String()
}

const amazonMedia = "application/vnd.amazon.eventstream"

var wireCases = []wireCase{
	{
		dialect.OpenAI, "/chat/completions", eventMedia,
		sse(`message {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}`),
		sse(`message {"error":{"type":"server_error","message":"The server had an error"}}`),
		sse(`message {"object":"chat.completion.chunk","choices":[{"delta":{"content":"rye"},"finish_reason":null}]}`),
		sse(`message [DONE]`),
		reply{429, jsonMedia, `{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota"}}`},
	}, {
		dialect.OpenAIGateway, "/chat/completions", eventMedia,
		sse(`message {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}`),
		sse(`message {"error":{"code":502,"message":"Provider returned error"}}`),
		sse(`message {"object":"chat.completion.chunk","choices":[{"delta":{"content":"rye"},"finish_reason":null}]}`),
		sse(`message [DONE]`),
		reply{200, jsonMedia, `{"error":{"code":402,"message":"Insufficient credits"}}`},
	}, {
		dialect.Anthropic, "/v1/messages", eventMedia,
		sse(`message_start {"type":"message_start"}`, `ping {"type":"ping"}`, `content_block_start {"type":"content_block_start"}`),
		sse(`error {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`),
		sse(`content_block_delta {"type":"content_block_delta"}`),
		sse(`message_stop {"type":"message_stop"}`),
		reply{400, jsonMedia, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`},
	}, {
		dialect.Ollama, "/api/generate", lineMedia, "",
		`{"error":"an error was encountered while running the model"}` + "\n",
		`{"response":"rye","done":false}` + "\n",
		`{"response":"","done":true}` + "\n",
		reply{200, lineMedia, `{"error":"you've reached your hourly usage limit"}` + "\n"},
	}, {
		dialect.Bedrock, "/model/m/converse-stream", amazonMedia,
		amazon(`messageStart {"role":"assistant"}`, `contentBlockStart {}`),
		amazon(`modelStreamErrorException {"message":"the model failed"}`),
		amazon(`contentBlockDelta {"delta":{"text":"rye"}}`),
		amazon(`messageStop {"stopReason":"end_turn"}`, `metadata {}`),
		reply{200, amazonMedia, amazon(`throttlingException {"message":"Too many tokens per day"}`)},
	}, {
		dialect.Gemini, "/v1beta/models/m:streamGenerateContent", eventMedia, "",
		sse(`message {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`),
		sse(`message {"candidates":[{"content":{"parts":[{"text":"rye"}]}}]}`),
		sse(`message {"candidates":[{"finishReason":"STOP"}]}`),
		reply{200, eventMedia, sse(`message {"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDay"}]}]}}`)},
	}, {
		dialect.GitHub, "/graphql", jsonMedia, "",
		`{"data":null,"errors":[{"message":"Something went wrong while executing your query."}]}`,
		`{"data":{}}`, "",
		reply{},
	}, {
		dialect.Standard, "/x", "application/problem+json", "", "", `{}`, "",
		reply{402, jsonMedia, `{}`},
	},
}

// calls are the ways to make a call and to read all of its answer.
var calls = map[string]func(t *testing.T, c *holdfast.Client, tt *wireCase, base string) (string, error){
	"Do": func(t *testing.T, c *holdfast.Client, tt *wireCase, base string) (string, error) {
		return readBody(c.Do(post(t, base+tt.path)))
	},
	"SDK transport": func(t *testing.T, c *holdfast.Client, tt *wireCase, base string) (string, error) {
		return readBody(c.HTTPClient(holdfast.RepeatPOST()).Do(post(t, base+tt.path)))
	},
	"Post": func(t *testing.T, c *holdfast.Client, tt *wireCase, _ string) (string, error) {
		resp, err := c.Post(t.Context(), tt.path, ask{"m", true})
		if err != nil {
			return "", err
		}
		return string(resp.Body), nil
	},
	"Stream": func(t *testing.T, c *holdfast.Client, tt *wireCase, _ string) (string, error) {
		s, err := c.Stream(t.Context(), http.MethodPost, tt.path, ask{"m", true})
		if err != nil {
			return "", err
		}
		var b strings.Builder
		if tt.media == eventMedia {
			for e, err := range s.Events() {
				if err != nil {
					return b.String(), err
				}
				b.Write(encode(eventMedia, e))
			}
			return b.String(), nil
		}
		for line, err := range s.Lines() {
			if err != nil {
				return b.String(), err
			}
			b.Write(line)
			b.WriteByte('\n')
		}
		return b.String(), nil
	},
}

func post(t *testing.T, url string) *http.Request {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"model":"m"}`))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func readBody(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// fixture is a service with a client of a dialect. One breaker counts all of its calls.
func fixture(t *testing.T, d dialect.Dialect, retries int, replies ...reply) (c *holdfast.Client, base string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer := replies[min(int(requests.Add(1)), len(replies))-1]
		w.Header().Set("Content-Type", answer.media)
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, answer.body)
	}))
	t.Cleanup(s.Close)
	d.Scope = nil
	c, err := holdfast.New(d.Apply(holdfast.Config{BaseURL: s.URL, Retry: holdfast.Retry{MaxRetries: retries, BaseDelay: time.Millisecond}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s.URL, requests
}

// supports reports whether a way to read can find a failure: an answer that is read as a
// whole has no messages of Amazon's, and Stream has no loop for them.
func supports(tt *wireCase, name string) bool {
	return tt.media != amazonMedia || name == "Do" || name == "SDK transport"
}

// A failure within a 200, before anything of the answer, is repeated. Without a retry it is an
// error, and the breaker counts it.
func TestBeforeContent(t *testing.T) {
	for _, tt := range wireCases {
		if tt.bad == "" {
			continue
		}
		for name, call := range calls {
			if !supports(&tt, name) {
				continue
			}
			t.Run(tt.dialect.Name+"/"+name, func(t *testing.T) {
				good := reply{200, tt.media, tt.start + tt.content + tt.end}
				bad := reply{200, tt.media, tt.start + tt.bad}
				c, base, requests := fixture(t, tt.dialect, 0, bad, good)
				out, err := call(t, c, &tt, base)
				if err != nil || strings.TrimSpace(out) != strings.TrimSpace(good.body) || requests.Load() != 2 {
					t.Errorf("%d requests, %q, %v", requests.Load(), out, err)
				}

				c, base, _ = fixture(t, tt.dialect, holdfast.Off, bad)
				_, err = call(t, c, &tt, base)
				if declined, ok := errors.AsType[*holdfast.StatusError](err); !ok || declined.Text == "" || declined.Status != 200 {
					t.Errorf("%v", err)
				}
				if n := c.Breaker().Stats().FailureCount; n != 1 {
					t.Errorf("the breaker counted %d failures", n)
				}
			})
		}
	}
}

// A failure after content is an error of the stream, and is not repeated. So is an end without
// the end mark.
func TestAfterContent(t *testing.T) {
	for _, tt := range wireCases {
		if tt.end == "" {
			continue
		}
		for name, call := range calls {
			if !supports(&tt, name) || name == "Post" { // of a whole answer, nothing is content yet
				continue
			}
			for rest, want := range map[string]string{tt.bad: "", "": "lost"} {
				t.Run(tt.dialect.Name+"/"+name+"/"+want, func(t *testing.T) {
					body := tt.start + tt.content + rest
					c, base, requests := fixture(t, tt.dialect, 0, reply{200, tt.media, body})
					out, err := call(t, c, &tt, base)
					if requests.Load() != 1 || !strings.HasPrefix(out, strings.TrimSpace(tt.start)) {
						t.Errorf("%d requests, %q", requests.Load(), out)
					}
					declined, ok := errors.AsType[*holdfast.StatusError](err)
					if name == "SDK transport" && want == "" { // an SDK reads the error itself
						if err != nil || out != body {
							t.Errorf("%q, %v", out, err)
						}
					} else if !ok || declined.Text == "" || want != "" && meaning(err) != want {
						t.Errorf("%s: %v", meaning(err), err)
					}
					if n := c.Breaker().Stats().FailureCount; n != 1 {
						t.Errorf("the breaker counted %d failures", n)
					}
				})
			}
		}
	}
}

// A quota that is gone ends a call at once, and the breaker does not count it.
func TestQuotaEndsAtOnce(t *testing.T) {
	for _, tt := range wireCases {
		if tt.quota.status == 0 {
			continue
		}
		for name, call := range calls {
			if !supports(&tt, name) && tt.quota.media == amazonMedia {
				continue
			}
			t.Run(tt.dialect.Name+"/"+name, func(t *testing.T) {
				c, base, requests := fixture(t, tt.dialect, 0, tt.quota)
				_, err := call(t, c, &tt, base)
				if name != "SDK transport" && (meaning(err) != "quota" || !errors.Is(err, holdfast.ErrStatus)) {
					t.Errorf("%s: %v", meaning(err), err)
				}
				if n := c.Breaker().Stats().FailureCount; n != 0 || requests.Load() != 1 {
					t.Errorf("%d requests, and the breaker counted %d failures", requests.Load(), n)
				}
			})
		}
	}
}

// A healthy answer of each dialect is handed on as it is, however it is read.
func TestHealthy(t *testing.T) {
	for _, tt := range wireCases {
		for name, call := range calls {
			if name == "Stream" && tt.media == amazonMedia {
				continue
			}
			t.Run(tt.dialect.Name+"/"+name, func(t *testing.T) {
				body := tt.start + tt.content + tt.end
				c, base, requests := fixture(t, tt.dialect, 0, reply{200, tt.media, body})
				out, err := call(t, c, &tt, base)
				if err != nil || strings.TrimSpace(out) != strings.TrimSpace(body) || requests.Load() != 1 {
					t.Errorf("%d requests, %q, %v", requests.Load(), out, err)
				}
			})
		}
	}
}
