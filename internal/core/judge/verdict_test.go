package judge

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// Config.Classify says of a 200 what a status says of another answer.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		rule string
		f    Facts
		want Meaning
	}{
		{"overloaded", Facts{Verdict: ClassOverloaded}, Meaning{Outcome: transient, Kind: Unavailable, AskUser: true}},
		{"overloaded, with a wait", Facts{Verdict: ClassOverloaded, RetryAfter: wait},
			Meaning{Outcome: transient, Kind: Unavailable, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"a failure of the service", Facts{Verdict: ClassServer}, Meaning{Outcome: transient, Kind: Server, AskUser: true}},
		{"cut", Facts{Verdict: ClassLost}, Meaning{Outcome: transient, Kind: Connection, AskUser: true}},
		{"its own timeout", Facts{Verdict: ClassTimeout}, Meaning{Outcome: transient, Kind: ServerTimeout, AskUser: true}},
		{"throttled", Facts{Verdict: ClassThrottled}, Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true}},
		{"throttled, with a wait", Facts{Verdict: ClassThrottled, RetryAfter: wait},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"a quota, whatever wait is told", Facts{Verdict: ClassQuota, RetryAfter: wait},
			Meaning{Outcome: throttled, Kind: RateLimited, Why: WouldFailAgain, AskUser: true}},
		{"in progress", Facts{Verdict: ClassInProgress}, Meaning{Outcome: transient, Kind: Status, Stands: true}},
		{"too early", Facts{Verdict: ClassTooEarly}, Meaning{Outcome: transient, Kind: Status, Stands: true, AtOnce: true}},
		{"too early, once more", Facts{Verdict: ClassTooEarly, Misplaced: true}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"the credential", Facts{Verdict: ClassCredential}, Meaning{Outcome: permanent, Kind: Authentication, AskUser: true}},
		{"the credential, and there is another", Facts{Verdict: ClassCredential, NewToken: true},
			Meaning{Outcome: transient, Kind: Authentication, Stands: true, AtOnce: true}},
		{"the request", Facts{Verdict: ClassRequest}, Meaning{Outcome: permanent, Kind: InvalidRequest, AskUser: true}},
		{"the content", Facts{Verdict: ClassContent}, Meaning{Outcome: outcome.Unknown, Kind: Content, Why: MustNot}},
		{"x-should-retry forbids it", Facts{Verdict: ClassServer, Advice: DoNotRetry},
			Meaning{Outcome: transient, Kind: Server, Why: ServiceForbids, AskUser: true}},
		{"x-should-retry of a 200 does not decide", Facts{Verdict: ClassRequest, Advice: RetryIt},
			Meaning{Outcome: permanent, Kind: InvalidRequest, AskUser: true}},
	} {
		c.f.Status = 200
		if got := Judge(c.f, standard); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.rule, got, c.want)
		}
		if got := ClassOf(c.f, c.want); got != c.f.Verdict {
			t.Errorf("%s: class %q, want %q", c.rule, got, c.f.Verdict)
		}
	}
}

// A POST without a key is sent again only after a verdict that nothing was done.
func TestVerdictOnAPost(t *testing.T) {
	safe := Rules{Repeat: RepeatSafe, MaxRetryAfter: maxRetryAfter}
	for class, want := range map[Class]bool{
		ClassOverloaded: false, ClassServer: false, ClassLost: false, ClassTimeout: false,
		ClassThrottled: true, ClassInProgress: true, ClassTooEarly: true,
	} {
		if got := Judge(Facts{Method: "POST", Status: 200, Verdict: class}, safe).Why == May; got != want {
			t.Errorf("%v may be repeated: %v, want %v", class, got, want)
		}
	}
	if got := Judge(Facts{Method: "POST", Status: 200, Verdict: ClassOverloaded, Told: true}, safe); got.Why != May {
		t.Errorf("overloaded with a wait: %v", got.Why)
	}
}
