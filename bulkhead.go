package holdfast

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/bulkhead"
	"github.com/holdfast-go/holdfast/internal/engine"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Bulkhead limits the number of calls that run at once. The calls above it wait in a
// bounded queue, in order. It is safe for concurrent use.
//
// Most callers have the bulkhead of a Client, or give one to a Policy. To use it
// alone, call Do, or Acquire if the work does not fit into a function.
type Bulkhead struct {
	name    string
	handle  *engine.Bulkhead
	permits int
	queue   int
	limited bool // the wait is
}

// NewBulkhead returns an empty bulkhead. The error names every field that is out of
// bounds.
func NewBulkhead(cfg BulkheadConfig) (*Bulkhead, error) {
	v := &validation{in: "BulkheadConfig."}
	cfg = v.part(Config{Bulkhead: cfg}, "Bulkhead.", "").Bulkhead
	if err := v.err(); err != nil {
		return nil, err
	}
	return newBulkhead(cfg), nil
}

// MustBulkhead is NewBulkhead for package variables. It panics where NewBulkhead
// returns an error.
func MustBulkhead(cfg BulkheadConfig) *Bulkhead { return must(NewBulkhead(cfg)) }

// newBulkhead makes a bulkhead of a resolved configuration.
func newBulkhead(cfg BulkheadConfig) *Bulkhead {
	rules := bulkhead.Config{Permits: cfg.MaxConcurrent, Queue: cfg.MaxQueue, MaxWait: cfg.MaxWait}
	b := &Bulkhead{name: cfg.Name, handle: engine.NewBulkhead(rules), permits: cfg.MaxConcurrent, queue: cfg.MaxQueue, limited: cfg.MaxWait > 0}
	b.handle.MaxStreams = cfg.MaxStreams
	return b
}

// Do calls fn with a permit, and releases the permit afterwards, also after a panic.
// It returns fn's error unchanged. Without a permit it does not call fn, and the error
// is that of Acquire.
func (b *Bulkhead) Do(ctx context.Context, fn func(context.Context) error) error {
	p, err := b.Acquire(ctx)
	if err != nil {
		return err
	}
	defer p.Release()
	return fn(ctx)
}

// Acquire waits for a permit, in order. The caller releases the permit once. The error
// is ErrPoolTimeout if the queue is full or no permit came free within
// BulkheadConfig.MaxWait, and ErrCanceled or ErrTimeout if ctx ended first.
func (b *Bulkhead) Acquire(ctx context.Context) (BulkheadPermit, error) {
	if b.handle.TryAcquire() {
		return BulkheadPermit{b.handle}, nil
	}
	w := world.Of(ctx)
	var start time.Time
	if b.limited || ctx.Done() != nil { // otherwise only a permit ends the wait
		start = w.Now()
	}
	kind, cause := ErrPoolTimeout, ErrPoolTimeout
	switch b.handle.Acquire(ctx, w, start, time.Time{}) {
	case engine.Acquired:
		return BulkheadPermit{b.handle}, nil
	case engine.QueueFull:
		cause = b.queueFull()
	case engine.ContextEnded:
		kind, cause = contextKind(ctx, 0)
	}
	return BulkheadPermit{}, &Error{Name: b.name, Err: cause, kind: kind, Took: since(start, w.Now())}
}

// queueFull is the cause of a call that may not even wait.
func (b *Bulkhead) queueFull() error {
	if b.queue == 0 {
		return &saturated{fmt.Sprintf("all %d permits are in use, and no call may wait (Bulkhead.MaxQueue)", b.permits)}
	}
	return &saturated{fmt.Sprintf("the queue is full: %d calls wait for a permit (Bulkhead.MaxQueue)", b.queue)}
}

// saturated is an ErrPoolTimeout with its reason.
type saturated struct{ reason string }

func (s *saturated) Error() string { return s.reason }
func (s *saturated) Unwrap() error { return ErrPoolTimeout }

// TryAcquire takes a permit if one is free and no other caller waits.
func (b *Bulkhead) TryAcquire() (BulkheadPermit, bool) {
	if b.handle.TryAcquire() {
		return BulkheadPermit{b.handle}, true
	}
	return BulkheadPermit{}, false
}

// InUse is the number of permits in use now.
func (b *Bulkhead) InUse() int { return b.handle.InUse() }

// Waiting is the number of callers that wait for a permit now.
func (b *Bulkhead) Waiting() int { return b.handle.Waiting() }

// BulkheadPermit is the right to run in a bulkhead. It is a small value, and its
// copies are the same permit. Release does nothing on the zero BulkheadPermit.
type BulkheadPermit struct{ b *engine.Bulkhead }

// Release gives the permit back, to the first waiting caller if there is one. Call it
// once: a second call releases the permit of another caller, or panics if no permit
// is in use.
func (p BulkheadPermit) Release() {
	if p.b != nil {
		p.b.Release()
	}
}
