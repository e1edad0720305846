package main

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

// How a batch behaves.
const (
	ahead       = 4               // chunks for each call at once that may be read, and not yet written
	lastAnswers = 5 * time.Second // for what is in flight at an interrupt: it is paid for
	mostInARow  = 20              // chunks that may fail one after the other: then nobody is there for whom it pays
	drawPause   = 100 * time.Millisecond
)

// asker makes an embedding of each text, in their order.
type asker func(ctx context.Context, texts []string, opts ...holdfast.CallOption) ([][]float32, error)

// batch sends chunks and writes what comes back.
type batch struct {
	ask     asker
	model   string
	width   int
	ordered bool // written in the order of the input, not as they come
	out     io.Writer
	show    *progress

	halt        chan struct{} // closed when no further chunk is to be sent
	halted      error         // why; of the goroutine that runs
	window      chan struct{} // a place for each chunk that is read and not yet settled
	pending     map[int]returned
	due         int // the number of the chunk that is to be written
	failures    int // in a row
	refused     bool
	interrupted bool
	lost        bool  // what comes cannot be written
	readErr     error // of the reader; to be read when all has ended
}

// returned is a chunk that came back.
type returned struct {
	n int // its number among those that were sent
	chunk
	vectors [][]float32
	err     error
}

// run returns when nothing runs any more. The error says why not all texts have an
// embedding.
func (b *batch) run(ctx context.Context, s *source, size int, before *embedded) error {
	work, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	b.halt, b.window, b.pending = make(chan struct{}), make(chan struct{}, ahead*b.width), map[int]returned{}
	stop := func(why error) {
		if b.halted == nil {
			b.halted = why
			close(b.halt)
			s.close()
		}
	}
	sent, results, settled := make(chan returned), make(chan returned), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { b.read(s, size, before, sent) })
	for range b.width {
		running.Go(func() {
			for c := range b.next(sent) {
				results <- b.call(work, c)
				<-settled // or the next would be sent before this one can halt it
			}
		})
	}
	go func() {
		running.Wait()
		close(results)
	}()

	draw := time.NewTicker(drawPause)
	defer draw.Stop()
	interrupt := ctx.Done()
	for {
		select {
		case r, more := <-results:
			if !more {
				return b.ended()
			}
			if err := b.settle(r); err != nil {
				stop(err)
			}
			settled <- struct{}{}
			if b.lost {
				cutOff() // nothing that comes can be kept
			}
		case <-interrupt:
			interrupt, b.interrupted = nil, true
			b.show.note(fmt.Sprintf("interrupted: what is on its way is waited for, %v at most; Ctrl-C again ends at once", lastAnswers))
			stop(exit.With(exit.Interrupted, errors.New("interrupted")))
			defer time.AfterFunc(lastAnswers, cutOff).Stop()
		case <-draw.C:
			b.show.draw(time.Now())
		}
	}
}

// read sends the chunks until there are none, or until it is told to stop.
func (b *batch) read(s *source, size int, before *embedded, sent chan<- returned) {
	defer close(sent)
	n := 0
	for c, err := range s.chunks(size, b.model, before) {
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
		case sent <- returned{n: n, chunk: c}:
		case <-b.halt:
			return
		}
		n++
	}
}

// next are the chunks that one caller gets, none once the batch is halted.
func (b *batch) next(sent <-chan returned) iter.Seq[returned] {
	return func(yield func(returned) bool) {
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

func (b *batch) call(ctx context.Context, c returned) returned {
	texts := make([]string, len(c.items))
	for i, t := range c.items {
		texts[i] = t.text
	}
	c.vectors, c.err = b.ask(ctx, texts, holdfast.WithIdempotencyKey(c.key))
	return c
}

// settle deals with a chunk that came back. The error is why no further one is to
// be sent.
func (b *batch) settle(r returned) error {
	b.pending[r.n] = r
	stop := b.judge(r)
	for {
		due := r.n
		if b.ordered {
			due = b.due
		}
		ready, ok := b.pending[due]
		if !ok {
			return stop
		}
		delete(b.pending, due)
		b.due++
		<-b.window
		if ready.err != nil || b.lost {
			continue
		}
		if err := b.write(ready); err != nil {
			b.lost = true
			return exit.Errorf(exit.WriteError, "writing the embeddings: %w", exit.Reason(err))
		}
	}
}

func (b *batch) write(r returned) error {
	lines, err := embeddedLines(r.items, r.vectors, b.model)
	if err == nil {
		_, err = b.out.Write(lines)
	}
	if err == nil {
		b.show.done += len(r.items)
	}
	return err
}

// judge counts a failure, and says whether it makes sense to go on: a chunk may be
// refused for what is in it, or have met a bad moment; a service that is down, or
// wants another key, is so for all.
func (b *batch) judge(r returned) error {
	var declined *holdfast.StatusError
	switch {
	case r.err == nil:
		b.failures = 0
		return nil
	case errors.Is(r.err, holdfast.ErrCircuitOpen): // nothing was sent
		return exit.With(exit.TryAgain, errors.New("the service is down ("+outage(r.err)+")"))
	case errors.Is(r.err, holdfast.ErrCanceled):
		b.show.cutOff++
		return nil
	}
	b.failures++
	b.show.failed += len(r.items)
	switch {
	case isAny(r.err, holdfast.ErrConnection, holdfast.ErrRateLimited, holdfast.ErrPoolTimeout):
		b.show.fail(r)
		if b.failures == mostInARow {
			return exit.Errorf(exit.TryAgain, "%s in a row failed", format.Plural(b.failures, "chunk"))
		}
		return nil
	case isAny(r.err, holdfast.ErrInvalidRequest, holdfast.ErrBodyTooLarge, holdfast.ErrDecode),
		errors.As(r.err, &declined) && declined.Status == http.StatusRequestEntityTooLarge:
		b.show.fail(r)
		b.refused = true
		if b.failures == mostInARow {
			return exit.Errorf(exit.Failure, "%s in a row were refused", format.Plural(b.failures, "chunk"))
		}
		return nil
	}
	return exit.With(exit.Failure, errors.New(format.Printable(exit.Text(r.err))))
}

func isAny(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// outage says for how long the breaker leaves the service alone.
func outage(err error) string {
	var rejected *holdfast.RejectedError
	if errors.As(err, &rejected) && !rejected.RetryAt.IsZero() {
		return "circuit breaker open until " + rejected.RetryAt.Format(time.TimeOnly)
	}
	return "circuit breaker open"
}

// ended is the verdict when nothing runs any more.
func (b *batch) ended() error {
	switch {
	case b.interrupted && b.show.missing() == 0: // it came too late
		return nil
	case b.halted != nil:
		return b.halted
	case b.readErr != nil:
		return exit.With(exit.Config, b.readErr)
	case b.show.failed > 0 && b.refused:
		return exit.With(exit.Failure, errors.New("some texts were refused"))
	case b.show.failed > 0:
		return exit.With(exit.TryAgain, errors.New("some texts failed"))
	}
	return nil
}
