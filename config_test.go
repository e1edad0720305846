package holdfast_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// Requirement B2a: every problem at once, each with the field, its value and the values
// allowed.
func TestConfigProblems(t *testing.T) {
	err := holdfast.Config{
		BaseURL:          "localhost:11434",
		Header:           http.Header{"X Y": {"v"}, "X-Key": {"a\nb"}},
		Timeouts:         holdfast.Timeouts{Connect: -5 * time.Second, Total: 1000 * 24 * time.Hour},
		Pool:             holdfast.Pool{MaxConns: -3, MaxIdleConns: 1 << 21},
		Retry:            holdfast.Retry{BaseDelay: 20 * time.Second, MaxDelay: 10 * time.Second, Jitter: 9, Repeat: 9},
		Breaker:          holdfast.BreakerConfig{OpenTimeout: holdfast.Off},
		Bulkhead:         holdfast.BulkheadConfig{MaxWait: time.Second},
		RequestIDHeader:  "X:ID",
		MaxResponseBytes: -9,
		MaxEventBytes:    1 << 40,
	}.Validate()
	want := map[string]bool{
		`holdfast: Config.BaseURL is "localhost:11434": has no scheme; did you mean "http://localhost:11434"?`: true,
		`holdfast: Config.Header has the name "X…": must be letters, digits and hyphens`:                       true,
		`holdfast: Config.Header X-Key has a control character in its value`:                                   true,
		`holdfast: Config.RequestIDHeader has the name "X…": must be letters, digits and hyphens`:              true,
		`holdfast: Config.Timeouts.Connect is -5s: must be positive, zero for 10s, or Off`:                     true,
		`holdfast: Config.Timeouts.Total is 24000h0m0s: must be at most 8760h0m0s`:                             true,
		`holdfast: Config.Pool.MaxConns is -3: must be positive, zero for 50, or Off`:                          true,
		`holdfast: Config.Pool.MaxIdleConns is 2097152: must be at most 1048576`:                               true,
		`holdfast: Config.Retry.MaxDelay is 10s: must be at least BaseDelay, which is 20s`:                     true,
		`holdfast: Config.Retry.Jitter is 9: must be Full, Proportional, Decorrelated or NoJitter`:             true,
		`holdfast: Config.Retry.Repeat is 9: must be RepeatKeyed, RepeatSafe or RepeatNever`:                   true,
		`holdfast: Config.Breaker.OpenTimeout is -1ns (Off): must be positive or zero for 1m0s`:                true,
		`holdfast: Config.Bulkhead.MaxWait is 1s: must be zero here; set Timeouts.Acquire`:                     true,
		`holdfast: Config.MaxResponseBytes is -9: must be positive, zero for 33554432, or Off`:                 true,
		`holdfast: Config.MaxEventBytes is 1099511627776: must be at most 1073741824`:                          true,
	}
	problems, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatal(err)
	}
	for _, p := range problems.Unwrap() {
		if !want[p.Error()] {
			t.Errorf("unexpected: %v", p)
		}
		delete(want, p.Error())
	}
	for p := range want {
		t.Errorf("not reported: %s", p)
	}
}

// A header that is the same for all calls cannot have their id, and no credential can be the
// id, which logs show.
func TestIDsInConfig(t *testing.T) {
	const canary = "s3cret"
	key := "must be left out; IdempotencyKey sends a new one with each call"
	id := "must be left out, since each call gets an id of its own"
	credential := "must be a header that holds no credential, since logs show the id"
	for _, c := range []struct {
		header, idHeader string
		want             string
	}{
		{"x-request-id", "", "holdfast: Config.Header X-Request-Id would be the same id for all calls: " + id},
		{"X-Request-ID", "X-Op", "holdfast: Config.Header X-Request-Id would be the same id for all calls: " + id},
		{"X-OP", "x-op", "holdfast: Config.Header X-Op would be the same id for all calls: " + id},
		{"idempotency-key", "", "holdfast: Config.Header Idempotency-Key would be the same key for all calls: " + key},
		{"Idempotency-Key", "Idempotency-Key", "holdfast: Config.Header Idempotency-Key would be the same key for all calls: " + key},
		{"X-Idempotency-Key", "", "holdfast: Config.Header X-Idempotency-Key would be the same key for all calls: " + key},
		{"X-Op", "", ""},
		{"X-Request-Ids", "X-Op", ""},
		{"X-Api-Key", "", ""},
		{"", "authorization", `holdfast: Config.RequestIDHeader is "Authorization": ` + credential},
		{"", "Proxy-Authorization", `holdfast: Config.RequestIDHeader is "Proxy-Authorization": ` + credential},
		{"", "COOKIE", `holdfast: Config.RequestIDHeader is "Cookie": ` + credential},
		{"", "x-api-key", `holdfast: Config.RequestIDHeader is "X-Api-Key": ` + credential},
		{"", "api-key", `holdfast: Config.RequestIDHeader is "Api-Key": ` + credential},
		{"", "X-Goog-Api-Key", `holdfast: Config.RequestIDHeader is "X-Goog-Api-Key": ` + credential},
		{"", "X-Amz-Security-Token", `holdfast: Config.RequestIDHeader is "X-Amz-Security-Token": ` + credential},
		{"", "Ocp-Apim-Subscription-Key", `holdfast: Config.RequestIDHeader is "Ocp-Apim-Subscription-Key": ` + credential},
		{"", "X-Auth", `holdfast: Config.RequestIDHeader is "X-Auth": ` + credential},
		{"", "X-Correlation-Id", ""},
		{"", "X-Client-Token", ""}, // an idempotency key of AWS
		{"", "Idempotency-Key", ""},
		{"", "X-Authors", ""},
	} {
		cfg := holdfast.Config{BaseURL: "http://a.test", RequestIDHeader: c.idHeader}
		if c.header != "" {
			cfg.Header = http.Header{c.header: {canary}}
		}
		got := ""
		if _, err := holdfast.New(cfg); err != nil {
			got = err.Error()
		}
		equal(t, fmt.Sprintf("header %q, id header %q", c.header, c.idHeader), got, c.want)
	}
}

func TestBaseURLProblems(t *testing.T) {
	for url, want := range map[string]string{
		"":                     `holdfast: Config.BaseURL is empty: must be an address like "https://api.example.com/v1"`,
		"ftp://api.test":       `holdfast: Config.BaseURL is "ftp://api.test": must begin with http:// or https://`,
		"https://":             `holdfast: Config.BaseURL is "https://": has no host`,
		"api.test":             `holdfast: Config.BaseURL is "api.test": must begin with http:// or https://`,
		"http://a.test/?k=v":   `holdfast: Config.BaseURL has a query or a fragment: must end with its path`,
		"http://u:p@a.test":    `holdfast: Config.BaseURL has a user or password in it: send credentials by Header or Authorize`,
		"http://a.test/%zz":    `holdfast: Config.BaseURL cannot be parsed`,
		"http://a.test/v1":     "",
		"me:s3cret@a.test":     `holdfast: Config.BaseURL has a user or password in it: send credentials by Header or Authorize`,
		"a.test:80?key=s3cret": `holdfast: Config.BaseURL has a query or a fragment: must end with its path`,
		"https://a.test:8443":  "",
	} {
		got := ""
		if err := (holdfast.Config{BaseURL: url}).Validate(); err != nil {
			got = err.Error()
		}
		equal(t, url, got, want)
	}
}

// Requirement B2b: the zero Config means these values. A registry reports the settings that
// differ.
func TestDefaults(t *testing.T) {
	var r holdfast.Registry
	r.Reset(t)
	written := holdfast.Config{
		Timeouts: holdfast.Timeouts{
			Connect: 10 * time.Second, Write: 10 * time.Second, Read: time.Minute, Acquire: 5 * time.Second, Attempt: time.Minute,
		},
		Pool: holdfast.Pool{MaxConns: 50, MaxIdleConns: 20, IdleExpiry: 30 * time.Second},
		Retry: holdfast.Retry{
			MaxRetries: 3, BaseDelay: time.Second, MaxDelay: 10 * time.Second, MaxRetryAfter: time.Minute, Jitter: holdfast.Full,
		},
		Breaker:         holdfast.BreakerConfig{FailureThreshold: 15, OpenTimeout: time.Minute, HalfOpenMaxCalls: 3},
		Bulkhead:        holdfast.BulkheadConfig{MaxConcurrent: 50, MaxQueue: 1000},
		RequestIDHeader: "X-Request-ID", MaxResponseBytes: 32 << 20, MaxEventBytes: 8 << 20,
	}
	for _, cfg := range []holdfast.Config{{}, written} {
		cfg.BaseURL = "http://a.test"
		if _, err := r.Open("a", cfg); err != nil {
			t.Error(err)
		}
	}
}

// A default that follows another setting changes with it.
func TestDefaultsGiveWay(t *testing.T) {
	if err := (holdfast.Config{BaseURL: "http://a.test", Retry: holdfast.Retry{BaseDelay: time.Minute}}).Validate(); err != nil {
		t.Error(err)
	}
}

// A client does not change when the caller changes its Config afterwards.
func TestConfigIsCopied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got http.Header
		h := http.Header{"X-Team": {"infra"}}
		c, err := holdfast.New(holdfast.Config{BaseURL: "http://a.test", Header: h},
			holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.Header
				return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
			})))
		if err != nil {
			t.Fatal(err)
		}
		h.Set("X-Team", "web")
		if _, err := c.Get(t.Context(), "/"); err != nil {
			t.Fatal(err)
		}
		equal(t, "header", got.Get("X-Team"), "infra")
	})
}

// A client with DefaultRetryOn repeats the same failures as a client without Retry.On, and
// returns the same errors.
func TestDefaultRetryOn(t *testing.T) {
	faults := []fault.Fault{{Cut: &fault.Cut{After: 0}}, {Hang: fault.BeforeAnswer}, {Hang: fault.AfterHeaders}, {Status: 429, RetryAfter: time.Second}}
	for status := 400; status < 600; status++ {
		faults = append(faults, fault.Fault{Status: status})
	}
	repeated := 0
	for i, f := range faults {
		var ends [2]string
		for j, on := range []func(error) bool{nil, holdfast.DefaultRetryOn} {
			bubble(t, func(t *testing.T) {
				c, s := service(t, plan(rule("", "", f)), holdfast.Config{Retry: holdfast.Retry{MaxRetries: 1, On: on}})
				_, err := c.Get(t.Context(), "/")
				var failed *holdfast.Error
				errors.As(err, &failed)
				ends[j] = fmt.Sprint(len(s.Record()), failed.Stopped, failed.Err)
				if len(s.Record()) == 2 {
					repeated++
				}
			})
		}
		if ends[0] != ends[1] {
			t.Errorf("fault %d: by default %s, with DefaultRetryOn %s", i, ends[0], ends[1])
		}
	}
	equal(t, "of these repeated", repeated, 2*(4+2+100)) // 408, 429 and 5xx
}
