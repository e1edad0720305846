package cooldown

import (
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const almostOne = 1 - 1.0/(1<<53)

func at(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// timeline asks the machine as callers do.
type timeline struct {
	*testing.T
	Cooldowns
}

// told is an answer at now that asks a scope for a wait.
func (l *timeline) told(now float64, of Scope, wait float64) {
	l.Request(at(now), of, Told{For: seconds(wait)}, Pass{})
}

// starts checks that a caller may start, and returns its pass.
func (l *timeline) starts(now float64, of Scope) Pass {
	l.Helper()
	pass, wait, ok := l.Ask(at(now), of, 0)
	if !ok {
		l.Errorf("at %vs: waits until %v, want a start", now, wait.Until.Sub(noon))
	}
	return pass
}

// waits checks when a caller with chance u asks again.
func (l *timeline) waits(now float64, of Scope, u, until float64) {
	l.Helper()
	pass, wait, ok := l.Ask(at(now), of, u)
	if ok || pass.Held() || wait.Until.Sub(at(until)).Abs() > time.Microsecond {
		l.Errorf("at %vs with chance %v: %v, a start is %v; want a wait until %vs", now, u, wait.Until.Sub(noon), ok, until)
	}
}

// B4c: an answer that asks for a wait delays the attempts of its scope for that time, and
// they start at random over a tenth of it.
func TestTimeline(t *testing.T) {
	l := &timeline{T: t}
	if l.starts(0, 1); !l.Over(at(0)) {
		t.Error("there is a cooldown at the beginning")
	}
	l.told(0, 1, 0)
	l.told(0, 1, -1)
	if pass := l.starts(0, 1); pass.Held() {
		t.Error("a request for no time holds a pass")
	}

	l.told(0, 1, 20)
	l.waits(1, 1, 0, 20) // never before the end
	l.waits(1, 1, 0.5, 21)
	l.waits(1, 1, almostOne, 22) // a tenth of twenty seconds
	l.waits(19.999, 1, 0, 20)
	l.starts(1, 2) // another scope

	l.told(5, 1, 30)
	l.told(6, 1, 10) // shorter: the longer one stands
	l.waits(7, 1, 0.5, 36.5)
	l.told(10, 1, 40)
	l.waits(11, 1, 0, 50)

	l.waits(11, 1, 0.5, 52) // the clock stands still: so does the answer
	l.told(-3600, 1, 20)    // it runs backwards: the end stays
	l.waits(-3600, 1, 0, 50)
	if l.Over(at(89.9)) || !l.Over(at(90)) {
		t.Error("want it over when it has woken up for as long as it lasted")
	}
	if pass := l.starts(90, 1); pass.Held() {
		t.Error("a pass after the end")
	}
}

// After a cooldown one caller starts, and with each success twice as many may run at once.
func TestWakingUp(t *testing.T) {
	l := &timeline{T: t}
	l.told(0, 1, 20)
	first := l.starts(20, 1)
	l.waits(20, 1, 0, 20.1)
	l.waits(20, 1, 0.5, 21.1)
	l.End(at(20.5), first, true)
	a, b := l.starts(20.5, 1), l.starts(20.5, 1)
	l.waits(20.5, 1, 0, 20.6)
	l.End(at(20.6), a, false) // a failure shows nothing, and makes room for another
	c := l.starts(20.6, 1)
	l.waits(20.6, 1, 0, 20.7)
	l.End(at(20.7), b, true)
	l.End(at(20.7), c, true)
	for range 8 {
		a = l.starts(20.8, 1)
	}
	l.waits(20.8, 1, 0, 20.9)
	for range 3 {
		l.End(at(20.9), a, true)
	}
	if !l.Over(at(20.9)) {
		t.Error("six successes have not ended it")
	}
	for range 100 {
		l.starts(21, 1)
	}

	l.told(30, 1, 20)
	old := l.starts(50, 1)
	l.told(51, 1, 20) // it was too early
	l.End(at(52), old, true)
	l.waits(52, 1, 0, 71)
	l.starts(71, 1)
	l.waits(71, 1, 0, 71.1)
	l.starts(91, 1) // one that takes long does not stop the others for ever
}

// If a second scope is told to wait meanwhile, every scope waits for what both are told.
func TestWidening(t *testing.T) {
	l := &timeline{T: t}
	l.told(0, 1, 3600)
	l.starts(1, 2)
	l.starts(1, 3)
	l.told(2, 2, 10)
	l.waits(3, 1, 0, 3600)
	l.waits(3, 2, 0, 12)
	l.waits(3, 3, 0, 12)
	l.starts(13, 3)
	l.waits(13, 1, 0, 3600)
	l.starts(30, 2)

	// Once one of the two is over, the second is alone.
	l = &timeline{T: t}
	l.told(0, 1, 10)
	l.told(11, 2, 10)
	l.starts(12, 3)
}

func TestEveryScope(t *testing.T) {
	l := &timeline{T: t}
	l.Request(at(0), 1, Told{For: 10 * time.Second, All: true}, Pass{})
	l.waits(1, 2, 0, 10)
	l.waits(1, 1, 0, 10)
}

// The name of a limit tells which scopes it concerns.
func TestBuckets(t *testing.T) {
	l := &timeline{T: t}
	core, search := uint64(7), uint64(8)
	bucket := func(now float64, of Scope, bucket uint64, wait float64) {
		l.Request(at(now), of, Told{For: seconds(wait), Bucket: bucket}, Pass{})
	}
	bucket(0, 1, search, 100)
	bucket(1, 2, core, 50)
	l.starts(2, 3) // two limits are no evidence for a third
	bucket(3, 3, core, 30)
	l.waits(4, 2, 0, 51) // the same limit: the longer wait
	l.waits(4, 3, 0, 51)
	l.waits(4, 4, 0, 51) // its limit is not known
	l.waits(4, 1, 0, 100)
	bucket(60, 1, search, 60)
	l.starts(112, 2)
	bucket(112, 4, 0, 40) // no name may be any limit
	l.waits(113, 2, 0, 120)
}

// A service that asks for years stops its callers for Max.
func TestMax(t *testing.T) {
	l := &timeline{T: t, Cooldowns: Cooldowns{Max: 10 * time.Minute}}
	l.told(0, 1, 1.7e9)
	l.waits(1, 1, 0, 600)
	l.starts(600, 1)
}

// During a long cooldown one caller may try, each tenth of its length and at most once a
// minute. The answer replaces what was told before.
func TestProbes(t *testing.T) {
	l := &timeline{T: t}
	l.told(0, 1, 60)
	l.waits(59, 1, 0, 60) // a short one has none

	l = &timeline{T: t}
	l.told(0, 1, 3600)
	l.waits(359, 1, 0, 3600)
	probe := l.starts(360, 1)
	if !probe.Probe || l.Blocks(at(361), 1, probe) || !l.Blocks(at(361), 1, Pass{}) {
		t.Errorf("%+v is no probe", probe)
	}
	l.waits(361, 1, 0, 3600)
	l.End(at(362), probe, false)
	l.waits(719, 1, 0, 3600)
	probe = l.starts(720, 1)
	l.Request(at(721), 1, Told{For: 5 * time.Second}, probe)
	l.End(at(721), probe, false)
	l.waits(722, 1, 0, 726)

	l = &timeline{T: t}
	l.told(0, 1, 300)
	l.waits(59, 1, 0, 300)
	probe = l.starts(60, 1)
	l.End(at(61), probe, true)
	a, b := l.starts(61, 1), l.starts(61, 1)
	if a.Probe || b.Probe {
		t.Error("a probe after the end")
	}
	l.waits(61, 1, 0, 62.5)

	// The probe of a scope is one of every scope, too.
	l = &timeline{T: t}
	l.told(0, 1, 300)
	l.told(0, 2, 300)
	probe = l.starts(60, 1)
	l.waits(60, 2, 0, 300)
	l.Request(at(61), 1, Told{For: 100 * time.Second}, probe)
	l.waits(62, 3, 0, 161)
}

// Scopes are bounded: the one that ends first is forgotten.
func TestMaxScopes(t *testing.T) {
	l := &timeline{T: t}
	l.told(0, 1, 3600)
	for i := range 10 * MaxScopes {
		l.told(float64(i), Scope(2+i), 1)
	}
	if len(l.scopes) != MaxScopes {
		t.Errorf("%d scopes", len(l.scopes))
	}
	if pass := l.starts(1300, 1); !pass.Probe {
		t.Error("the cooldown that ends last is forgotten")
	}
}

// Whatever happens: a scope never waits beyond what it, or two others, were told,
// every caller starts in the end, and passes that come back leave nothing behind.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := Cooldowns{Max: 10 * time.Minute}
		now, last := noon, noon
		var held []Pass
		for range 400 {
			now = now.Add(time.Duration(rng.Int64N(int64(20 * time.Second))))
			of := Scope(rng.IntN(4))
			switch rng.IntN(4) {
			case 0:
				told := Told{For: time.Duration(rng.Int64N(int64(20 * time.Minute))), Bucket: uint64(rng.IntN(3)), All: rng.IntN(10) == 0}
				c.Request(now, of, told, Pass{})
				if end := now.Add(min(told.For, c.Max)); end.After(last) {
					last = end
				}
			case 1, 2:
				pass, wait, ok := c.Ask(now, of, rng.Float64())
				switch {
				case ok && pass.Held():
					held = append(held, pass)
					if c.Blocks(now, of, pass) {
						t.Fatalf("seed %d: an attempt with its pass is blocked", seed)
					}
				case ok:
				case !wait.Until.After(now) || wait.End.After(wait.Until):
					t.Fatalf("seed %d: at %v a wait until %v, of a cooldown until %v", seed, now, wait.Until, wait.End)
				case wait.Until.Sub(last) > 2*time.Minute:
					t.Fatalf("seed %d: a wait until %v, and the last request ends at %v", seed, wait.Until, last)
				}
			case 3:
				if len(held) > 0 {
					c.End(now, held[0], rng.IntN(2) == 0)
					held = held[1:]
				}
			}
		}
		if now = last.Add(maxWaking); now.After(last) && !c.Over(now) {
			t.Fatalf("seed %d: not over a minute after the last request ends", seed)
		}
		for _, pass := range held {
			c.End(now, pass, true)
		}
		for _, s := range c.scopes {
			if s.taken != 0 {
				t.Fatalf("seed %d: %d passes are left", seed, s.taken)
			}
		}
	}
}
