package integration

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// content is how the service of an SDK fails within a 200.
type content struct {
	sdk      *sdk
	dialect  dialect.Dialect
	announce string // what the service sends before the failure, if that comes first
	failure  string // within a stream
	body     string // of an answer that is no stream; empty if the service has none
	says     string // in the SDK's error
}

var contents = []content{
	{
		openaiSDK, dialect.OpenAIGateway, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
		"data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":null}}\n\n",
		`{"error":{"message":"overloaded","type":"server_error","code":null}}`, "overloaded",
	},
	{
		anthropicSDK, dialect.Anthropic,
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
		"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"overloaded\"}}\n\n",
		`{"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}`, "overloaded",
	},
	{
		bedrockSDK, dialect.Bedrock, frameOf("event", ":event-type", "messageStart", `{"role":"assistant"}`),
		frameOf("exception", ":exception-type", "serviceUnavailableException", `{"message":"overloaded"}`), "", "overloaded",
	},
	{ollamaSDK, dialect.Ollama, "", `{"error":"overloaded"}` + "\n", `{"error":"overloaded"}`, "overloaded"},
}

// frameOf is a message of Amazon's event stream.
func frameOf(kind, header, name, payload string) string {
	var m eventstream.Message
	for _, h := range [][2]string{{":message-type", kind}, {header, name}, {":content-type", "application/json"}} {
		m.Headers.Set(h[0], eventstream.StringValue(h[1]))
	}
	m.Payload = []byte(payload)
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// failing answers the first calls, or all, with a failure after n pieces of the answer.
func (c *content) failing(calls, n int) faultserver.Service {
	seen := 0
	return func(r faultserver.Request) faultserver.Answer {
		a := c.sdk.service(r)
		if seen++; calls > 0 && seen > calls {
			return a
		}
		if len(a.Chunks) == 0 {
			a.Body = []byte(c.body)
			return a
		}
		sent := 0
		for _, size := range a.Chunks[:n] {
			sent += size
		}
		chunks := []string{c.announce}
		if n > 0 {
			chunks[0] = string(a.Body[:sent])
		}
		return streamed(a.ContentType, append(chunks, c.failure))
	}
}

// Behind an SDK, a failure within a 200 is repeated until the first piece, and an error
// after it. The breaker counts it in both cases.
func TestFailuresInsideA200(t *testing.T) {
	for _, c := range contents {
		for _, tt := range []struct {
			name     string
			calls    int // that fail
			pieces   int // before the failure
			whole    bool
			said     string // a result of describe; empty for the service's reason
			attempts int
			failures int // of the breaker
		}{
			{"first event", 1, 0, false, "whole", 2, 0},
			{"first event, always", 0, 0, false, "", 3, 1},
			{"after four pieces", 1, 4, false, "", 1, 1},
			{"body", 1, 0, true, "whole", 2, 0},
			{"body, always", 0, 0, true, "", 3, 1},
		} {
			if tt.whole && c.body == "" {
				continue
			}
			t.Run(c.sdk.name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := faultserver.Start(t, fault.Plan{Pace: pace}, faultserver.InMemory(), faultserver.Backend(c.failing(tt.calls, tt.pieces)))
					client, err := holdfast.New(c.dialect.Apply(holdfast.Config{
						BaseURL: s.URL(), Retry: holdfast.Retry{MaxRetries: 2}, RequestIDHeader: "X-Call",
					}), holdfast.WithDialContext(s.Dial))
					if err != nil {
						t.Fatal(err)
					}
					call := c.sdk.dial(s.URL(), client.HTTPClient(holdfast.RepeatPOST()), false)
					said := talk(t, call, &scenario{stream: !tt.whole})
					if tt.said != "" && said != tt.said || tt.said == "" && !strings.Contains(said, c.says) {
						t.Errorf("%q, want %q", said, tt.said+" "+c.says)
					}
					if n := len(s.Record()); n != tt.attempts {
						t.Errorf("%d requests, want %d", n, tt.attempts)
					}
					failures := 0
					for _, scope := range client.Scopes() {
						failures += client.ScopeBreaker(scope.Name).Stats().FailureCount
					}
					if failures != tt.failures {
						t.Errorf("%d failures, want %d", failures, tt.failures)
					}
					if n := client.Stats().InFlight; n != 0 {
						t.Errorf("%d calls are left", n)
					}
					client.Close()
					time.Sleep(2 * time.Second)
					synctest.Wait()
				})
			})
		}
	}
}
