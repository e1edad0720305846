package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// checkTexts checks that no text of an error breaks a line or a terminal, or is long.
func checkTexts(t *testing.T, err error) {
	t.Helper()
	texts := []string{err.Error(), fmt.Sprint(err), fmt.Sprintf("%+v", err)}
	var e *holdfast.Error
	if errors.As(err, &e) {
		texts = append(texts, strings.Split(e.Explain(), "\n")...)
		for _, a := range e.Attempts {
			texts = append(texts, a.Err.Error())
		}
	}
	for _, text := range texts {
		if wrong := printable(text); wrong != "" {
			t.Errorf("a text %s: %.1000q", wrong, text)
		}
	}
}

// Wherever a Location leads: the next request has a valid address, no password, no downgrade
// to http, and no header of the client at another origin.
func FuzzLocation(f *testing.F) {
	for i, location := range []string{
		"/x", "//other.test/x", "https://other.test", "http://service.test/x", "https://SERVICE.test:443/x?q", "http:/x", "https:x", "?q=a b", "#f", "",
		"https://me:secret@service.test/x", "https://other.test@service.test/", "https://service.test@other.test/", `https:\\other.test\x`, "/../..//x", "/%2e%2e/%00",
		"javascript:alert(1)", "file:///etc/passwd", "https://service.test\t.other.test/", "https://[::1]:443/", "https://service.test./x", "https://xn--e1aybc.test/\u202e", "/\x1b[2J", "/\r\nX-A: b",
		"https://service.test:0443/x", "https://service.test:/x", "HTTPS://service.test/x", "//service.test:443/%zz", "https://%73ervice.test/x", "//\u0083",
	} {
		f.Add(location, "", uint8(i))
		f.Add("//other.test/a", location, uint8(i*7))
	}
	f.Fuzz(func(t *testing.T, first, second string, how uint8) {
		var sent []*http.Request
		locations := []string{first, second}
		client, err := holdfast.New(holdfast.Config{
			BaseURL: "https://service.test/v1", Header: http.Header{"Authorization": {canary}, "X-Api-Key": {canary}}, MaxRedirects: 3,
			Retry: holdfast.Retry{MaxRetries: holdfast.Off}, Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		}, holdfast.WithTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r)
			answer := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}
			if n := len(sent); n <= len(locations) && locations[n-1] != "" {
				answer.StatusCode = []int{301, 302, 303, 307, 308}[how%5]
				answer.Header.Set("Location", locations[n-1])
			}
			return answer, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		method := []string{"GET", "POST", "HEAD", "DELETE"}[how/5%4]
		req, err := http.NewRequestWithContext(t.Context(), method, "https://service.test/v1/x?k="+canary, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			checkTexts(t, err)
			var s sinks
			s.failure(err)
			if leak := s.leaks(); leak != "" {
				t.Errorf("%q: this shows the secret:\n%s", locations, leak)
			}
		} else {
			resp.Body.Close()
		}
		if len(sent) == 0 || len(sent) > 4 {
			t.Fatalf("%q: %d requests", locations, len(sent))
		}
		left := false
		for i, r := range sent {
			u := r.URL
			if u.Scheme != "https" || u.User != nil || r.Header.Get("Referer") != "" {
				t.Errorf("%q: request %d goes to %q", locations, i, u)
			}
			if line := u.RequestURI() + u.Host + r.Host; strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q: request %d has a control character: %q", locations, i, line)
			}
			// An independent comparison: only this spelling of the origin is certainly the same.
			same := strings.EqualFold(u.Host, "service.test") || strings.EqualFold(u.Host, "service.test:443") || strings.EqualFold(u.Host, "service.test:")
			left = left || !same
			if _, has := r.Header["Authorization"]; has && left {
				t.Errorf("%q: request %d takes the credentials to %q", locations, i, u)
			}
			if _, has := r.Header["X-Api-Key"]; has && left {
				t.Errorf("%q: request %d takes the key to %q", locations, i, u)
			}
			if _, has := r.Header["Authorization"]; !has && !left {
				t.Errorf("%q: request %d has lost its credentials to %q", locations, i, u)
			}
		}
	})
}

// eventTexts are the texts of the errors in events.
type eventTexts struct{ texts []string }

func (s *eventTexts) Observe(_ context.Context, e holdfast.Event) {
	if e.Err != nil {
		s.texts = append(s.texts, e.Err.Error())
	}
}

// Whatever a service answers, also where it is not HTTP, and whatever a resolver tells: no text of an error, log or event
// breaks a line or a terminal, and none is long.
func FuzzErrorText(f *testing.F) {
	escape := "\x1b[2J\x1b]0;title\a\u202e\u2028\x00\x9b31m\xff"
	for _, answer := range answers {
		f.Add(strings.ReplaceAll(answer, "§", escape), "")
		f.Add(strings.ReplaceAll(answer, "§", strings.Repeat("long ", 200)), "")
	}
	f.Add("HTTP/1.1 302 Found\r\nLocation: //"+strings.Repeat("a.", 3000)+"test/\r\nContent-Length: 0\r\n\r\n", "")
	f.Add("", escape+strings.Repeat(escape, 100))
	f.Fuzz(func(t *testing.T, answer, dialError string) {
		dial := answering(answer)
		if dialError != "" { // as of a resolver
			dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New(dialError) }
		}
		var logged strings.Builder
		var events eventTexts
		client, err := holdfast.New(holdfast.Config{
			Name: "service", BaseURL: "http://service.test/v1", MaxRedirects: 2,
			Retry:   holdfast.Retry{MaxRetries: 1, BaseDelay: holdfast.Off, MaxRetryAfter: holdfast.Off},
			Breaker: holdfast.BreakerConfig{FailureThreshold: holdfast.Off},
		}, holdfast.WithDialContext(dial), holdfast.WithLogger(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			holdfast.WithObserver(&events))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = holdfast.Get[struct {
			At time.Time `json:"at"`
		}](ctx, client, "/x")
		if err != nil {
			checkTexts(t, err)
		}
		stream, err := client.Stream(ctx, http.MethodGet, "/x", nil)
		if err != nil {
			checkTexts(t, err)
		} else {
			for _, err := range stream.Events() {
				if err != nil {
					checkTexts(t, err)
				}
			}
			stream.Close()
		}
		for _, text := range append(events.texts, strings.Split(strings.TrimSuffix(logged.String(), "\n"), "\n")...) {
			if wrong := printable(text); wrong != "" {
				t.Errorf("a text %s: %.1000q", wrong, text)
			}
		}
	})
}
