package fault

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/internal/spelling"
)

func (c *checker) fault(path string, f Fault) {
	acts := f.actions()
	switch {
	case len(acts) == 0 && f.Latency == nil:
		c.addf(path, "is empty: name a fault, or healthy")
	case len(acts) > 1:
		c.addf(path, "has %s: a request can have only one of them", and(acts))
	}
	if f.Status != 0 {
		c.status(path+".status", f.Status)
	}
	for i, status := range f.Statuses[:c.atMost(path+".statuses", len(f.Statuses), MaxStatuses, "statuses")] {
		c.status(fmt.Sprintf("%s.statuses[%d]", path, i), status)
	}
	c.answer(path, f)
	oneOf(c, path+".retry_after_as", f.RetryAfterAs)
	oneOf(c, path+".redirect", f.Redirect)
	oneOf(c, path+".hang", f.Hang, BeforeAnswer, AfterHeaders)
	oneOf(c, path+".reset", f.Reset, BeforeAnswer, NextRequest)
	oneOf(c, path+".close", f.Close, BeforeAnswer, NextRequest)
	oneOf(c, path+".upload", f.Upload)
	oneOf(c, path+".gzip", f.Gzip)
	c.ofProvider(path, f)
	oneOf(c, path+".h1", f.H1)
	oneOf(c, path+".h2", f.H2, h2Requests...)
	c.parts(path, f)
	if f.Quota != nil {
		if f.Status != 0 {
			c.addf(path+".status", "cannot be combined with quota, which answers with 429")
		}
		if f.Quota.Limit < 0 {
			c.addf(path+".quota.limit", "%d must be 0 or more requests", f.Quota.Limit)
		}
		if f.Quota.Per <= 0 {
			c.addf(path+".quota.per", "%s must be above 0s", f.Quota.Per)
		}
	}
	switch takes := f.Gzip == GzipBomb || f.H1 == HeaderOversized || f.H1 == InterimFlood; {
	case f.Size != 0 && !takes:
		c.addf(path+".size", "is valid only with gzip bomb, h1 header_oversized and h1 interim_flood")
	case f.Size < 0 || f.Size > MaxSize:
		c.addf(path+".size", "%d must be 1 to %d bytes, or left out", f.Size, MaxSize)
	}
	if f.Latency != nil {
		c.latency(path+".latency", *f.Latency)
		if *f.Latency == (Latency{}) {
			c.addf(path+".latency", "is empty: give one of fixed, uniform, lognormal, bimodal")
		}
	}
	answers := f.Status != 0 || len(f.Statuses) > 0 || f.API != ""
	if f.Commit && !answers && f.Hang != BeforeAnswer && f.Reset != BeforeAnswer && f.Close != BeforeAnswer {
		c.addf(path+".commit", "is valid only with status, statuses, api, reset, close, and hang before_answer: other faults always strike after the work or never do")
	}
	c.mix(path, f)
}

// actions collects the names of the actions of a fault.
type actions []string

func (a *actions) add(has bool, name string) {
	if has {
		*a = append(*a, name)
	}
}

func and(names []string) string { return strings.Join(names, " and ") }

// actions lists the fields that are set, of which a fault may have one.
func (f *Fault) actions() []string {
	var acts actions
	acts.add(f.Status != 0 && f.Quota == nil, "status")
	acts.add(f.Statuses != nil, "statuses")
	acts.add(f.Mix != nil, "mix")
	acts.add(f.Quota != nil, "quota")
	acts.add(f.Redirect != "", "redirect")
	acts.add(f.Hang != "", "hang")
	acts.add(f.Reset != "", "reset")
	acts.add(f.Close != "", "close")
	acts.add(f.Cut != nil, "cut")
	acts.add(f.Stall != nil, "stall")
	acts.add(f.Drip != nil, "drip")
	acts.add(f.Upload != "", "upload")
	acts.add(f.Gzip != "", "gzip")
	acts.add(f.Endless, "endless")
	acts.add(f.API != "", "api")
	acts.add(f.Stream != "", "stream")
	acts.add(f.H1 != "", "h1")
	acts.add(f.H2 != "", "h2")
	acts.add(f.Healthy, "healthy")
	return acts
}

// status checks one status. A status below 200 is interim, not an answer.
func (c *checker) status(path string, status int) {
	if status < 200 || status > 599 {
		c.addf(path, "%d must be 200 to 599", status)
	}
}

// answer checks the fields that need a status.
func (c *checker) answer(path string, f Fault) {
	if f.Statuses != nil && len(f.Statuses) == 0 {
		c.addf(path+".statuses", "is empty: give at least one status")
	}
	if f.Status == 0 && len(f.Statuses) == 0 && f.Quota == nil {
		for _, field := range []struct {
			name string
			set  bool
		}{{"header", len(f.Header) > 0}, {"body", f.Body != ""}, {"retry_after", f.RetryAfter != 0 && f.API == ""}, {"retry_after_as", f.RetryAfterAs != ""}} {
			if field.set {
				c.addf(path+"."+field.name, "needs a status")
			}
		}
	}
	c.retryAfter(path, f)
	if len(f.Body) > MaxBody {
		c.addf(path+".body", "has %d bytes, at most %d are allowed", len(f.Body), MaxBody)
	}
	if f.Body != "" && (f.Status == 204 || f.Status == 304) {
		c.addf(path+".body", "cannot be combined with status %d, which has no body", f.Status)
	}
	for _, name := range sortedKeys(f.Header) {
		at := path + ".header." + name
		switch {
		case !isToken(name):
			c.addf(path+".header", "%q is not a header's name", name)
		case strings.EqualFold(name, "Content-Length"), strings.EqualFold(name, "Transfer-Encoding"):
			c.addf(at, "is set by the server")
		case strings.EqualFold(name, "Retry-After") && (f.RetryAfter != 0 || f.RetryAfterAs != "" || f.Quota != nil):
			c.addf(at, "cannot be combined with retry_after: give one of them")
		case strings.ContainsAny(f.Header[name], "\r\n\x00"):
			c.addf(at, "%q holds a line break or a zero byte", f.Header[name])
		}
	}
}

func (c *checker) retryAfter(path string, f Fault) {
	switch f.RetryAfterAs {
	case "":
	case RetrySeconds, RetryDate, RetryMillis:
		if f.RetryAfter == 0 && f.Quota == nil {
			c.addf(path+".retry_after_as", "%q needs a retry_after", f.RetryAfterAs)
		}
	default:
		if f.RetryAfter != 0 || f.Quota != nil {
			c.addf(path+".retry_after_as", "%q has its own value: it cannot be combined with retry_after or quota", f.RetryAfterAs)
		}
	}
	switch {
	case f.RetryAfter < 0:
		c.addf(path+".retry_after", "%s must be positive", f.RetryAfter)
	case f.RetryAfter != 0 && f.Quota != nil:
		c.addf(path+".retry_after", "cannot be combined with quota, which sends the time left in its period")
	}
}

// parts checks the faults within the answer.
func (c *checker) parts(path string, f Fault) {
	after := func(path string, n int) {
		if n < 0 {
			c.addf(path+".after", "%d must be 0 or more bytes", n)
		}
	}
	if f.Cut != nil {
		after(path+".cut", f.Cut.After)
		oneOf(c, path+".cut.by", f.Cut.By)
		oneOf(c, path+".cut.of", f.Cut.Of)
	}
	if f.Stall != nil {
		after(path+".stall", f.Stall.After)
		oneOf(c, path+".stall.of", f.Stall.Of)
		c.wait(path+".stall.for", f.Stall.For, 0)
	}
	if f.Drip != nil {
		oneOf(c, path+".drip.of", f.Drip.Of, Head, Body)
		if f.Drip.Bytes < 0 {
			c.addf(path+".drip.bytes", "%d must be 1 or more bytes, or left out for 1", f.Drip.Bytes)
		}
		c.wait(path+".drip.every", f.Drip.Every, 1)
	}
}

// oneOf checks a word. It may be empty. Without a list, all words of its type
// are allowed.
func oneOf[W ~string](c *checker, path string, w W, allowed ...W) {
	texts := words(allowed...)
	if len(texts) == 0 {
		texts = vocabulary[reflect.TypeFor[W]()]
	}
	if w == "" || slices.Contains(texts, string(w)) {
		return
	}
	if near := spelling.Nearest(string(w), texts); near != "" && len(texts) > 3 {
		c.addf(path, "%q is not known; did you mean %q?", w, near)
		return
	}
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	c.addf(path, "%q must be %s", w, strings.Join(quoted, " or "))
}

func (c *checker) mix(path string, f Fault) {
	if f.Mix == nil {
		return
	}
	if len(f.Mix) == 0 {
		c.addf(path+".mix", "is empty: give at least one choice")
	}
	if f.Latency != nil {
		c.addf(path+".latency", "cannot be combined with mix: give it to the choices")
	}
	for i, choice := range f.Mix[:c.atMost(path+".mix", len(f.Mix), MaxChoices, "choices")] {
		at := fmt.Sprintf("%s.mix[%d]", path, i)
		// The upper bound keeps the sum of the weights finite.
		if !(choice.Weight > 0 && choice.Weight <= math.MaxFloat64/MaxChoices) {
			c.addf(at+".weight", "%v must be above 0", choice.Weight)
		}
		switch {
		case choice.Fault.Mix != nil:
			c.addf(at+".fault.mix", "cannot be part of a mix")
		case choice.Fault.Statuses != nil:
			c.addf(at+".fault.statuses", "cannot be part of a mix, which is random: give a status")
		case choice.Fault.Quota != nil:
			c.addf(at+".fault.quota", "cannot be part of a mix, which is random")
		default:
			c.fault(at+".fault", choice.Fault)
		}
	}
}
