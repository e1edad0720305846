// Package bedrock calls the models of Amazon Bedrock through the AWS SDK. A
// [holdfast.Policy] replaces the SDK's retries. The package is a template for
// any SDK that is used by its methods: a Policy, a Classify, a Wrap.
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

// Policy returns the policy config of a model's calls. Change it as needed, for
// example by a Breaker or a Bulkhead, and pass it to [holdfast.NewPolicy]. The
// numbers and their names are those of requirement B9 (docs/requirements.md);
// AttemptTimeout is ollama_llm_timeout.
func Policy() holdfast.PolicyConfig {
	return holdfast.PolicyConfig{
		Name: "bedrock.converse",
		Retry: holdfast.Retry{
			MaxRetries: 3,                     // max_retries
			BaseDelay:  time.Second,           // base_delay
			MaxDelay:   30 * time.Second,      // max_delay
			Jitter:     holdfast.Proportional, // "±50% random variance"
		},
		AttemptTimeout: 120 * time.Second, // the SDK has no timeout
		Classify:       Classify,
	}
}

// Classify returns the outcome of an SDK error.
//
// Throttled: the service answers 429, also for a model that is not ready yet,
// or a code that the SDK treats as throttling. Transient: 5xx, 408, a timeout,
// a lost connection, or an answer that cannot be read to its end. Permanent:
// any other answer. Unknown: the request was not sent, for example without
// credentials, with an unknown host or an untrusted certificate; it is not
// repeated and not counted as a failure of the service.
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
	case status/100 == 2: // the answer could not be read
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

// The SDK's classification of its errors.
var (
	throttle   = retry.IsErrorThrottles(retry.DefaultThrottles)
	connection = retry.RetryableConnectionError{}
)

// Provider calls one model. It is safe for concurrent use.
type Provider struct {
	model    string
	converse func(context.Context, *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error)
}

// New returns a provider for a model's id or the ARN of an inference profile.
// It switches the client's retries off for its calls: else each attempt of the
// policy would be up to three.
func New(api *bedrockruntime.Client, policy *holdfast.Policy, model string) *Provider {
	return &Provider{model, holdfast.Wrap(policy, func(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
		return api.Converse(ctx, in, once)
	})}
}

func once(o *bedrockruntime.Options) { o.Retryer = aws.NopRetryer{} }

// Reply is a model's answer.
type Reply struct {
	Text   string
	Reason string // the reason of the end: "end_turn", or "max_tokens" if the limit was reached
	// PromptTokens and Tokens are the numbers of tokens read and written.
	PromptTokens, Tokens int
}

// Generate returns the model's complete answer to a prompt.
//
// The error is a *holdfast.Error around the SDK's error, or
// [holdfast.ErrDecode] for an answer without text.
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

// Converse makes the API's Converse call under the same policy, with all its fields
// (a system message, limits, tools). An empty ModelId means the provider's model.
func (p *Provider) Converse(ctx context.Context, in *bedrockruntime.ConverseInput) (*bedrockruntime.ConverseOutput, error) {
	if in.ModelId == nil {
		own := *in
		own.ModelId = &p.model
		in = &own
	}
	return p.converse(ctx, in)
}

// textOf joins the text blocks of an answer.
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
