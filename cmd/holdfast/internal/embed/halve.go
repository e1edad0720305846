package embed

import (
	"cmp"
	"slices"
)

// piece is the texts of one call: a chunk, or a part of one.
type piece struct {
	*work
	from, to int    // in the chunk
	again    bool   // the whole chunk, asked for a second time
	half     *split // nil for the whole chunk
	seen     int    // the successes before the call
	entry    *entry // in the journal
}

func (p piece) items() []item { return p.chunk.items[p.from:p.to] }

// split is a piece in halves. Both are asked before one of them is halved, so that a
// success is seen soon.
type split struct {
	seen   int       // the successes before
	open   int       // halves without a result
	failed []failure // halves of several texts
	err    error     // of the piece
	entry  *entry    // of the piece, in the journal until a half succeeds
	up     *split    // that the piece is a half of; nil for none
}

// failure is a piece that failed.
type failure struct {
	result
	verdict verdict
	next    []piece // what to ask, if other calls succeed
}

// fail acts on a failure that does not end the batch. It searches the text at fault: it
// halves what the service declined, and what failed while other calls succeeded. The error
// is the reason to halt the batch.
func (b *batch) fail(r result, v verdict) error {
	f := failure{r, v, nil}
	if v == declined || v == unusable || !mayBeDone(r.err) {
		b.journal.free(r.entry)
		f.entry = nil
	}
	switch {
	case v == passes:
		return b.drop(f)
	case r.to-r.from == 1:
		if v == declined && b.successes == 0 {
			b.loseHope()
		}
		return b.drop(f)
	case v == mayPass && r.half == nil && !r.again:
		again := f.piece // with the same key, because the service may have done the work
		again.again = true
		f.next = []piece{again}
	default:
		f.next = b.halve(f)
	}
	if r.half == nil {
		b.goOn(f)
		return nil
	}
	r.half.failed = append(r.half.failed, f)
	b.halfEnded(r.half)
	return nil
}

// halve makes the halves of a piece.
func (b *batch) halve(f failure) (halves []piece) {
	s := &split{seen: b.successes, err: f.err, entry: f.entry, up: f.half}
	middle := f.from + (f.to-f.from)/2
	for _, h := range []piece{{work: f.work, from: f.from, to: middle}, {work: f.work, from: middle, to: f.to}} {
		if missing(h.items()) > 0 {
			h.half = s
			halves = append(halves, h)
		}
	}
	s.open = len(halves)
	return halves
}

// halfEnded counts the result of a half. When both have one, it goes on with those that
// failed, the first one first.
func (b *batch) halfEnded(s *split) {
	if s.open--; s.open > 0 {
		return
	}
	failed := s.failed
	s.failed = nil
	for _, f := range slices.Backward(failed) {
		b.goOn(f)
	}
}

// goOn asks what follows a failure, or parks it until another call succeeds.
func (b *batch) goOn(f failure) {
	if b.serviceIsUp(f) && !b.ending {
		b.ask(f)
	} else {
		b.parked = append(b.parked, f)
	}
}

// serviceIsUp reports whether the failure is about the texts, and not about every call.
func (b *batch) serviceIsUp(f failure) bool {
	switch {
	case f.verdict == declined:
		return !b.hopeless
	case f.half != nil:
		return b.successes > f.half.seen
	case f.again:
		return b.successes > f.seen
	}
	return b.successes > f.seen || b.successes > 0 && b.failures <= 1
}

// ask puts what follows a failure in front of the other pieces.
func (b *batch) ask(f failure) {
	if !f.next[0].again {
		b.journal.keep(f.entry)
	}
	f.open += len(f.next) - 1
	b.ready = slices.Concat(f.next, b.ready)
}

// unpark asks what waited for a success.
func (b *batch) unpark() {
	parked := b.parked
	b.parked = nil
	for _, f := range slices.Backward(parked) {
		b.ask(f)
	}
}

// loseHope stops the search until a call succeeds: the service seems to decline every text,
// for example because of the model.
func (b *batch) loseHope() {
	b.hopeless = true
	whole := b.ready[:0:0]
	for _, p := range b.ready {
		if p.half == nil {
			whole = append(whole, p)
			continue
		}
		b.parked = append(b.parked, failure{result{p, nil, p.half.err}, declined, []piece{p}})
	}
	b.ready = whole
}

// unblock acts when no call is running and nothing is ready: everything that is read waits
// for a success, which no call can bring. It reports whether the batch goes on.
func (b *batch) unblock(ended bool) bool {
	if len(b.parked) == 0 {
		return false
	}
	if i := slices.IndexFunc(b.parked, func(f failure) bool { return f.again }); i >= 0 && b.successes > 0 && !b.probed {
		b.probed = true // its halves show whether the service is up
		f := b.parked[i]
		b.parked = slices.Delete(b.parked, i, i+1)
		b.ask(f)
		return true
	}
	return !ended && b.giveUp() == nil
}

// giveUp drops what is parked. It reports parts of a chunk that are side by side as one.
func (b *batch) giveUp() (err error) {
	b.ending = true
	var dropped []failure
	for len(b.parked) > 0 && err == nil {
		f := b.parked[0]
		b.parked = b.parked[1:]
		dropped = append(dropped, f)
		err = b.leave(f) // may park its sibling
	}
	b.ending = false
	slices.SortFunc(dropped, func(a, b failure) int { return cmp.Or(a.n-b.n, a.from-b.from) })
	for i, f := range dropped {
		if i+1 < len(dropped) && dropped[i+1].work == f.work && dropped[i+1].from == f.to {
			dropped[i+1].from = f.from
			continue
		}
		b.report.fail(f.items(), b.judge.textFor(f))
	}
	return err
}

// drop reports a failure that nothing follows.
func (b *batch) drop(f failure) error {
	atFault := f.verdict == declined || f.verdict == unusable || f.half != nil && b.serviceIsUp(f)
	if f.to-f.from == 1 && atFault {
		b.report.name(f.items()[0], b.judge.reason(f.err))
	} else {
		b.report.fail(f.items(), b.judge.textFor(f))
	}
	if f.verdict == mayPass && atFault { // and would fail again
		f.verdict = declined
		b.journal.free(f.entry)
		f.entry = nil
	}
	return b.leave(f)
}

// leave ends a failed piece.
func (b *batch) leave(f failure) error {
	b.report.count(f.verdict, missing(f.items()))
	b.journal.keep(f.entry)
	if f.half != nil {
		b.halfEnded(f.half)
	}
	return b.resolve(f.work)
}
