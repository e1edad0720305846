package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/holdfast-go/holdfast"
	"github.com/holdfast-go/holdfast/settings"
)

// What docs/database.md shows is from here.

// orders books orders in a database that may go away at any moment.
type orders struct {
	pool   *pgxpool.Pool
	policy *holdfast.Policy
}

// book is one statement, so that it is done whole or not at all. The key decides:
// whoever comes with it again changes nothing.
const book = `
	with new as (
		insert into orders (key, account, cents) values ($1, $2, $3)
		on conflict (key) do nothing
		returning account, cents
	)
	update accounts set balance = balance + new.cents from new where accounts.id = new.account`

// Book books an order once, however often it is called with the same key. It
// reports whether this call did; if not, an earlier one had, whose answer may have
// been lost.
func (o *orders) Book(ctx context.Context, key string, account int, cents int64) (isNew bool, err error) {
	return holdfast.Do(ctx, o.policy, func(ctx context.Context) (bool, error) {
		tag, err := o.pool.Exec(ctx, book, key, account, cents)
		if err != nil || tag.RowsAffected() > 0 {
			return err == nil, err
		}
		var thatAccount int
		var thatCents int64
		err = o.pool.QueryRow(ctx, `select account, cents from orders where key = $1`, key).Scan(&thatAccount, &thatCents)
		if err == nil && (thatAccount != account || thatCents != cents) {
			err = fmt.Errorf("order %s is there, and is another", key)
		}
		return false, err
	})
}

// databasePolicy is the preset, told what a PostgreSQL that goes away looks like.
func databasePolicy() holdfast.PolicyConfig {
	cfg := settings.Database() // 2 retries, after 0.5 and 1 s, give or take half
	cfg.Name = "orders"
	cfg.AttemptTimeout = 500 * time.Millisecond // or a server that hangs is never noticed
	cfg.Total = 5 * time.Second
	cfg.Retry.On = holdfast.Any(cfg.Retry.On, serverGone)
	return cfg
}

// serverGone reports whether err is that of a server that is going, gone or coming
// back, rather than its answer to the statement.
func serverGone(err error) bool {
	var said *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case errors.As(err, &said):
		switch said.Code {
		case "57P01", "57P02", "57P03", // shutting down, crashed, not yet up
			"40001", "40P01": // serialization failure, deadlock: nothing was done
			return true
		}
		return false
	case errors.As(err, &connecting), pgconn.SafeToRetry(err):
		return true // nothing was sent
	}
	// The connection broke, and the statement may have been carried out: Book may
	// be called again because its key decides.
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
