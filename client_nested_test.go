package holdfast_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// What an SDK repeats itself is one attempt, so that the two loops do not multiply. The log
// has it once, in numbers.
func TestNestedRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		header, first, repeat string
		nested                holdfast.Nested
		requests              int // of the first try and of its repeat
		logged                string
	}{
		"Stainless":         {"X-Stainless-Retry-Count", "0", "1", holdfast.Yield, 4 + 1, "sdk_attempt=2 most_requests=5"},
		"AWS":               {"Amz-Sdk-Request", "attempt=1; max=3", "attempt=2; max=3", holdfast.Yield, 4 + 1, "sdk_attempt=2 most_requests=6"},
		"gRPC":              {"Grpc-Previous-Rpc-Attempts", "", "2", holdfast.Yield, 4 + 1, "sdk_attempt=3 most_requests=6"},
		"multiplied":        {"X-Stainless-Retry-Count", "0", "2", holdfast.Multiply, 4 + 4, "sdk_attempt=3 most_requests=12"},
		"no number":         {"X-Stainless-Retry-Count", "0", "not a number", holdfast.Yield, 4 + 4, ""},
		"too large":         {"X-Stainless-Retry-Count", "0", "1000000", holdfast.Yield, 4 + 4, ""},
		"a negative number": {"Amz-Sdk-Request", "attempt=1", "attempt=-5; max=-3", holdfast.Yield, 4 + 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var text strings.Builder
				c, s := service(t, plan(rule("", "", fault.Fault{Status: 503})), holdfast.Config{
					Retry: holdfast.Retry{BaseDelay: time.Second, Nested: tt.nested}, Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
				}, holdfast.WithLogger(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn}))), holdfast.WithRetryLevel(slog.LevelDebug))
				for _, value := range []string{tt.first, tt.repeat, tt.first, tt.repeat} {
					req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/x", nil)
					if value != "" {
						req.Header.Set(tt.header, value)
					}
					resp, err := c.HTTPClient().Do(req)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
				}
				equal(t, "requests", len(s.Record()), 2*tt.requests)
				got := text.String()
				if tt.logged == "" {
					equal(t, "log", got, "")
				} else if strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="an SDK retries above this client, which retries too" client=echo`) || !strings.Contains(got, tt.logged) {
					t.Errorf("%s", got)
				}
			})
		})
	}
}
