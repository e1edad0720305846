package cases

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/provider/ollama"
)

// answering is a server that answers by f, which gets the number of the request.
func answering(t *testing.T, f func(n int64, w http.ResponseWriter)) (*atomic.Int64, *host) {
	hits := new(atomic.Int64)
	return hits, server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		f(hits.Add(1), w)
	})
}

func always(status int, header, value, body string) func(int64, http.ResponseWriter) {
	return func(_ int64, w http.ResponseWriter) {
		w.Header().Set(header, value)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func once(f func(int64, http.ResponseWriter)) func(int64, http.ResponseWriter) {
	return func(n int64, w http.ResponseWriter) {
		if n == 1 {
			f(n, w)
		}
	}
}

// A wait that is longer than any operation waits is kept by all operations.
func TestLongCooldown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hits, h := answering(t, always(429, "Retry-After", "300", ""))
		c := client(t, h, nil)
		for range 100 {
			c.Get(context.Background(), "/")
		}
		if hits.Load() != 1 {
			t.Errorf("%d requests within the 300 s that were asked for, want 1", hits.Load())
		}
	})
}

// A 503 that asks for a wait is obeyed by all operations.
func TestOverloaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hits, h := answering(t, always(503, "Retry-After", "5", ""))
		c := client(t, h, func(c *holdfast.Config) {
			c.Retry.MaxRetries, c.Timeouts.Total = holdfast.Off, 100*time.Millisecond
		})
		for range 10 {
			c.Get(context.Background(), "/")
		}
		if hits.Load() != 1 {
			t.Errorf("%d requests within Retry-After, want 1", hits.Load())
		}
	})
}

// A 403 that asks for a wait is a rate limit.
func TestForbiddenFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hits, h := answering(t, once(always(403, "Retry-After", "0.1", `{"message":"secondary rate limit"}`)))
		if _, err := client(t, h, nil).Get(context.Background(), "/"); err != nil || hits.Load() != 2 {
			t.Errorf("%v after %d requests, want nil after 2", err, hits.Load())
		}
	})
}

// A wait may be told in another form than Retry-After.
func TestWaitToldElsewhere(t *testing.T) {
	for name, answer := range map[string]func(int64, http.ResponseWriter){
		"RateLimit-Reset": always(429, "Ratelimit-Reset", "3", ""),
		"RetryInfo":       always(429, "X-Trace", "1", `{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.5s"}]}}`),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				_, h := answering(t, answer)
				c := client(t, h, func(c *holdfast.Config) { c.Timeouts.Total = 200 * time.Millisecond })
				_, err := c.Get(context.Background(), "/")
				var e *holdfast.Error
				if errors.As(err, &e); len(e.Attempts) != 1 || e.Attempts[0].RetryAfter < 2*time.Second {
					t.Errorf("%v, want one attempt with a wait of 2 s or more", err)
				}
			})
		})
	}
}

// Retry.On sees the body of an answer that an SDK gets.
func TestBodyForRetryOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, h := answering(t, always(429, "X-Trace", "1", `{"code":"insufficient_quota"}`))
		var seen string
		c := client(t, h, func(c *holdfast.Config) {
			c.Retry.On = func(err error) bool {
				var declined *holdfast.StatusError
				errors.As(err, &declined)
				seen = string(declined.Body)
				return false
			}
		})
		resp, err := c.HTTPClient().Get(h.url)
		if err != nil || !strings.Contains(seen, "insufficient_quota") {
			t.Errorf("On saw %q (%v), want the body", seen, err)
		}
		resp.Body.Close()
	})
}

// A 409 to the second attempt means that the first, with the same key, is under way.
func TestOwnKeyInProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var done atomic.Bool
		_, h := answering(t, func(n int64, w http.ResponseWriter) {
			if n == 1 {
				time.Sleep(400 * time.Millisecond)
				done.Store(true)
			} else if !done.Load() {
				w.WriteHeader(409)
			}
		})
		c := client(t, h, func(c *holdfast.Config) {
			c.IdempotencyKey, c.Timeouts.Attempt = true, 200*time.Millisecond
			c.Retry = holdfast.Retry{BaseDelay: 100 * time.Millisecond, Jitter: holdfast.NoJitter}
		})
		if _, err := c.Post(context.Background(), "/", nil); err != nil {
			t.Errorf("%v, want nil", err)
		}
	})
}

// Ollama's error is the first line of a 200.
func TestErrorAsTheFirstLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hits, h := answering(t, func(n int64, w http.ResponseWriter) {
			if n == 1 {
				io.WriteString(w, `{"error":"model runner has unexpectedly stopped"}`+"\n")
				return
			}
			io.WriteString(w, `{"message":{"content":"rye"},"done":true}`+"\n")
		})
		for piece, err := range ollama.New(client(t, h, nil), ollama.Timeouts{}).ChatStream(context.Background(), ollama.ChatRequest{}) {
			if err != nil || piece.Text != "rye" {
				t.Errorf("%q, %v after %d requests, want rye after 2", piece.Text, err, hits.Load())
			}
		}
	})
}
