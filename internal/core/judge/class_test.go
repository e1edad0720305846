package judge

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/classes.md, and new names to api/classes.txt")

func TestClassOf(t *testing.T) {
	for _, c := range []struct {
		want Class
		f    Facts
	}{
		{ClassNone, Facts{Status: 200}},
		{ClassRequest, Facts{Status: 302}},
		{ClassRequest, Facts{Status: 400}},
		{ClassThrottled, Facts{Status: 400, RetryAfter: wait}},
		{ClassCredential, Facts{Status: 401}},
		{ClassCredential, Facts{Status: 401, NewToken: true}},
		{ClassQuota, Facts{Status: 402}},
		{ClassCredential, Facts{Status: 403}},
		{ClassThrottled, Facts{Status: 403, RetryAfter: wait}},
		{ClassRequest, Facts{Status: 404}},
		{ClassServer, Facts{Status: 408}},
		{ClassRequest, Facts{Status: 409}},
		{ClassInProgress, Facts{Status: 409, KeyInUse: true}},
		{ClassTooEarly, Facts{Status: 421}},
		{ClassTooEarly, Facts{Status: 425, Misplaced: true}},
		{ClassThrottled, Facts{Status: 429}},
		{ClassQuota, Facts{Status: 429, Quota: true}},
		{ClassServer, Facts{Status: 500}},
		{ClassServer, Facts{Status: 500, Quota: true}},
		{ClassOverloaded, Facts{Status: 503, Quota: true}},
		{ClassRequest, Facts{Status: 501}},
		{ClassServer, Facts{Status: 502}},
		{ClassOverloaded, Facts{Status: 503}},
		{ClassRequest, Facts{Status: 505}},
		{ClassServer, Facts{Status: 520}},
		{ClassOverloaded, Facts{Status: 529}},
		{ClassLost, Facts{Status: 101, Sent: true}},
		{ClassConnect, Facts{Ending: NoAnswer}},
		{ClassConnect, Facts{Ending: NoAnswer, Failure: ConnectTimeout}},
		{ClassConnect, Facts{Ending: NoAnswer, Limit: AcquireLimit}},
		{ClassStaleConnection, Facts{Ending: NoAnswer, Reused: true, Silent: true, Sent: true}},
		{ClassLost, Facts{Ending: NoAnswer, Sent: true}},
		{ClassTimeout, Facts{Ending: NoAnswer, Sent: true, Limit: AttemptLimit}},
		{ClassTimeout, Facts{Ending: NoAnswer, Sent: true, Failure: TimedOut}},
		{ClassCanceled, Facts{Ending: NoAnswer, Canceled: ByCaller}},
		{ClassCanceled, Facts{Ending: NoAnswer, Canceled: ByClose}},
		{ClassRequest, Facts{Ending: Misled}},
		{ClassContent, Facts{Ending: TooLong}},
		{ClassMistake, Facts{Ending: NotMade}},
		{ClassMistake, Facts{Ending: SourceFailed}},
		{ClassMistake, Facts{Ending: Mistaken}},
		{ClassProxy, Facts{Ending: ProxyDeclined, Status: 407}},
		{ClassNone, Facts{Ending: Returned}},
		{ClassTimeout, Facts{Ending: Returned, Limit: AttemptLimit}},
	} {
		if got := ClassOf(c.f, Judge(c.f, standard)); got != c.want {
			t.Errorf("%+v is %q, want %q", c.f, got, c.want)
		}
	}
	f := Facts{Ending: Returned}
	if got := ClassOf(f, Judge(f, standard).Classified(throttled, standard)); got != ClassThrottled {
		t.Errorf("a policy's error that is Throttled is %q", got)
	}
	if got := ClassConnect.String(); got != "connect" {
		t.Errorf("ClassConnect is %q", got)
	}
	if got := classCount.String(); got != "" {
		t.Errorf("a class that is none is %q", got)
	}
}

// A quota that is gone is not asked for again, whatever Retry.On says.
func TestQuota(t *testing.T) {
	for _, status := range []int{400, 403, 429} {
		m := Judge(Facts{Status: status, Quota: true}, standard)
		if want := (Meaning{Outcome: throttled, Kind: RateLimited, Why: WouldFailAgain, AskUser: true}); m != want {
			t.Errorf("%d is %+v, want %+v", status, m, want)
		}
		if got := m.Filtered(true); got.Why == May || got.Outcome != throttled {
			t.Errorf("%d, which Retry.On would repeat, is %+v", status, got)
		}
	}
}

// A service that is down may quote anything.
func TestQuotaOfAServerError(t *testing.T) {
	if got := Judge(Facts{Status: 500, Quota: true}, standard); got.Outcome != transient || got.Why != May {
		t.Errorf("500 is %+v", got)
	}
}

// The page is made from the data. A name that was released is never dropped or changed:
// programs and alerts compare it.
func TestClasses(t *testing.T) {
	var names []string
	var page strings.Builder
	page.WriteString(`# Failure classes

Each attempt that fails has a class, in ` + "`Attempt.Class`, `Event.Class` and as `class`" + ` in the log. It says what the failure is, and what follows from it. The names do not change. This page is written by ` + "`go test ./internal/core/judge -run Classes -update`" + `.

How far a request may be repeated is decided by its method, its key and ` + "`Retry.Repeat`" + `: see [http.md](http.md#what-is-retried). "Nothing" for the breaker means that it stays as it is; to a half-open breaker, an answer that declines a request is a success, since the service is up.

| Class | What it is | Retried | Other calls | Closed breaker |
|---|---|---|---|---|
`)
	for _, c := range Classes[1:] {
		names = append(names, c.Name)
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", c.Name, c.Is, c.Retried, c.Others, c.Breaker)
	}
	const frozen, docs = "../../../api/classes.txt", "../../../docs/classes.md"
	released, err := os.ReadFile(frozen)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(released)) {
		if !slices.Contains(names, name) {
			t.Errorf("%s was released, and is no class any more", name)
		}
	}
	for path, text := range map[string]string{frozen: strings.Join(names, "\n") + "\n", docs: page.String()} {
		if *update && !t.Failed() {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s is not up to date: run this test with -update", path)
		}
	}
}
