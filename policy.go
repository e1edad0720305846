package holdfast

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/cooldown"
	"github.com/holdfast-go/holdfast/internal/core/judge"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/lazyctx"
	"github.com/holdfast-go/holdfast/internal/wire"
)

// Policy applies the rules to any function that may fail, such as a method of an SDK or
// a query. Make it once, share it, and use it with Do, Run or Wrap. It is safe for
// concurrent use. For your own calls over HTTP, use a Client.
type Policy struct {
	shared   shared
	resolved atomic.Pointer[policyRules]
}

// PolicyConfig describes a policy. A field that is zero means its documented default.
//
// Breaker and Bulkhead are pointers because calls share them. Two policies may have the
// same one. Make them once: a breaker that is made for each call never opens.
type PolicyConfig struct {
	// Name is the operation's name in errors, events and logs. Default "operation".
	Name string
	// Retry describes how a failed attempt is repeated. Its BaseDelay defaults to 500ms
	// (requirement B7).
	Retry Retry
	// AttemptTimeout bounds one attempt: it ends the attempt's context. Default none.
	AttemptTimeout time.Duration
	// Total bounds the call, with all its attempts and waits. Default none: the caller's
	// context bounds it.
	Total time.Duration
	// Breaker is asked before every attempt, and gets one verdict for each operation.
	// Default none.
	Breaker *Breaker
	// Bulkhead gives a permit to each attempt. Default none.
	Bulkhead *Bulkhead
	// Classify replaces Retry.On, and returns the outcome of an error: Throttled for a
	// service that asks for fewer calls, Unknown for an error that is not repeated and
	// not counted. It is not called for the caller's own cancellation. An error with a
	// method RetryAfter() time.Duration sets a minimum for the wait.
	Classify func(error) Outcome
}

// policyRules are a policy's settings. An operation loads them once.
type policyRules struct {
	engine.Rules
	on       func(error) bool
	classify func(error) Outcome
}

// NewPolicy returns a policy. It does not have to be closed. The error names every field
// that is out of bounds.
func NewPolicy(cfg PolicyConfig, opts ...Option) (*Policy, error) {
	v := &validation{in: "PolicyConfig."}
	cfg = cfg.resolve(v)
	all := v.options(opts, forPolicy)
	if err := v.err(); err != nil {
		return nil, err
	}
	p := new(Policy)
	p.shared.init(cmp.Or(cfg.Name, "operation"), all, cfg.Retry, cfg.Breaker, cfg.Bulkhead)
	r := &policyRules{on: cfg.Retry.On, classify: cfg.Classify, Rules: engine.Rules{
		Retry: cfg.Retry.schedule(), Attempt: cfg.AttemptTimeout, Total: cfg.Total, Waiters: cooldownWaiters,
	}}
	r.Fast = p.shared.FastPath(&r.Rules)
	p.resolved.Store(r)
	p.shared.record(all.recorder(Measured{Name: p.shared.name, Policy: p}))
	return p, nil
}

// MustPolicy is NewPolicy for package variables. It panics where NewPolicy returns an
// error.
func MustPolicy(cfg PolicyConfig, opts ...Option) *Policy { return must(NewPolicy(cfg, opts...)) }

// Do calls fn, repeats it as the policy describes, and returns the last result. The
// error is an *Error that wraps fn's.
//
// Each attempt's context ends when fn returns, so read rows and bodies inside fn. A
// panic or runtime.Goexit in fn passes through, and its permits are released.
//
// Do not put one policy around another, or around an SDK with retries of its own. The
// attempts multiply: two retries inside two retries are nine attempts, and three levels
// are 27, all at a service that is down. Retry at the innermost level, where most is
// known about the call, and give the outer policy MaxRetries: Off.
func Do[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	var fast engine.FastPath
	r := p.resolved.Load()
	if !fast.Enter(ctx, &p.shared.Engine, &r.Rules) {
		f := &function[T]{rules: r, fn: fn}
		f.begin(ctx, p)
		return f.run()
	}
	left := false
	defer func() {
		if !left { // a panic or Goexit of fn, or of a logger's handler
			fast.Leave(&p.shared.Engine, Unknown)
		}
	}()
	out, err := fn(fast.Attempt)
	if err == nil {
		left = true
		took := fast.Took(ctx)
		fast.Leave(&p.shared.Engine, Success)
		p.shared.counts.together.Record(took)
		if r := p.shared.recorder; r != nil {
			r.Succeeded(ctx, Succeeded{Time: fast.Started().Add(took), Took: took, LastTook: took, Attempts: 1})
		}
		return out, nil
	}
	f := &function[T]{rules: r, fn: fn, out: out, err: err, made: fast.Attempt}
	f.begin(ctx, p)
	f.Resume(&fast)
	left = true
	return f.run()
}

// Run is Do for a function that returns no value.
func Run(ctx context.Context, p *Policy, fn func(context.Context) error) error {
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Wrap returns a function that calls fn through Do.
func Wrap[In, Out any](p *Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		return Do(ctx, p, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
	}
}

// function is the operation of a policy.
type function[T any] struct {
	operation
	rules *policyRules
	fn    func(context.Context) (T, error)
	out   T
	first engine.Attempt

	made *lazyctx.Context // the context of an attempt that the fast path made
	err  error            // the error of that attempt
}

func (f *function[T]) begin(ctx context.Context, p *Policy) {
	f.shared = &p.shared
	if p.shared.instruments != nil {
		begun := false
		defer func() {
			if !begun { // a panic or Goexit of an instrument
				f.abandon()
			}
		}()
		ctx = f.instrument(ctx)
		begun = true
	}
	f.Begin(ctx, &p.shared.Engine, &f.rules.Rules, f)
}

func (f *function[T]) run() (T, error) {
	if f.shared.instruments != nil {
		defer f.abandon()
	}
	d := f.Run()
	return f.out, f.end(d, false)
}

// Try calls the function once.
func (f *function[T]) Try(n int) *engine.Attempt {
	a := &f.first
	if n > 1 {
		a = new(engine.Attempt)
	}
	ctx, err, made := &a.Context, f.err, f.made != nil
	if made {
		ctx, f.made = f.made, nil
	}
	defer ctx.End()
	f.start(a, n, nil)
	if !made {
		f.out, err = f.fn(ctx)
	}
	f.judge(a, ctx, err)
	return a
}

// judge concludes an attempt with the error that the function returned. If a limit ended
// the attempt, the error names it.
func (f *function[T]) judge(a *engine.Attempt, ctx context.Context, err error) {
	if err == nil {
		a.Conclude(judge.Meaning{Outcome: Success}, nil)
		return
	}
	facts := judge.Facts{Ending: judge.Returned}
	if f.Caller.Err() == context.Canceled {
		facts.Canceled = judge.ByCaller
	} else if s, ok := f.ReachedLimit(ctx, a.Started); ok {
		facts.Limit, err = s.Limit, &limited{timeoutOf(s), wire.WithoutURL(err)}
	}
	if asking, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		facts.RetryAfter = max(0, asking.RetryAfter())
	}
	m := judge.Judge(facts, judge.Rules{})
	if m.AskUser {
		m = f.rules.classified(m, err)
	}
	if m.Cooldown {
		a.Arrived = f.Now()
	}
	a.Class = judge.ClassOf(facts, m)
	a.Conclude(m, wire.WithoutURL(err))
}

// Scope is zero: a policy calls one part of a service.
func (*function[T]) Scope() cooldown.Scope { return 0 }

// Told is the wait that the function's error asks for.
func (*function[T]) Told(a *engine.Attempt) cooldown.Told { return cooldown.Told{For: a.RetryAfter} }

// classified is m after Classify or Retry.On.
func (r *policyRules) classified(m judge.Meaning, err error) judge.Meaning {
	o := Transient
	switch {
	case r.classify != nil:
		o = r.classify(err)
		if m.Kind == judge.NoKind {
			m.Kind = judge.KindOfOutcome(o)
		}
	case r.on != nil && !r.on(err):
		o = Permanent
	}
	return m.Classified(o, judge.Rules{MaxRetryAfter: r.Retry.MaxRetryAfter})
}
