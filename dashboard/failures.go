package dashboard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast"
)

// maxFailures is the number of failed calls that are kept.
const maxFailures = 50

// Failures is a holdfast.Observer that keeps the last 50 failed calls, for the page, without
// those that an open breaker rejected. The zero value is ready. It is safe for concurrent use.
type Failures struct {
	mu   sync.Mutex
	kept []failure // the oldest first
	seq  uint64
}

// failure is one failed call, as the page shows it.
type failure struct {
	Seq     uint64 `json:"seq"`
	At      int64  `json:"at"` // Unix milliseconds
	Client  string `json:"client"`
	Call    string `json:"call"`
	Class   string `json:"class"`
	Explain string `json:"explain"`
}

// Observe keeps the event of a failed call.
func (f *Failures) Observe(_ context.Context, e holdfast.Event) {
	if e.Kind != holdfast.EventFailed && e.Kind != holdfast.EventBrokeOff || errors.Is(e.Err, holdfast.ErrCircuitOpen) {
		return // in an outage, rejections would replace all others
	}
	one := failure{At: e.Time.UnixMilli(), Client: bounded(e.Name), Call: bounded(e.Method + " " + e.Path), Class: e.Class.String()}
	if e.Method == "" {
		one.Call = bounded(e.Name)
	}
	var explained *holdfast.Error
	if errors.As(e.Err, &explained) {
		one.Explain = explained.Explain()
		if one.Class == "" {
			one.Class = explained.Stopped
		}
	}
	one.Explain = one.Explain[:min(len(one.Explain), 8<<10)]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	one.Seq = f.seq
	if f.kept = append(f.kept, one); len(f.kept) > maxFailures {
		f.kept = slices.Delete(f.kept, 0, len(f.kept)-maxFailures)
	}
}

// after returns the failures that followed one.
func (f *Failures) after(seq uint64) []failure {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.kept, func(one failure) bool { return one.Seq > seq })
	if i < 0 {
		return nil
	}
	return slices.Clone(f.kept[i:])
}

// last returns the number of the last failure.
func (f *Failures) last() uint64 {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}

// bounded cuts a name that is too long for a page.
func bounded(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

var _ holdfast.Observer = (*Failures)(nil)

// sampleEvery is the time between two samples of the counts.
const sampleEvery = time.Second
