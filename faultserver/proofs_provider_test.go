package faultserver

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fault"
)

// post sends a request with a body.
func (w *wire) post(path, body string) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nX-Request-ID: op-1\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body); err != nil {
		w.t.Fatal(err)
	}
}

// A chat with two words as a stream, and its events, as OpenAI has them.
const (
	chatPath = "/v1/chat/completions"
	chat     = `{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "max_tokens": 2}`

	chatHead = `data: {"id":"chatcmpl-4ee7108a2afede0c","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":`
)

var chatEvents = []string{
	chatHead + `[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n",
	chatHead + `[{"index":0,"delta":{"content":"proof"},"finish_reason":null}]}` + "\n\n",
	chatHead + `[{"index":0,"delta":{"content":" knead"},"finish_reason":null}]}` + "\n\n",
	chatHead + `[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\n",
	"data: [DONE]\n\n",
}

// Errors in the form of OpenAI.
const (
	overloadedBody = `{"error":{"message":"The engine is currently overloaded, please try again later.","type":"server_error","param":null,"code":null}}`
	serverBody     = `{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}`
	limitBody      = `{"error":{"message":"Rate limit reached for requests per min (RPM). Please try again in 1.5s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`
	quotaBody      = `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`
)

func strikeAs(as fault.Provider, f fault.Fault) fault.Plan {
	plan := strikeAll(f)
	plan.As = as
	return plan
}

// wantEvents checks that exactly these chunks arrive, one for each event.
func (w *wire) wantEvents(events ...string) {
	w.t.Helper()
	for _, event := range events {
		w.wantText(chunkText(event))
	}
}

// wantRegularEnd checks that the answer ends as HTTP wants it, on a connection that
// stays open.
func (w *wire) wantRegularEnd() {
	w.t.Helper()
	w.wantText("0\r\n\r\n")
	w.wantNoBytes()
}

// streamProof sends the chat and reads its stream.
func streamProof(f fault.Fault, effect bool, read func(t *testing.T, w *wire)) proof {
	return proof{
		plan: strikeAs(fault.OpenAI, f),
		prove: func(t *testing.T, s *Server, w *wire) {
			w.post(chatPath, chat)
			w.wantHead("HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", "Transfer-Encoding: chunked")
			read(t, w)
		},
		status: 200, effect: effect,
	}
}

// apiProof sends the chat and checks an error.
func apiProof(as fault.Provider, f fault.Fault, status int, body string, check func(*testing.T, http.Header)) proof {
	return proof{
		plan: strikeAs(as, f),
		prove: func(t *testing.T, s *Server, w *wire) {
			for range 2 { // on one connection, which stays open
				w.post(chatPath, chat)
				resp, got := w.full()
				if resp.StatusCode != status || got != body || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
					t.Errorf("%d %s %s\nwant %d %s", resp.StatusCode, resp.Header.Get("Content-Type"), got, status, body)
				}
				check(t, resp.Header)
			}
		},
		status: status,
	}
}

// wantHeaders checks values; "" is an absent header.
func wantHeaders(want map[string]string) func(*testing.T, http.Header) {
	return func(t *testing.T, h http.Header) {
		t.Helper()
		for name, value := range want {
			if got := h.Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
	}
}

// proofsOfProviders are the proofs of errors of an API and of streams.
var proofsOfProviders = map[fault.ID]proof{
	"api.error_in_200": apiProof(fault.OpenAI, fault.Fault{API: fault.APIErrorIn200}, 200, `{"error":{"code":503,"message":"The engine is currently overloaded, please try again later."}}`, wantHeaders(map[string]string{"Retry-After": ""})),
	"api.overloaded": {
		dials: true,
		plan:  strikeAs(fault.Anthropic, fault.Fault{API: fault.APIOverloaded}),
		prove: func(t *testing.T, s *Server, _ *wire) {
			w := dialWire(t, s)
			w.post("/v1/messages", chat)
			resp, body := w.full()
			want := `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"` + resp.Header.Get("request-id") + `"}`
			if resp.StatusCode != 529 || body != want || resp.Header.Get("request-id") == "" {
				t.Errorf("%d %s, want 529 %s", resp.StatusCode, body, want)
			}
		},
		status: 529,
	},
	"api.rate_limit": apiProof(fault.OpenAI, fault.Fault{API: fault.APIRateLimit, RetryAfter: 1500 * time.Millisecond}, 429, limitBody, wantHeaders(map[string]string{
		"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s", "Retry-After": "",
	})),
	"api.secondary_rate_limit": apiProof(fault.GitHub, fault.Fault{API: fault.APISecondaryRateLimit}, 403,
		`{"documentation_url":"https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits","message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","status":"403"}`,
		wantHeaders(map[string]string{"Retry-After": "60", "X-RateLimit-Remaining": "4999"})),
	"api.quota_exhausted": apiProof(fault.OpenAI, fault.Fault{API: fault.APIQuotaExhausted}, 429, quotaBody, wantHeaders(map[string]string{"Retry-After": "", "x-ratelimit-reset-requests": ""})),
	"stream.error_first": streamProof(fault.Fault{Stream: fault.StreamErrorFirst}, false, func(t *testing.T, w *wire) {
		w.wantEvents("data: " + overloadedBody + "\n\n")
		w.wantRegularEnd()
	}),
	"stream.error_after": streamProof(fault.Fault{Stream: fault.StreamErrorAfter, Events: 2, Error: fault.ErrorServer}, true, func(t *testing.T, w *wire) {
		w.wantEvents(chatEvents[0], chatEvents[1], "data: "+serverBody+"\n\n")
		w.wantRegularEnd()
	}),
	"stream.pings": streamProof(fault.Fault{Stream: fault.StreamPings, Every: 50 * time.Millisecond, Events: 2}, true, func(t *testing.T, w *wire) {
		w.wantNoBytes()
		w.wantEvents(": keep-alive\n\n")
		w.wantNoBytes()
		w.wantEvents(": keep-alive\n\n")
		w.wantEvents(chatEvents...)
		w.wantRegularEnd()
	}),
	"stream.end_missing": streamProof(fault.Fault{Stream: fault.StreamEndMissing}, true, func(t *testing.T, w *wire) {
		w.wantEvents(chatEvents[:4]...)
		w.wantRegularEnd()
	}),
	"stream.end_twice": streamProof(fault.Fault{Stream: fault.StreamEndTwice}, true, func(t *testing.T, w *wire) {
		w.wantEvents(chatEvents...)
		w.wantEvents("data: [DONE]\n\n")
		w.wantRegularEnd()
	}),
	"stream.cut": streamProof(fault.Fault{Stream: fault.StreamCut, Events: 1}, true, func(t *testing.T, w *wire) {
		w.wantEvents(chatEvents[0], chatEvents[1][:len(chatEvents[1])/2])
		w.wantEnd(0, io.EOF)
	}),
	"stream.malformed": streamProof(fault.Fault{Stream: fault.StreamMalformed, Events: 2}, true, func(t *testing.T, w *wire) {
		w.wantEvents(chatEvents[:2]...)
		const json = len(`data: `)
		whole := strings.TrimSuffix(chatEvents[2], "\n\n")
		w.wantEvents(whole[:json+(len(whole)-json)/2] + "\n\n")
		w.wantEvents(chatEvents[3:]...)
		w.wantRegularEnd()
	}),
}

// A status under a provider has the body of the provider, unless the plan gives one.
func TestStatusInTheFormOfTheProvider(t *testing.T) {
	for _, tt := range []struct {
		as     fault.Provider
		status int
		want   string
	}{
		{fault.OpenAI, 401, `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`},
		{fault.OpenAI, 429, `{"error":{"message":"Rate limit reached for requests per min (RPM).","type":"requests","param":null,"code":"rate_limit_exceeded"}}`},
		{fault.OpenAI, 502, serverBody},
		{fault.Anthropic, 402, `{"type":"error","error":{"type":"billing_error","message":"Payment Required"},"request_id":"ID"}`},
		{fault.Anthropic, 429, `{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of requests per minute."},"request_id":"ID"}`},
		{fault.Anthropic, 503, `{"type":"error","error":{"type":"api_error","message":"Service Unavailable"},"request_id":"ID"}`},
		{fault.Anthropic, 422, `{"type":"error","error":{"type":"invalid_request_error","message":"Unprocessable Entity"},"request_id":"ID"}`},
		{fault.Ollama, 404, `{"error":"model not found, try pulling it first"}`},
		{fault.Ollama, 503, `{"error":"server busy, please try again.  maximum pending requests exceeded"}`},
		{fault.Gemini, 429, `{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}`},
		{fault.Gemini, 504, `{"error":{"code":504,"message":"Gateway Timeout","status":"DEADLINE_EXCEEDED"}}`},
		{fault.GitHub, 401, `{"documentation_url":"https://docs.github.com/rest","message":"Bad credentials","status":"401"}`},
		{fault.GitHub, 502, `{"documentation_url":"https://docs.github.com/rest","message":"Server Error","status":"502"}`},
	} {
		s := Start(t, strikeAll(fault.Fault{Status: tt.status, RetryAfter: time.Second}), As(tt.as))
		w := dialWire(t, s)
		w.send("op-1")
		resp, body := w.full()
		want := strings.Replace(tt.want, "ID", resp.Header.Get("request-id"), 1)
		if resp.StatusCode != tt.status || body != want || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v %s\nwant %d %s", tt.as, resp.StatusCode, resp.Header, body, tt.status, want)
		}
	}
	s := Start(t, strikeAs(fault.OpenAI, fault.Fault{Status: 500, Body: "mine"}))
	w := dialWire(t, s)
	w.send("op-1")
	if resp, body := w.full(); body != "mine" || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v %q, want the body of the plan", resp.Header, body)
	}
}

// The faults of an API have the status, the headers and the body of each provider.
func TestErrorsOfTheProviders(t *testing.T) {
	wait := 90 * time.Second
	for _, tt := range []struct {
		as     fault.Provider
		fault  fault.Fault
		status int
		has    []string
		header map[string]string
	}{
		{fault.OpenAI, fault.Fault{API: fault.APIOverloaded, RetryAfter: wait}, 503, []string{`overloaded`}, map[string]string{"Retry-After": "90"}},
		{fault.OpenAI, fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorQuotaExhausted}, 200, []string{`"code":402,"message":"You exceeded your current quota`}, nil},
		{fault.Anthropic, fault.Fault{API: fault.APIRateLimit, RetryAfter: wait}, 429, []string{`"type":"rate_limit_error"`}, map[string]string{"Retry-After": "90", "anthropic-ratelimit-requests-remaining": "0"}},
		{fault.Anthropic, fault.Fault{API: fault.APIQuotaExhausted}, 400, []string{`"type":"invalid_request_error"`, `credit balance`}, map[string]string{"Retry-After": ""}},
		{fault.Anthropic, fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorRateLimit}, 200, []string{`"type":"error"`, `"type":"rate_limit_error"`}, map[string]string{"Retry-After": ""}},
		{fault.Ollama, fault.Fault{API: fault.APIOverloaded}, 503, []string{`{"error":"server busy`}, nil},
		{fault.Ollama, fault.Fault{API: fault.APIQuotaExhausted}, 429, []string{`usage limit`}, map[string]string{"Retry-After": ""}},
		{fault.Ollama, fault.Fault{API: fault.APIRateLimit}, 429, []string{`too many requests`}, map[string]string{"Retry-After": "1"}},
		{fault.Gemini, fault.Fault{API: fault.APIRateLimit, RetryAfter: 47500 * time.Millisecond}, 429, []string{`RESOURCE_EXHAUSTED`, `PerMinute`, `google.rpc.RetryInfo","retryDelay":"47.5s"`}, map[string]string{"Retry-After": ""}},
		{fault.Gemini, fault.Fault{API: fault.APIQuotaExhausted}, 429, []string{`RESOURCE_EXHAUSTED`, `PerDay`, `"retryDelay":"34s"`}, nil},
		{fault.Gemini, fault.Fault{API: fault.APIOverloaded}, 503, []string{`"status":"UNAVAILABLE"`}, nil},
		{fault.GitHub, fault.Fault{API: fault.APIRateLimit, RetryAfter: wait}, 403, []string{`API rate limit exceeded`}, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Used": "5000", "Retry-After": ""}},
		{fault.GitHub, fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorRateLimit}, 200, []string{`{"errors":[{"message":"API rate limit exceeded for user ID 1.","type":"RATE_LIMITED"}]}`}, map[string]string{"X-RateLimit-Remaining": "0"}},
		{fault.GitHub, fault.Fault{API: fault.APIErrorIn200, Error: fault.ErrorServer}, 200, []string{`{"errors":[{"message":"Server Error"}]}`}, nil},
	} {
		w := dialWire(t, Start(t, strikeAs(tt.as, tt.fault)))
		w.send("op-1")
		resp, body := w.full()
		if resp.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.as, tt.fault.API, resp.StatusCode, tt.status)
		}
		for _, text := range tt.has {
			if !strings.Contains(body, text) {
				t.Errorf("%s %s: no %s in %s", tt.as, tt.fault.API, text, body)
			}
		}
		wantHeaders(tt.header)(t, resp.Header)
		for name, forms := range map[string]func(string) (time.Time, error){
			"anthropic-ratelimit-requests-reset": func(v string) (time.Time, error) { return time.Parse(time.RFC3339, v) },
			"X-RateLimit-Reset": func(v string) (time.Time, error) {
				n, err := strconv.ParseInt(v, 10, 64)
				return time.Unix(n, 0), err
			},
		} {
			if v := resp.Header.Get(name); v != "" && tt.fault.RetryAfter > 0 {
				at, err := forms(v)
				if left := time.Until(at); err != nil || left < wait-10*time.Second || left > wait+time.Second {
					t.Errorf("%s: %s %s, which is in %s", tt.as, name, v, left)
				}
			}
		}
	}
}

// A quota of the plan is the one that the headers tell.
func TestQuotaInTheHeaders(t *testing.T) {
	for as, names := range map[fault.Provider][2]string{
		fault.OpenAI:    {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"},
		fault.Anthropic: {"anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"},
		fault.GitHub:    {"X-RateLimit-Limit", "X-RateLimit-Remaining"},
	} {
		w := dialWire(t, Start(t, strikeAs(as, fault.Fault{Quota: &fault.Quota{Limit: 2, Per: time.Hour}})))
		for i, want := range []string{"1", "0", "0"} {
			w.send("op-1")
			resp, body := w.full()
			wantHeaders(map[string]string{names[0]: "2", names[1]: want})(t, resp.Header)
			if (resp.StatusCode == 429) != (i == 2) {
				t.Errorf("%s, request %d: %d", as, i+1, resp.StatusCode)
			}
			if i == 2 && (resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(body, "{")) {
				t.Errorf("%s: %v %s", as, resp.Header, body)
			}
		}
	}
}

// A service that is full says so in the form of the provider.
func TestCapacityOfAProvider(t *testing.T) {
	s := Start(t, fault.Plan{As: fault.Ollama, Capacity: &fault.Capacity{Workers: 1, ServiceTime: time.Hour}})
	dialWire(t, s).send("op-1")
	awaitInFlight(t, s, 1)
	w := dialWire(t, s)
	w.send("op-2")
	if resp, body := w.full(); resp.StatusCode != 503 || body != `{"error":"server busy, please try again.  maximum pending requests exceeded"}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// A quota of no requests at all is told too.
func TestQuotaOfNothing(t *testing.T) {
	w := dialWire(t, Start(t, strikeAs(fault.GitHub, fault.Fault{Quota: &fault.Quota{Per: time.Hour}})))
	w.send("op-1")
	resp, _ := w.full()
	wantHeaders(map[string]string{"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0"})(t, resp.Header)
}

// A stream fault does not strike an answer that is not a stream, and the record
// does not claim it.
func TestStreamFaultsStrikeStreamsOnly(t *testing.T) {
	s := Start(t, strikeAs(fault.OpenAI, fault.Fault{Stream: fault.StreamCut}))
	w := dialWire(t, s)
	w.post(chatPath, strings.Replace(chat, "true", "false", 1))
	if resp, body := w.full(); resp.StatusCode != 200 || !strings.Contains(body, `"content":"proof knead"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	w.post(chatPath, `{}`)
	if resp, body := w.full(); resp.StatusCode != 400 || !strings.Contains(body, "you must provide a model parameter") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for _, a := range s.Record() {
		if len(a.Faults) != 0 || a.Rule != -1 || a.N != 0 {
			t.Errorf("recorded as %+v", a)
		}
	}
}

// Faults of providers need one.
func TestProviderIsMissing(t *testing.T) {
	plan := fault.Plan{Rules: []fault.Rule{{Fault: fault.Fault{Mix: []fault.Choice{{Weight: 1, Fault: fault.Fault{API: fault.APIOverloaded}}}}}, {Fault: fault.Fault{Stream: fault.StreamCut}}}}
	const want = "faultserver: fault plan: 2 problems\n" +
		"  rules[0].fault.mix[0].fault.api: needs a provider: set the plan's as, or use the option As\n" +
		"  rules[1].fault.stream: needs a provider: set the plan's as, or use the option As"
	if _, err := New(plan); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := New(plan, As(fault.GitHub)); err == nil || !strings.Contains(err.Error(), "rules[1].fault.stream: github has no streams") {
		t.Errorf("%v", err)
	}
	if _, err := New(fault.Plan{}, As("opnai")); err == nil || !strings.Contains(err.Error(), `as: "opnai" is not known; did you mean "openai"?`) {
		t.Errorf("%v", err)
	}
	Start(t, plan, As(fault.OpenAI))
}
