package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// inBatch prepares a batch of calls that take so long, in a bubble.
func inBatch(ask func(ctx context.Context, first string) error) (b *batch, out, said *bytes.Buffer) {
	out, said = &bytes.Buffer{}, &bytes.Buffer{}
	return &batch{
		ask: func(ctx context.Context, texts []string, _ ...holdfast.CallOption) ([][]float32, error) {
			if err := ask(ctx, texts[0]); err != nil {
				return nil, err
			}
			return slices.Repeat([][]float32{{1, 2}}, len(texts)), nil
		},
		model: "m", width: 2, ordered: true, out: out,
		show: &progress{line: term.Line{Out: said}, began: time.Now(), attempts: func() int { return 0 }, total: -1},
	}, out, said
}

// takes waits as a call does: its context ends it.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return holdfast.ErrCanceled
	}
}

func textsOf(args ...string) *source { return &source{name: "args", args: args, close: func() {}} }

func indexesOf(t *testing.T, out *bytes.Buffer) (all []int) {
	t.Helper()
	for _, v := range parseVectors(t, out.String()) {
		all = append(all, v.Index)
	}
	return all
}

// The first is slow, the third fails: stdout has the others in order, a file has
// them as they come.
func TestEmbedOrder(t *testing.T) {
	for _, tt := range []struct {
		ordered bool
		want    []int
	}{{true, []int{0, 1, 3, 4}}, {false, []int{1, 3, 4, 0}}} {
		synctest.Test(t, func(t *testing.T) {
			b, out, _ := inBatch(func(ctx context.Context, first string) error {
				switch first {
				case "slow":
					return takes(ctx, time.Minute)
				case "broken":
					return holdfast.ErrConnection
				}
				return takes(ctx, time.Second)
			})
			b.ordered = tt.ordered
			err := b.run(t.Context(), textsOf("slow", "b", "broken", "d", "e"), 1, &embedded{})
			if got := indexesOf(t, out); !slices.Equal(got, tt.want) || exit.StatusOf(err) != exit.TryAgain || b.show.failed != 1 {
				t.Errorf("ordered %v: %v and %v; want %v", tt.ordered, got, err, tt.want)
			}
		})
	}
}

// endless is lines of "x", one each Read, and their count.
type endless struct{ read, most int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read == e.most {
		return 0, io.EOF
	}
	e.read++
	return copy(p, "x\n"), nil
}

// While the first call hangs, no more is read than may wait for it: what is in
// memory does not grow with the input.
func TestEmbedReadsNoFurtherAhead(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			const size = 10
			var asked atomic.Bool
			hang := make(chan struct{})
			b, out, _ := inBatch(func(context.Context, string) error {
				if !asked.Swap(true) || !ordered { // all behind the first are answered, and wait for it
					<-hang
				}
				return nil
			})
			b.ordered = ordered
			input := &endless{most: 10_000}
			ended := make(chan error)
			go func() { ended <- b.run(t.Context(), &source{in: input, close: func() {}}, size, &embedded{}) }()
			synctest.Wait()
			// Those that have a place, one chunk and a text that wait for one, and the
			// first chunk if it is the second that hangs.
			if most := (ahead*b.width+2)*size + 1; input.read > most || input.read < size {
				t.Errorf("ordered %v: %d texts were read while a call hangs; want at most %d", ordered, input.read, most)
			}
			close(hang)
			if err := <-ended; err != nil || b.show.done != input.most || strings.Count(out.String(), "\n") != input.most {
				t.Errorf("%d embeddings, %v; want %d", b.show.done, err, input.most)
			}
		})
	}
}

// An interrupt waits for what is on its way, 5 s at most, and starts nothing.
func TestEmbedInterrupted(t *testing.T) {
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
		{"answers too late", []string{"a", "b", "c", "d"}, time.Minute, time.Second + lastAnswers, nil, 2, exit.Interrupted},
		{"was as good as done", []string{"a", "b"}, 3 * time.Second, 3 * time.Second, []int{0, 1}, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, ctrlC := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, ctrlC)
			b, out, said := inBatch(func(ctx context.Context, _ string) error { return takes(ctx, tt.call) })
			b.show.total = len(tt.texts)
			began := time.Now()
			err := b.run(ctx, textsOf(tt.texts...), 1, &embedded{})
			status := exit.StatusOf(err)
			took, got := time.Since(began), indexesOf(t, out)
			if status != tt.status || took != tt.took || !slices.Equal(got, tt.want) || b.show.cutOff != tt.cutOff || b.show.failed != 0 {
				t.Errorf("%s: %v, %v after %v, %d cut off; want exit status %d, %v after %v", tt.name, err, got, took, b.show.cutOff, tt.status, tt.want, tt.took)
			}
			if !strings.Contains(said.String(), "interrupted: what is on its way is waited for, 5s at most; Ctrl-C again ends at once\n") {
				t.Errorf("%s: it said %q", tt.name, said)
			}
		})
	}
}

// A terminal's Read ends when somebody types; an interrupt does not wait for that.
func TestEmbedLeavesStdin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, typist := io.Pipe()
		defer typist.Close()
		ctx, ctrlC := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, ctrlC)
		s, err := (&embedder{}).openSource(nil, silent)
		if err != nil {
			t.Fatal(err)
		}
		b, _, _ := inBatch(func(context.Context, string) error { return nil })
		began := time.Now()
		if err := b.run(ctx, s, 1, &embedded{}); exit.StatusOf(err) != exit.Interrupted || time.Since(began) != time.Second {
			t.Errorf("%v after %v; want an interrupt after 1s", err, time.Since(began))
		}
	})
}

// An output that cannot be written to ends all: what comes would be lost.
func TestEmbedEndsWithItsOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, _ := inBatch(func(ctx context.Context, first string) error {
			if first == "a" {
				return takes(ctx, time.Second)
			}
			return takes(ctx, time.Hour)
		})
		b.out = cmdtest.FullDisk{}
		began := time.Now()
		if err := b.run(t.Context(), textsOf("a", "b", "c"), 1, &embedded{}); exit.StatusOf(err) != exit.WriteError || time.Since(began) != time.Second {
			t.Errorf("%v after %v; want it after 1s", err, time.Since(began))
		}
	})
}

// A chunk ends where its request would become too large.
func TestEmbedCutsLargeTexts(t *testing.T) {
	large := strings.Repeat("x", maxRequest/2)
	var sizes []int
	for c, err := range textsOf("a", large, large, "b", large+large, "c").chunks(4, "m", &embedded{}) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(c.items))
	}
	if want := []int{2, 2, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("chunks of %v texts; want %v", sizes, want)
	}
}

// The cuts are those of the whole input, whatever is there of it: a chunk that was
// lost is asked for again under its own key.
func TestEmbedKeysDependOnTheInputAlone(t *testing.T) {
	keys := func(model string, before *embedded, args ...string) (all []string) {
		for c := range textsOf(args...).chunks(2, model, before) {
			all = append(all, c.key)
		}
		return all
	}
	texts := []string{"a", "b", "c", "d", "e"}
	all := keys("m", &embedded{}, texts...)
	half := &embedded{}
	for i := range 2 {
		half.add(i, item{index: i, text: texts[i]}.hash())
	}
	if got := keys("m", half, texts...); len(all) != 3 || !slices.Equal(got, all[1:]) {
		t.Errorf("keys %v without the first chunk; want the last two of %v", got, all)
	}
	if same := keys("m", &embedded{}, "a", "a", "a", "a"); same[0] == same[1] {
		t.Errorf("keys %v of the same texts at two places; want two", same)
	}
	if other := keys("n", &embedded{}, texts...); other[0] == all[0] || all[0] == all[1] {
		t.Errorf("keys %v of one model, %v of another; want all different", all, other)
	}
}

func TestEmbedProgress(t *testing.T) {
	var out bytes.Buffer
	began := time.Now()
	p := &progress{line: term.Line{Out: &out}, began: began, attempts: func() int { return 48 }, total: 10_000, there: 1000, done: 3200, failed: 100}
	p.draw(began.Add(2 * time.Second))
	if out.Len() > 0 {
		t.Errorf("on no terminal it draws %q", &out)
	}
	p.line.Terminal = term.Terminal{Live: true, Width: 80}
	p.draw(began.Add(2 * time.Second))
	p.fail(returned{chunk: chunk{items: []item{{index: 41}}}, err: errors.New("holdfast: a\x1b[2Jb")})
	if want := "\r\x1b[K   2.0 s  4,200 of 10,000, 1,600/s · failed 100 · attempts 48\r\x1b[Kholdfast: text 42: a�[2Jb\n"; out.String() != want {
		t.Errorf("it writes %q, want %q", &out, want)
	}
	for _, tt := range []struct {
		total int
		want  string
	}{
		{10_000, "done 3,200 · there before 1,000 · failed 100 · left 5,700 · attempts 48 · took 2.5 s"},
		{-1, "done 3,200 · there before 1,000 · failed 100 · attempts 48 · took 2.5 s"},
	} {
		p.total = tt.total
		if got := p.sums(began.Add(2500 * time.Millisecond)); got != tt.want {
			t.Errorf("of %d: %q, want %q", tt.total, got, tt.want)
		}
	}
	if got := fmt.Sprint(places([]item{{index: 99}, {index: 1299}})); got != "texts 100 to 1,300" {
		t.Error(got)
	}
}
