package embed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/format"
)

// Limits and intervals of a batch.
const (
	readAhead   = 4               // chunks per concurrent call that are read and not written yet
	drainTime   = 5 * time.Second // for the calls in flight at an interrupt, because they are paid for
	maxFailures = 20              // chunks in a row; more failures would only cost money
	drawEvery   = 100 * time.Millisecond
)

// embedFunc makes an embedding of each text, in their order.
type embedFunc func(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error)

// batch sends chunks and writes their embeddings.
type batch struct {
	embed   embedFunc
	model   string
	width   int
	ordered bool // the output has the order of the input, not of the answers
	out     io.Writer
	report  *progress

	halt         chan struct{} // closed when no further chunk may be sent
	haltReason   error         // belongs to the goroutine of run
	window       chan struct{} // one entry for each chunk that is read and not settled yet
	pending      map[int]result
	due          int  // the number of the next chunk to write
	failures     int  // in a row
	declined     bool // the service declined a chunk
	interrupted  bool
	outputFailed bool  // embeddings cannot be written
	readErr      error // of the reader; valid when everything has ended
}

// result is a chunk with its embeddings or its error.
type result struct {
	n int // the number of the chunk, from 0
	chunk
	vectors [][]float32
	err     error
}

// run makes the embeddings of all texts that previous does not contain. The error is the
// reason why a text has none. Everything that run started has ended when it returns.
func (b *batch) run(ctx context.Context, s *source, size int, previous *doneSet) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	b.halt, b.window, b.pending = make(chan struct{}), make(chan struct{}, readAhead*b.width), map[int]result{}
	stop := func(reason error) {
		if b.haltReason == nil {
			b.haltReason = reason
			close(b.halt)
			s.close()
		}
	}
	sent, results, settled := make(chan result), make(chan result), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { b.read(s, size, previous, sent) })
	for range b.width {
		running.Go(func() {
			for c := range b.next(sent) {
				results <- b.call(work, c)
				<-settled // before the next chunk, because this one may halt the batch
			}
		})
	}
	go func() {
		running.Wait()
		close(results)
	}()

	draw := time.NewTicker(drawEvery)
	defer draw.Stop()
	interrupt := ctx.Done()
	for {
		select {
		case r, more := <-results:
			if !more {
				return b.finalError()
			}
			if err := b.settle(r); err != nil {
				stop(err)
			}
			settled <- struct{}{}
			if b.outputFailed {
				abort() // no further embedding can be kept
			}
		case <-interrupt:
			interrupt, b.interrupted = nil, true
			b.report.note(fmt.Sprintf("interrupted: waiting for the calls in flight, at most %v; Ctrl-C again ends at once", drainTime))
			stop(exit.With(exit.Interrupted, errors.New("interrupted")))
			defer time.AfterFunc(drainTime, abort).Stop()
		case <-draw.C:
			b.report.draw(time.Now())
		}
	}
}

// read sends the chunks to the callers, until there are none or the batch is halted.
func (b *batch) read(s *source, size int, previous *doneSet, sent chan<- result) {
	defer close(sent)
	n := 0
	for c, err := range s.chunks(size, b.model, previous) {
		if err != nil {
			b.readErr = err
			return
		}
		select {
		case b.window <- struct{}{}:
		case <-b.halt:
			return
		}
		select {
		case sent <- result{n: n, chunk: c}:
		case <-b.halt:
			return
		}
		n++
	}
}

// next are the chunks for one caller, none once the batch is halted.
func (b *batch) next(sent <-chan result) iter.Seq[result] {
	return func(yield func(result) bool) {
		for {
			select {
			case <-b.halt:
				return
			default:
			}
			if c, more := <-sent; !more || !yield(c) {
				return
			}
		}
	}
}

// call makes the embeddings of one chunk.
func (b *batch) call(ctx context.Context, c result) result {
	texts := make([]string, len(c.items))
	for i, t := range c.items {
		texts[i] = t.text
	}
	c.vectors, c.err = b.embed(ctx, texts, holdfast.WithIdempotencyKey(c.key))
	return c
}

// settle writes a result, and the results that waited for it. The error is the reason to
// halt the batch.
func (b *batch) settle(r result) error {
	b.pending[r.n] = r
	halt := b.countFailure(r)
	for {
		due := r.n
		if b.ordered {
			due = b.due
		}
		ready, ok := b.pending[due]
		if !ok {
			return halt
		}
		delete(b.pending, due)
		b.due++
		<-b.window
		if ready.err != nil || b.outputFailed {
			continue
		}
		if err := b.write(ready); err != nil {
			b.outputFailed = true
			return exit.Errorf(exit.WriteError, "writing the embeddings: %w", exit.Reason(err))
		}
	}
}

func (b *batch) write(r result) error {
	lines, err := encodeVectors(r.items, r.vectors, b.model)
	if err == nil {
		_, err = b.out.Write(lines)
	}
	if err == nil {
		b.report.done += len(r.items)
	}
	return err
}

// countFailure counts a failure, and returns an error if the batch must halt. A service
// may decline one chunk for its texts, or fail for a moment. If it is down, or the key is
// wrong, every chunk will fail.
func (b *batch) countFailure(r result) error {
	var status *holdfast.StatusError
	switch {
	case r.err == nil:
		b.failures = 0
		return nil
	case errors.Is(r.err, holdfast.ErrCircuitOpen): // nothing was sent
		return exit.With(exit.TryAgain, errors.New("the service is down ("+outageText(r.err)+")"))
	case errors.Is(r.err, holdfast.ErrCanceled):
		b.report.abandoned++
		return nil
	}
	b.failures++
	b.report.failed += len(r.items)
	switch {
	case isAny(r.err, holdfast.ErrConnection, holdfast.ErrRateLimited, holdfast.ErrPoolTimeout):
		b.report.fail(r)
		if b.failures == maxFailures {
			return exit.Errorf(exit.TryAgain, "%s in a row failed", format.Plural(b.failures, "chunk"))
		}
		return nil
	case isAny(r.err, holdfast.ErrInvalidRequest, holdfast.ErrBodyTooLarge, holdfast.ErrDecode),
		errors.As(r.err, &status) && status.Status == http.StatusRequestEntityTooLarge:
		b.report.fail(r)
		b.declined = true
		if b.failures == maxFailures {
			return exit.Errorf(exit.Failure, "the service declined %s in a row", format.Plural(b.failures, "chunk"))
		}
		return nil
	}
	return exit.With(exit.Failure, errors.New(format.Printable(exit.Text(r.err))))
}

// isAny reports whether an error is one of the kinds.
func isAny(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// outageText includes the time of the next probe, if the breaker knows it.
func outageText(err error) string {
	var rejected *holdfast.RejectedError
	if errors.As(err, &rejected) && !rejected.RetryAt.IsZero() {
		return "circuit breaker open until " + rejected.RetryAt.Format(time.TimeOnly)
	}
	return "circuit breaker open"
}

// finalError is the result of the batch when everything has ended.
func (b *batch) finalError() error {
	switch {
	case b.interrupted && b.report.missing() == 0: // the interrupt came too late
		return nil
	case b.haltReason != nil:
		return b.haltReason
	case b.readErr != nil:
		return exit.With(exit.Config, b.readErr)
	case b.report.failed > 0 && b.declined:
		return exit.With(exit.Failure, errors.New("the service declined some texts"))
	case b.report.failed > 0:
		return exit.With(exit.TryAgain, errors.New("some texts failed"))
	}
	return nil
}
