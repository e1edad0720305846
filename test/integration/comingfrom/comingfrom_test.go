// Package comingfrom has one call written with other libraries and with
// holdfast, and its results, for docs/coming-from-go.md.
package comingfrom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/sony/gobreaker/v2"
	"resty.dev/v3"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Reply is the decoded answer of the call, a POST.
type Reply struct{ Text string }

const wait = 10 * time.Millisecond

var question = map[string]string{"input": "text"}

func retryableBefore(ctx context.Context, url string) (out Reply, err error) {
	client := retryablehttp.NewClient()
	client.RetryMax, client.RetryWaitMin, client.RetryWaitMax = 3, wait, time.Second
	client.HTTPClient.Timeout = 30 * time.Second
	client.Logger = nil

	body, err := json.Marshal(question)
	if err != nil {
		return out, err
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, url+"/ask", body)
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("ask: %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&out)
	return out, err
}

func postAfter(ctx context.Context, url string) (out Reply, err error) {
	client, err := holdfast.New(holdfast.Config{
		Name: "answers", BaseURL: url,
		Timeouts: holdfast.Timeouts{Attempt: 30 * time.Second},
		Retry:    holdfast.Retry{MaxRetries: 3, BaseDelay: wait, MaxDelay: time.Second},
	})
	if err != nil {
		return out, err
	}
	defer client.Close()

	return holdfast.Post[Reply](ctx, client, "/ask", question)
}

func standardBefore(ctx context.Context, url string) (Reply, error) {
	client := retryablehttp.NewClient()
	client.RetryMax, client.RetryWaitMin = 3, wait
	client.Logger = nil

	return sdk(ctx, client.StandardClient(), url)
}

func failsafeBefore(ctx context.Context, url string) (Reply, error) {
	retries := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(3).WithBackoff(wait, time.Second).Build()
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
		WithFailureThreshold(15).WithDelay(time.Minute).WithSuccessThreshold(3).Build()
	limit := timeout.New[*http.Response](30 * time.Second)
	client := &http.Client{Transport: failsafehttp.NewRoundTripper(nil, retries, breaker, limit)}

	return sdk(ctx, client, url)
}

func transportAfter(ctx context.Context, url string) (out Reply, err error) {
	client, err := holdfast.New(holdfast.Config{
		BaseURL:  url,
		Retry:    holdfast.Retry{MaxRetries: 3, BaseDelay: wait, MaxDelay: time.Second},
		Breaker:  holdfast.BreakerConfig{FailureThreshold: 15, OpenTimeout: time.Minute, HalfOpenMaxCalls: 3},
		Timeouts: holdfast.Timeouts{Attempt: 30 * time.Second},
	})
	if err != nil {
		return out, err
	}
	defer client.Close()

	return sdk(ctx, client.HTTPClient(holdfast.RepeatPOST()), url)
}

func executorBefore(ctx context.Context, query func(context.Context) (Reply, error)) (Reply, error) {
	retries := retrypolicy.NewBuilder[Reply]().
		HandleErrors(errDown).WithMaxRetries(3).WithBackoff(wait, time.Second).Build()
	breaker := circuitbreaker.NewBuilder[Reply]().WithFailureThreshold(5).WithDelay(time.Minute).Build()

	return failsafe.With(retries, breaker).WithContext(ctx).
		GetWithExecution(func(e failsafe.Execution[Reply]) (Reply, error) { return query(e.Context()) })
}

func policyAfter(ctx context.Context, query func(context.Context) (Reply, error)) (Reply, error) {
	policy := holdfast.MustPolicy(holdfast.PolicyConfig{
		Name: "query",
		Retry: holdfast.Retry{
			MaxRetries: 3, BaseDelay: wait, MaxDelay: time.Second,
			On: holdfast.Is(errDown),
		},
		Breaker: holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 5, OpenTimeout: time.Minute}),
	})

	return holdfast.Do(ctx, policy, query)
}

func restyBefore(ctx context.Context, url string) (out Reply, err error) {
	client := resty.New().
		SetBaseURL(url).
		SetTimeout(30 * time.Second).
		SetRetryCount(3).SetRetryWaitTime(wait).SetRetryMaxWaitTime(time.Second).
		SetRetryAllowNonIdempotent(true).AddRetryConditions(resty.RetryConditionStatus5XX)
	defer client.Close()

	resp, err := client.R().SetContext(ctx).SetBody(question).SetResult(&out).Post("/ask")
	if err == nil && resp.IsStatusFailure() {
		err = fmt.Errorf("ask: %s", resp.Status())
	}
	return out, err
}

func backoffBefore(ctx context.Context, query func(context.Context) (Reply, error)) (Reply, error) {
	breaker := gobreaker.NewCircuitBreaker[Reply](gobreaker.Settings{
		Timeout:     time.Minute,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 5 },
	})
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = wait, time.Second

	return backoff.Retry(ctx, func() (Reply, error) {
		out, err := breaker.Execute(func() (Reply, error) { return query(ctx) })
		if err != nil && !errors.Is(err, errDown) {
			err = backoff.Permanent(err) // an open breaker too
		}
		return out, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(4))
}

// sdk is code that takes an http.Client.
func sdk(ctx context.Context, client *http.Client, url string) (out Reply, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return out, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/ask", bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("%w: %s", errDown, resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&out)
	return out, err
}

var errDown = errors.New("the service is down")

type call func(ctx context.Context, url string) (Reply, error)

// queried adapts a call over a bare http.Client to a query.
func queried(do func(context.Context, func(context.Context) (Reply, error)) (Reply, error)) call {
	return func(ctx context.Context, url string) (Reply, error) {
		return do(ctx, func(ctx context.Context) (Reply, error) { return sdk(ctx, http.DefaultClient, url) })
	}
}

// Each variant calls a service that is down twice, one that stays down, one
// that does the work but loses the connection before the answer, and one with
// an answer that breaks off within its body. The results are in the document's
// table, as this prints it:
//
//	cd test/integration && GOWORK=off go test -run TestComingFromGo -v ./comingfrom
func TestComingFromGo(t *testing.T) {
	page, err := os.ReadFile("../../../docs/coming-from-go.md")
	if err != nil {
		t.Fatal(err)
	}
	scenes := []fault.Rule{
		{Nth: "1-2", Fault: fault.Fault{Status: 503}},
		{Fault: fault.Fault{Status: 503, Body: "back at noon"}},
		{Nth: "1", Fault: fault.Fault{Commit: true, Reset: fault.BeforeAnswer}},
		{Nth: "1", Fault: fault.Fault{Cut: &fault.Cut{After: 5, Of: fault.Body}}},
	}
	for _, w := range []struct {
		name string
		call call
		says string // for a service that stays down
	}{
		{"go-retryablehttp", retryableBefore, "POST URL/ask giving up after 4 attempt(s)"},
		{"go-retryablehttp, `StandardClient`", standardBefore, `Post "URL/ask": POST URL/ask giving up after 4 attempt(s)`},
		{"failsafehttp", failsafeBefore, `Post "URL/ask": retries exceeded. last result: &{503 Service Unavailable 503 HTTP/1.1 1 1 map[Content-Length:[12] `},
		{"resty", restyBefore, "ask: 503 Service Unavailable"},
		{"failsafe-go around a function", queried(executorBefore), "retries exceeded. last result: {}, last error: the service is down: 503 Service Unavailable"},
		{"backoff and gobreaker around it", queried(backoffBefore), "the service is down: 503 Service Unavailable"},
		{"`holdfast.Post`", postAfter, "holdfast: POST /ask: service unavailable after 4 attempts in TIME: 503 Service Unavailable"},
		{"`Client.HTTPClient`", transportAfter, "the service is down: 503 Service Unavailable"},
		{"`holdfast.Do`", queried(policyAfter), "holdfast: query: failed after 4 attempts in TIME: the service is down: 503 Service Unavailable"},
	} {
		row := "| " + w.name
		for i, scene := range scenes {
			s := faultserver.Start(t, fault.Plan{Rules: []fault.Rule{scene}}, faultserver.Backend(answers))
			out, err := w.call(t.Context(), s.URL())
			row += " | " + ending(out, err, len(s.Record()), s.Effects())
			if i == 1 && !strings.HasPrefix(strings.ReplaceAll(took.ReplaceAllString(fmt.Sprint(err), "in TIME:"), s.URL(), "URL"), w.says) {
				t.Errorf("%s says %v", w.name, err)
			}
		}
		t.Log(row + " |")
		if !strings.Contains(string(page), row+" |\n") {
			t.Errorf("the page has not: %s |", row)
		}
		if says := strings.ReplaceAll(strings.ReplaceAll(w.says, "URL", "http://host"), "TIME", "35ms"); !strings.Contains(string(page), says) {
			t.Errorf("the page has not: %s", says)
		}
	}
}

var took = regexp.MustCompile(`in [0-9.]+m?s:`)

// answers is a service that does one piece of work.
func answers(faultserver.Request) faultserver.Answer {
	return faultserver.Answer{Status: http.StatusOK, ContentType: "application/json", Body: []byte(`{"text":"an answer"}`), Operation: "it"}
}

func ending(out Reply, err error, requests int, effects faultserver.Effects) string {
	how := "answered"
	if err != nil {
		how = "error"
	} else if out.Text != "an answer" {
		how = "half an answer"
	}
	how += fmt.Sprintf(", %d sent", requests)
	if effects.Duplicates > 0 {
		how += ", done twice"
	}
	return how
}
