package holdfast

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/world"
)

// BatchOptions say how a batch is cut and how much of it runs at once.
type BatchOptions struct {
	// ChunkSize is how many items one call gets. Default 100 (second seed, "Batch
	// Processing Pattern").
	ChunkSize int
	// Width is how many calls run at once. Default 4.
	Width int
}

var batchTable = []setting.Setting[BatchOptions]{
	setting.Of[BatchOptions, int]{
		Row: row{Name: "ChunkSize"}, At: func(o *BatchOptions) *int { return &o.ChunkSize }, Default: 100, Most: 1 << 30,
	},
	setting.Of[BatchOptions, int]{
		Row: row{Name: "Width"}, At: func(o *BatchOptions) *int { return &o.Width }, Default: 4, Most: 1 << 16,
	},
}

// BatchResult is what came of a batch.
type BatchResult[Out any] struct {
	// Out has one value for each item, in the items' order; the zero value where
	// an item is missing.
	Out []Out
	// Missing are the items that have none, in order. It is empty if all have.
	Missing []Missing
}

// Missing are items of a batch, from index From up to but not including To, that
// have no result, and why.
type Missing struct {
	From, To int
	Err      error
}

// Batch calls fn with chunks of items, several at once, and puts the results
// together in order. What was paid for is never lost: chunks that failed are
// missing, and all others are there. Once the breaker refuses a chunk, or ctx
// ends, no further one is started; those that run are awaited.
//
// The error is nil if nothing is missing. Otherwise it says how much is, and is
// each of the errors that the chunks ended with. A panic in fn is passed on when
// the other chunks have ended.
func Batch[In, Out any](ctx context.Context, items []In, opts BatchOptions, fn func(ctx context.Context, chunk []In) ([]Out, error)) (BatchResult[Out], error) {
	ck := &check{in: "BatchOptions."}
	resolve(ck, &opts, batchTable)
	if err := ck.err(); err != nil {
		return BatchResult[Out]{Missing: []Missing{{0, len(items), err}}}, err
	}
	size, width := opts.ChunkSize, opts.Width
	b := &batch[In, Out]{items: items, size: size, fn: fn, out: make([]Out, len(items))}
	b.errs = make([]error, (len(items)+size-1)/size)
	world.Of(ctx).Each(min(width, len(b.errs)), func(int) {
		for b.next(ctx) {
		}
	})
	if b.panicked != nil {
		panic(b.panicked)
	}
	return b.result()
}

type batch[In, Out any] struct {
	items []In
	size  int
	fn    func(context.Context, []In) ([]Out, error)
	out   []Out   // each chunk writes its own part
	errs  []error // of each chunk, nil for one that is done

	mu       sync.Mutex
	started  int   // chunks
	stop     error // why no further one is started
	panicked any
}

// errUnfinished stands until a chunk has ended in its ordinary way.
var errUnfinished = errors.New("the function did not return")

// next runs the next chunk, and is false if there is none to run.
func (b *batch[In, Out]) next(ctx context.Context) bool {
	b.mu.Lock()
	if b.stop == nil && ctx.Err() != nil {
		kind, cause := contextKind(ctx)
		b.stop = &Error{Name: "batch", kind: kind, Err: cause}
	}
	if b.stop != nil || b.started == len(b.errs) {
		b.mu.Unlock()
		return false
	}
	n := b.started
	b.started++
	b.mu.Unlock()

	b.errs[n] = errUnfinished
	defer func() {
		if p := recover(); p != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.panicked, b.stop = p, errUnfinished
		}
	}()
	from := n * b.size
	chunk := b.items[from:min(from+b.size, len(b.items))]
	out, err := b.fn(ctx, chunk)
	if err == nil && len(out) != len(chunk) {
		err = fmt.Errorf("the function returned %d results for %d items", len(out), len(chunk))
	}
	if b.errs[n] = err; err == nil {
		copy(b.out[from:], out)
	} else if errors.Is(err, ErrCircuitOpen) {
		b.mu.Lock()
		b.stop = err
		b.mu.Unlock()
	}
	return true
}

func (b *batch[In, Out]) result() (BatchResult[Out], error) {
	r := BatchResult[Out]{Out: b.out}
	var causes []error
	missing := 0
	for n, err := range b.errs {
		if n >= b.started {
			err = b.stop
		}
		if err == nil {
			continue
		}
		m := Missing{n * b.size, min((n+1)*b.size, len(b.items)), err}
		missing += m.To - m.From
		if last := len(r.Missing) - 1; last >= 0 && r.Missing[last].To == m.From && r.Missing[last].Err == err {
			r.Missing[last].To = m.To
			continue
		}
		r.Missing, causes = append(r.Missing, m), append(causes, err)
	}
	if missing == 0 {
		return r, nil
	}
	return r, &BatchError{Missing: missing, Of: len(b.items), causes: causes}
}

// BatchError is a batch of which something is missing.
type BatchError struct {
	Missing, Of int // items

	causes []error
}

// Error says how much is missing, and why the first of it is.
func (e *BatchError) Error() string {
	return fmt.Sprintf("holdfast: batch: %d of %d items are missing: %v", e.Missing, e.Of, e.causes[0])
}

// Unwrap gives what the chunks ended with.
func (e *BatchError) Unwrap() []error { return e.causes }
