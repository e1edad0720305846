package fault

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is wrong with a plan.
type Problem struct {
	// Path is where, as in JSON: "rules[2].fault.status"; empty for the plan as
	// a whole.
	Path string
	// Message shows the value and says what is allowed.
	Message string
}

// String gives "rules[2].fault.status: 99 must be 200 to 599".
func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Error is what [Parse], [Plan.Validate] and [Plan.Compile] return: every
// problem of a plan at once, up to [MaxProblems], never none.
type Error struct{ Problems []Problem }

// Error gives one line for one problem, else a heading and a line for each.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "fault plan: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fault plan: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Validate checks the plan. The error is an [*Error] that lists every problem.
func (p Plan) Validate() error {
	var c checker
	c.plan(p)
	return c.err()
}

// checker collects problems.
type checker struct{ problems []Problem }

func (c *checker) addf(path, format string, args ...any) {
	switch {
	case len(c.problems) < MaxProblems:
		c.problems = append(c.problems, Problem{path, fmt.Sprintf(format, args...)})
	case len(c.problems) == MaxProblems:
		c.problems = append(c.problems, Problem{"", "and more that are not listed"})
	}
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{c.problems}
}

func (c *checker) plan(p Plan) {
	if p.Version != 0 && p.Version != 1 {
		c.addf("version", "%d is not known: must be 1", p.Version)
	}
	for i, entry := range p.Pace[:c.atMost("pace", len(p.Pace), MaxRules, "entries")] {
		path := fmt.Sprintf("pace[%d]", i)
		c.match(path+".match", entry.Match)
		c.window(path+".when", entry.When)
		c.latency(path+".latency", entry.Latency)
	}
	for i, r := range p.Rules[:c.atMost("rules", len(p.Rules), MaxRules, "rules")] {
		c.rule(fmt.Sprintf("rules[%d]", i), r)
	}
}

func (c *checker) rule(path string, r Rule) {
	c.match(path+".match", r.Match)
	if _, ok := parseNth(r.Nth); !ok {
		c.addf(path+".nth", `%q must be a number from 1, a range like "1-2", or "4-" for all from the fourth on`, r.Nth)
	}
	c.window(path+".when", r.When)
	if !(r.Probability >= 0 && r.Probability <= 1) { // not <, so that NaN is caught
		c.addf(path+".probability", "%v must be above 0 and at most 1", r.Probability)
	}
	if len(r.Fault.Statuses) > 0 && r.Probability != 0 {
		c.addf(path+".probability", "cannot stand beside fault.statuses, which goes by the request's number")
	}
	c.fault(path+".fault", r.Fault)
}

func (c *checker) match(path string, m Match) {
	if m.Method != "" && !isToken(m.Method) || m.Method != strings.ToUpper(m.Method) {
		c.addf(path+".method", "%q must be a method in upper case", m.Method)
	}
	if m.Path != "" && m.Path[0] != '/' && m.Path != "*" {
		c.addf(path+".path", `%q must begin with "/"`, m.Path)
	} else if i := strings.IndexByte(m.Path, '*'); i >= 0 && i < len(m.Path)-1 {
		c.addf(path+".path", `%q may have "*" at its end only`, m.Path)
	}
	for _, name := range sortedKeys(m.Header) {
		if !isToken(name) {
			c.addf(path+".header", "%q is not a header's name", name)
		}
	}
}

func (c *checker) window(path string, w Window) {
	if w.From < 0 {
		c.addf(path+".from", "%s must be 0s or more", w.From)
	}
	if w.Until < 0 || w.Until != 0 && w.Until <= w.From {
		c.addf(path+".until", "%s must be after from (%s), or left out for no end", w.Until, w.From)
	}
}

func (c *checker) fault(path string, f Fault) {
	acts := f.actions()
	switch {
	case len(acts) == 0 && f.Latency == nil:
		c.addf(path, "is empty: name a fault, or healthy")
	case len(acts) > 1:
		c.addf(path, "has %s: only one of them can happen to a request", strings.Join(acts, " and "))
	}
	if f.Status != 0 {
		c.status(path+".status", f.Status)
	}
	for i, status := range f.Statuses[:c.atMost(path+".statuses", len(f.Statuses), MaxStatuses, "statuses")] {
		c.status(fmt.Sprintf("%s.statuses[%d]", path, i), status)
	}
	c.answer(path, f)
	c.point(path+".hang", f.Hang, BeforeAnswer, AfterHeaders)
	c.point(path+".reset", f.Reset, BeforeAnswer)
	c.point(path+".close", f.Close, BeforeAnswer)
	if f.Cut != nil {
		if f.Cut.After < 0 {
			c.addf(path+".cut.after", "%d must be 0 or more bytes", f.Cut.After)
		}
		if f.Cut.By != "" && f.Cut.By != FIN && f.Cut.By != RST {
			c.addf(path+".cut.by", `%q must be "fin" or "rst"`, f.Cut.By)
		}
	}
	if f.Latency != nil {
		c.latency(path+".latency", *f.Latency)
		if *f.Latency == (Latency{}) {
			c.addf(path+".latency", "is empty: give one of fixed, uniform, lognormal")
		}
	}
	answers := f.Status != 0 || len(f.Statuses) > 0
	if f.Commit && !answers && f.Hang != BeforeAnswer && f.Reset == "" && f.Close == "" {
		c.addf(path+".commit", "goes with status, statuses, reset, close, and hang before_answer; other faults strike after the work anyway, or not at all")
	}
	c.mix(path, f)
}

// actions names the fields of which a fault may have one.
func (f *Fault) actions() []string {
	var acts []string
	add := func(has bool, name string) {
		if has {
			acts = append(acts, name)
		}
	}
	add(f.Status != 0, "status")
	add(f.Statuses != nil, "statuses")
	add(f.Mix != nil, "mix")
	add(f.Hang != "", "hang")
	add(f.Reset != "", "reset")
	add(f.Close != "", "close")
	add(f.Cut != nil, "cut")
	add(f.Healthy, "healthy")
	return acts
}

// status checks one status. Those below 200 announce an answer and are none.
func (c *checker) status(path string, status int) {
	if status < 200 || status > 599 {
		c.addf(path, "%d must be 200 to 599", status)
	}
}

// answer checks what a status may carry.
func (c *checker) answer(path string, f Fault) {
	if f.Statuses != nil && len(f.Statuses) == 0 {
		c.addf(path+".statuses", "is empty: give at least one status")
	}
	if f.Status == 0 && len(f.Statuses) == 0 {
		for _, field := range []struct {
			name string
			set  bool
		}{{"header", len(f.Header) > 0}, {"body", f.Body != ""}, {"retry_after", f.RetryAfter != 0}} {
			if field.set {
				c.addf(path+"."+field.name, "needs a status to go with")
			}
		}
	}
	if f.RetryAfter < 0 {
		c.addf(path+".retry_after", "%s must be positive", f.RetryAfter)
	}
	if len(f.Body) > MaxBody {
		c.addf(path+".body", "has %d bytes, at most %d are allowed", len(f.Body), MaxBody)
	}
	if f.Body != "" && (f.Status == 204 || f.Status == 304) {
		c.addf(path+".body", "cannot go with status %d, which has none", f.Status)
	}
	for _, name := range sortedKeys(f.Header) {
		at := path + ".header." + name
		switch {
		case !isToken(name):
			c.addf(path+".header", "%q is not a header's name", name)
		case strings.EqualFold(name, "Content-Length"), strings.EqualFold(name, "Transfer-Encoding"):
			c.addf(at, "is the server's to set")
		case strings.EqualFold(name, "Retry-After") && f.RetryAfter != 0:
			c.addf(at, "stands beside retry_after: give one of them")
		case strings.ContainsAny(f.Header[name], "\r\n\x00"):
			c.addf(at, "%q holds a line break or a zero byte", f.Header[name])
		}
	}
}

func (c *checker) point(path string, p Point, allowed ...Point) {
	if p == "" || slices.Contains(allowed, p) {
		return
	}
	quoted := make([]string, len(allowed))
	for i, a := range allowed {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	c.addf(path, "%q must be %s", p, strings.Join(quoted, " or "))
}

func (c *checker) latency(path string, l Latency) {
	set := 0
	if l.Fixed != 0 {
		set++
		c.wait(path+".fixed", l.Fixed, 0)
	}
	if l.Uniform != nil {
		set++
		c.wait(path+".uniform.min", l.Uniform.Min, 0)
		c.wait(path+".uniform.max", l.Uniform.Max, 1)
		if l.Uniform.Max < l.Uniform.Min {
			c.addf(path+".uniform.max", "%s must be at least min (%s)", l.Uniform.Max, l.Uniform.Min)
		}
	}
	if l.Lognormal != nil {
		set++
		c.wait(path+".lognormal.median", l.Lognormal.Median, 1)
		c.wait(path+".lognormal.p99", l.Lognormal.P99, 1)
		if l.Lognormal.P99 < l.Lognormal.Median {
			c.addf(path+".lognormal.p99", "%s must be at least the median (%s)", l.Lognormal.P99, l.Lognormal.Median)
		}
	}
	if set > 1 {
		c.addf(path, "must have one of fixed, uniform, lognormal")
	}
}

func (c *checker) wait(path string, d, least time.Duration) {
	switch {
	case d < least && least > 0:
		c.addf(path, "%s must be above 0s", d)
	case d < least:
		c.addf(path, "%s must be 0s or more", d)
	case d > MaxLatency:
		c.addf(path, "%s must be at most %s", d, MaxLatency)
	}
}

func (c *checker) mix(path string, f Fault) {
	if f.Mix == nil {
		return
	}
	if len(f.Mix) == 0 {
		c.addf(path+".mix", "is empty: give at least one choice")
	}
	if f.Latency != nil {
		c.addf(path+".latency", "cannot stand beside mix: give it to the choices")
	}
	for i, choice := range f.Mix[:c.atMost(path+".mix", len(f.Mix), MaxChoices, "choices")] {
		at := fmt.Sprintf("%s.mix[%d]", path, i)
		// The upper bound keeps the sum of the weights finite.
		if !(choice.Weight > 0 && choice.Weight <= math.MaxFloat64/MaxChoices) {
			c.addf(at+".weight", "%v must be above 0", choice.Weight)
		}
		switch {
		case choice.Fault.Mix != nil:
			c.addf(at+".fault.mix", "cannot stand in a mix")
		case choice.Fault.Statuses != nil:
			c.addf(at+".fault.statuses", "cannot stand in a mix, which goes by chance; give a status")
		default:
			c.fault(at+".fault", choice.Fault)
		}
	}
}

// atMost gives how many of have there are to check.
func (c *checker) atMost(path string, have, most int, what string) int {
	if have > most {
		c.addf(path, "has %d %s, at most %d are allowed", have, what, most)
	}
	return min(have, most)
}

// isToken says whether s can be a method or a header's name (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
