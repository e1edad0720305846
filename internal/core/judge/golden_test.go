package judge

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

// exceptions are the rows of the golden table that have another meaning now.
var exceptions = []exception{
	{
		name: "the caller's deadline passes after Close has ended the attempt, and before its end is judged",
		why:  "Close ended the attempt, so the error is ErrClosed. It was ErrTimeout, by a later look at the caller's context.",
		rows: "cancel=close+deadline", was: "canceled Timeout", is: "canceled Closed",
	},
	{
		name: "a policy's Classify finds an error Throttled that asks for a wait",
		why:  "Policies have a cooldown now: the wait holds back every call of the policy, as a client's 429 does.",
		in:   "policy", rows: "asks=2s", was: "throttled RateLimited, again, wait, asked", is: "throttled RateLimited, again, wait, cooldown, asked",
	},
	{
		name: "x-should-retry: true",
		why:  "The service knows better than its status: the request is worth repeating, and was not done. It only did not forbid a retry before. TestAdvice.",
		rows: "should-retry=true",
	},
	{
		name: "501", why: "The same request fails again. It was repeated. TestAnswer.", rows: "status=501",
	},
	{
		name: "505", why: "The same request fails again. It was repeated. TestAnswer.", rows: "status=505",
	},
	{
		name: "421", why: "It is repeated once, on another connection. It was not. TestAnswer.", rows: "status=421",
	},
	{
		name: "425", why: "It is repeated once. It was not. TestAnswer.", rows: "status=425",
	},
	{
		name: "400 with a wait", why: "It is a rate limit in other words. TestAnswer.", rows: "status=400", unless: []string{"retry-after=-", "retry-after=0"},
	},
	{
		name: "401 with a wait", why: "It is a rate limit in other words. TestAnswer.", rows: "status=401", unless: []string{"retry-after=-", "retry-after=0"},
	},
	{
		name: "403 with a wait", why: "It is a rate limit in other words. TestAnswer.", rows: "status=403", unless: []string{"retry-after=-", "retry-after=0"},
	},
	{
		name: "529 with a wait", why: "It is a 503 in other words. TestAnswer.", rows: "status=529", unless: []string{"retry-after=-", "retry-after=0"},
	},
	{
		name: "503 with a wait", why: "It starts a cooldown. It did not. TestAnswer.", rows: "status=503", unless: []string{"retry-after=-", "retry-after=0"},
	},
	{
		name: "429 with a wait above MaxRetryAfter", why: "It starts a cooldown of any length. It did not. TestAnswer.", rows: "status=429", and: "retry-after=31",
	},
}

// exception has rows that mean something else now. Without was and is, the test that why
// names tells what.
type exception struct {
	name, why string
	in        string   // the block, empty for each
	rows      string   // the dimension and the value that make the difference
	and       string   // and this one, if it is not empty
	unless    []string // not with one of these
	was, is   string   // the beginning of the leaf
}

func (e *exception) applies(title string, way []string) bool {
	return (e.in == "" || e.in == title) && slices.Contains(way, e.rows) && (e.and == "" || slices.Contains(way, e.and)) &&
		!slices.ContainsFunc(e.unless, func(step string) bool { return slices.Contains(way, step) })
}

// TestGolden compares Judge with the code that it replaced, row by row. The table
// was generated from that code. The commit that added testdata/golden.txt has the
// generator.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	blocks := parseGolden(t, string(text))
	if len(blocks) != 9 {
		t.Fatalf("%d blocks, want 9", len(blocks))
	}
	met := map[string]bool{}
	for _, b := range blocks {
		t.Run(b.title, func(t *testing.T) {
			v := &verdicts{T: t, block: b, met: met, known: map[Meaning]string{}}
			v.walk(0, b.top, start(b.title))
			if v.rows != b.rows {
				t.Errorf("%d rows, want %d", v.rows, b.rows)
			}
		})
	}
	for _, e := range exceptions {
		if !met[e.name] {
			t.Errorf("no row differs any more: %s", e.name)
		}
	}
}

// trial is a row: what is known of an attempt, and the user's answer.
type trial struct {
	Facts
	Rules
	begun    bool   // the answer's body was handed out
	on       string // what Retry.On says
	classify string // what a policy's Retry.On or Classify says
}

const maxRetryAfter = 30 * time.Second

// start is the trial of a block before any of its dimensions is set.
func start(title string) trial {
	c := trial{Facts: Facts{Method: "GET", Ended: true}, Rules: Rules{MaxRetryAfter: maxRetryAfter}}
	switch title {
	case "answered through the SDK transport":
		c.Transport, c.Ended = true, false
	case "answered by 101":
		c.Status = 101
	case "no answer":
		c.Ending = NoAnswer
	case "handed-out body":
		c.Ending, c.begun = NoAnswer, true
	case "policy":
		c.Ending = Returned
	}
	return c
}

// set gives a dimension its value.
func (c *trial) set(dim, value string) {
	switch dim {
	case "status":
		c.Status, _ = strconv.Atoi(value)
	case "method":
		c.Method = value
	case "repeat":
		c.Repeat = map[string]Repeat{"keyed": RepeatKeyed, "safe": RepeatSafe, "never": RepeatNever}[value]
	case "retry-after":
		c.RetryAfter = RetryAfter("", strings.Trim(value, "-"), "", time.Time{})
	case "should-retry":
		c.Advice = ParseAdvice(value)
	case "asks":
		d, _ := time.ParseDuration(value)
		c.RetryAfter = max(0, d)
	case "redirect":
		c.Redirected, c.CrossOrigin = value != "no", value == "cross-origin"
	case "body":
		c.Body = map[string]Body{"none": Repeatable, "settled": Repeatable, "running": Shared, "ended": Shared, "gone": Gone}[value]
	case "limit":
		c.Limit = map[string]Limit{
			"no": NoLimit, "pool": AcquireLimit, "connect": PhaseLimit, "write": PhaseLimit, "read": PhaseLimit,
			"attempt": AttemptLimit, "total": OperationLimit, "deadline": OperationLimit,
		}[value]
	case "cancel":
		if c.begun && c.Limit != NoLimit {
			return // the limit came first: afterwards the body is not read
		}
		c.Canceled = map[string]Cancel{"no": NotCanceled, "caller": ByCaller, "close": ByClose, "close+deadline": ByClose}[value]
	case "failure":
		if c.begun {
			return // the connection was made, so the error is not classified
		}
		c.Failure = map[string]Failure{"lost": Lost, "connect-timeout": ConnectTimeout, "fails-again": FailsAgain}[value]
	case "sent":
		c.Sent = value == "yes"
	case "upgrade":
		c.Upgrade = value == "yes"
	case "sdk":
		c.Transport = value == "yes"
	case "ending":
		c.Ending = map[string]Ending{"not-made": NotMade, "source-failed": SourceFailed, "misled": Misled, "too-long": TooLong}[value]
	case "stream":
		switch value {
		case "closed": // by the caller
			c.Ending, c.Canceled = NoAnswer, ByCaller
		case "cut-short":
			c.Ending = NoAnswer
		case "too-long":
			c.Ending = TooLong
		}
	case "on":
		c.on = value
	case "classify":
		c.classify = value
	default:
		panic("no dimension " + dim)
	}
}

// meaning is the judge's word, and the user's where it counts.
func (c *trial) meaning() Meaning {
	m := Judge(c.Facts, c.Rules)
	if !m.AskUser {
		return m
	}
	switch c.on {
	case "yes", "no":
		return m.Filtered(c.on == "yes")
	}
	switch c.classify {
	case "", "-":
		m.AskUser = false // there is nothing to ask
		return m
	case "on:yes":
		return m.Classified(outcome.Transient, c.Rules)
	case "on:no":
		return m.Classified(outcome.Permanent, c.Rules)
	}
	o := outcome.Canceled + 1
	for o > 0 && o.String() != c.classify {
		o--
	}
	if c.classify == "invalid" {
		o = outcome.Canceled + 1
	}
	timeout := m.Kind == Timeout
	if m = m.Classified(o, c.Rules); !timeout {
		m.Kind = KindOfOutcome(o)
	}
	return m
}

// verdicts compares the rows of a block.
type verdicts struct {
	*testing.T
	block
	rows  int
	met   map[string]bool
	known map[Meaning]string
}

// walk tries each row below n, from dimension level on.
func (v *verdicts) walk(level int, n *node, c trial) {
	if level == len(v.dims) {
		v.rows++
		v.compare(n, &c)
		return
	}
	d := v.dims[level]
	for _, value := range d.values {
		next := n
		if n.dim == d.name {
			if next = n.kids[value]; next == nil {
				v.Fatalf("line %d: no leaf for %s=%s", n.line, d.name, value)
			}
		}
		below := c
		below.set(d.name, value)
		v.path(level, d.name+"="+value)
		v.walk(level+1, next, below)
	}
}

func (v *verdicts) path(level int, step string) { v.way = append(v.way[:level], step) }

func (v *verdicts) compare(n *node, c *trial) {
	m := c.meaning()
	if m.RetryAfter != 0 && m.RetryAfter != c.RetryAfter {
		v.Fatalf("%v: waits for %v, asked for %v", v.way, m.RetryAfter, c.RetryAfter)
	}
	m.RetryAfter = min(m.RetryAfter, 1) // it counts, or does not
	is, ok := v.known[m]
	if !ok {
		is = m.text()
		v.known[m] = is
	}
	want := n.leaf
	for i := range exceptions {
		e := &exceptions[i]
		if rest, ok := strings.CutPrefix(want, e.was); ok && e.applies(v.title, v.way) {
			if v.met[e.name] = true; e.was == "" {
				return
			}
			want = e.is + rest
		}
	}
	if is != want && (strings.Contains(want, ",") || !strings.HasPrefix(is, want+",")) {
		v.Fatalf("line %d: %v\n is %s,\nwas %s", n.line, v.way, is, want)
	}
}

// text is a meaning in the table's words.
func (m Meaning) text() string {
	if m == (Meaning{Outcome: outcome.Success}) {
		return "success"
	}
	text := fmt.Sprint(m.Outcome, " ", kindNames[m.Kind], ", ")
	switch why := m.Why.String(); {
	case m.Why == May:
		text += "again"
	case why != "":
		text += "never (" + why + ")"
	default:
		text += "never"
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{m.RetryAfter > 0, "wait"}, {m.Cooldown, "cooldown"}, {m.Stands, "stands"}, {m.AskUser, "asked"}} {
		if flag.on {
			text += ", " + flag.name
		}
	}
	return text
}

var kindNames = [...]string{
	NoKind: "NoKind", Connection: "Connection", Timeout: "Timeout", ServerTimeout: "ServerTimeout", Server: "Server",
	Unavailable: "Unavailable", Status: "Status", Authentication: "Authentication", NotFound: "NotFound",
	InvalidRequest: "InvalidRequest", RateLimited: "RateLimited", PoolTimeout: "PoolTimeout", Canceled: "Canceled",
	Closed: "Closed", BodyTooLarge: "BodyTooLarge", Mistake: "Mistake", Proxy: "Proxy", Content: "Content",
}

// block is a part of the table: the product of its dimensions as a decision tree.
type block struct {
	title string
	dims  []dimension
	rows  int
	top   *node
	way   []string // to the row that is compared
}

type dimension struct {
	name   string
	values []string
}

// node is a decision, or a leaf if it has no dimension.
type node struct {
	line int
	dim  string
	kids map[string]*node // by value
	leaf string
}

func parseGolden(t *testing.T, text string) (blocks []block) {
	var b *block
	var open []*node // the decisions above, by depth
	for i, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || word == "#":
			continue
		case word == "block":
			blocks = append(blocks, block{title: rest, top: &node{}})
			b = &blocks[len(blocks)-1]
			open = []*node{b.top}
			continue
		case word == "dim":
			values := strings.Fields(rest)
			b.dims = append(b.dims, dimension{values[0], values[1:]})
			continue
		case word == "rows":
			b.rows, _ = strconv.Atoi(rest)
			continue
		}
		steps := strings.TrimLeft(line, " ")
		depth := (len(line) - len(steps)) / 2
		steps, leaf, _ := strings.Cut(steps, ": ")
		dim, values, ok := strings.Cut(steps, "=")
		if !ok || depth >= len(open) || open[depth].dim != "" && open[depth].dim != dim {
			t.Fatalf("line %d cannot be parsed: %s", i+1, line)
		}
		parent, n := open[depth], &node{line: i + 1, leaf: leaf}
		if parent.kids == nil {
			parent.dim, parent.line, parent.kids = dim, i+1, map[string]*node{}
		}
		for value := range strings.SplitSeq(values, ",") {
			if parent.kids[value] != nil {
				t.Fatalf("line %d: %s=%s is there twice", i+1, dim, value)
			}
			parent.kids[value] = n
		}
		open = append(open[:depth+1], n)
	}
	return blocks
}
