package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/internal/world"
)

// way is one way to go through a policy: its settings, what happened before, and what
// the function does.
type way struct {
	retry    string
	attempt  bool // AttemptTimeout
	total    bool
	counts   string // a breaker that counts calls or attempts, or none
	bulkhead bool
	logger   string
	before   string
	script   string
}

// everyWay calls f with every combination.
func everyWay(f func(way)) {
	var w way
	for _, w.retry = range []string{"off", "on", "On", "Classify", "RetryAfter off"} {
		for _, w.attempt = range []bool{false, true} {
			for _, w.total = range []bool{false, true} {
				for _, w.counts = range []string{"", "calls", "attempts"} {
					for _, w.bulkhead = range []bool{false, true} {
						for _, w.logger = range []string{"", "INFO", "DEBUG"} {
							for _, w.before = range w.befores() {
								for _, w.script = range slices.Sorted(maps.Keys(scripts)) {
									f(w)
								}
							}
						}
					}
				}
			}
		}
	}
}

// befores are what may have happened before, as far as the settings allow it. Settings
// that have no fast path anyhow need not have all of it.
func (w *way) befores() []string {
	all := []string{""}
	if w.total || w.logger == "DEBUG" {
		return all
	}
	if w.counts != "" {
		all = append(all, "a failure", "open", "half-open", "closed again")
	}
	if w.bulkhead {
		all = append(all, "full", "full for ever")
	}
	if w.retry == "Classify" {
		all = append(all, "cooldown", "cooldown over", "cooldown found over")
	}
	return all
}

// isFast is whether the fast path is to be taken.
func (w *way) isFast() bool {
	switch w.before {
	case "", "a failure", "closed again", "cooldown found over":
		return !w.total && w.logger != "DEBUG" && !strings.HasSuffix(w.script, "before")
	}
	return false
}

// patience is an error that asks for a wait, which Classify makes Throttled.
type patience time.Duration

func (p patience) Error() string             { return "not now" }
func (p patience) RetryAfter() time.Duration { return time.Duration(p) }

var errFinal = errors.New("no")

// scripts are what the function does in call n, from 1. It waits before, if at all.
var scripts = map[string]func(r *fastRun, ctx context.Context, n int) error{
	"success":          func(*fastRun, context.Context, int) error { return nil },
	"slow success":     func(r *fastRun, _ context.Context, _ int) error { r.wait(200); return nil },
	"failure":          func(r *fastRun, _ context.Context, _ int) error { r.wait(100); return errDown },
	"failure at once":  func(*fastRun, context.Context, int) error { return errDown },
	"failure, success": func(r *fastRun, _ context.Context, n int) error { r.wait(100); return map[int]error{1: errDown}[n] },
	"final failure":    func(r *fastRun, _ context.Context, _ int) error { r.wait(100); return errFinal },
	"throttled, success": func(r *fastRun, _ context.Context, n int) error {
		return map[int]error{1: patience(300 * time.Millisecond)}[n]
	},
	"throttled":          func(r *fastRun, _ context.Context, _ int) error { r.wait(100); return patience(50 * time.Millisecond) },
	"throttled for long": func(*fastRun, context.Context, int) error { return patience(time.Hour) },
	"panic":              func(r *fastRun, _ context.Context, _ int) error { r.wait(100); panic(errDown) },
	"failure, panic":     func(r *fastRun, _ context.Context, n int) error { return fail(n == 1, func() { panic(errDown) }) },
	"Goexit":             func(*fastRun, context.Context, int) error { runtime.Goexit(); return nil },
	"failure, Goexit":    func(r *fastRun, _ context.Context, n int) error { return fail(n == 1, runtime.Goexit) },
	"slow":               func(r *fastRun, ctx context.Context, _ int) error { return r.until(ctx, 2*time.Second) },
	"slow, success": func(r *fastRun, ctx context.Context, n int) error {
		return r.until(ctx, 4*time.Second/time.Duration(n*n*n))
	},
	"too slow": func(r *fastRun, ctx context.Context, _ int) error { r.wait(1500); return nil },
	"opened meanwhile": func(r *fastRun, _ context.Context, _ int) error {
		tell(r.breaker, holdfast.Transient, holdfast.Transient)
		return errDown
	},
	"opened meanwhile, success": func(r *fastRun, _ context.Context, _ int) error {
		tell(r.breaker, holdfast.Transient, holdfast.Transient)
		return nil
	},
	"canceled":          func(r *fastRun, ctx context.Context, _ int) error { r.wait(100); r.cancel(); return ctx.Err() },
	"canceled, success": func(r *fastRun, _ context.Context, _ int) error { r.cancel(); return nil },
	"canceled in backoff": func(r *fastRun, _ context.Context, _ int) error {
		time.AfterFunc(50*time.Millisecond, r.cancel)
		return errDown
	},
	"canceled before":     func(*fastRun, context.Context, int) error { return nil },
	"deadline":            func(r *fastRun, ctx context.Context, _ int) error { return r.until(ctx, time.Minute) },
	"deadline in backoff": func(r *fastRun, _ context.Context, _ int) error { r.wait(250); return errDown },
	"deadline before":     func(*fastRun, context.Context, int) error { return nil },
}

func fail(first bool, otherwise func()) error {
	if !first {
		otherwise()
	}
	return errDown
}

// fastRun is one run of a way, and all that can be seen of it.
type fastRun struct {
	way
	breaker *holdfast.Breaker
	start   time.Time
	cancel  context.CancelFunc
	calls   []string
	given   []context.Context // to the calls
	fast    bool              // the first call was made on the fast path
	err     *holdfast.Error
	end     string // how it ended, without an *Error
	after   []any  // contexts, machines and statistics
}

func (r *fastRun) wait(ms time.Duration) { pass(ms * time.Millisecond) }

// pass waits in the time of the bubble.
func pass(d time.Duration) {
	var w world.World
	w.Sleep(context.Background(), w.Now().Add(d))
}

// until waits for d or the end of ctx.
func (r *fastRun) until(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
}

// evenly is the real World without chance.
type evenly struct{ world.World }

func (evenly) Chance() float64 { return 0.5 }

func (w way) run(t *testing.T, opts ...holdfast.Option) *fastRun {
	r := &fastRun{way: w}
	cfg := holdfast.PolicyConfig{Retry: holdfast.Retry{MaxRetries: 2, BaseDelay: 100 * time.Millisecond, Jitter: holdfast.NoJitter}}
	switch w.retry {
	case "off":
		cfg.Retry.MaxRetries = holdfast.Off
	case "On":
		cfg.Retry.On = func(err error) bool { return !errors.Is(err, errFinal) }
	case "Classify":
		cfg.Classify = func(err error) holdfast.Outcome {
			var p patience
			switch {
			case errors.As(err, &p):
				return holdfast.Throttled
			case errors.Is(err, errFinal):
				return holdfast.Permanent
			}
			return holdfast.Transient
		}
	case "RetryAfter off":
		cfg.Retry.MaxRetryAfter = holdfast.Off
	}
	if w.attempt {
		cfg.AttemptTimeout = time.Second
	}
	if w.total {
		cfg.Total = 3 * time.Second
	}
	if w.counts != "" {
		cfg.Breaker = holdfast.MustBreaker(holdfast.BreakerConfig{FailureThreshold: 2, OpenTimeout: time.Second, HalfOpenMaxCalls: 1, CountAttempts: w.counts == "attempts"})
	}
	if w.bulkhead {
		cfg.Bulkhead = holdfast.MustBulkhead(holdfast.BulkheadConfig{MaxConcurrent: 1, MaxQueue: 1, MaxWait: 500 * time.Millisecond})
	}
	if w.logger != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(w.logger)); err != nil {
			t.Fatal(err)
		}
		opts = append(opts, holdfast.WithLogger(slog.New(slog.NewTextHandler(discard{}, &slog.HandlerOptions{Level: level}))))
	}
	p := holdfast.MustPolicy(cfg, opts...)
	r.breaker = cfg.Breaker
	root := world.With(context.Background(), world.From(evenly{}))
	w.prepare(root, p, cfg.Breaker, cfg.Bulkhead)

	r.start = time.Now()
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(root)
	defer r.cancel()
	switch w.script {
	case "canceled before":
		r.cancel()
	case "deadline", "deadline in backoff":
		ctx, r.cancel = context.WithTimeout(root, 400*time.Millisecond) // before the bulkhead gives up, or the two would be a matter of chance
		defer r.cancel()
	case "deadline before":
		ctx, r.cancel = context.WithTimeout(root, -time.Second)
		defer r.cancel()
	}
	r.call(ctx, p)
	r.look(p, cfg.Breaker, cfg.Bulkhead)
	return r
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// prepare makes happen what is to have happened before.
func (w *way) prepare(root context.Context, p *holdfast.Policy, b *holdfast.Breaker, h *holdfast.Bulkhead) {
	switch w.before {
	case "a failure":
		tell(b, holdfast.Transient)
	case "open":
		tell(b, holdfast.Transient, holdfast.Transient)
	case "half-open", "closed again":
		tell(b, holdfast.Transient, holdfast.Transient)
		if pass(time.Second); w.before == "closed again" {
			tell(b, holdfast.Success)
		}
	case "full", "full for ever":
		permit, _ := h.TryAcquire()
		after := time.Hour
		if w.before == "full" {
			after = 200 * time.Millisecond
		}
		time.AfterFunc(after, permit.Release)
	case "cooldown", "cooldown over", "cooldown found over":
		ctx, cancel := context.WithTimeout(root, 100*time.Millisecond) // too short for a retry
		defer cancel()
		_ = holdfast.Run(ctx, p, func(context.Context) error { return patience(400 * time.Millisecond) })
		if w.before == "cooldown" {
			return
		}
		pass(time.Second)
		if w.before == "cooldown found over" {
			_ = holdfast.Run(root, p, func(context.Context) error { return nil })
		}
	}
}

// tell gives a breaker, if there is one, the outcomes of others.
func tell(b *holdfast.Breaker, outcomes ...holdfast.Outcome) {
	for _, o := range outcomes {
		if b != nil {
			permit, _ := b.Acquire()
			permit.Done(o)
		}
	}
}

// call makes the call in a goroutine, since it may end that.
func (r *fastRun) call(ctx context.Context, p *holdfast.Policy) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.end = "Goexit"
		defer func() {
			if v := recover(); v != nil {
				r.end = fmt.Sprint("panic: ", v)
			}
		}()
		n := 0
		out, err := holdfast.Do(ctx, p, func(ctx context.Context) (string, error) {
			n++
			deadline, bound := ctx.Deadline()
			r.calls = append(r.calls, fmt.Sprint(time.Since(r.start), deadline.Sub(r.start), bound, ctx.Err()))
			r.given, r.fast = append(r.given, ctx), r.fast || !underRun()
			err := scripts[r.script](r, ctx, n)
			r.calls = append(r.calls, fmt.Sprint(time.Since(r.start), ctx.Err()))
			return fmt.Sprint("output ", n), err
		})
		if e, ok := err.(*holdfast.Error); ok {
			r.err = e
		}
		r.end = fmt.Sprintf("%q, error %v", out, err != nil)
	}()
	<-done
	r.end += fmt.Sprint(" after ", time.Since(r.start))
}

// underRun reports whether the caller was called by the order, call.Run.
func underRun() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function == "github.com/holdfast-go/holdfast/internal/core/call.Run" {
			return true
		}
		if !more {
			return false
		}
	}
}

// look reads the machines and the statistics, now and once all waits are over.
func (r *fastRun) look(p *holdfast.Policy, b *holdfast.Breaker, h *holdfast.Bulkhead) {
	for _, ctx := range r.given {
		r.after = append(r.after, ctx.Err())
	}
	for range 2 {
		r.after = append(r.after, p.Stats())
		if b != nil {
			s := b.Stats()
			for _, at := range []*time.Time{&s.LastFailure, &s.OpenedAt, &s.RetryAt} {
				if !at.IsZero() {
					*at = time.Time{}.Add(at.Sub(r.start))
				}
			}
			r.after = append(r.after, s)
		}
		if h != nil {
			r.after = append(r.after, h.InUse(), h.Waiting())
		}
		pass(2 * time.Hour)
	}
}

// untimed is the error that an operation has whose first attempt is not timed: that
// attempt has neither a start nor a duration, and the operation begins with its end.
// It is the only difference of the fast path, if no limit needs the clock.
func (r *fastRun) untimed() {
	e := *r.err
	e.Attempts = append([]holdfast.Attempt(nil), e.Attempts...)
	first := &e.Attempts[0]
	e.Took -= first.Took
	if e.Allowed > 0 {
		e.Allowed -= first.Took
	}
	if limit, ok := errors.AsType[*holdfast.TimeoutError](r.err); ok && limit.Phase == "deadline" {
		limit.After -= first.Took
	}
	first.Start, first.Took = time.Time{}, 0
	r.err = &e
}

// told is all that an error tells.
func (r *fastRun) told() []string {
	if r.err == nil {
		return nil
	}
	all := []string{r.err.Error(), r.err.Explain(), string(r.err.Code()), fmt.Sprint(r.err.Took, r.err.Allowed)}
	for _, a := range r.err.Attempts {
		if !a.Start.IsZero() {
			a.Start = time.Time{}.Add(a.Start.Sub(r.start))
		}
		all = append(all, fmt.Sprintf("%+v", a))
	}
	if limit, ok := errors.AsType[*holdfast.TimeoutError](r.err); ok {
		all = append(all, fmt.Sprintf("%+v", *limit))
	}
	if rejected, ok := errors.AsType[*holdfast.RejectedError](r.err); ok {
		all = append(all, fmt.Sprint(rejected.Name, rejected.RetryAt.Sub(r.start)))
	}
	for _, kind := range []error{errDown, errFinal, context.Canceled, context.DeadlineExceeded, holdfast.ErrCircuitOpen, holdfast.ErrRateLimited, holdfast.ErrPoolTimeout} {
		all = append(all, fmt.Sprint(errors.Is(r.err, kind)))
	}
	return all
}

// A policy does on its fast path what it does by the order, with all of its settings:
// the same results, errors, statistics, and states of breaker and bulkhead, at the same
// instants. An observer makes it take the long way.
func TestFastPathEqualsTheOrder(t *testing.T) {
	runs, fast, wrong := 0, 0, 0
	bubble(t, func(t *testing.T) {
		everyWay(func(w way) {
			if wrong > 5 {
				return
			}
			runs++
			short := w.run(t)
			long := w.run(t, holdfast.WithObserver(holdfast.ObserverFunc(func(context.Context, holdfast.Event) {})))
			if long.fast || short.fast != w.isFast() && len(short.calls) > 0 {
				t.Errorf("%+v: fast %v, with an observer %v", w, short.fast, long.fast)
				wrong++
			}
			if short.fast {
				if fast++; !w.attempt && long.err != nil {
					long.untimed()
				}
			}
			for _, seen := range [][2]any{
				{short.end, long.end}, {short.calls, long.calls}, {short.told(), long.told()}, {short.after, long.after},
			} {
				if !reflect.DeepEqual(seen[0], seen[1]) {
					t.Errorf("%+v: fast path %v\n%+v\nobserved\n%+v", w, short.fast, seen[0], seen[1])
					wrong++
				}
			}
		})
	})
	if runs < 10_000 || fast < runs/10 {
		t.Errorf("%d ways, %d of them fast", runs, fast)
	}
	t.Logf("%d ways, %d of them fast", runs, fast)
}
