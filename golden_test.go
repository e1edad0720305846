//go:build golden

package holdfast

// The generator of internal/core/judge/testdata/golden.txt: it drives the
// functions that classify an attempt's end (weighed, lost, unanswered, read, open,
// mayRepeat, liveBody.why, Stream.more, Policy.judge) over the grid of facts and
// writes their verdicts as a decision tree.
//
//	GOLDEN=write go test -tags golden -run TestGolden .
//
// Without GOLDEN it compares the file with what it would write.

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/shell"
	"github.com/holdfast-go/holdfast/internal/wire"
)

const goldenFile = "internal/core/judge/testdata/golden.txt"

// dim is a dimension of the grid.
type dim struct {
	name   string
	values []string
}

func dimension(name, values string) dim { return dim{name, strings.Fields(values)} }

// block is a part of the grid, a full product.
type block struct {
	title string
	about string // what is left out, and why it cannot occur
	dims  []dim
	eval  func(v row) string
}

// row is one point of the grid: the value of each dimension by name.
type row map[string]string

var (
	repeats   = dimension("repeat", "keyed safe never")
	methods   = dimension("method", "GET HEAD PUT DELETE POST PATCH PURGE")
	waits     = dimension("retry-after", "- 0 2 30 31") // MaxRetryAfter is 30 s
	advices   = dimension("should-retry", "- true false")
	redirects = dimension("redirect", "no same-origin cross-origin")
	limits    = dimension("limit", "no pool connect write read attempt total deadline")
	cancels   = dimension("cancel", "no caller close close+deadline")
	filters   = dimension("on", "- yes no")
	yesNo     = func(name string) dim { return dimension(name, "no yes") }
	statuses  = dimension("status", "200 204 300 301 302 304 307 308 400 401 403 404 405 408 409 413 421 422 425 429 "+
		"500 501 502 503 504 505 507 508 529 599")
)

var blocks = []block{
	{
		title: "answered",
		about: "turnedDown and weighed. The round trip has ended by then, so no body is running.",
		dims: []dim{statuses, redirects, waits, dimension("body", "none settled ended gone"), repeats, methods, advices,
			filters},
		eval: func(v row) string { return world(v, false).answered(v) },
	},
	{
		title: "answered through the SDK transport",
		about: "keep and weighed. The answer's body is open, so the round trip has not ended.",
		dims: []dim{statuses, redirects, waits, dimension("body", "none settled running gone"), repeats, methods, advices,
			filters},
		eval: func(v row) string { v["sdk"] = "yes"; return world(v, true).answered(v) },
	},
	{
		title: "answered, and something else happened",
		about: "An answer stands, whatever happens while its body is read. Fewer methods, waits and bodies: the first block has them.",
		dims: []dim{statuses, limits, cancels, yesNo("sent"), yesNo("upgrade"), dimension("retry-after", "- 2"),
			dimension("body", "none gone"), repeats, dimension("method", "GET POST"), yesNo("sdk"), filters},
		eval: func(v row) string { return world(v, v["sdk"] == "yes").answered(v) },
	},
	{
		title: "answered by 101",
		about: "One that was asked for is a success; else lost. The error is then errSwitched, so there is no other failure.",
		dims: []dim{yesNo("upgrade"), cancels, limits, dimension("body", "none settled ended gone"), yesNo("sent"), redirects,
			dimension("retry-after", "- 2"), advices, repeats, methods, yesNo("sdk"), filters},
		eval: func(v row) string {
			w := world(v, false)
			if v["upgrade"] == "yes" {
				return w.says(w.o.succeeded(101))
			}
			return w.says(w.o.lost(w.trip, errSwitched, 101))
		},
	},
	{
		title: "no answer",
		about: "lost. It ends the round trip first, so no body is running. The status is that of an answer that broke off.",
		dims: []dim{cancels, limits, dimension("failure", "lost connect-timeout fails-again"),
			dimension("body", "none settled ended gone"), yesNo("sent"), redirects, repeats, methods, yesNo("sdk"),
			dimension("status", "0 200"), filters},
		eval: func(v row) string {
			w := world(v, false)
			return w.says(w.o.unanswered(w.trip, nil, failures[v["failure"]]))
		},
	},
	{
		title: "not made, source failed, misled, too long",
		about: "unanswered, and read and open where the answer is too long. Whatever else is known does not count.",
		dims: []dim{dimension("ending", "not-made source-failed misled too-long"), cancels, limits, yesNo("sent"), redirects,
			dimension("body", "none ended gone"), repeats, dimension("method", "GET POST"), yesNo("sdk"), filters},
		eval: evalEndings,
	},
	{
		title: "handed-out body",
		about: "liveBody.why: its attempt was judged at the headers, so only outcome and kind count. Waiting for a connection is over.",
		dims: []dim{dimension("limit", "no read attempt total deadline"), cancels,
			dimension("failure", "lost connect-timeout fails-again")},
		eval: func(v row) string {
			w := world(v, true)
			b := &liveBody{o: w.o, trip: w.trip}
			out, kind, _ := b.why(failures[v["failure"]])
			return fmt.Sprint(out, " ", kindName(kind))
		},
	},
	{
		title: "stream that had begun",
		about: "Stream.more: only outcome and kind count.",
		dims:  []dim{dimension("stream", "closed cut-short too-long")},
		eval:  evalStream,
	},
	{
		title: "policy",
		about: "function.came and Policy.judge. A policy has no phases, no pool and no Close.",
		dims: []dim{dimension("cancel", "no caller"), dimension("limit", "no attempt total deadline"),
			dimension("classify", "- on:yes on:no unknown success transient throttled permanent canceled invalid"),
			dimension("asks", "- -1s 2s")},
		eval: evalPolicy,
	},
}

var failures = map[string]error{
	"lost":            io.ErrUnexpectedEOF,
	"connect-timeout": wire.ConnectTimeoutError(io.ErrUnexpectedEOF),
	"fails-again":     x509.HostnameError{Host: "x", Certificate: new(x509.Certificate)},
}

// TestGolden writes the file, or compares it.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	out.WriteString(preface)
	for _, b := range blocks {
		write(&out, b)
	}
	if os.Getenv("GOLDEN") != "" {
		if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(was, out.Bytes()) {
		t.Errorf("%s is not what the code does", goldenFile)
	}
}

const preface = `# The meaning of an attempt's end, as the root package judged it before
# internal/core/judge did. Each block is the full product of its dimensions, as a
# decision tree: a dimension that is not named on the way to a leaf does not count.
# A leaf is the outcome and the kind of the error, then: whether the request may be
# repeated ("again", or "never" and the reason that is given to the user); "wait" if
# the wait that the service asks for counts; "cooldown" if it holds back every
# operation; "stands" if the verdict before it stands; "asked" if Retry.On or
# Classify was asked.
`

// write writes a block.
func write(out *bytes.Buffer, b block) {
	tr := &tree{block: b, ids: map[string]int{}, leaf: map[int]string{}, kids: map[int][]int{}}
	rows := 1
	for _, d := range b.dims {
		rows *= len(d.values)
	}
	top := tr.build(0, row{})
	fmt.Fprintf(out, "\nblock %s\n# %s\n", b.title, b.about)
	for _, d := range b.dims {
		fmt.Fprintf(out, "dim %s %s\n", d.name, strings.Join(d.values, " "))
	}
	fmt.Fprintf(out, "rows %d\n", rows)
	tr.print(out, top, 0, "")
}

// tree is a decision tree whose equal parts are one.
type tree struct {
	block
	ids  map[string]int
	leaf map[int]string
	kids map[int][]int // by value; empty for a leaf
}

func (t *tree) intern(key string) (id int, isNew bool) {
	if id, ok := t.ids[key]; ok {
		return id, false
	}
	id = len(t.ids)
	t.ids[key] = id
	return id, true
}

func (t *tree) build(level int, v row) int {
	if level == len(t.dims) {
		text := t.eval(v)
		id, isNew := t.intern(text)
		if isNew {
			t.leaf[id] = text
		}
		return id
	}
	d := t.dims[level]
	kids := make([]int, len(d.values))
	same := true
	for i, value := range d.values {
		v[d.name] = value
		kids[i] = t.build(level+1, v)
		same = same && kids[i] == kids[0]
	}
	if same {
		return kids[0]
	}
	id, isNew := t.intern(fmt.Sprint(level, kids))
	if isNew {
		t.kids[id] = append([]int{level}, kids...)
	}
	return id
}

func (t *tree) print(out *bytes.Buffer, id, depth int, head string) {
	indent := strings.Repeat("  ", max(0, depth-1))
	kids := t.kids[id]
	if kids == nil {
		fmt.Fprintf(out, "%s%s: %s\n", indent, head, t.leaf[id])
		return
	}
	if head != "" {
		fmt.Fprintf(out, "%s%s\n", indent, head)
	}
	d := t.dims[kids[0]]
	var groups []int
	members := map[int][]string{}
	for i, kid := range kids[1:] {
		if members[kid] == nil {
			groups = append(groups, kid)
		}
		members[kid] = append(members[kid], d.values[i])
	}
	for _, kid := range groups {
		t.print(out, kid, depth+1, d.name+"="+strings.Join(members[kid], ","))
	}
}

// fixed is a context in a state that does not change.
type fixed struct {
	context.Context
	err      error
	deadline time.Time
}

func (f *fixed) Err() error                          { return f.err }
func (f *fixed) Deadline() (time.Time, bool)         { return f.deadline, !f.deadline.IsZero() }
func (f *fixed) AfterFunc(func()) (stop func() bool) { return func() bool { return true } }
func (f *fixed) Extend(time.Time)                    {}
func (f *fixed) Expire()                             {}
func (f *fixed) End()                                {}

// stage is an operation whose attempt has just ended.
type stage struct {
	o     *exchange
	trip  *wire.Trip
	asked bool // Retry.On was
}

var (
	past    = time.Now().Add(-time.Minute)
	phases  = map[string]wire.Phase{"pool": wire.Pool, "connect": wire.Connect, "write": wire.Write, "read": wire.Read}
	uploads = map[string]*wire.Upload{
		"none":    nil,
		"settled": wire.NewUpload(file{strings.NewReader("x")}, 1, true),
		"running": wire.NewUpload(io.NopCloser(strings.NewReader("x")), 1, true),
		"ended":   wire.NewUpload(io.NopCloser(strings.NewReader("x")), 1, true),
		"gone":    goneUpload(),
	}
	repeatRules = map[string]Repeat{"keyed": RepeatKeyed, "safe": RepeatSafe, "never": RepeatNever, "": RepeatKeyed}
)

type file struct{ *strings.Reader }

func (file) Close() error { return nil }

func goneUpload() *wire.Upload {
	u := wire.NewUpload(io.NopCloser(strings.NewReader("x")), 1, true)
	u.Close()
	return u
}

// world makes the stage of a row. Its answer's body is open if raw.
func world(v row, raw bool) *stage {
	s := &stage{trip: new(wire.Trip)}
	caller, own, attempt := &fixed{Context: context.Background()}, &fixed{}, &fixed{Context: context.Background()}
	c := &Client{settings: settings{maxBody: 1, maxEvent: 1}}
	c.rules = rules{retry: retry.Config{Retries: 3, MaxRetryAfter: 30 * time.Second}, pause: new(shell.Pause)}
	if on := v["on"]; on == "yes" || on == "no" {
		c.settings.on = func(error) bool { s.asked = true; return on == "yes" }
	}
	o := &exchange{client: c, isDoor: v["sdk"] == "yes", repeat: repeatRules[v["repeat"]], upload: uploads[v["body"]], limits: &c.limits}
	s.o = o
	o.rules, o.schedule, o.made, o.asked, o.began = &c.rules, &c.rules.retry, 1, past, past
	o.initial = http.Request{Method: v["method"], URL: &url.URL{Scheme: "http", Host: "x.test"}}
	o.request = &o.initial
	o.caller, o.ctx = caller, own
	o.moved, o.away = v["redirect"] == "same-origin" || v["redirect"] == "cross-origin", v["redirect"] == "cross-origin"
	if raw {
		o.raw = &http.Response{StatusCode: 200}
	}
	switch v["limit"] {
	case "total":
		o.deadline = past
	case "deadline":
		caller.deadline, caller.err = past, context.DeadlineExceeded
	}
	switch v["cancel"] {
	case "caller":
		caller.err, own.err, attempt.err = context.Canceled, context.Canceled, context.Canceled
	case "close":
		caller.err = nil // a deadline comes after it
		own.err, attempt.err = context.Canceled, context.Canceled
	case "close+deadline": // the caller's passes after Close has ended the attempt
		caller.err, caller.deadline = context.DeadlineExceeded, past
		own.err, attempt.err = context.Canceled, context.Canceled
	}
	if l := v["limit"]; l != "" && l != "no" { // before it was canceled
		attempt.err = context.DeadlineExceeded
	}
	s.trip.Pose(attempt, v["sent"] == "yes", phases[v["limit"]], nil)
	return s
}

func (s *stage) answered(v row) string {
	var status int
	fmt.Sscan(v["status"], &status)
	if status < 300 || status == 304 { // see TestGoldenDispatch
		return s.says(s.o.succeeded(status))
	}
	h := http.Header{}
	if v["retry-after"] != "-" {
		h.Set("Retry-After", v["retry-after"])
	}
	if a := v["should-retry"]; a != "-" && a != "" {
		h.Set("X-Should-Retry", a)
	}
	return s.says(s.o.weighed(s.trip, &StatusError{Status: status, Header: h}, time.Now()))
}

// says is the verdict of the old code.
func (s *stage) says(r outcome.Result) string {
	o := s.o
	if r.Outcome == Success {
		if r.NoRepeat || r.RetryAfter != 0 || o.bad != nil {
			panic("a success with more to it")
		}
		return "success"
	}
	return verdict(r, o.bad, o.rules.pause.Asked(), s.stands(r), s.asked)
}

func verdict(r outcome.Result, bad *trouble, cooldown, stands, asked bool) string {
	if cooldown != !bad.retryAt.IsZero() {
		panic("a cooldown that is not reported")
	}
	var b strings.Builder
	fmt.Fprint(&b, r.Outcome, " ", kindName(bad.kind))
	switch {
	case !r.NoRepeat:
		b.WriteString(", again")
	case bad.unrepeatable != "":
		b.WriteString(", never (" + bad.unrepeatable + ")")
	default:
		b.WriteString(", never")
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{r.RetryAfter > 0, "wait"}, {cooldown, "cooldown"}, {stands, "stands"}, {asked, "asked"}} {
		if flag.on {
			b.WriteString(", " + flag.name)
		}
	}
	return b.String()
}

// stands reports whether the verdict before this one counts for the breaker, which
// opens at the first failure. Verdict goes by outcome and kind, so each pair is
// tried once.
func (s *stage) stands(r outcome.Result) (stands bool) {
	o := s.o
	pair := fmt.Sprint(r.Outcome, kindName(o.bad.kind))
	if known, ok := standing[pair]; ok {
		return known
	}
	defer func() { standing[pair] = stands }()
	before := Transient
	if r.Outcome == Transient {
		before = Permanent
	}
	o.rules.breaker = MustBreaker(BreakerConfig{FailureThreshold: 1})
	o.Admit()
	o.bad.failures = []Attempt{{Outcome: before}, o.bad.failures[0]}
	o.Verdict(r.Outcome)
	return (o.rules.breaker.State() == Open) != (r.Outcome == Transient)
}

var standing = map[string]bool{}

var kindNames = map[error]string{
	nil: "NoKind", ErrConnection: "Connection", ErrTimeout: "Timeout", ErrServerTimeout: "ServerTimeout", ErrServer: "Server",
	ErrUnavailable: "Unavailable", ErrStatus: "Status", ErrAuthentication: "Authentication", ErrNotFound: "NotFound",
	ErrInvalidRequest: "InvalidRequest", ErrRateLimited: "RateLimited", ErrPoolTimeout: "PoolTimeout", ErrCanceled: "Canceled",
	ErrClosed: "Closed", ErrBodyTooLarge: "BodyTooLarge",
}

func kindName(err error) string {
	name, ok := kindNames[err]
	if !ok {
		panic(fmt.Sprint("no name for ", err))
	}
	return name
}

func evalEndings(v row) string {
	w := world(v, false)
	o := w.o
	switch v["ending"] {
	case "not-made":
		return w.says(o.unanswered(w.trip, nil, &unmadeError{io.ErrUnexpectedEOF}))
	case "source-failed":
		w.trip.Pose(w.trip.Context, v["sent"] == "yes", phases[v["limit"]], io.ErrNoProgress)
		return w.says(o.unanswered(w.trip, nil, io.ErrUnexpectedEOF))
	case "misled":
		return w.says(o.unanswered(w.trip, &http.Response{StatusCode: 302}, &RedirectError{answer: &StatusError{Status: 302}}))
	}
	long := func() *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("more than one byte\n"))}
	}
	read := w.says(o.read(w.trip, long()))
	again := world(v, false)
	r, open := again.o.open(again.trip, long())
	if streamed := again.says(r); open || streamed != read {
		panic("a stream's first line that is too long: " + streamed)
	}
	return read
}

func evalStream(v row) string {
	w := world(v, true)
	s := &Stream{body: &liveBody{ReadCloser: http.NoBody, o: w.o, trip: w.trip}, over: io.EOF}
	w.o.running(s)
	switch v["stream"] {
	case "closed":
		s.closed.Store(true)
		s.more(nil)
	case "cut-short":
		s.more(io.ErrUnexpectedEOF)
	case "too-long":
		s.frames.Max = 1
		s.frames.Add(copy(s.frames.Room(), "more than one byte"))
		_, err := s.frames.Line()
		s.more(err)
	}
	e := s.err.(*Error)
	return fmt.Sprint(e.Attempts[0].Outcome, " ", kindName(e.kind))
}

// running lets a stream finish its operation.
func (o *exchange) running(*Stream) {
	o.own.Init(context.Background(), time.Time{})
	o.client.running.add(o)
}

type waitError time.Duration

func (w waitError) Error() string             { return "wait" }
func (w waitError) RetryAfter() time.Duration { return time.Duration(w) }

func evalPolicy(v row) string {
	asked := false
	p := &Policy{}
	switch c := v["classify"]; c {
	case "-":
	case "on:yes", "on:no":
		p.on = func(error) bool { asked = true; return c == "on:yes" }
	default:
		o := outcomes[c]
		p.classify = func(error) Outcome { asked = true; return o }
	}
	caller := &fixed{Context: context.Background()}
	f := &function[int]{policy: p}
	f.rules, f.caller, f.schedule, f.made, f.asked, f.began = &p.rules, caller, &p.rules.retry, 1, past, past
	ctx := new(shell.Attempt)
	ctx.Init(context.Background(), time.Time{})
	switch v["limit"] {
	case "attempt":
		ctx.Expire()
	case "total":
		f.deadline = past
		ctx.Expire()
	case "deadline":
		caller.deadline, caller.err = past, context.DeadlineExceeded
		ctx.Expire()
	}
	if v["cancel"] == "caller" {
		caller.err = context.Canceled
	}
	err := errors.New("x")
	if v["asks"] != "-" {
		d, parsed := time.ParseDuration(v["asks"])
		if parsed != nil {
			panic(parsed)
		}
		err = waitError(d)
	}
	r := f.came(ctx, err)
	return verdict(r, f.bad, false, false, asked)
}

var outcomes = map[string]Outcome{
	"unknown": Unknown, "success": Success, "transient": Transient, "throttled": Throttled, "permanent": Permanent,
	"canceled": Canceled, "invalid": Canceled + 1,
}

// TestGoldenDispatch shows for each status that Attempt takes the way that the
// blocks take: through a buffered call, a stream, Do and the SDK transport.
func TestGoldenDispatch(t *testing.T) {
	for _, status := range append(slices.Clone(statuses.values), "100", "101", "199", "299", "600", "999") {
		for _, upgrade := range []bool{false, true} {
			for _, way := range []string{"get", "stream", "do", "sdk"} {
				var code int
				fmt.Sscan(status, &code)
				var events []Event
				c, err := New(Config{BaseURL: "http://x.test", Retry: Retry{MaxRetries: Off}},
					WithTransport(rtFunc(func(*http.Request) (*http.Response, error) {
						return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
					})),
					WithObserver(observerFunc(func(e Event) {
						if e.Kind == EventAttemptDone {
							events = append(events, e)
						}
					})))
				if err != nil {
					t.Fatal(err)
				}
				req, _ := http.NewRequest("GET", "http://x.test/", nil)
				if upgrade {
					req.Header.Set("Upgrade", "x")
				}
				switch way {
				case "get":
					_, err = c.Get(t.Context(), "/")
				case "stream":
					var s *Stream
					if s, err = c.Stream(t.Context(), "GET", "/", nil); err == nil {
						s.Close()
					}
				case "do", "sdk":
					var resp *http.Response
					if way == "do" {
						resp, err = c.Do(req)
					} else {
						resp, err = c.Transport().RoundTrip(req)
					}
					if err == nil {
						resp.Body.Close()
					}
				}
				upgraded := upgrade && (way == "do" || way == "sdk")
				got := judge.Judge(judge.Facts{Status: code, Upgrade: upgraded, Sent: true, Ended: true, Method: "GET"}, judge.Rules{})
				if len(events) != 1 || events[0].Outcome != got.Outcome {
					t.Errorf("%s, upgrade %v, %s: %v, want %v", status, upgrade, way, events, got.Outcome)
				}
				if e, ok := errors.AsType[*Error](err); ok && kindName(e.kind) != kindName(kindOf[got.Kind]) {
					t.Errorf("%s, upgrade %v, %s: %v, want %v", status, upgrade, way, e.kind, kindOf[got.Kind])
				}
				c.Close()
			}
		}
	}
}

var kindOf = map[judge.Kind]error{
	judge.Connection: ErrConnection, judge.ServerTimeout: ErrServerTimeout, judge.Server: ErrServer, judge.Unavailable: ErrUnavailable,
	judge.Status: ErrStatus, judge.Authentication: ErrAuthentication, judge.NotFound: ErrNotFound,
	judge.InvalidRequest: ErrInvalidRequest, judge.RateLimited: ErrRateLimited,
}

type rtFunc func(*http.Request) (*http.Response, error)

func (f rtFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type observerFunc func(Event)

func (f observerFunc) Observe(_ context.Context, e Event) { f(e) }

// FuzzGoldenWaits compares the two parsers of headers.
func FuzzGoldenWaits(f *testing.F) {
	for _, v := range []string{"1", "-1", "9223372037", "1e400", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "NaN", "0x10", "inf", " 2 ", strings.Repeat("1", 65)} {
		f.Add(v, v, v, v)
	}
	now := time.Date(1994, 11, 6, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, ms, after, date, advice string) {
		h := http.Header{"Retry-After": {after}, "Retry-After-Ms": {ms}, "Date": {date}, "X-Should-Retry": {advice}}
		if old, is := wire.RetryAfter(h, now), judge.RetryAfter(ms, after, date, now); old != is {
			t.Errorf("%q: %v, was %v", h, is, old)
		}
		again, said := wire.ShouldRetry(h)
		want := judge.NoAdvice
		switch {
		case said && again:
			want = judge.RetryIt
		case said:
			want = judge.DoNotRetry
		}
		if is := judge.ParseAdvice(advice); is != want {
			t.Errorf("%q: %v, was %v", advice, is, want)
		}
		if wire.Idempotent(date) != judge.Idempotent(date) {
			t.Errorf("method %q", date)
		}
	})
}
