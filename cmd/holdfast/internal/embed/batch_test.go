package embed

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/exit"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/term"
)

// newBatch makes a batch with this function as the call.
func newBatch(ask func(ctx context.Context, first string) error) (b *batch, out, messages *bytes.Buffer) {
	out, messages = &bytes.Buffer{}, &bytes.Buffer{}
	return &batch{
		embed: func(ctx context.Context, texts []string, _ ...holdfast.CallOption) ([][]float32, error) {
			if err := ask(ctx, texts[0]); err != nil {
				return nil, err
			}
			return slices.Repeat([][]float32{{1, 2}}, len(texts)), nil
		},
		model: "m", width: 2, ordered: true, out: out,
		report: &progress{line: term.Line{Out: messages}, began: time.Now(), attempts: func() int { return 0 }, total: -1},
	}, out, messages
}

// takes waits as a call does: the context can end it.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return holdfast.ErrCanceled
	}
}

func indexesOf(t *testing.T, out *bytes.Buffer) (all []int) {
	t.Helper()
	for _, v := range parseVectors(t, out.String()) {
		all = append(all, v.Index)
	}
	return all
}

// The first call is slow and the third fails. Stdout has the others in order, a file has
// them as they end.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		ordered bool
		want    []int
	}{{true, []int{0, 1, 3, 4}}, {false, []int{1, 3, 4, 0}}} {
		synctest.Test(t, func(t *testing.T) {
			b, out, _ := newBatch(func(ctx context.Context, first string) error {
				switch first {
				case "slow":
					return takes(ctx, time.Minute)
				case "broken":
					return holdfast.ErrConnection
				}
				return takes(ctx, time.Second)
			})
			b.ordered = tt.ordered
			err := b.run(t.Context(), textsOf("slow", "b", "broken", "d", "e"), 1, &previousRun{})
			if got := indexesOf(t, out); !slices.Equal(got, tt.want) || exit.StatusOf(err) != exit.TryAgain || b.report.failed != 1 {
				t.Errorf("ordered %v: %v and %v; want %v", tt.ordered, got, err, tt.want)
			}
		})
	}
}

// endless is lines of "x", one for each Read, and their count.
type endless struct{ read, most int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read == e.most {
		return 0, io.EOF
	}
	e.read++
	return copy(p, "x\n"), nil
}

// While the first call hangs, the batch reads only a limited number of texts ahead.
func TestReadsNoFurtherAhead(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			const size = 10
			var asked atomic.Bool
			hang := make(chan struct{})
			b, out, _ := newBatch(func(context.Context, string) error {
				if !asked.Swap(true) || !ordered { // the others end, and wait for the first
					<-hang
				}
				return nil
			})
			b.ordered = ordered
			input := &endless{most: 10_000}
			ended := make(chan error)
			go func() { ended <- b.run(t.Context(), &source{in: input, close: func() {}}, size, &previousRun{}) }()
			synctest.Wait()
			// The chunks in the window, one chunk and a text that wait for it, and the
			// first chunk if the second hangs.
			if most := (readAhead*b.width+2)*size + 1; input.read > most || input.read < size {
				t.Errorf("ordered %v: %d texts were read while a call hangs; want at most %d", ordered, input.read, most)
			}
			close(hang)
			if err := <-ended; err != nil || b.report.done != input.most || strings.Count(out.String(), "\n") != input.most {
				t.Errorf("%d embeddings, %v; want %d", b.report.done, err, input.most)
			}
		})
	}
}

// After an interrupt the batch waits at most 5 s for the calls in flight, and starts none.
func TestInterrupted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		texts  []string
		call   time.Duration
		took   time.Duration
		want   []int
		cutOff int
		status int
	}{
		{"answers in time", []string{"a", "b", "c", "d"}, 3 * time.Second, 3 * time.Second, []int{0, 1}, 0, exit.Interrupted},
		{"answers too late", []string{"a", "b", "c", "d"}, time.Minute, time.Second + drainTime, nil, 2, exit.Interrupted},
		{"the last answers arrive", []string{"a", "b"}, 3 * time.Second, 3 * time.Second, []int{0, 1}, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, ctrlC := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, ctrlC)
			b, out, messages := newBatch(func(ctx context.Context, _ string) error { return takes(ctx, tt.call) })
			b.report.total = len(tt.texts)
			began := time.Now()
			err := b.run(ctx, textsOf(tt.texts...), 1, &previousRun{})
			status := exit.StatusOf(err)
			took, got := time.Since(began), indexesOf(t, out)
			if status != tt.status || took != tt.took || !slices.Equal(got, tt.want) || b.report.abandoned != tt.cutOff || b.report.failed != 0 {
				t.Errorf("%s: %v, %v after %v, %d cut off; want exit status %d, %v after %v", tt.name, err, got, took, b.report.abandoned, tt.status, tt.want, tt.took)
			}
			if !strings.Contains(messages.String(), "interrupted: waiting for the calls in flight, at most 5s; Ctrl-C again ends at once\n") {
				t.Errorf("%s: messages %q", tt.name, messages)
			}
		})
	}
}

// A write error ends the batch, because further embeddings would be lost.
func TestWriteErrorEndsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, _ := newBatch(func(ctx context.Context, first string) error {
			if first == "a" {
				return takes(ctx, time.Second)
			}
			return takes(ctx, time.Hour)
		})
		b.out = cmdtest.FullDisk{}
		began := time.Now()
		if err := b.run(t.Context(), textsOf("a", "b", "c"), 1, &previousRun{}); exit.StatusOf(err) != exit.WriteError || time.Since(began) != time.Second {
			t.Errorf("%v after %v; want it after 1s", err, time.Since(began))
		}
	})
}
