package holdfast_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// A repeat that the service can recognize only by the call's id is told once for each
// client, with the settings that change it.
func TestRepeatedByID(t *testing.T) {
	lost := fault.Fault{Reset: fault.BeforeAnswer}
	post := func(t *testing.T, c *holdfast.Client, opts ...holdfast.CallOption) {
		if _, err := c.Post(t.Context(), "/pay", 1, opts...); err != nil {
			t.Error(err)
		}
	}
	for name, tt := range map[string]struct {
		cfg   holdfast.Config
		fault fault.Fault
		call  func(t *testing.T, c *holdfast.Client)
		tells bool
	}{
		"a lost answer":     {fault: lost, tells: true},
		"a 500":             {fault: fault.Fault{Status: 500}, tells: true},
		"a 503":             {fault: fault.Fault{Status: 503}, tells: true},
		"a PATCH":           {fault: lost, call: func(t *testing.T, c *holdfast.Client) { _, _ = c.Patch(t.Context(), "/pay", 1) }, tells: true},
		"by Do":             {fault: lost, call: do, tells: true},
		"an id of its own":  {fault: lost, call: func(t *testing.T, c *holdfast.Client) { post(t, c, holdfast.WithHeader("X-Request-ID", "7")) }, tells: true},
		"a 429":             {fault: fault.Fault{Status: 429}},
		"a 503 with a wait": {fault: fault.Fault{Status: 503, RetryAfter: 1}},
		"no repeat follows": {fault: fault.Fault{Status: 400}, call: func(t *testing.T, c *holdfast.Client) { _, _ = c.Post(t.Context(), "/pay", 1) }},
		"a GET":             {fault: lost, call: func(t *testing.T, c *holdfast.Client) { _, _ = c.Get(t.Context(), "/pay") }},
		"IdempotencyKey":    {cfg: holdfast.Config{IdempotencyKey: true}, fault: lost},
		"a key":             {fault: lost, call: func(t *testing.T, c *holdfast.Client) { post(t, c, holdfast.WithIdempotencyKey("7")) }},
		"RepeatSafe":        {cfg: holdfast.Config{Retry: holdfast.Retry{Repeat: holdfast.RepeatSafe}}, fault: lost, call: func(t *testing.T, c *holdfast.Client) { _, _ = c.Post(t.Context(), "/pay", 1) }},
		"under an SDK":      {fault: lost, call: func(t *testing.T, c *holdfast.Client) { sdkPost(t, c, holdfast.RepeatPOST()) }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var text strings.Builder
				var events recorder
				c, _ := service(t, plan(rule("/pay", "1", tt.fault), rule("/pay", "3", tt.fault)), tt.cfg, holdfast.WithObserver(&events),
					holdfast.WithLogger(slog.New(slog.NewTextHandler(&text, nil))))
				if tt.call == nil {
					tt.call = func(t *testing.T, c *holdfast.Client) { post(t, c) }
				}
				for range 2 {
					tt.call(t, c)
				}
				told, got := events.all(holdfast.EventRepeatedByID), text.String()
				if !tt.tells {
					if len(told) > 0 || got != "" {
						t.Errorf("it tells %+v and logs\n%s", told, got)
					}
					return
				}
				if len(told) != 1 || told[0].Attempt != 1 || told[0].Of != 4 || told[0].Path != "/pay" {
					t.Errorf("it tells %+v", told)
				}
				want := ` path=/pay settings="IdempotencyKey: true sends it as Idempotency-Key too; Retry.Repeat: RepeatSafe does not repeat"` + "\n"
				if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, want) ||
					!strings.Contains(got, `level=INFO msg="a request that may have been done is repeated, with its request id as the only key" client=echo request_id=`) {
					t.Errorf("it logs\n%s\nwant one line that ends with\n%s", got, want)
				}
			})
		})
	}
}

func do(t *testing.T, c *holdfast.Client) {
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "/pay", strings.NewReader("1"))
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func sdkPost(t *testing.T, c *holdfast.Client, opts ...holdfast.TransportOption) {
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://faultserver.test/pay", strings.NewReader("1"))
	resp, err := c.HTTPClient(opts...).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
