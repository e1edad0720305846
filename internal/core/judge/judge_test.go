package judge

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

const (
	unknown   = outcome.Unknown
	success   = outcome.Success
	transient = outcome.Transient
	throttled = outcome.Throttled
	permanent = outcome.Permanent
	canceled  = outcome.Canceled

	wait = 2 * time.Second
)

// standard are the rules of most tests.
var standard = Rules{Repeat: RepeatKeyed, MaxRetryAfter: maxRetryAfter}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		rule string
		f    Facts
		want Meaning
	}{
		{"2xx is a success", Facts{Status: 200}, Meaning{Outcome: success}},
		{"and so is 299", Facts{Status: 299}, Meaning{Outcome: success}},
		{"304 answers a condition of the caller's", Facts{Status: 304}, Meaning{Outcome: success}},
		{"no answer has a status below 100, and none is a refusal", Facts{}, Meaning{Outcome: success}},
		{"101 that was asked for is a success", Facts{Status: 101, Upgrade: true}, Meaning{Outcome: success}},
		{"101 that was not is a lost connection", Facts{Status: 101, Sent: true, RetryAfter: wait},
			Meaning{Outcome: transient, Kind: Connection, AskUser: true}},
		{"no other status depends on it", Facts{Status: 300, Upgrade: true}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},

		{"a redirect that is not followed is a refusal", Facts{Status: 300}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"4xx is a refusal", Facts{Status: 404}, Meaning{Outcome: permanent, Kind: NotFound, AskUser: true}},
		{"its wait is kept for the record, and starts no cooldown", Facts{Status: 404, RetryAfter: wait},
			Meaning{Outcome: permanent, Kind: NotFound, AskUser: true, RetryAfter: wait}},
		{"400 with a wait is a rate limit", Facts{Status: 400, RetryAfter: wait},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"and so is 401", Facts{Status: 401, RetryAfter: wait},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"and 403", Facts{Status: 403, RetryAfter: wait},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"401 is worth another try with another credential, at once", Facts{Status: 401, NewToken: true},
			Meaning{Outcome: transient, Kind: Authentication, AtOnce: true, Stands: true}},
		{"and not without", Facts{Status: 401}, Meaning{Outcome: permanent, Kind: Authentication, AskUser: true}},
		{"421 is sent again at once", Facts{Status: 421}, Meaning{Outcome: transient, Kind: Status, AtOnce: true, Stands: true}},
		{"and so is 425", Facts{Status: 425}, Meaning{Outcome: transient, Kind: Status, AtOnce: true, Stands: true}},
		{"once", Facts{Status: 421, Misplaced: true}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"as each of them", Facts{Status: 425, Misplaced: true}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"409 may be about the operation's own key", Facts{Status: 409, KeyInUse: true},
			Meaning{Outcome: transient, Kind: Status, Stands: true}},
		{"and is not otherwise", Facts{Status: 409}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"501 fails again", Facts{Status: 501}, Meaning{Outcome: permanent, Kind: Server}},
		{"and so does 505", Facts{Status: 505}, Meaning{Outcome: permanent, Kind: Server}},
		{"408 is a failure of the service", Facts{Status: 408}, Meaning{Outcome: transient, Kind: ServerTimeout, AskUser: true}},
		{"499 is a refusal", Facts{Status: 499}, Meaning{Outcome: permanent, Kind: Status, AskUser: true}},
		{"5xx is a failure", Facts{Status: 500}, Meaning{Outcome: transient, Kind: Server, AskUser: true}},
		{"and so is what no standard knows", Facts{Status: 999}, Meaning{Outcome: transient, Kind: Server, AskUser: true}},
		{"503 that asks for a wait starts a cooldown", Facts{Status: 503, RetryAfter: wait},
			Meaning{Outcome: transient, Kind: Unavailable, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"and so does 529", Facts{Status: 529, RetryAfter: wait},
			Meaning{Outcome: transient, Kind: Server, AskUser: true, Cooldown: true, RetryAfter: wait}},
		{"another 5xx does not", Facts{Status: 500, RetryAfter: wait},
			Meaning{Outcome: transient, Kind: Server, AskUser: true, RetryAfter: wait}},
		{"nor does 503 of another origin", Facts{Status: 503, RetryAfter: wait, Redirected: true, CrossOrigin: true},
			Meaning{Outcome: transient, Kind: Unavailable, AskUser: true, RetryAfter: wait}},

		{"429 asks for patience", Facts{Status: 429}, Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true}},
		{"for all operations, if it says how long", Facts{Status: 429, RetryAfter: 1},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: 1}},
		{"longer than MaxRetryAfter, too", Facts{Status: 429, RetryAfter: maxRetryAfter + 1},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: maxRetryAfter + 1}},
		{"another origin speaks for itself", Facts{Status: 429, RetryAfter: wait, Redirected: true, CrossOrigin: true},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, RetryAfter: wait}},
		{"a redirect within the origin does not matter", Facts{Status: 429, RetryAfter: wait, Redirected: true},
			Meaning{Outcome: throttled, Kind: RateLimited, AskUser: true, Cooldown: true, RetryAfter: wait}},

		{"an answer counts, though the caller has canceled since", Facts{Status: 500, Canceled: ByCaller},
			Meaning{Outcome: transient, Kind: Server, AskUser: true}},
		{"or a limit has been reached", Facts{Status: 500, Limit: AttemptLimit}, Meaning{Outcome: transient, Kind: Server, AskUser: true}},
	} {
		if got := Judge(c.f, standard); got != c.want {
			t.Errorf("%s: %+v\n is %+v,\nwant %+v", c.rule, c.f, got, c.want)
		}
	}
	if got := Judge(Facts{Status: 429, RetryAfter: wait}, Rules{}); got.Cooldown {
		t.Error("without MaxRetryAfter there is a cooldown")
	}
}

func TestNoAnswer(t *testing.T) {
	lost := Meaning{Outcome: transient, Kind: Connection, AskUser: true}
	timeout := Meaning{Outcome: transient, Kind: Timeout, AskUser: true}
	for _, c := range []struct {
		rule string
		f    Facts
		want Meaning
	}{
		{"a lost connection may come back", Facts{}, lost},
		{"an answer that broke off is one", Facts{Status: 200, Sent: true}, lost},
		{"its headers ask for nothing", Facts{Status: 503, RetryAfter: wait, Advice: DoNotRetry}, lost},
		{"what fails again is not repeated", Facts{Failure: FailsAgain},
			Meaning{Outcome: transient, Kind: Connection, Why: WouldFailAgain, AskUser: true}},
		{"whatever else forbids it", Facts{Failure: FailsAgain, Body: Gone},
			Meaning{Outcome: transient, Kind: Connection, Why: WouldFailAgain, AskUser: true}},
		{"a dial that took too long is a timeout", Facts{Failure: ConnectTimeout}, timeout},
		{"and so is each limit", Facts{Limit: PhaseLimit}, timeout},
		{"of the attempt", Facts{Limit: AttemptLimit}, timeout},
		{"or the operation", Facts{Limit: OperationLimit}, timeout},
		{"a limit explains what the transport says", Facts{Limit: PhaseLimit, Failure: FailsAgain}, timeout},
		{"no connection in time is the client's saturation", Facts{Limit: AcquireLimit, Failure: FailsAgain, Sent: true},
			Meaning{Outcome: unknown, Kind: PoolTimeout, Why: NoConnection, Stands: true}},
		{"a connection from the pool that ended without a word says nothing of the service", Facts{Reused: true, Silent: true},
			Meaning{Outcome: transient, Kind: Connection, AskUser: true, AtOnce: true, Retire: true, Stands: true}},
		{"though the request may have been read", Facts{Reused: true, Silent: true, Sent: true},
			Meaning{Outcome: transient, Kind: Connection, AskUser: true, AtOnce: true, Retire: true, Stands: true}},
		{"a new connection that ends does", Facts{Silent: true, Sent: true}, lost},
		{"what the service did not read is repeated at once", Facts{Failure: Unread},
			Meaning{Outcome: transient, Kind: Connection, AskUser: true, AtOnce: true}},
		{"and so does an answer that has begun", Facts{Reused: true, Sent: true}, lost},
		{"a limit is charged, and the pool may be dark", Facts{Limit: AttemptLimit, Reused: true, Silent: true, Sent: true},
			Meaning{Outcome: transient, Kind: Timeout, AskUser: true, Retire: true}},
		{"and a limit that is not the client's", Facts{Failure: TimedOut, Reused: true, Silent: true, Sent: true},
			Meaning{Outcome: transient, Kind: Timeout, AskUser: true, Retire: true}},
		{"unless something was heard of the connection", Facts{Limit: AttemptLimit, Reused: true, Sent: true}, timeout},
		{"a new connection does not make the pool suspect", Facts{Limit: AttemptLimit, Silent: true, Sent: true}, timeout},
		{"the caller's cancellation says nothing of it", Facts{Canceled: ByCaller, Reused: true, Silent: true},
			Meaning{Outcome: canceled, Kind: Canceled, Why: MustNot}},
		{"a certificate fails again, on any connection", Facts{Failure: FailsAgain, Reused: true, Silent: true},
			Meaning{Outcome: transient, Kind: Connection, Why: WouldFailAgain, AskUser: true}},
		{"a cancellation explains all", Facts{Canceled: ByCaller, Limit: AcquireLimit, Failure: FailsAgain, Body: Gone},
			Meaning{Outcome: canceled, Kind: Canceled, Why: MustNot}},
		{"and so does Close", Facts{Canceled: ByClose, Limit: OperationLimit},
			Meaning{Outcome: canceled, Kind: Closed, Why: MustNot}},
	} {
		c.f.Ending = NoAnswer
		if got := Judge(c.f, standard); got != c.want {
			t.Errorf("%s: %+v\n is %+v,\nwant %+v", c.rule, c.f, got, c.want)
		}
	}
}

// x-should-retry: true makes an answer worth repeating that its status does not, with every
// method, and says nothing of the service.
func TestAdvice(t *testing.T) {
	for _, status := range []int{400, 403, 404, 409, 422, 501} {
		f := Facts{Status: status, Advice: RetryIt, Method: "POST"}
		want := Meaning{Outcome: transient, Kind: KindOf(status), Stands: true}
		if got := Judge(f, Rules{Repeat: RepeatNever}); got != want {
			t.Errorf("%d is %+v, want %+v", status, got, want)
		}
		f.Body = Gone
		if got := Judge(f, standard); got.Why != BodyOnce {
			t.Errorf("%d with a body that is gone is %+v", status, got)
		}
	}
	for _, status := range []int{300, 304} {
		if got, plain := Judge(Facts{Status: status, Advice: RetryIt}, standard), Judge(Facts{Status: status}, standard); got != plain {
			t.Errorf("%d is %+v, want %+v", status, got, plain)
		}
	}
}

// A wait that is told says that nothing was done, however short it is.
func TestTold(t *testing.T) {
	for _, status := range []int{503, 529} {
		for _, f := range []Facts{{Status: status, Told: true, Method: "POST"}, {Status: status, RetryAfter: wait, Method: "POST"}} {
			if got := Judge(f, Rules{Repeat: RepeatNever}); got.Why != May || got.Outcome != transient {
				t.Errorf("%+v is %+v", f, got)
			}
		}
	}
	if got := Judge(Facts{Status: 500, Told: true, Method: "POST"}, Rules{Repeat: RepeatNever}); got.Why != MustNot {
		t.Errorf("500 is %+v", got)
	}
	for text, told := range map[string]bool{"0": true, "1.5": true, "Mon, 02 Jan 2006 15:04:05 GMT": true, "": false, "soon": false, "-1": false} {
		if got := AsksToWait("", text); got != told {
			t.Errorf("%q tells a wait: %v", text, got)
		}
	}
	if longest := strings.Repeat("0", maxWaitText); !AsksToWait("", longest) || AsksToWait("", longest+"0") {
		t.Error("the longest text tells a wait, and no longer one does")
	}
	if !AsksToWait("0", "") || AsksToWait("", string(make([]byte, 100))) {
		t.Error("in milliseconds it is told, and not by a long text")
	}
}

// A proxy that does not connect says nothing of the service, and starts no cooldown of it.
func TestProxyDeclined(t *testing.T) {
	for status, why := range map[int]Why{403: WouldFailAgain, 407: WouldFailAgain, 429: May, 500: May, 502: May, 504: May} {
		f := Facts{Ending: ProxyDeclined, Status: status, RetryAfter: wait, Method: "POST"}
		want := Meaning{Outcome: transient, Kind: Proxy, Why: why, RetryAfter: wait, Stands: true, AskUser: true}
		if got := Judge(f, standard); got != want {
			t.Errorf("%d is %+v, want %+v", status, got, want)
		}
	}
}

// The caller's time may be over while an answer arrives. That is no failure of the service,
// and that of a limit for a chunk is.
func TestDeadlineWithinABody(t *testing.T) {
	f := Facts{Ending: NoAnswer, Limit: OperationLimit, Begun: true, Sent: true}
	if got, want := Judge(f, standard), (Meaning{Outcome: unknown, Kind: Timeout, Why: MustNot}); got != want {
		t.Errorf("the deadline: %+v, want %+v", got, want)
	}
	f.Limit = PhaseLimit
	if got := Judge(f, standard); got.Outcome != transient || got.Kind != Timeout {
		t.Errorf("a chunk: %+v", got)
	}
	f.Begun, f.Limit = false, OperationLimit
	if got := Judge(f, standard); got.Outcome != transient || got.Kind != Timeout {
		t.Errorf("nothing has arrived: %+v", got)
	}
}

// No other ending depends on anything but itself.
func TestOtherEndings(t *testing.T) {
	for ending, want := range map[Ending]Meaning{
		NotMade:           {Outcome: unknown, Why: MustNot},
		SourceFailed:      {Outcome: unknown, Why: MustNot},
		Misled:            {Outcome: permanent, Kind: Status, Why: MustNot},
		TooLong:           {Outcome: permanent, Kind: BodyTooLarge, Why: MustNot},
		Mistaken:          {Outcome: unknown, Kind: Mistake, Why: MustNot},
		ProxyDeclined + 1: {Outcome: unknown, Why: MustNot}, // there is none, and it moves nothing
	} {
		for _, f := range []Facts{{}, {Canceled: ByCaller, Limit: AttemptLimit, Status: 429, RetryAfter: wait, Sent: true}} {
			f.Ending = ending
			if got := Judge(f, standard); got != want {
				t.Errorf("%+v\n is %+v,\nwant %+v", f, got, want)
			}
		}
	}
}

// A request that may have been done is repeated where the rule and the method
// allow it, and one that was not done is repeated always, as long as there is a
// body to send.
func TestMayRepeat(t *testing.T) {
	const get, post = "GET", "POST"
	for _, c := range []struct {
		rule   string
		repeat Repeat
		f      Facts
		want   Why
	}{
		{"the key lets the service recognize the second", RepeatKeyed, Facts{Method: post, Sent: true}, May},
		{"idempotent methods need none", RepeatSafe, Facts{Method: get, Sent: true}, May},
		{"others do", RepeatSafe, Facts{Method: post, Sent: true}, MustNot},
		{"an SDK can be given one", RepeatSafe, Facts{Method: post, Sent: true, Transport: true}, NoKey},
		{"one that has a key lacks none", RepeatSafe, Facts{Method: post, Sent: true, Transport: true, Keyed: true}, MustNot},
		{"which is of no use here", RepeatNever, Facts{Method: post, Sent: true, Transport: true}, MustNot},
		{"never is never", RepeatNever, Facts{Method: get, Sent: true}, MustNot},
		{"but for what did not leave", RepeatNever, Facts{Method: post}, May},
		{"the request before the redirect did", RepeatNever, Facts{Method: post, Redirected: true}, MustNot},

		{"429: it was not done", RepeatNever, Facts{Method: post, Status: 429}, May},
		{"503 with a wait: neither", RepeatNever, Facts{Method: post, Status: 503, RetryAfter: 1}, May},
		{"503 without: perhaps", RepeatNever, Facts{Method: post, Status: 503}, MustNot},
		{"502 with a wait: perhaps", RepeatNever, Facts{Method: post, Status: 502, RetryAfter: 1}, MustNot},
		{"429 after a redirect: the first service may have done it", RepeatNever, Facts{Method: post, Status: 429, Redirected: true}, MustNot},
		{"503 after a redirect: the same", RepeatSafe, Facts{Method: post, Status: 503, RetryAfter: 1, Redirected: true}, MustNot},

		{"a body that is gone", RepeatKeyed, Facts{Method: get, Body: Gone, Ended: true}, BodyOnce},
		{"one that may still be read", RepeatKeyed, Facts{Method: get, Body: Shared}, BodyOnce},
		{"and no more", RepeatKeyed, Facts{Method: get, Body: Shared, Ended: true}, May},
		{"one that is had anew", RepeatKeyed, Facts{Method: get}, May},
		{"the body is the first reason", RepeatNever, Facts{Method: post, Body: Gone, Sent: true}, BodyOnce},

		{"the service forbids", RepeatKeyed, Facts{Method: get, Status: 500, Advice: DoNotRetry}, ServiceForbids},
		{"what would be done otherwise", RepeatNever, Facts{Method: get, Status: 500, Advice: DoNotRetry}, MustNot},
		{"it cannot allow what the rules forbid", RepeatNever, Facts{Method: get, Status: 500, Advice: RetryIt}, MustNot},
		{"nor what it refused itself", RepeatKeyed, Facts{Method: get, Status: 404, Advice: RetryIt}, May}, // but Permanent
	} {
		if c.f.Status == 0 {
			c.f.Ending = NoAnswer
		}
		if got := Judge(c.f, Rules{Repeat: c.repeat}).Why; got != c.want {
			t.Errorf("%s: %+v: %d %q, want %d %q", c.rule, c.f, got, got, c.want, c.want)
		}
	}
}

func TestIdempotent(t *testing.T) {
	for _, m := range []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} {
		if !Idempotent(m) {
			t.Errorf("%q is not", m)
		}
	}
	for _, m := range []string{"POST", "PATCH", "CONNECT", "PURGE", "get"} { // methods have a case (RFC 9110, 9.1)
		if Idempotent(m) {
			t.Errorf("%q is", m)
		}
	}
}

// Retry.On of a client says whether an error is worth repeating, and nothing of
// whether the request may be repeated.
func TestFiltered(t *testing.T) {
	refusal := Meaning{Outcome: permanent, Kind: NotFound, AskUser: true, RetryAfter: wait}
	failure := Meaning{Outcome: transient, Kind: Server, AskUser: true}
	with := func(m Meaning, o outcome.Outcome, why Why) Meaning { m.Outcome, m.Why = o, why; return m }
	for _, c := range []struct {
		rule  string
		m     Meaning
		worth bool
		want  Meaning
	}{
		{"a refusal becomes worth repeating", refusal, true, with(refusal, transient, May)},
		{"if it can be repeated", with(refusal, permanent, BodyOnce), true, with(refusal, transient, BodyOnce)},
		{"a refusal stays one", refusal, false, with(refusal, permanent, UserForbids)},
		{"a failure stays one", failure, true, failure},
		{"for the breaker, too", failure, false, with(failure, transient, UserForbids)},
		{"the first reason stays", with(failure, transient, NoKey), false, with(failure, transient, NoKey)},
		{"throttling stays", with(failure, throttled, May), true, with(failure, throttled, May)},
		{"a success is not asked about", Meaning{Outcome: success}, false, Meaning{Outcome: success}},
		{"nor a redirect that misled", Judge(Facts{Ending: Misled}, standard), true, Judge(Facts{Ending: Misled}, standard)},
	} {
		if got := c.m.Filtered(c.worth); got != c.want {
			t.Errorf("%s: %+v\n is %+v,\nwant %+v", c.rule, c.m, got, c.want)
		}
	}
}

// A policy's Classify has the last word on its function's errors, but for a limit
// and a cancellation.
func TestClassified(t *testing.T) {
	for o := unknown; o <= canceled+1; o++ {
		plain := Judge(Facts{Ending: Returned, RetryAfter: wait}, standard)
		if want := (Meaning{Outcome: transient, AskUser: true, RetryAfter: wait}); plain != want {
			t.Fatalf("an error is %+v, want %+v", plain, want)
		}
		want := plain
		want.Outcome, want.Cooldown = o, o == throttled
		if got := plain.Classified(o, standard); got != want {
			t.Errorf("an error that is %v: %+v, want %+v", o, got, want)
		}

		for _, limit := range []Limit{AttemptLimit, OperationLimit} {
			timeout := Judge(Facts{Ending: Returned, RetryAfter: wait, Limit: limit}, standard)
			want = Meaning{Outcome: transient, Kind: Timeout, AskUser: true, RetryAfter: wait}
			if timeout != want {
				t.Fatalf("a limit is %+v, want %+v", timeout, want)
			}
			if o != transient && o != throttled {
				want.Why = UserForbids
			}
			if got := timeout.Classified(o, standard); got != want {
				t.Errorf("a limit that is %v: %+v, want %+v", o, got, want)
			}
		}

		for _, by := range []Cancel{ByCaller, ByClose} {
			gone := Judge(Facts{Ending: Returned, RetryAfter: wait, Limit: AttemptLimit, Canceled: by}, standard)
			want = Meaning{Outcome: canceled, Kind: Canceled, Why: MustNot, RetryAfter: wait}
			if got := gone.Classified(o, standard); got != want {
				t.Errorf("a cancellation that is %v: %+v, want %+v", o, got, want)
			}
		}
	}
}

// A policy's error starts a cooldown by the rule of a client's 429.
func TestClassifiedCooldown(t *testing.T) {
	for _, c := range []struct {
		rule string
		wait time.Duration
		o    outcome.Outcome
		r    Rules
		want bool
	}{
		{"it says how long", 1, throttled, standard, true},
		{"or does not", 0, throttled, standard, false},
		{"longer than MaxRetryAfter, too", maxRetryAfter + 1, throttled, standard, true},
		{"without MaxRetryAfter there is none", 1, throttled, Rules{}, false},
		{"a failure holds back its own operation", 1, transient, standard, false},
	} {
		m := Judge(Facts{Ending: Returned, RetryAfter: c.wait}, c.r).Classified(c.o, c.r)
		if m.Cooldown != c.want || m.RetryAfter != c.wait {
			t.Errorf("%s: %+v, want %v", c.rule, m, c.want)
		}
	}
}

// each calls f with every kind of attempt under every kind of rules.
func each(do func(f Facts, r Rules)) {
	var f Facts
	flags := []*bool{&f.Sent, &f.Ended, &f.Upgrade, &f.Transport, &f.Redirected, &f.CrossOrigin}
	for f.Ending = Answered; f.Ending <= Returned; f.Ending++ {
		statuses := []int{0}
		if f.Ending == Answered {
			statuses = []int{101, 200, 404, 408, 429, 500, 503}
		}
		failures := Lost
		if f.Ending == NoAnswer {
			failures = FailsAgain
		}
		for f.Failure = Lost; f.Failure <= failures; f.Failure++ {
			for f.Limit = NoLimit; f.Limit <= OperationLimit; f.Limit++ {
				for f.Canceled = NotCanceled; f.Canceled <= ByClose; f.Canceled++ {
					for f.Body = Repeatable; f.Body <= Gone; f.Body++ {
						for bits := range 1 << len(flags) {
							for i, flag := range flags {
								*flag = bits>>i&1 == 1
							}
							for _, f.Method = range []string{"GET", "POST"} {
								for _, f.Status = range statuses {
									for _, f.RetryAfter = range []time.Duration{0, wait} {
										do(f, standard)
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// What holds for every attempt.
func TestProperties(t *testing.T) {
	rows := 0
	each(func(f Facts, r Rules) {
		rows++
		m := Judge(f, r)
		client := f.Ending != Returned
		canBeSent := f.Body == Repeatable || f.Body == Shared && f.Ended
		check := func(holds bool, rule string) {
			if !holds {
				t.Fatalf("%s; but not here: %+v under %+v is %+v", rule, f, r, m)
			}
		}
		// Of the outcome.
		check(m.Outcome != success || m == Meaning{Outcome: success}, "a success has no more to it")
		check(m.Outcome != unknown || m.Why != May, "an outcome that says nothing is not repeated")
		check(m.Outcome != canceled || m.Why != May && !m.AskUser, "a cancellation is final")
		check(!m.Cooldown || (m.Outcome == throttled || f.Status == 503 || f.Status == 529) && m.RetryAfter > 0 && r.MaxRetryAfter > 0 && !f.CrossOrigin,
			"a cooldown is one of an answer that says how long")
		check(m.Stands == (m.Kind == PoolTimeout) && (!m.Stands || m.Outcome == unknown), "saturation says nothing about the service")
		check(m.Kind != NoKind || m.Outcome == success || m.Outcome == unknown || !client, "an error has a kind")
		check(m.RetryAfter == 0 || m.RetryAfter == f.RetryAfter, "the wait is the one that was asked for")
		// Of repeats.
		if f.Ending == NoAnswer && !f.Sent && !f.Redirected && f.Canceled == NotCanceled && f.Limit != AcquireLimit &&
			(f.Failure != FailsAgain || f.Limit != NoLimit) {
			check((m.Why == May) == canBeSent, "a request that was not sent is repeatable, whatever the method, if its body is")
			r.Repeat = RepeatNever
			check(Judge(f, r).Why == m.Why, "and under every rule")
		}
		if client && m.Outcome != success {
			check(m.Why != May || canBeSent, "no repeat without a body")
		}
		if m.Why != May && m.AskUser {
			check(m.Filtered(true).Why == m.Why, "the user cannot allow what is forbidden")
		}
		if m.AskUser {
			check(m.Filtered(false).Why != May, "the user can forbid")
		} else {
			check(m == m.Filtered(true) && m == m.Filtered(false) && m == m.Classified(transient, standard), "only what the user was asked can change")
		}
		// One fact more forbids more, and never less.
		for _, less := range []func(f *Facts, r *Rules){
			func(f *Facts, _ *Rules) { f.Sent = false },
			func(f *Facts, _ *Rules) { f.Redirected = false },
			func(f *Facts, _ *Rules) { f.Ended = true },
			func(f *Facts, _ *Rules) { f.Body = Repeatable },
			func(f *Facts, _ *Rules) { f.Method = "GET" },
		} {
			for r.Repeat = RepeatKeyed; r.Repeat <= RepeatNever; r.Repeat++ {
				easier := f
				less(&easier, &r)
				check(Judge(f, r).Why != May || Judge(easier, r).Why == May, "what is easier to repeat is repeated, if what is harder is")
			}
		}
		// A stricter rule forbids more.
		var may [RepeatNever + 1]bool
		for r.Repeat = RepeatKeyed; r.Repeat <= RepeatNever; r.Repeat++ {
			may[r.Repeat] = Judge(f, r).Why == May
		}
		check((!may[RepeatNever] || may[RepeatSafe]) && (!may[RepeatSafe] || may[RepeatKeyed]), "a stricter rule allows no more")
		// The service can forbid, and can allow what its status does not.
		r.Repeat = RepeatKeyed
		f.Advice = RetryIt
		if f.Ending == Answered && m.Outcome == permanent {
			check(Judge(f, r).Outcome == transient && Judge(f, r).Stands, "the advice to repeat is followed, and says nothing of the service")
		} else {
			check(Judge(f, r) == m, "the advice to repeat changes nothing else")
		}
		f.Advice = DoNotRetry
		check(f.Ending != Answered || m.Outcome == success || f.Status == 101 || Judge(f, r).Why != May, "the advice not to repeat is followed")
	})
	if rows != 172800 {
		t.Errorf("%d rows", rows)
	}
}

// A verdict is part of every attempt that fails.
func TestSize(t *testing.T) {
	if size := reflect.TypeFor[Facts]().Size(); size > 56 {
		t.Errorf("Facts take %d bytes, want 56: order their fields by size", size)
	}
	if size := reflect.TypeFor[Meaning]().Size(); size > 16 {
		t.Errorf("a Meaning takes %d bytes, want 16", size)
	}
}

var attempts = []struct {
	name string
	f    Facts
}{
	{"answered", Facts{Method: "GET", Status: 200, Sent: true}},
	{"throttled", Facts{Method: "POST", Status: 429, Sent: true, RetryAfter: wait}},
	{"unavailable", Facts{Method: "POST", Status: 503, Sent: true}},
	{"lost", Facts{Method: "POST", Ending: NoAnswer, Sent: true, Ended: true}},
	{"returned", Facts{Ending: Returned, Limit: AttemptLimit}},
}

var sink Meaning

func TestAllocations(t *testing.T) {
	for _, a := range attempts {
		if n := testing.AllocsPerRun(100, func() {
			m := Judge(a.f, standard)
			sink = m.Filtered(true)
			sink = m.Classified(permanent, standard)
		}); n != 0 {
			t.Errorf("%s: %v allocations", a.name, n)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	for _, a := range attempts {
		b.Run(a.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = Judge(a.f, standard).Filtered(true)
			}
		})
	}
}
