package holdfast_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
	"github.com/holdfast-go/holdfast/faultserver"
)

// Retry.On sees the beginning of a declining answer through the SDK transport, too. The SDK
// gets the whole answer afterwards, of any length and speed.
func TestRetryOnSeesTheBodyOfADecliningAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  fault.Fault
		body   string
		sees   string
		within time.Duration // for On
	}{
		{"short", fault.Fault{Healthy: true}, "no such luck", "no such luck", 0},
		{"empty", fault.Fault{Healthy: true}, "", "", 0},
		{"long", fault.Fault{Healthy: true}, strings.Repeat("long ", 100_000), strings.Repeat("long ", 100_000)[:64<<10], 0},
		{"slow", fault.Fault{Drip: &fault.Drip{Bytes: 4, Every: 2 * time.Second}}, "four by four", "", 500 * time.Millisecond},
	} {
		for _, again := range []bool{false, true} {
			t.Run(map[bool]string{false: tt.name, true: tt.name + ", repeated"}[again], func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					answers := 0
					backend := func(faultserver.Request) faultserver.Answer {
						if answers++; answers > 1 {
							return faultserver.Answer{Status: 200}
						}
						return faultserver.Answer{Status: 409, Body: []byte(tt.body)}
					}
					var saw []string
					start, asked := time.Now(), time.Duration(0)
					c, s := serving(t, backend, plan(rule("", "1", tt.fault)), holdfast.Config{
						Retry: holdfast.Retry{On: func(err error) bool {
							var declined *holdfast.StatusError
							if errors.As(err, &declined) {
								saw = append(saw, string(declined.Body))
							}
							asked = time.Since(start)
							return again
						}},
						Breaker: holdfast.BreakerConfig{FailureThreshold: 1, OpenTimeout: time.Second},
					})
					req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/x", nil)
					resp, err := c.HTTPClient().Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					equal(t, "asked after", asked, tt.within)
					if len(saw) != 1 || saw[0] != tt.sees {
						t.Errorf("Retry.On saw %d answers, the first of %d bytes", len(saw), len(strings.Join(saw, "")))
					}
					b, err := io.ReadAll(resp.Body)
					if again {
						equal(t, "status", resp.StatusCode, 200)
						return
					}
					if resp.StatusCode != 409 || string(b) != tt.body || err != nil {
						t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(b), err)
					}
				})
			})
		}
	}
}
