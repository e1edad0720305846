// Package bedrock asks the models of Amazon Bedrock through the AWS SDK, with a
// [holdfast.Policy] around each call instead of the SDK's own retries. It is the
// template for any other SDK that is called by its methods: a Policy, a Classify,
// a Wrap.
package bedrock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/holdfast-go/holdfast"
)

// Policy is how a model's calls hold. Change what should differ, add a Breaker or
// a Bulkhead, and give it to [holdfast.NewPolicy]. The numbers are the second
// seed's ("@with_retry Decorator", and ollama_llm_timeout where it has none).
func Policy() holdfast.PolicyConfig {
	return holdfast.PolicyConfig{
		Name: "bedrock.converse",
		Retry: holdfast.Retry{
			MaxRetries: 3,                     // max_retries
			BaseDelay:  time.Second,           // base_delay
			MaxDelay:   30 * time.Second,      // max_delay
			Jitter:     holdfast.Proportional, // "±50% random variance"
		},
		AttemptTimeout: 120 * time.Second, // the SDK itself waits for ever
		Classify:       Classify,
	}
}

// Classify says what an error of the SDK means. The service asks for patience by
// 429, a model that is not ready yet included, or by one of the codes that the SDK
// takes for throttling: Throttled. It fails by 5xx, 408, a timeout, a lost
// connection or an answer that cannot be read to its end: Transient. Anything else
// that it answers is Permanent. What never became a request that it could answer,
// for want of credentials, of a host by that name or of a certificate that holds,
// is Unknown: it is not repeated, and no failure of the service.
func Classify(err error) holdfast.Outcome {
	status := 0
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	var untrusted *tls.CertificateVerificationError
	switch {
	case status == http.StatusTooManyRequests || throttle.IsErrorThrottle(err) == aws.TrueTernary:
		return holdfast.Throttled
	case status >= 500, status == http.StatusRequestTimeout:
		return holdfast.Transient
	case status/100 == 2: // an error all the same: the answer could not be read
		return holdfast.Transient
	case errors.As(err, &untrusted):
		return holdfast.Unknown
	case connection.IsErrorRetryable(err) == aws.TrueTernary:
		return holdfast.Transient
	case status != 0:
		return holdfast.Permanent
	}
	return holdfast.Unknown
}

// The SDK's own knowledge of its errors.
var (
	throttle   = retry.IsErrorThrottles(retry.DefaultThrottles)
	connection = retry.RetryableConnectionError{}
)

// Provider asks one model. It is safe for any number of goroutines.
type Provider struct {
	model    string
	converse func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error)
}

// New makes a provider of the SDK's client and a policy, for a model's id or the
// ARN of an inference profile. The client may be any; its retries are off for the
// provider's calls, or each of the policy's would be three.
func New(api *bedrockruntime.Client, policy *holdfast.Policy, model string) *Provider {
	return &Provider{model, holdfast.Wrap(policy, func(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
		return api.Converse(ctx, in, once)
	})}
}

func once(o *bedrockruntime.Options) { o.Retryer = aws.NopRetryer{} }

// Reply is a model's answer.
type Reply struct {
	Text   string
	Reason string // why it ended: "end_turn", "max_tokens" for one that was cut short
	// PromptTokens and Tokens are what was read and written.
	PromptTokens, Tokens int
}

// Generate asks the model to answer a prompt, and waits for the whole answer.
//
// The error is a *holdfast.Error around the SDK's own, or, for an answer without
// text, one that is [holdfast.ErrDecode].
func (p *Provider) Generate(ctx context.Context, prompt string) (Reply, error) {
	out, err := p.Converse(ctx, &bedrockruntime.ConverseInput{Messages: []types.Message{{
		Role:    types.ConversationRoleUser,
		Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: prompt}},
	}}})
	if err != nil {
		return Reply{}, err
	}
	text := textOf(out)
	if text == "" {
		return Reply{}, fmt.Errorf("bedrock: the answer, which ended by %q, has no text: %w", out.StopReason, holdfast.ErrDecode)
	}
	reply := Reply{Text: text, Reason: string(out.StopReason)}
	if u := out.Usage; u != nil {
		reply.PromptTokens, reply.Tokens = int(aws.ToInt32(u.InputTokens)), int(aws.ToInt32(u.OutputTokens))
	}
	return reply, nil
}

// Converse is the API's own call, for what Generate leaves out (a system message,
// limits, tools), under the same policy. An empty ModelId is the provider's.
func (p *Provider) Converse(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
	if in.ModelId == nil {
		own := *in
		own.ModelId = &p.model
		in = &own
	}
	return p.converse(ctx, in)
}

// textOf puts an answer's text together; it may be in several blocks.
func textOf(out *bedrockruntime.ConverseOutput) string {
	answer, ok := out.Output.(*types.ConverseOutputMemberMessage)
	if !ok {
		return ""
	}
	var text strings.Builder
	for _, block := range answer.Value.Content {
		if t, ok := block.(*types.ContentBlockMemberText); ok {
			text.WriteString(t.Value)
		}
	}
	return text.String()
}
