package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/holdfast-go/holdfast/faultserver"
)

var bedrockSDK = &sdk{
	name: "bedrockruntime", service: bedrockService, retries: 2, dial: bedrockCaller, blind: true,
	request: faultserver.Request{Method: "POST", Path: "/model/" + model + "/converse-stream"},
	busy: func(status int) string {
		kind := map[int]string{429: "ThrottlingException", 503: "ServiceUnavailableException", 404: "ResourceNotFoundException"}[status]
		return fmt.Sprintf(`{"__type":%q,"message":"overloaded"}`, kind)
	},
}

// bedrockService answers Converse and ConverseStream.
func bedrockService(r faultserver.Request) faultserver.Answer {
	what, ok := strings.CutPrefix(r.Path, "/model/"+model+"/")
	switch {
	case r.Method == http.MethodPost && ok && what == "converse":
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: fmt.Appendf(nil,
			`{"output":{"message":{"role":"assistant","content":[{"text":%q}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}`, words)}
	case r.Method != http.MethodPost || what != "converse-stream":
		return faultserver.Answer{Status: 404}
	}
	event := func(kind, payload string) string {
		var m eventstream.Message
		for _, h := range [][2]string{{":message-type", "event"}, {":event-type", kind}, {":content-type", "application/json"}} {
			m.Headers.Set(h[0], eventstream.StringValue(h[1]))
		}
		m.Payload = []byte(payload)
		var frame bytes.Buffer
		if err := eventstream.NewEncoder().Encode(&frame, m); err != nil {
			panic(err)
		}
		return frame.String()
	}
	var chunks []string
	for i, piece := range pieces() {
		chunk := event("contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":0,"delta":{"text":%q}}`, piece))
		if i == 0 {
			chunk = event("messageStart", `{"role":"assistant"}`) + chunk
		}
		chunks = append(chunks, chunk)
	}
	return streamed("application/vnd.amazon.eventstream", append(chunks, event("messageStop", `{"stopReason":"end_turn"}`)))
}

func bedrockCaller(base string, hc *http.Client, retries bool) caller {
	options := bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: &base, HTTPClient: hc,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	}
	if !retries {
		options.Retryer = aws.NopRetryer{}
	}
	client := bedrockruntime.New(options)
	messages := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hold fast"}}}}
	return caller{
		ask: func(ctx context.Context) (string, error) {
			out, err := client.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: messages})
			if err != nil {
				return "", err
			}
			return out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value, nil
		},
		stream: func(ctx context.Context, piece func(string)) error {
			out, err := client.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: messages})
			if err != nil {
				return err
			}
			stream := out.GetStream()
			for e := range stream.Events() {
				if delta, ok := e.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
					piece(delta.Value.Delta.(*types.ContentBlockDeltaMemberText).Value)
				}
			}
			return errors.Join(stream.Err(), stream.Close())
		},
		status: func(err error) (int, string) {
			var resp *smithyhttp.ResponseError
			var api smithy.APIError
			if !errors.As(err, &resp) || !errors.As(err, &api) {
				return 0, ""
			}
			return resp.HTTPStatusCode(), api.ErrorMessage()
		},
	}
}
