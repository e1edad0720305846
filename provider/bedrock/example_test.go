package bedrock_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
	"github.com/holdfast-go/holdfast/provider/bedrock"
)

// start starts a service with the faults and returns the SDK's client for it. A
// program uses bedrockruntime.NewFromConfig.
func start(faults ...fault.Rule) (api *bedrockruntime.Client, stop func()) {
	service, err := faultserver.New(fault.Plan{Rules: faults}, faultserver.Backend(func(faultserver.Request) faultserver.Answer {
		return faultserver.Answer{Status: 200, ContentType: "application/json", Body: []byte(
			`{"output": {"message": {"role": "assistant", "content": [{"text": "Let it rest."}]}}, "stopReason": "end_turn"}`)}
	}))
	if err != nil {
		panic(err)
	}
	api = bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(service.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a key", SecretAccessKey: "its secret"}, nil
		}),
	})
	return api, func() { service.Close() }
}

const model = "anthropic.claude-3-sonnet-20240229-v1:0"

// The service throttles twice and then answers; the caller does not notice.
func Example() {
	api, stop := start(fault.Rule{Nth: "1-2", Fault: fault.Fault{
		Status: 429, Header: map[string]string{"X-Amzn-ErrorType": "ThrottlingException"},
	}})
	defer stop()

	cfg := bedrock.Policy()
	cfg.Retry.BaseDelay = 5 * time.Millisecond // only for this example: the default is 1s
	policy, err := holdfast.NewPolicy(cfg)     // once in a program
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := bedrock.New(api, policy, model).Generate(context.Background(), "What about the dough?")
	fmt.Println(reply.Text, err)
	// Output: Let it rest. <nil>
}

// The SDK's error is in the chain.
func ExampleProvider_Generate() {
	api, stop := start(fault.Rule{Fault: fault.Fault{
		Status: 403, Header: map[string]string{"X-Amzn-ErrorType": "AccessDeniedException"}, Body: `{"message": "no"}`,
	}})
	defer stop()

	_, err := bedrock.New(api, holdfast.MustPolicy(bedrock.Policy()), model).Generate(context.Background(), "?")
	var denied *types.AccessDeniedException
	fmt.Println(errors.As(err, &denied), errors.Is(err, holdfast.ErrStatus))
	// Output: true true
}

// Converse gives access to the whole API under the same policy.
func ExampleProvider_Converse() {
	api, stop := start()
	defer stop()

	out, err := bedrock.New(api, holdfast.MustPolicy(bedrock.Policy()), model).Converse(context.Background(), &bedrockruntime.ConverseInput{
		System: []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "You are a baker."}},
		Messages: []types.Message{{
			Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "What now?"}},
		}},
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(100)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.StopReason)
	// Output: end_turn
}

func ExampleClassify() {
	fmt.Println(bedrock.Classify(&types.ThrottlingException{}))
	fmt.Println(bedrock.Classify(context.DeadlineExceeded))
	// Output:
	// throttled
	// transient
}
