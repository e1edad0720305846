package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/holdfast-go/holdfast"
)

const (
	ordered = 2000 // orders in all
	clerks  = 8    // concurrent clerks, each with an account
)

// Orders are booked while the database is killed, restarted and stopped. At the
// end each order is in the books and in the balances exactly once, and no call
// has exceeded the policy's limit.
func TestDatabaseThatComesAndGoes(t *testing.T) {
	db := startPostgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run(t, db, `create table orders (key text primary key, account int not null, cents bigint not null)`)
	run(t, db, `create table accounts (id int primary key, balance bigint not null)`)
	run(t, db, fmt.Sprintf(`insert into accounts select n, 0 from generate_series(0, %d) n`, clerks-1))

	var seen tally
	pool, err := pgxpool.New(ctx, db.url())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	cfg := databasePolicy()
	policy, err := holdfast.NewPolicy(cfg, holdfast.WithObserver(&seen))
	if err != nil {
		t.Fatal(err)
	}
	books := &orders{pool: pool, policy: policy}

	var clerksAtWork sync.WaitGroup
	defer func() { cancel(); clerksAtWork.Wait() }() // if the test ends early
	for clerk := range clerks {
		clerksAtWork.Go(func() {
			for n := clerk; n < ordered; n += clerks {
				seen.book(ctx, t, books, n, clerk)
			}
		})
	}
	// Each disturbance waits for a part of the orders and lasts until attempts
	// fail, so it always affects the work, on any machine.
	const parts = 7
	for i := range parts - 1 {
		seen.until(ctx, t, &seen.booked, int64((i+1)*ordered/parts))
		fails := seen.failed.Load() + clerks
		if i%2 == 0 {
			db.kill()
			seen.until(ctx, t, &seen.failed, fails)
			db.start()
			continue
		}
		standstill(ctx, t, db, func() { seen.until(ctx, t, &seen.failed, fails) })
	}
	clerksAtWork.Wait()

	var rows, keys, cents, balance int64
	ask(t, db, `select count(*), count(distinct key), sum(cents) from orders`, &rows, &keys, &cents)
	ask(t, db, `select sum(balance) from accounts`, &balance)
	if want := int64(ordered) * (ordered - 1) / 2; rows != ordered || keys != ordered || cents != want || balance != want {
		t.Errorf("%d orders, %d keys, %d cents on the books and %d in the balances; want %d orders of %d cents",
			rows, keys, cents, balance, ordered, want)
	}
	// The policy's limit, plus a margin for a busy machine.
	longest := time.Duration(seen.longest.Load())
	if most := cfg.Total + 3*time.Second; longest > most {
		t.Errorf("a call took %v, with a limit of %v", longest, cfg.Total)
	}
	if seen.found.Load() == 0 {
		t.Error("no answer was lost: the test has proved nothing")
	}
	t.Logf("%d orders, 3 kills, 3 standstills: %d attempts failed, %d were repeated, %d operations given up and made again, %d commits found by reading, longest wait %v of %v",
		rows, seen.failed.Load(), seen.repeated.Load(), seen.givenUp.Load(), seen.found.Load(), longest.Round(time.Millisecond), cfg.Total)
}

// tally is an observer of the policy that counts events.
type tally struct {
	booked, found, givenUp, failed, repeated, longest atomic.Int64
}

func (h *tally) Observe(_ context.Context, e holdfast.Event) {
	switch {
	case e.Kind == holdfast.EventAttemptDone && e.Err != nil:
		h.failed.Add(1)
	case e.Kind == holdfast.EventRetrying:
		h.repeated.Add(1)
	}
}

// book books order n and repeats failed operations, like a work queue.
func (h *tally) book(ctx context.Context, t *testing.T, books *orders, n, clerk int) {
	for {
		began := time.Now()
		isNew, err := books.Book(ctx, fmt.Sprint("order-", n), clerk, int64(n))
		h.waited(time.Since(began))
		switch {
		case err == nil:
			h.booked.Add(1)
			if !isNew {
				h.found.Add(1)
			}
			return
		case ctx.Err() != nil:
			return
		case !wasGone(err):
			t.Errorf("order %d: %v", n, err)
			return
		}
		h.givenUp.Add(1)
	}
}

func (h *tally) waited(d time.Duration) {
	for {
		longest := h.longest.Load()
		if int64(d) <= longest || h.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// wasGone reports whether the last attempt failed because the server was down.
func wasGone(err error) bool { return databasePolicy().Retry.On(err) }

// until waits until a count has reached n.
func (h *tally) until(ctx context.Context, t *testing.T, count *atomic.Int64, n int64) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for count.Load() < n {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%d of %d after all the time there was", count.Load(), n)
		}
	}
}

// standstill stops all processes of the server while f runs: it answers neither
// new nor open connections.
func standstill(ctx context.Context, t *testing.T, db *postgres, f func()) {
	t.Helper()
	const soon = 250 * time.Millisecond
	plain, err := pgx.Connect(ctx, db.url())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close(ctx)
	if !db.answers(10 * time.Second) {
		t.Fatal("the server does not answer before it is stopped")
	}
	db.signal(syscall.SIGSTOP)
	defer db.signal(syscall.SIGCONT)
	if db.answers(soon) {
		t.Error("a stopped server answers a new connection")
	}
	short, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	if err := plain.Ping(short); err == nil {
		t.Error("a stopped server answers an open connection")
	}
	f()
}

// run and ask use a separate connection without a policy.
func run(t *testing.T, db *postgres, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, db *postgres, question string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), question).Scan(into...); err != nil {
		t.Fatal(err)
	}
}
