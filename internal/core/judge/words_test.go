package judge

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

func TestKindOf(t *testing.T) {
	own := map[int]Kind{
		400: InvalidRequest, 401: Authentication, 403: Authentication, 404: NotFound, 408: ServerTimeout, 422: InvalidRequest,
		429: RateLimited, 502: Unavailable, 503: Unavailable, 504: Unavailable,
	}
	for status := 300; status < 1000; status++ {
		want, ok := own[status]
		switch {
		case ok:
		case status < 500:
			want = Status
		default:
			want = Server
		}
		if got := KindOf(status); got != want {
			t.Errorf("%d is %s, want %s", status, kindNames[got], kindNames[want])
		}
	}
}

func TestKindOfOutcome(t *testing.T) {
	for o, want := range map[outcome.Outcome]Kind{
		unknown: NoKind, success: NoKind, transient: Connection, throttled: RateLimited, permanent: Status, canceled: Canceled,
		canceled + 1: NoKind,
	} {
		if got := KindOfOutcome(o); got != want {
			t.Errorf("%v is %s, want %s", o, kindNames[got], kindNames[want])
		}
	}
}

// Users read these in Error.Stopped, and docs/troubleshooting.md explains them.
func TestWhyString(t *testing.T) {
	for why, want := range map[Why]string{
		May:             "",
		MustNot:         "",
		BodyOnce:        "the request body can be read only once",
		NoKey:           "it may have been done, and it carries no key: see RepeatPOST",
		WouldFailAgain:  "the same attempt would fail again",
		NoConnection:    "no connection came free in time",
		ServiceForbids:  "",
		UserForbids:     "",
		UserForbids + 1: "",
	} {
		if got := why.String(); got != want {
			t.Errorf("reason %d is %q, want %q", why, got, want)
		}
	}
}
