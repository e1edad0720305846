package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// book is one statement, so the database does all of it or nothing. The key
// decides: a second call with the same key changes nothing.
const book = `
	with new as (
		insert into orders (key, account, cents) values ($1, $2, $3)
		on conflict (key) do nothing
		returning account, cents
	)
	update accounts set balance = balance + new.cents from new where accounts.id = new.account`

// Book books an order once, for any number of calls with the same key. It reports
// whether this call booked it. If not, an earlier call did, and its answer may have
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
			err = fmt.Errorf("order %s exists with another content", key)
		}
		return false, err
	})
}

// databasePolicy is the preset with the errors of a PostgreSQL server that goes away.
func databasePolicy() holdfast.PolicyConfig {
	cfg := settings.Database() // 2 retries, after 0.5 and 1 s, give or take half
	cfg.Name = "orders"
	cfg.AttemptTimeout = 500 * time.Millisecond // or a server that hangs is never noticed
	cfg.Total = 5 * time.Second
	cfg.Retry.On = holdfast.Any(cfg.Retry.On, serverGone)
	return cfg
}

// serverGone reports whether err means that the server is stopping, stopped or
// starting. It is false for an answer to the statement.
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
	// The connection was closed, and the statement may have been carried out. Book can
	// run again because its key decides. The preset has the other ends of a connection.
	return errors.Is(err, io.EOF)
}
