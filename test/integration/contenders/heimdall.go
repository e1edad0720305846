package contenders

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/hystrix"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// throughHeimdall is heimdall's client over hystrix. It has no hook to say what is
// repeatable; its user has a second one that repeats nothing.
type throughHeimdall struct {
	repeating, single *hystrix.Client
	http              *http.Client
	terms             conformance.Terms
}

// commands numbers them: hystrix keeps one breaker for each name in the process.
var commands atomic.Int64

func newHeimdall(s Settings) (conformance.Client, error) {
	client := &http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}
	name := fmt.Sprintf("service-%d", commands.Add(1))
	// hystrix opens by the share of failures in ten seconds, not by failures in a
	// row; with 50 % and a volume of the threshold an outage opens it as soon.
	threshold, percent, window := 1_000_000, 100, time.Second
	if s.Threshold > 0 {
		threshold, percent, window = s.Threshold, 50, s.OpenFor
	}
	newClient := func(retries int) *hystrix.Client {
		return hystrix.NewClient(
			hystrix.WithCommandName(name),
			hystrix.WithHTTPClient(client),
			hystrix.WithHystrixTimeout(2*s.Terms.Attempt), // of one attempt; the client's own comes first
			hystrix.WithMaxConcurrentRequests(1000),
			hystrix.WithRequestVolumeThreshold(threshold),
			hystrix.WithErrorPercentThreshold(percent),
			hystrix.WithSleepWindow(int(window/time.Millisecond)),
			hystrix.WithRetryCount(retries),
			hystrix.WithRetrier(heimdall.NewRetrier(heimdall.NewExponentialBackoff(s.Terms.Base, s.Terms.Max, 2, s.Terms.Base))),
		)
	}
	return throughHeimdall{newClient(s.Terms.Retries), newClient(0), client, s.Terms}, nil
}

func (h throughHeimdall) Do(ctx context.Context, call conformance.Call) conformance.Answer {
	req, err := call.Request(ctx)
	if err != nil {
		return conformance.Answer{Err: err}
	}
	client := h.repeating
	if !call.Repeatable() {
		client = h.single
	}
	resp, err := client.Do(req)
	if resp == nil && err == nil {
		err = fmt.Errorf("neither an answer nor an error")
	}
	return read(resp, err, h.terms)
}

func (h throughHeimdall) Close() { h.http.CloseIdleConnections() }
