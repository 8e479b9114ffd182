package resolvers

import (
	"context"
	"log/slog"
	"time"

	"cubegate/store"
)

// Events is the record of what happened to users' security.
type Events interface {
	Record(ctx context.Context, e store.Event) error
	Page(ctx context.Context, f store.EventFilter, before string, limit int) ([]store.Event, error)
}

// How an event ended.
const (
	outcomeOK      = "ok"
	outcomeRefused = "refused" // the answer was no
	outcomeFailed  = "failed"  // there was none
)

// done records what a user has done.
func (a *Auth) done(ctx context.Context, kind string, user store.User, session string) {
	a.audit(ctx, store.Event{Kind: kind, Outcome: outcomeOK, UserID: user.ID, Session: session})
}

// refused records what did not happen. A user whom nobody knows is not named:
// what was typed may be a password.
func (a *Auth) refused(ctx context.Context, kind string, user store.User, err error) {
	e := outward(err)
	outcome := outcomeRefused
	switch e.Code {
	case Internal, Upstream, Unavailable:
		outcome = outcomeFailed
	case Canceled, RateLimited: // nobody was let try
		return
	}
	a.audit(ctx, store.Event{Kind: kind, Outcome: outcome, UserID: user.ID, Detail: string(e.Code)})
}

// audit records an event. Nothing that a user does fails for it.
func (a *Auth) audit(ctx context.Context, e store.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	e.Address = a.Address(ctx)
	if err := a.Events.Record(ctx, e); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "event not recorded", slog.String("kind", e.Kind), slog.String("outcome", e.Outcome),
			slog.String("user_id", e.UserID), slog.Any("err", err))
	}
}
