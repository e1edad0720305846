package holdfast_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
)

// answersInTurn answers the nth request with the nth answer, and the rest with 200.
func answersInTurn(t *testing.T, answers ...http.HandlerFunc) (url string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n := requests.Add(1); int(n) <= len(answers) {
			answers[n-1](w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func saying(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
	}
}

// What says that nothing was done, or that it is worth another try, is repeated with every
// method; what fails again is not repeated.
func TestAnswersThatAreWorthRepeating(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answer   http.HandlerFunc
		twice    bool // the second answer is the same
		requests int64
		failures int
	}{
		{"409, x-should-retry: true", saying(409, "X-Should-Retry: true"), false, 2, 0},
		{"404, x-should-retry: true", saying(404, "X-Should-Retry: true"), false, 2, 0},
		{"400 that asks for a wait", saying(400, "Retry-After-Ms: 1"), false, 2, 0},
		{"401 that asks for a wait", saying(401, "Retry-After-Ms: 1"), false, 2, 0},
		{"403 that asks for a wait", saying(403, "Retry-After-Ms: 1"), false, 2, 0},
		{"503, Retry-After: 0", saying(503, "Retry-After: 0"), false, 2, 0},
		{"529, Retry-After: 0", saying(529, "Retry-After: 0"), false, 2, 0},
		{"503 without a wait", saying(503), false, 1, 1},
		{"501", saying(501), false, 1, 0},
		{"505", saying(505), false, 1, 0},
		{"421, once", saying(421), true, 2, 0},
		{"425, once", saying(425), true, 2, 0},
		{"409 without a reason", saying(409), false, 1, 0},
		{"403 without a wait", saying(403), false, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := []http.HandlerFunc{tt.answer}
			if tt.twice {
				answers = slices.Repeat(answers, 9)
			}
			url, requests := answersInTurn(t, answers...)
			c := over(t, url, holdfast.Config{})
			resp, err := c.HTTPClient().Post(url, "text/plain", strings.NewReader("x")) // has no key
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			equal(t, "requests", requests.Load(), tt.requests)
			equal(t, "failures", c.Breaker().Stats().FailureCount, tt.failures)
		})
	}
}

// The first attempt works on after its limit, and the second finds the key in use: it is the
// operation's own, so that the wait for the answer goes on.
func TestKeyInUse(t *testing.T) {
	working := func(ends <-chan struct{}) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { <-ends }
	}
	ends := make(chan struct{})
	url, requests := answersInTurn(t, working(ends), saying(409), func(w http.ResponseWriter, r *http.Request) {
		close(ends)
		w.WriteHeader(409)
	})
	c := over(t, url, holdfast.Config{
		IdempotencyKey: true, Timeouts: holdfast.Timeouts{Attempt: 100 * time.Millisecond}, Breaker: holdfast.BreakerConfig{FailureThreshold: 2},
	})
	resp, err := c.Post(t.Context(), "/charges", 1)
	if err != nil || resp.Attempts != 4 {
		t.Errorf("%v; want the answer of the charge that was made", err)
	}
	equal(t, "requests", requests.Load(), 4)
	equal(t, "breaker", c.Breaker().State(), holdfast.Closed)

	// A 409 of the first attempt is about another operation, and so is one without a key.
	for _, key := range []bool{true, false} {
		url, requests = answersInTurn(t, saying(409))
		c = over(t, url, holdfast.Config{IdempotencyKey: key})
		_, err = c.Post(t.Context(), "/charges", 1)
		is(t, err, holdfast.ErrStatus)
		equal(t, "requests", requests.Load(), 1)
	}
	url, requests = answersInTurn(t, saying(500), saying(409))
	c = over(t, url, holdfast.Config{})
	_, err = c.Post(t.Context(), "/charges", 1)
	is(t, err, holdfast.ErrStatus)
	equal(t, "requests without a key", requests.Load(), 2)
}

// A token that was revoked early is replaced once, if Authorize has another.
func TestRevokedToken(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer s.Close()
	for name, tt := range map[string]struct {
		authorize func(n int, r *http.Request) error
		calls     int
		seen      string
		ok        bool
	}{
		"another token": {func(n int, r *http.Request) error {
			r.Header.Set("Authorization", []string{"", "Bearer old", "Bearer good"}[n])
			return nil
		}, 2, "Bearer old,Bearer good", true},
		"a cache that is told of the 401": {func(n int, r *http.Request) error {
			if declined := holdfast.Declined(r.Context()); declined != nil && declined.Status == 401 {
				r.Header.Set("Authorization", "Bearer good")
			} else {
				r.Header.Set("Authorization", "Bearer cached")
			}
			return nil
		}, 2, "Bearer cached,Bearer good", true},
		"the same token": {func(n int, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer same")
			return nil
		}, 2, "Bearer same", false},
		"no token any more": {func(n int, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer old")
			if n > 1 {
				return errors.New("the token service is down")
			}
			return nil
		}, 2, "Bearer old", false},
		"never a good one": {func(n int, r *http.Request) error {
			r.Header.Set("Authorization", fmt.Sprint("Bearer ", n))
			return nil
		}, 2, "Bearer 1,Bearer 2", false},
	} {
		t.Run(name, func(t *testing.T) {
			seen = nil
			calls := 0
			c := over(t, s.URL, holdfast.Config{Retry: holdfast.Retry{MaxRetries: 3}, Authorize: func(r *http.Request) error {
				calls++
				return tt.authorize(calls, r)
			}})
			_, err := c.Post(t.Context(), "/", 1, holdfast.WithNoRepeat())
			if tt.ok {
				equal(t, "error", err, nil)
			} else {
				is(t, err, holdfast.ErrAuthentication)
			}
			equal(t, "calls of Authorize", calls, tt.calls)
			equal(t, "tokens", strings.Join(seen, ","), tt.seen)
			equal(t, "failures", c.Breaker().Stats().FailureCount, 0)
		})
	}
}
