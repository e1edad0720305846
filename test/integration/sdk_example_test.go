package integration

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/ollama/ollama/api"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// The snippets of docs/sdks.md. Each calls a service that is down twice.

func downTwice(service faultserver.Service) *faultserver.Server {
	s, err := faultserver.New(fault.Plan{Pace: pace, Rules: []fault.Rule{{Nth: "1-2", Fault: fault.Fault{Status: 503}}}}, faultserver.Backend(service))
	if err != nil {
		panic(err)
	}
	return s
}

func held(baseURL string) *holdfast.Client {
	client, err := holdfast.New(holdfast.Config{BaseURL: baseURL, Retry: holdfast.Retry{BaseDelay: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	return client
}

func Example_openai() {
	server := downTwice(openaiService)
	defer server.Close()
	client := held(server.URL())
	defer client.Close()

	sdk := openai.NewClient(
		option.WithBaseURL(server.URL()+"/v1"), option.WithAPIKey("sk-test"),
		option.WithHTTPClient(client.HTTPClient(holdfast.RepeatPOST())), option.WithMaxRetries(0),
	)
	out, err := sdk.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hold fast")},
	})
	fmt.Println(out.Choices[0].Message.Content, err, client.Stats().Attempts)
	// Output: we hold fast when the remote service does not <nil> 3
}

func Example_anthropic() {
	server := downTwice(anthropicService)
	defer server.Close()
	client := held(server.URL())
	defer client.Close()

	sdk := anthropic.NewClient(
		anthropicoption.WithBaseURL(server.URL()), anthropicoption.WithAPIKey("sk-test"),
		anthropicoption.WithHTTPClient(client.HTTPClient(holdfast.RepeatPOST())), anthropicoption.WithMaxRetries(0),
	)
	out, err := sdk.Messages.New(context.Background(), anthropic.MessageNewParams{
		Model: model, MaxTokens: 100, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hold fast"))},
	})
	fmt.Println(out.Content[0].Text, err, client.Stats().Attempts)
	// Output: we hold fast when the remote service does not <nil> 3
}

func Example_bedrock() {
	server := downTwice(bedrockService)
	defer server.Close()
	client := held(server.URL())
	defer client.Close()

	sdk := bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
		HTTPClient: client.HTTPClient(holdfast.RepeatPOST()), Retryer: aws.NopRetryer{},
	})
	_, err := sdk.Converse(context.Background(), &bedrockruntime.ConverseInput{ModelId: aws.String(model)})
	fmt.Println(err, client.Stats().Attempts)
	// Output: <nil> 3
}

func Example_ollama() {
	server := downTwice(ollamaService)
	defer server.Close()
	client := held(server.URL())
	defer client.Close()

	base, _ := url.Parse(server.URL())
	sdk := api.NewClient(base, client.HTTPClient(holdfast.RepeatPOST()))
	err := sdk.Chat(context.Background(), &api.ChatRequest{Model: model}, func(out api.ChatResponse) error {
		fmt.Print(out.Message.Content)
		return nil
	})
	fmt.Println("", err, client.Stats().Attempts)
	// Output: we hold fast when the remote service does not <nil> 3
}
