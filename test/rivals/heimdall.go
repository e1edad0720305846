package rivals

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/hystrix"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// commands numbers the clients: hystrix has one breaker per name in the process.
var commands atomic.Int64

// newHeimdall is heimdall's client over hystrix. It has no hook for calls that are
// not repeatable, so a second client without retries sends them.
func newHeimdall(s Settings) (conformance.Client, error) {
	client := &http.Client{Transport: newTransport(s), Timeout: s.Terms.Attempt}
	name := fmt.Sprintf("service-%d", commands.Add(1))
	// hystrix opens at a share of failures in ten seconds, not at consecutive
	// failures. With 50 % and a volume of the threshold, an outage opens it as soon.
	threshold, percent, window := 1_000_000, 100, time.Second
	if s.Threshold > 0 {
		threshold, percent, window = s.Threshold, 50, s.OpenFor
	}
	newClient := func(retries int) *hystrix.Client {
		return hystrix.NewClient(
			hystrix.WithCommandName(name),
			hystrix.WithHTTPClient(client),
			hystrix.WithHystrixTimeout(2*s.Terms.Attempt), // of one attempt; the timeout of client is shorter
			hystrix.WithMaxConcurrentRequests(1000),
			hystrix.WithRequestVolumeThreshold(threshold),
			hystrix.WithErrorPercentThreshold(percent),
			hystrix.WithSleepWindow(int(window/time.Millisecond)),
			hystrix.WithRetryCount(retries),
			hystrix.WithRetrier(heimdall.NewRetrier(heimdall.NewExponentialBackoff(s.Terms.Base, s.Terms.Max, 2, s.Terms.Base))),
		)
	}
	return sender{httpClients{
		answering{newClient(s.Terms.Retries)}, answering{newClient(0)},
	}, s.Terms, client.CloseIdleConnections, nil}, nil
}

// answering returns an error where hystrix returns neither an answer nor an error.
type answering struct{ *hystrix.Client }

func (a answering) Do(req *http.Request) (*http.Response, error) {
	resp, err := a.Client.Do(req)
	if resp == nil && err == nil {
		err = errors.New("neither an answer nor an error")
	}
	return resp, err
}
