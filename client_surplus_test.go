package holdfast_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/fault"
)

// A service sends a second answer behind each. No call gets it, none fails, and none is sent
// twice, though a POST must not be repeated and there are no retries.
func TestSurplusAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := service(t, plan(rule("", "", fault.Fault{H1: fault.SurplusAtOnce})), holdfast.Config{
			Pool: holdfast.Pool{MaxConns: 2}, Bulkhead: holdfast.BulkheadConfig{MaxConcurrent: 8},
			Retry: holdfast.Retry{MaxRetries: holdfast.Off, Repeat: holdfast.RepeatNever},
		})
		const users, calls = 4, 20
		var wg sync.WaitGroup
		for user := range users {
			wg.Go(func() {
				for n := range calls {
					path := fmt.Sprintf("/of/%d/%d", user, n)
					resp, err := client.Post(t.Context(), path, map[string]int{"n": n})
					if err != nil || !strings.Contains(string(resp.Body), `"path":"`+path+`"`) {
						t.Errorf("%s: %v, %v", path, resp, err)
					}
				}
			})
		}
		wg.Wait()
		equal(t, "attempts", client.Stats().Attempts, users*calls)
		equal(t, "requests", len(server.Record()), users*calls)
	})
}

// After a second answer that arrived on an idle connection each call has one of its own, for
// ten minutes.
func TestSurplusAnswerEndsReuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := service(t, plan(rule("", "1", fault.Fault{H1: fault.SurplusLater})), holdfast.Config{})
		call := func(path string) {
			resp, err := client.Get(t.Context(), path)
			if err != nil || !strings.Contains(string(resp.Body), `"path":"`+path+`"`) {
				t.Error(resp, err)
			}
		}
		call("/first")
		time.Sleep(time.Second)
		for range 5 {
			call("/next")
		}
		equal(t, "connections", server.Connections(), 6)
		time.Sleep(10 * time.Minute)
		for range 5 {
			call("/later")
		}
		equal(t, "connections", server.Connections(), 7)
	})
}
