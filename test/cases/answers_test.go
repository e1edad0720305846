package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/dialect"
	"github.com/holdfast-go/holdfast/provider/ollama"
)

func slowly(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(30 * time.Millisecond):
		io.WriteString(w, "{}")
	}
}

// Each connection of a pool is reset at its next use. Of a bare http.Client no call fails.
func TestForgottenPool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, slowly)
		h.mode = "rst"
		c := client(t, h, func(c *holdfast.Config) { c.IdempotencyKey = true })
		crowd(20, func() { c.Get(context.Background(), "/") })
		h.moves.Add(1)
		failed := 0
		for range 6 {
			if _, err := c.Post(context.Background(), "/", 1); err != nil {
				failed++
			}
		}
		if failed != 0 {
			t.Errorf("%d of 6 calls failed, want 0: new connections are well", failed)
		}
	})
}

// A pool of HTTP/2 does not answer any more, and its limit allows a second attempt.
func TestDarkPool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := serverH2(t, slowly)
		h.mode = "dark"
		c := client(t, h, func(c *holdfast.Config) { c.Timeouts.Attempt = 700 * time.Millisecond })
		crowd(10, func() { c.Get(context.Background(), "/") })
		h.moves.Add(1)
		if _, err := c.Get(context.Background(), "/"); err != nil {
			t.Errorf("%v; want an answer over a new connection", err)
		}
	})
}

// A 204 is the zero value. A page that is no JSON is an answer: its type and beginning are in
// the error.
func TestNoContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/done":
				w.WriteHeader(http.StatusNoContent)
			default:
				io.WriteString(w, "<html>back at noon</html>")
			}
		})
		c := client(t, h, nil)
		if _, err := holdfast.Post[struct{ ID string }](context.Background(), c, "/done", 1); err != nil {
			t.Errorf("204: %v, want nil and the zero value", err)
		}
		_, err := holdfast.Post[struct{}](context.Background(), c, "/page", 1)
		var e *holdfast.Error
		if errors.As(err, &e); len(e.Attempts) != 1 || strings.Contains(e.Explain(), "nothing was sent") {
			t.Errorf("%d attempts, want 1; explained as\n%s", len(e.Attempts), e.Explain())
		}
		var status *holdfast.StatusError
		if !errors.As(err, &status) {
			t.Error("neither the answer's Content-Type nor the beginning of its body is in the error")
		}
	})
}

// The first attempt works on, its limit passes, the second finds the key in use.
func TestKeyInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		state := map[string]string{}
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			k := r.Header.Get("Idempotency-Key")
			mu.Lock()
			was := state[k]
			if was == "" {
				state[k] = "working"
			}
			mu.Unlock()
			switch was {
			case "":
				time.Sleep(400 * time.Millisecond)
				mu.Lock()
				state[k] = "done"
				mu.Unlock()
			case "working":
				http.Error(w, `{"error":"key in use"}`, http.StatusConflict)
				return
			}
			io.WriteString(w, "{}")
		})
		c := client(t, h, func(c *holdfast.Config) {
			c.IdempotencyKey, c.Timeouts.Attempt = true, 200*time.Millisecond
			c.Retry = holdfast.Retry{BaseDelay: 100 * time.Millisecond, Jitter: holdfast.NoJitter}
		})
		if _, err := c.Post(context.Background(), "/charges", 1); err != nil {
			t.Errorf("%v; want the answer of the charge that was made", err)
		}
	})
}

// A body that is shorter than its length is the caller's mistake.
func TestOwnMistake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
		c := client(t, h, func(c *holdfast.Config) { c.Breaker.FailureThreshold = 2 })
		for range 2 {
			req, _ := http.NewRequest(http.MethodPut, "/k", io.NopCloser(strings.NewReader("abc")))
			req.ContentLength = 5
			_, err := c.Do(req)
			var e *holdfast.Error
			if !errors.As(err, &e) || len(e.Attempts) != 1 {
				t.Errorf("%v, want one attempt", err)
			}
		}
		if s := c.Breaker().State(); s != holdfast.Closed {
			t.Errorf("breaker %v after two calls that could never have been sent, want closed", s)
		}
	})
}

// The first line of a 200 is a failure.
func TestFirstLineIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int64
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				io.WriteString(w, `{"error":"server busy"}`+"\n")
				return
			}
			io.WriteString(w, `{"message":{"content":"hi"},"done":true}`+"\n")
		})
		for piece, err := range ollama.New(client(t, h, nil), ollama.Timeouts{}).ChatStream(context.Background(), ollama.ChatRequest{Model: "m"}) {
			if err != nil || piece.Text != "hi" {
				t.Errorf("%q, %v; want hi by a second attempt", piece.Text, err)
			}
		}
	})
}

// Each answer is a 200 with an error as its first event.
func TestFirstEventIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
		})
		c := client(t, h, func(c *holdfast.Config) {
			c.Breaker.FailureThreshold, c.Classify = 3, dialect.Anthropic.Classify
		})
		for range 10 {
			if s, err := c.Stream(context.Background(), http.MethodPost, "/", nil); err == nil {
				for range s.Events() {
				}
			}
		}
		if s := c.Breaker().State(); s != holdfast.Open {
			t.Errorf("breaker %v after ten answers that were failures, want open", s)
		}
	})
}

// Statuses and headers that ask for another attempt, and a status that fails again.
func TestStatuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tc := range []struct {
			status   int
			name, v  string
			requests int64
		}{
			{409, "X-Should-Retry", "true", 2}, {403, "Retry-After", "1", 2}, {503, "Retry-After", "0", 2}, {501, "", "", 1},
		} {
			var n atomic.Int64
			h := server(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 || tc.status == 501 {
					if tc.name != "" {
						w.Header().Set(tc.name, tc.v)
					}
					w.WriteHeader(tc.status)
				}
			})
			resp, err := client(t, h, nil).HTTPClient().Post(h.url, "text/plain", strings.NewReader("x"))
			if err == nil {
				resp.Body.Close()
			}
			if tc.status == 501 { // a GET, since the door repeats no POST without a key
				n.Store(0)
				client(t, h, nil).Get(context.Background(), "/")
			}
			if n.Load() != tc.requests {
				t.Errorf("%d %s %s: %d requests, want %d", tc.status, tc.name, tc.v, n.Load(), tc.requests)
			}
		}
	})
}

// A trailer is part of the answer.
func TestTrailer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Stream-Error")
			io.WriteString(w, "[1,2")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Stream-Error", "the disk failed")
		})
		resp, err := client(t, h, nil).Get(context.Background(), "/")
		if all, _ := json.Marshal(resp); err == nil && !strings.Contains(string(all), "the disk failed") {
			t.Error("the trailer is nowhere in the Response")
		}
	})
}

// A Host that is given is sent.
func TestHostHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
		resp, err := client(t, h, nil).Get(context.Background(), "/", holdfast.WithHeader("Host", "tenant.example.com"))
		if err == nil && string(resp.Body) != "tenant.example.com" {
			t.Errorf("the service saw %q, and there was no error", resp.Body)
		}
	})
}

// A file's length is known, and is sent.
func TestFileLength(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.ContentLength) })
		c := client(t, h, nil)
		for _, content := range []string{"", "12345"} {
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(content)
			f.Seek(0, io.SeekStart)
			req, _ := http.NewRequest(http.MethodPut, "/k", f)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(b) != fmt.Sprint(len(content)) {
				t.Errorf("Content-Length %s, want %d", b, len(content))
			}
		}
	})
}

// The token was revoked early; Authorize would give another.
func TestRevokedToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var given atomic.Int64
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer 2" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		c := client(t, h, func(c *holdfast.Config) {
			c.Authorize = func(r *http.Request) error {
				r.Header.Set("Authorization", fmt.Sprint("Bearer ", given.Add(1)))
				return nil
			}
		})
		if _, err := c.Get(context.Background(), "/"); err != nil {
			t.Errorf("%v; want one more attempt, with what Authorize gives anew", err)
		}
	})
}

// One path is throttled, another is not. Every caller obeys a 503 that asks for a wait.
func TestCallsThatACooldownConcerns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int64
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/large" && n.Add(1) == 1 {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		c := client(t, h, nil)
		go c.Get(context.Background(), "/large")
		time.Sleep(200 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, "/small"); err != nil {
			t.Errorf("%v; want a way to say that /small is not concerned", err)
		}
		var asked atomic.Int64
		h = server(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		c = client(t, h, func(c *holdfast.Config) { c.Retry.MaxRetries = holdfast.Off })
		c.Get(context.Background(), "/")
		crowd(10, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			c.Get(ctx, "/")
		})
		if asked.Load() != 1 {
			t.Errorf("%d requests within the second that the service asked for, want 1", asked.Load())
		}
	})
}

// The wait is in another header, as seconds since 1970.
func TestResetHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n, early atomic.Int64
		reset := time.Now().Add(2 * time.Second).Truncate(time.Second).Add(time.Second)
		h := server(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) > 1 && time.Now().Before(reset) {
				early.Add(1)
			}
			if time.Now().Before(reset) {
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		_, err := client(t, h, nil).Get(context.Background(), "/")
		if err != nil || early.Load() > 0 {
			t.Errorf("%v, %d requests before the reset, want none", err, early.Load())
		}
	})
}

// A name has moved, under a client that is never idle.
func TestMovedName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := server(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "old") })
		now := server(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "new") })
		var to atomic.Pointer[host]
		to.Store(old)
		c := client(t, old, func(c *holdfast.Config) { c.Pool.MaxAge = time.Second },
			holdfast.WithDialContext(func(ctx context.Context, n, a string) (net.Conn, error) { return to.Load().dial(ctx, n, a) }))
		last := ""
		for i := range 30 {
			if i == 1 {
				to.Store(now)
			}
			if resp, err := c.Get(context.Background(), "/"); err == nil {
				last = string(resp.Body)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if last != "new" {
			t.Errorf("3 s later still at the %s address", last)
		}
	})
}
