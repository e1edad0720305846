package bedrock

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

const model = "anthropic.claude-3-sonnet-20240229-v1:0" // the model of requirement B9

// runtime answers like Bedrock's Converse: it repeats the prompt.
func runtime(r faultserver.Request) faultserver.Answer {
	if r.Method != http.MethodPost || r.Path != "/model/"+model+"/converse" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		return faultserver.Answer{Status: http.StatusForbidden, ContentType: "application/json", Body: []byte(`{"message":"no"}`)}
	}
	var in struct {
		Messages []struct {
			Role    string
			Content []struct{ Text string }
		}
	}
	if err := json.Unmarshal(r.Body, &in); err != nil || len(in.Messages) != 1 || in.Messages[0].Role != "user" {
		return faultserver.Answer{Status: http.StatusBadRequest, ContentType: "application/json", Body: []byte(`{"message":"no"}`)}
	}
	prompt := in.Messages[0].Content[0].Text
	said, _ := json.Marshal("you said: " + prompt)
	return faultserver.Answer{Status: http.StatusOK, ContentType: "application/json", Operation: prompt, Body: []byte(
		`{"output":{"message":{"role":"assistant","content":[{"text":` + string(said) + `},{"text":"."}]}},` +
			`"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":1}}`)}
}

// sdk returns the SDK's client of the service at url.
func sdk(url string, dial func(context.Context, string, string) (net.Conn, error)) *bedrockruntime.Client {
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: &url,
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	})
}

// ask runs a test in virtual time, with a policy by Policy without jitter and a
// service with the faults.
func ask(t *testing.T, test func(t *testing.T, s *faultserver.Server, p *Provider), faults ...fault.Rule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := faultserver.Start(t, fault.Plan{Rules: faults}, faultserver.InMemory(), faultserver.Backend(runtime))
		cfg := Policy()
		cfg.Retry.Jitter = holdfast.NoJitter
		test(t, s, New(sdk(s.URL(), s.Dial), holdfast.MustPolicy(cfg), model))
		synctest.Wait()
		time.Sleep(time.Second) // net/http closes a cut connection half a second later
	})
}

// rejects returns a rule with an error answer of the service.
func rejects(nth, code string, status int) fault.Rule {
	return fault.Rule{Nth: nth, Fault: fault.Fault{
		Status: status, Body: `{"message":"no"}`,
		Header: map[string]string{"Content-Type": "application/json", "X-Amzn-ErrorType": code},
	}}
}

// attempts returns the attempts of a failed call and checks that the service
// has seen as many.
func attempts(t *testing.T, s *faultserver.Server, err error, want int) []holdfast.Attempt {
	t.Helper()
	var e *holdfast.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not a *holdfast.Error", err)
	}
	if len(e.Attempts) != want || len(s.Record()) != want {
		t.Errorf("%d attempts, of which the service saw %d; want %d", len(e.Attempts), len(s.Record()), want)
	}
	return e.Attempts
}

func TestGenerate(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		got, err := p.Generate(t.Context(), "rye")
		if want := (Reply{"you said: rye.", "end_turn", 3, 4}); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if e := s.Effects(); e.Done != 1 || len(s.Record()) != 1 {
			t.Errorf("%+v after %d attempts; want 1 effect after 1", e, len(s.Record()))
		}
	})
}

// TestGenerateOutlives two failures with the waits of requirement B9.
func TestGenerateOutlives(t *testing.T) {
	for name, faults := range map[string][]fault.Rule{
		"throttling": {rejects("1-2", "ThrottlingException", 429)},
		"throttling by a code that has another status": {rejects("1-2", "ThrottlingException", 400)},
		"a model that is not ready":                    {rejects("1-2", "ModelNotReadyException", 429)},
		"500":                                          {rejects("1-2", "InternalServerException", 500)},
		"503":                                          {rejects("1-2", "ServiceUnavailableException", 503)},
		"a model that took too long":                   {rejects("1-2", "ModelTimeoutException", 408)},
		"502 of something in between":                  {{Nth: "1-2", Fault: fault.Fault{Status: 502, Body: "<html>"}}},
		"a reset":                                      {{Nth: "1-2", Fault: fault.Fault{Reset: fault.BeforeAnswer}}},
		"a close":                                      {{Nth: "1-2", Fault: fault.Fault{Close: fault.BeforeAnswer}}},
		"an answer that breaks off":                    {{Nth: "1-2", Fault: fault.Fault{Cut: &fault.Cut{After: 40, By: fault.FIN}}}},
		"an answer that makes no sense":                {{Nth: "1-2", Fault: fault.Fault{Status: 200, Body: "<html>"}}},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				began := time.Now()
				got, err := p.Generate(t.Context(), "rye")
				if took := time.Since(began); err != nil || got.Text != "you said: rye." || took != 3*time.Second || len(s.Record()) != 3 {
					t.Errorf("%+v, %v after %v and %d attempts; want the answer after 1 s + 2 s and 3", got, err, took, len(s.Record()))
				}
			}, faults...)
		})
	}
}

func TestGenerateGivesUp(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		_, err := p.Generate(t.Context(), "rye")
		var throttled *types.ThrottlingException
		if !errors.Is(err, holdfast.ErrRateLimited) || !errors.As(err, &throttled) {
			t.Errorf("%v; want ErrRateLimited around the SDK's ThrottlingException", err)
		}
		for i, a := range attempts(t, s, err, 4) {
			if a.Outcome != holdfast.Throttled {
				t.Errorf("attempt %d is %v; want throttled", i+1, a.Outcome)
			}
		}
	}, rejects("", "ThrottlingException", 429))
}

func TestGenerateIsToldNo(t *testing.T) {
	for code, status := range map[string]int{
		"ValidationException": 400, "AccessDeniedException": 403, "ResourceNotFoundException": 404,
		"ServiceQuotaExceededException": 400, "ModelErrorException": 424,
	} {
		ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
			_, err := p.Generate(t.Context(), "rye")
			if !errors.Is(err, holdfast.ErrStatus) || errors.Is(err, holdfast.ErrRateLimited) {
				t.Errorf("%s: %v; want ErrStatus", code, err)
			}
			attempts(t, s, err, 1)
		}, rejects("", code, status))
	}
}

// A cancellation ends the call at once, within an attempt and within a wait,
// and is not a failure of the service.
func TestGenerateIsCanceled(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"in an attempt": {Hang: fault.BeforeAnswer},
		"in a wait":     {Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(500*time.Millisecond, cancel)
				began := time.Now()
				_, err := p.Generate(ctx, "rye")
				if took := time.Since(began); !errors.Is(err, holdfast.ErrCanceled) || errors.Is(err, holdfast.ErrTimeout) || took != 500*time.Millisecond {
					t.Errorf("%v after %v; want ErrCanceled after 500 ms", err, took)
				}
				attempts(t, s, err, 1)
			}, fault.Rule{Fault: f})
		})
	}
}

// A service that hangs ends four attempts at their limit.
func TestGenerateTimesOut(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		began := time.Now()
		_, err := p.Generate(t.Context(), "rye")
		if took := time.Since(began); !errors.Is(err, holdfast.ErrTimeout) || took != 4*120*time.Second+7*time.Second {
			t.Errorf("%v after %v; want ErrTimeout after four attempts of 120 s and waits of 1, 2, 4 s", err, took)
		}
		attempts(t, s, err, 4)
	}, fault.Rule{Fault: fault.Fault{Hang: fault.BeforeAnswer}})
}

// A request that was not sent is neither repeated nor counted as a failure of
// the service.
func TestNothingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 1})
		cfg := Policy()
		cfg.Breaker = breaker
		noSuchHost := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		noKey := func(o *bedrockruntime.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("no key")
			})
		}
		api := sdk("http://nowhere.test", noSuchHost)
		for name, api := range map[string]*bedrockruntime.Client{
			"no such host": api, "no credentials": bedrockruntime.New(api.Options(), noKey),
		} {
			_, err := New(api, holdfast.MustPolicy(cfg), model).Generate(t.Context(), "rye")
			var e *holdfast.Error
			if !errors.As(err, &e) || len(e.Attempts) != 1 || e.Attempts[0].Outcome != holdfast.Unknown || breaker.State() != holdfast.Closed {
				t.Errorf("%s: %+v, breaker %v; want one attempt that the breaker does not count", name, err, breaker.State())
			}
		}
	})
}

// An untrusted certificate is tried once. Over real TLS.
func TestUntrustedCertificate(t *testing.T) {
	s := faultserver.Start(t, fault.Plan{}, faultserver.TLS(), faultserver.Backend(runtime))
	_, err := New(sdk(s.URL(), nil), holdfast.MustPolicy(Policy()), model).Generate(t.Context(), "rye")
	var e *holdfast.Error
	var untrusted *tls.CertificateVerificationError
	if !errors.As(err, &e) || !errors.As(err, &untrusted) || len(e.Attempts) != 1 {
		t.Errorf("%v; want one attempt, and the certificate's error", err)
	}
}

func TestAnswerWithoutText(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		_, err := p.Generate(t.Context(), "rye")
		if !errors.Is(err, holdfast.ErrDecode) || !strings.Contains(err.Error(), `"tool_use"`) || len(s.Record()) != 1 {
			t.Errorf("%v after %d attempts; want ErrDecode with tool_use, after 1", err, len(s.Record()))
		}
	}, fault.Rule{Fault: fault.Fault{
		Status: 200, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"tool_use"}`,
	}})
}

// TestConverse: the caller's input is not changed.
func TestConverse(t *testing.T) {
	ask(t, func(t *testing.T, s *faultserver.Server, p *Provider) {
		in := &bedrockruntime.ConverseInput{Messages: []types.Message{{
			Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "rye"}},
		}}}
		out, err := p.Converse(t.Context(), in)
		if err != nil || textOf(out) != "you said: rye." || in.ModelId != nil {
			t.Errorf("%v, input %+v", err, in)
		}
		in.ModelId = aws.String("another")
		if _, err = p.Converse(t.Context(), in); !errors.Is(err, holdfast.ErrStatus) || s.Record()[1].Path != "/model/another/converse" {
			t.Errorf("%v, %+v; want a call of the other model, rejected", err, s.Record())
		}
	})
}
