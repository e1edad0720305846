package engine

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/core/breaker"
	"github.com/holdfast-go/holdfast/internal/core/retry"
	"github.com/holdfast-go/holdfast/internal/outcome"
	"github.com/holdfast-go/holdfast/internal/world"
)

// Engine is what the operations of one client or policy share: the machines. It
// outlives a change of Rules. Each machine may be nil.
type Engine struct {
	Name     string // in the errors of rejections
	Breaker  Gate
	Bulkhead *Bulkhead
	Cooldown *Cooldown

	Listener Listener
	// Timed: attempts that succeed are timed, because they are counted.
	Timed bool

	coolingDown atomic.Int64 // operations that wait out a cooldown
}

// Rules are the settings of an operation. They never change: a change of settings
// is a new value, which later operations begin with.
type Rules struct {
	Retry   retry.Config
	Attempt time.Duration // the limit of one attempt; zero is none
	Total   time.Duration // the limit of the operation; zero is none
	Waiters int           // the most operations that wait out a cooldown at once
	Fast    Fast          // whether an operation may take the fast path: see Engine.FastPath
}

// Listener is where the events of an operation that goes well are reported.
type Listener struct {
	All bool         // an observer, of everything
	Log *slog.Logger // a logger, if its DEBUG is enabled; nil is none
}

// Wants reports whether the events of an operation with this context are reported.
func (l *Listener) Wants(ctx context.Context) bool {
	return l.All || l.Log != nil && l.Log.Enabled(ctx, slog.LevelDebug)
}

// Gate is a breaker with the hooks that report its decisions. The zero Gate has no
// breaker.
type Gate struct {
	*Breaker
	CountAttempts bool // each failed attempt counts, not the operation
	Hooks         GateHooks
}

// GateHooks decide for a breaker where its snapshot cannot, and report the result. An
// error is the rejection, as the caller sees it.
type GateHooks interface {
	Admit(ctx context.Context, w world.World, limit time.Duration) (breaker.Ticket, error)
	Confirm(ctx context.Context, w world.World, t breaker.Ticket, limit time.Duration) (breaker.Ticket, error)
	Done(ctx context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, cause error)
	AnswerBegan(ctx context.Context, w world.World, t breaker.Ticket)
	AnswerEnded(ctx context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, cause error)
	Note(ctx context.Context, w world.World, t breaker.Ticket, o outcome.Outcome, cause error)
}
