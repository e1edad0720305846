// Package cooldown is the time for which a service asked to be left alone, as a
// pure machine. It has neither a clock nor a lock; the handle in
// internal/engine has the lock.
//
// A cooldown begins where the service asked for it: in one scope, such as a method and a
// path. If a second scope is told to wait meanwhile, every scope waits. At its end the
// callers start spread over a tenth of its length, at first one at once, then as many as
// the successes allow. So a service that returns does not get all of them in one wave.
package cooldown

import (
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/outcome"
)

const (
	// MaxScopes bounds the scopes that are kept. Of more, the one that has waited longest
	// for another request is forgotten.
	MaxScopes = 128
	// probeEvery is the least time between two probes, and from the request to the first.
	probeEvery = time.Minute
	// maxWaking bounds the time after a cooldown in which callers start a few at once.
	maxWaking = time.Minute
	// awake is the number of callers at once from which they all may start.
	awake = 64
)

// Scope is the part of a service that a request belongs to: a hash of its name. A policy
// has one scope, which is zero.
type Scope uint64

// Told is a wait that a service asked for.
type Told struct {
	For    time.Duration
	Bucket uint64 // a hash of the limit's name; zero if the service named none
	All    bool   // the service said that it concerns every scope
}

// Cooldowns are the cooldowns of one service. The zero value has none, and no bound on
// their length.
type Cooldowns struct {
	Max time.Duration // the longest; zero for no bound

	all       period
	allBucket uint64 // that all is of; zero for every bucket
	scopes    []*scope
}

// scope is a scope that was told to wait.
type scope struct {
	name   Scope
	bucket uint64
	*period
}

// period is one cooldown, and the waking up after it. Scopes of one bucket share it.
type period struct {
	until  time.Time
	length time.Duration // zero before the first, and once all callers may start
	probe  time.Time     // the next probe may start
	epoch  uint64        // counts the cooldowns
	room   int           // callers that may run at once while it wakes up
	taken  int           // callers that do
}

// Pass lets one attempt start during a cooldown or soon after it. The zero Pass is that of
// an attempt without a cooldown.
type Pass struct {
	Probe bool // it starts during a cooldown
	of    [2]struct {
		*period
		epoch uint64
	}
}

// Held reports whether the pass has to be given back by End.
func (p *Pass) Held() bool { return p.of[0].period != nil || p.of[1].period != nil }

// Wait is how long a caller has to wait.
type Wait struct {
	Until time.Time // the caller asks again then
	End   time.Time // the end of the cooldown
}

// Request records that at now the service told a caller of a scope to wait. It never
// shortens a cooldown, except for its probe, which has pass.
func (c *Cooldowns) Request(now time.Time, name Scope, told Told, pass Pass) {
	d := told.For
	if c.Max > 0 {
		d = min(d, c.Max)
	}
	if d <= 0 {
		return
	}
	if told.All {
		c.allBucket = 0
		c.all.request(now, d, pass)
		return
	}
	own := c.told(name, told.Bucket)
	own.request(now, d, pass)
	if pass.isProbeOf(&c.all) {
		c.all.request(now, d, pass)
		return
	}
	for _, other := range c.scopes {
		if other.name == name || !now.Before(other.until) || areDifferent(own.bucket, other.bucket) {
			continue
		}
		both := own.until // every scope waits for what both are told
		if other.until.Before(both) {
			both = other.until
		}
		if both.After(c.all.until) {
			c.allBucket = min(own.bucket, other.bucket) // zero unless both have named it
			c.all.request(now, both.Sub(now), pass)
		}
	}
}

// areDifferent reports whether two buckets are named, and are not the same.
func areDifferent(a, b uint64) bool { return a != 0 && b != 0 && a != b }

// told returns the scope of that name, and makes it if there is none.
func (c *Cooldowns) told(name Scope, bucket uint64) *scope {
	own := c.find(name)
	if own == nil {
		if len(c.scopes) == MaxScopes {
			first := 0
			for i, s := range c.scopes {
				if s.until.Before(c.scopes[first].until) {
					first = i
				}
			}
			c.scopes = slices.Delete(c.scopes, first, first+1)
		}
		own = &scope{name: name, period: new(period)}
		c.scopes = append(c.scopes, own)
	}
	if bucket != 0 && own.bucket != bucket {
		own.bucket = bucket
		for _, other := range c.scopes {
			if other != own && other.bucket == bucket {
				own.period = other.period
			}
		}
	}
	return own
}

// periods returns the cooldowns of a scope. Each may be nil.
func (c *Cooldowns) periods(name Scope) (of [2]*period) {
	of[0] = &c.all
	if own := c.find(name); own != nil {
		if of[1] = own.period; areDifferent(own.bucket, c.allBucket) {
			of[0] = nil
		}
	}
	return of
}

func (c *Cooldowns) find(name Scope) *scope {
	for _, s := range c.scopes {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Ask returns whether a caller of a scope may start at now. u is chance in [0, 1). A pass
// that is held is given back by End. Otherwise wait says when to ask again.
func (c *Cooldowns) Ask(now time.Time, name Scope, u float64) (pass Pass, wait Wait, ok bool) {
	periods := c.periods(name)
	for _, p := range periods {
		if p == nil {
			continue
		}
		if until, may := p.ask(now, u); !may && until.After(wait.Until) {
			wait = Wait{Until: until, End: until}
			if now.Before(p.until) {
				wait.End = p.until
			}
		}
	}
	if !wait.Until.IsZero() {
		return Pass{}, wait, false
	}
	for i, p := range periods {
		if p == nil || p.over(now) {
			continue
		}
		if now.Before(p.until) {
			pass.Probe, p.probe = true, now.Add(p.interval())
		}
		p.taken++
		pass.of[i].period, pass.of[i].epoch = p, p.epoch
	}
	return pass, Wait{}, true
}

// Blocks reports whether a cooldown forbids an attempt of a scope to start at now, with pass.
func (c *Cooldowns) Blocks(now time.Time, name Scope, pass Pass) bool {
	for _, p := range c.periods(name) {
		if p != nil && p.blocks(now, &pass) {
			return true
		}
	}
	return false
}

// End gives back a pass at now. succeeded means that the service did not ask to wait, and
// did not fail.
func (c *Cooldowns) End(now time.Time, pass Pass, succeeded bool) {
	for _, of := range pass.of {
		if of.period != nil && of.period.epoch == of.epoch {
			of.end(now, succeeded)
		}
	}
}

// Over reports whether every cooldown is over, until the next Request.
func (c *Cooldowns) Over(now time.Time) bool {
	return c.all.over(now) && !slices.ContainsFunc(c.scopes, func(s *scope) bool { return !s.over(now) })
}

// request begins or extends a cooldown.
func (p *period) request(now time.Time, d time.Duration, pass Pass) {
	until := now.Add(d)
	probe := pass.isProbeOf(p)
	if !until.After(p.until) && !probe {
		return
	}
	if !now.Before(p.until) || probe {
		p.epoch++
		p.room, p.taken = 1, 0
	}
	p.until, p.length = until, d
	p.probe = now.Add(p.interval())
}

// interval is the time between two probes: a tenth of the cooldown, and at least a minute,
// since an earlier probe would not respect a short wait at all.
func (p *period) interval() time.Duration { return max(outcome.Spread(p.length), probeEvery) }

// ask returns whether a caller may start at now, or when it asks again.
func (p *period) ask(now time.Time, u float64) (until time.Time, ok bool) {
	spread := outcome.Spread(p.length)
	switch {
	case p.over(now):
		return until, true
	case !now.Before(p.until):
		if p.taken < p.room {
			return until, true
		}
		return now.Add(spread/20 + time.Duration(u*float64(spread)) + 1), false
	case !now.Before(p.probe):
		return until, true
	}
	return p.until.Add(time.Duration(u * float64(spread))), false
}

func (p *period) over(now time.Time) bool {
	return p.length == 0 || !now.Before(p.until.Add(min(p.length, maxWaking)))
}

func (p *period) blocks(now time.Time, pass *Pass) bool {
	return now.Before(p.until) && !pass.isProbeOf(p)
}

func (p *Pass) isProbeOf(q *period) bool {
	return p.Probe && (p.of[0].period == q && p.of[0].epoch == q.epoch || p.of[1].period == q && p.of[1].epoch == q.epoch)
}

func (p *period) end(now time.Time, succeeded bool) {
	p.taken--
	if !succeeded || p.length == 0 {
		return
	}
	if now.Before(p.until) { // it was a probe
		p.until = now
	}
	if p.room *= 2; p.room >= awake {
		p.length = 0
	}
}
