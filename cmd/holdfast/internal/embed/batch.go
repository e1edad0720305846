package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// batch sends chunks and writes their embeddings. All that changes belongs to the
// goroutine of run.
type batch struct {
	embed   embedFunc
	model   string
	width   int
	ordered bool // the output has the order of the input, not of the answers
	out     io.Writer
	report  *progress
	journal *journal // nil for none
	judge   judge
	length  int // of the vectors; 0 until it is known

	halted     chan struct{} // closed when no further chunk may be read
	haltReason error
	window     chan struct{} // one entry for each chunk that is read and not written yet
	unwritten  map[int]*work // the chunks that have come through the window
	due        int           // the number of the next chunk to write
	ready      []piece       // to be asked, in this order
	parked     []failure     // wait for the success of another call
	running    int           // calls

	successes    int  // calls
	failures     int  // chunks in a row
	hopeless     bool // a single text was declined, and no call has succeeded
	probed       bool // a chunk was halved although no call has succeeded since
	ending       bool // no call follows a failure
	interrupted  bool
	outputFailed bool  // embeddings cannot be written
	readErr      error // of the reader; valid when it has ended
}

// work is a chunk that is not written yet.
type work struct {
	n int // the number of the chunk, from 0
	chunk
	vectors [][]float32 // nil for a text without an embedding
	open    int         // pieces without a result
	entries []*entry    // to be freed when the vectors are written
}

// result is a piece with its embeddings or its error.
type result struct {
	piece
	vectors [][]float32
	err     error
}

// run makes the embeddings of all texts that previous does not contain. The error is the
// reason why a text has none. Everything that run started has ended when it returns.
func (b *batch) run(ctx context.Context, s *source, size int, previous *previousRun) error {
	calls, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	b.halted, b.window, b.unwritten = make(chan struct{}), make(chan struct{}, readAhead*b.width), map[int]*work{}
	halt := func(reason error) {
		if b.haltReason == nil && reason != nil {
			b.haltReason = reason
			close(b.halted)
			s.close()
		}
	}
	input, asked, results := make(chan chunk), make(chan piece), make(chan result)
	var started sync.WaitGroup
	defer started.Wait()
	defer close(asked)
	started.Go(func() { b.read(s, size, previous, input) })
	for range b.width {
		started.Go(func() {
			for p := range asked {
				results <- b.call(calls, p)
			}
		})
	}

	draw := time.NewTicker(drawEvery)
	defer draw.Stop()
	interrupt, n := ctx.Done(), 0
	for {
		for b.haltReason == nil && len(b.ready) > 0 && b.running < b.width {
			asked <- b.begin(b.ready[0]) // a caller is free
			b.ready = b.ready[1:]
			b.running++
		}
		full := len(b.unwritten) == cap(b.window)
		if b.running == 0 && (input == nil || full && b.haltReason == nil) {
			if b.haltReason == nil && b.unblock(input == nil) {
				continue
			}
			halt(b.finish())
			return b.finalError()
		}
		more := input
		if len(b.ready) > 0 && b.haltReason == nil {
			more = nil
		}
		select {
		case c, ok := <-more:
			if !ok {
				input = nil
				continue
			}
			w := &work{n: n, chunk: c, vectors: make([][]float32, len(c.items)), open: 1}
			b.unwritten[n] = w
			n++
			b.ready = append(b.ready, piece{work: w, to: len(c.items), entry: c.entry})
		case r := <-results:
			b.running--
			halt(b.settle(r))
			if b.outputFailed {
				abort() // no further embedding can be kept
			}
		case <-interrupt:
			interrupt, b.interrupted = nil, true
			b.report.note(fmt.Sprintf("interrupted: waiting for the calls in flight, at most %v; Ctrl-C again ends at once", drainTime))
			halt(exit.With(exit.Interrupted, errors.New("interrupted")))
			defer time.AfterFunc(drainTime, abort).Stop()
		case <-draw.C:
			b.report.draw(time.Now())
		}
	}
}

// read reads the chunks, until there are none or the batch is halted.
func (b *batch) read(s *source, size int, previous *previousRun, to chan<- chunk) {
	defer close(to)
	for c, err := range s.chunks(size, b.model, previous) {
		if err != nil {
			b.readErr = err
			return
		}
		select {
		case b.window <- struct{}{}:
		case <-b.halted:
			return
		}
		select {
		case to <- c:
		case <-b.halted:
			return
		}
	}
}

// begin notes a call that is about to be made.
func (b *batch) begin(p piece) piece {
	p.seen = b.successes
	p.entry = b.journal.begin(p.entry, p.items())
	return p
}

// call makes the embeddings of one piece.
func (b *batch) call(ctx context.Context, p piece) result {
	texts := make([]string, p.to-p.from)
	for i, t := range p.items() {
		texts[i] = t.text
	}
	vectors, err := b.embed(ctx, texts, holdfast.WithIdempotencyKey(keyOf(b.model, p.items())))
	return result{p, vectors, err}
}

// settle acts on the result of a call. The error is the reason to halt the batch.
func (b *batch) settle(r result) error {
	if r.err == nil {
		r.err = b.checkVectors(r.vectors, len(r.items()))
	}
	v := b.judge.of(r.err)
	switch {
	case v == succeeded:
		return b.succeed(r)
	case v == canceled:
		b.report.abandoned++
		b.journal.keep(r.entry)
		return b.resolve(r.work)
	case v == ends:
		if wasSent(r.err) {
			b.report.failed += missing(r.items())
		}
		if mayBeDone(r.err) {
			b.journal.keep(r.entry)
		} else {
			b.journal.free(r.entry)
		}
		return cmp.Or(b.end(r.err), b.resolve(r.work))
	}
	if r.half == nil && !r.again {
		b.failures++
	}
	if err := b.fail(r, v); err != nil || b.failures < maxFailures {
		return err
	}
	if v == declined || v == unusable {
		return exit.Errorf(exit.Failure, "the service declined %s in a row", format.Plural(b.failures, "chunk"))
	}
	return exit.Errorf(exit.TryAgain, "%s in a row failed", format.Plural(b.failures, "chunk"))
}

// end is the reason to halt the batch after an error that every other call would have too.
// Of several times to wait until, the latest is kept.
func (b *batch) end(err error) error {
	reason := b.judge.ending(err)
	var before, now *coolingDownError
	if errors.As(b.haltReason, &before) && errors.As(reason, &now) && now.until.After(before.until) {
		before.until = now.until
	}
	return reason
}

// succeed keeps the vectors of a piece. The service is up: what waited for that is asked.
func (b *batch) succeed(r result) error {
	b.successes++
	b.failures, b.hopeless, b.probed = 0, false, false
	b.length = len(r.vectors[0])
	copy(r.work.vectors[r.from:r.to], r.vectors)
	r.entries = append(r.entries, r.entry)
	for s := r.half; s != nil; s = s.up {
		b.journal.free(s.entry) // the whole is not asked again
		s.entry = nil
	}
	if r.half != nil {
		b.halfEnded(r.half)
	}
	b.unpark()
	return b.resolve(r.work)
}

// checkVectors checks that each text has a vector, and that all vectors of the output have
// the same length.
func (b *batch) checkVectors(vectors [][]float32, texts int) error {
	if len(vectors) != texts {
		return contentErrorf("%s were sent, %s came back", format.Plural(texts, "text"), format.Plural(len(vectors), "embedding"))
	}
	length := cmp.Or(b.length, len(vectors[0]))
	for _, v := range vectors {
		switch {
		case len(v) == length:
		case b.length == 0:
			return contentErrorf("vectors of %s and of %s numbers came back in one answer", format.Number(length), format.Number(len(v)))
		case b.successes == 0:
			return &lengthError{file: length, answer: len(v)}
		default:
			return contentErrorf("a vector of %s numbers came back: must be %s, as the others are", format.Number(len(v)), format.Number(length))
		}
	}
	return nil
}

// resolve ends a piece of a chunk. When no piece is open, it writes the chunk, and the
// chunks that waited for it. The error is the reason to halt the batch.
func (b *batch) resolve(w *work) error {
	if w.open--; w.open > 0 {
		return nil
	}
	if !b.ordered {
		return b.write(w)
	}
	for {
		w, ok := b.unwritten[b.due]
		if !ok || w.open > 0 {
			return nil
		}
		if err := b.write(w); err != nil {
			return err
		}
	}
}

// write writes the embeddings of a chunk.
func (b *batch) write(w *work) error {
	delete(b.unwritten, w.n)
	b.due = w.n + 1
	<-b.window
	if b.outputFailed {
		return nil
	}
	lines, n, err := encodeVectors(w.items, w.vectors, b.model)
	if err == nil && n > 0 {
		_, err = b.out.Write(lines)
	}
	if err != nil {
		b.outputFailed = true
		return exit.Errorf(exit.WriteError, "writing the embeddings: %w", exit.Reason(err))
	}
	b.report.done += n
	for _, s := range w.entries {
		b.journal.free(s)
	}
	return nil
}

// finish ends what is open when no further call is made: it writes the embeddings that
// there are, and reports the texts that have failed.
func (b *batch) finish() error {
	err := b.giveUp()
	for _, n := range slices.Sorted(maps.Keys(b.unwritten)) {
		err = cmp.Or(err, b.write(b.unwritten[n]))
	}
	return err
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
	case b.report.declined > 0:
		return exit.Errorf(exit.Failure, "the service declined %s", format.Plural(b.report.declined, "text"))
	case b.report.unusable > 0:
		return exit.Errorf(exit.Failure, "the answers for %s cannot be used", format.Plural(b.report.unusable, "text"))
	case b.report.failed > 0:
		return exit.With(exit.TryAgain, errors.New("some texts failed"))
	}
	return nil
}
