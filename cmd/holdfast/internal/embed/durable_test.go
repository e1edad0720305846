package embed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk records what happens to a file.
type disk struct {
	name   string
	events *[]string
	syncs  error
}

func (d disk) note(what string) { *d.events = append(*d.events, d.name+" "+what) }
func (d disk) Write(p []byte) (int, error) {
	d.note("write")
	return len(p), nil
}
func (d disk) WriteAt(p []byte, at int64) (int, error) {
	d.note("write " + strings.TrimSpace(string(p)))
	return len(p), nil
}
func (d disk) Sync() error {
	d.note("sync")
	return d.syncs
}
func (d disk) Close() error { return nil }

// A call is on the disk before it is made, and its embeddings are before the call is removed.
func TestOnDisk(t *testing.T) {
	var events []string
	b, _, _ := newBatch(func(context.Context, string) error {
		events = append(events, "call")
		return nil
	})
	b.ordered, b.width = false, 1
	b.out = durable{disk{"output", &events, nil}}
	b.journal = &journal{file: disk{"journal", &events, nil}}
	if err := b.run(t.Context(), textsOf("a", "b"), 2, &previousRun{}); err != nil {
		t.Fatal(err)
	}
	want := []string{`journal write {"from":0,"texts":"03"}`, "journal sync", "call", "output write", "output sync", "journal write "}
	if !slices.Equal(events, want) {
		t.Errorf("%q; want %q", events, want)
	}
	for cause, fails := range map[error]bool{syscall.EINVAL: false, syscall.ENOTSUP: false, syscall.EIO: true, nil: false} {
		if _, err := (durable{disk{"output", &events, cause}}).Write(nil); (err != nil) != fails {
			t.Errorf("a Sync with %v: %v", cause, err)
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := (durable{f}).Write([]byte("rye")); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// BenchmarkChunkOnDisk is the cost of a chunk's way to the disk beside its call: of the note
// and of the embeddings, each with and without fsync.
func BenchmarkChunkOnDisk(b *testing.B) {
	items, vectors := make([]item, 100), make([][]float32, 100)
	for i := range items {
		items[i], vectors[i] = item{index: i, text: "rye"}, make([]float32, 1024)
		for k := range vectors[i] {
			vectors[i][k] = 1 / float32(k+3)
		}
	}
	lines, _, err := encodeVectors(items, vectors, "m")
	if err != nil {
		b.Fatal(err)
	}
	for _, synced := range []bool{false, true} {
		b.Run(fmt.Sprintf("fsync=%v", synced), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "vectors.ndjson"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			j, _, err := openJournal(f.Name(), "s", time.Now())
			if err != nil {
				b.Fatal(err)
			}
			defer j.close(true, time.Now())
			j.free(j.begin(nil, items))
			if !synced {
				j.file = unsynced{j.file}
			}
			b.SetBytes(int64(len(lines)))
			for b.Loop() {
				s := j.begin(nil, items)
				if synced {
					_, err = durable{f}.Write(lines)
				} else {
					_, err = f.Write(lines)
				}
				if err != nil {
					b.Fatal(err)
				}
				j.free(s)
				if at, _ := f.Seek(0, 1); at > 1<<30 {
					b.StopTimer()
					_ = f.Truncate(0)
					_, _ = f.Seek(0, 0)
					b.StartTimer()
				}
			}
		})
	}
}

type unsynced struct{ journalFile }

func (unsynced) Sync() error { return nil }
