package holdfast

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Bulkhead is a limit, shared by those who call, on how much runs at once, with
// a bounded queue that is served in order. It is safe for any number of
// goroutines.
//
// Most callers get theirs with a Client or hand one to a Policy. On its own, use
// Do; use Acquire where the work cannot be put into a function.
type Bulkhead struct {
	name    string
	handle  *engine.Bulkhead
	permits int
	limits  bool // how long one waits
}

// NewBulkhead returns an empty bulkhead. The error names every field that is out
// of bounds.
func NewBulkhead(cfg BulkheadConfig) (*Bulkhead, error) {
	ck := &check{in: "BulkheadConfig."}
	ck.bulkhead(&cfg)
	if err := ck.err(); err != nil {
		return nil, err
	}
	return newBulkhead(cfg.Name, bulkheadRules(cfg)), nil
}

// MustBulkhead is NewBulkhead for package variables: it panics on a bad setting.
func MustBulkhead(cfg BulkheadConfig) *Bulkhead { return must(NewBulkhead(cfg)) }

func newBulkhead(name string, rules bulkhead.Config) *Bulkhead {
	return &Bulkhead{name: name, handle: engine.NewBulkhead(rules), permits: rules.Permits, limits: rules.MaxWait > 0}
}

// Do runs fn in a slot, and gives the slot back whatever happens, a panic
// included. fn's error is returned as it is; without a slot the error is
// ErrPoolTimeout, ErrCanceled or ErrTimeout and fn was not called.
func (b *Bulkhead) Do(ctx context.Context, fn func(context.Context) error) error {
	s, err := b.Acquire(ctx)
	if err != nil {
		return err
	}
	defer s.Release()
	return fn(ctx)
}

// Acquire waits for a slot, in line. Whoever gets one gives it back with
// Release, once. The error is ErrPoolTimeout if no permit came free in time or too
// many wait already, and ErrCanceled or ErrTimeout if ctx ended first.
func (b *Bulkhead) Acquire(ctx context.Context) (BulkheadPermit, error) {
	if b.handle.TryAcquire() {
		return BulkheadPermit{b.handle}, nil
	}
	w := world.Of(ctx)
	var start time.Time
	if b.limits || ctx.Done() != nil { // else the wait has no end but a slot, and needs no clock
		start = w.Now()
	}
	switch b.handle.Acquire(ctx, w, start, time.Time{}) {
	case engine.Acquired:
		return BulkheadPermit{b.handle}, nil
	case engine.ContextEnded:
		kind, cause := contextKind(ctx)
		return BulkheadPermit{}, &Error{Name: b.name, Err: cause, kind: kind, Took: since(start, w.Now())}
	default:
		return BulkheadPermit{}, &Error{Name: b.name, Err: ErrPoolTimeout, kind: ErrPoolTimeout, Took: since(start, w.Now())}
	}
}

// TryAcquire takes a slot if one is free and nobody waits for it.
func (b *Bulkhead) TryAcquire() (BulkheadPermit, bool) {
	if b.handle.TryAcquire() {
		return BulkheadPermit{b.handle}, true
	}
	return BulkheadPermit{}, false
}

// InUse is the number of slots that are taken now.
func (b *Bulkhead) InUse() int { return b.handle.InUse() }

// Waiting is the number of callers that wait for a slot now.
func (b *Bulkhead) Waiting() int { return b.handle.Waiting() }

// BulkheadPermit is a place in a bulkhead. It is a small value; copies of it are the same
// slot, and the zero BulkheadPermit is none.
type BulkheadPermit struct{ b *engine.Bulkhead }

// Release gives the slot back, to the first in line if there is one. It must be
// called once: a second call would give back somebody else's.
func (s BulkheadPermit) Release() {
	if s.b != nil {
		s.b.Release()
	}
}
