package holdfast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdfast-go/holdfast/internal/setting"
	"github.com/holdfast-go/holdfast/internal/world"
)

// BatchOptions divide a batch into calls.
type BatchOptions struct {
	// ChunkSize is the number of items of one call. Default 100 (requirement B13), at
	// most 1073741824.
	ChunkSize int
	// Width is the number of calls that run at once. Default 4, at most 65536.
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

// BatchResult has the results of a batch.
type BatchResult[Out any] struct {
	// Out has one value for each item, in the order of the items. It is the zero value
	// if the item is missing.
	Out []Out
	// Missing lists the items without a result, in order. It is empty if all have one.
	Missing []Missing
}

// Missing is a range of items without a result: from index From up to, but not
// including, To. Err is the reason.
type Missing struct {
	From, To int
	Err      error
}

// Batch calls fn with chunks of items, several at once, and returns the results in
// the order of the items. Every result that fn returned is kept: only the items of
// failed chunks are missing. Once the breaker rejects a chunk, or ctx ends, no further
// chunk is started, and Batch waits for the running ones.
//
// The error is nil if no item is missing. Otherwise it is a *BatchError, which wraps
// the errors of the chunks. A panic in fn is raised again after the other chunks have
// ended.
func Batch[In, Out any](ctx context.Context, items []In, opts BatchOptions, fn func(ctx context.Context, chunk []In) ([]Out, error)) (BatchResult[Out], error) {
	v := &validation{in: "BatchOptions."}
	resolve(v, &opts, batchTable)
	if err := v.err(); err != nil {
		return BatchResult[Out]{Missing: []Missing{{0, len(items), err}}}, err
	}
	size := opts.ChunkSize
	b := &batch[In, Out]{items: items, size: size, fn: fn, out: make([]Out, len(items))}
	b.errs = make([]error, (len(items)+size-1)/size)
	world.Of(ctx).Each(min(opts.Width, len(b.errs)), func(int) {
		for b.next(ctx) {
		}
	})
	if b.panicked != nil {
		panic(b.panicked)
	}
	return b.result()
}

// BatchError is the error of a batch with missing items.
type BatchError struct {
	Missing, Of int // numbers of items

	causes []error
}

// Error has the number of missing items and the first cause.
func (e *BatchError) Error() string {
	return fmt.Sprintf("holdfast: batch: %d of %d items are missing: %v", e.Missing, e.Of, e.causes[0])
}

// Unwrap returns the errors of the chunks.
func (e *BatchError) Unwrap() []error { return e.causes }

type batch[In, Out any] struct {
	items []In
	size  int
	fn    func(context.Context, []In) ([]Out, error)
	out   []Out   // each chunk writes its own part
	errs  []error // of each chunk; nil if it succeeded

	mu       sync.Mutex
	started  int   // chunks
	stop     error // the reason to start no further chunk; nil if the goroutines ended by Goexit
	panicked any
}

// errUnfinished is the error of a chunk until fn returns.
var errUnfinished = errors.New("the function did not return")

// next runs the next chunk, and returns false if there is none.
func (b *batch[In, Out]) next(ctx context.Context) bool {
	n, ok := b.start(ctx)
	if !ok {
		return false
	}
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
		defer b.mu.Unlock()
		b.stop = err
	}
	return true
}

// start returns the number of the next chunk, and false if none is to be started.
func (b *batch[In, Out]) start(ctx context.Context) (n int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop == nil && ctx.Err() != nil {
		kind, cause := contextKind(ctx, 0)
		b.stop = &Error{Name: "batch", kind: kind, Err: cause}
	}
	if b.stop != nil || b.started == len(b.errs) {
		return 0, false
	}
	b.started++
	return b.started - 1, true
}

func (b *batch[In, Out]) result() (BatchResult[Out], error) {
	r := BatchResult[Out]{Out: b.out}
	var causes []error
	missing := 0
	for n, err := range b.errs {
		if n >= b.started {
			err = cmp.Or(b.stop, errUnfinished)
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
