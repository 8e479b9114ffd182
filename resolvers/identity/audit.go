package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// Events is the record of what happened to users' security.
type Events interface {
	Record(ctx context.Context, e store.Event) error
	RecordRefusals(ctx context.Context, refusals []store.Event) error // may be repeated with the same
	Page(ctx context.Context, f store.EventFilter, before string, limit int) ([]store.Event, error)
}

// done records what a user has done.
func (a *Auth) done(ctx context.Context, kind store.AuditKind, user store.User, session string) {
	a.audit(ctx, store.Event{Kind: kind, Outcome: store.OutcomeOK, UserID: user.ID, Session: session})
}

// refused records a refusal, after its answer (see [Auditor]). An email without
// an account is not recorded: it may be a password typed into the wrong field.
func (a *Auth) refused(ctx context.Context, kind store.AuditKind, user store.User, err error) {
	e := outward(err)
	outcome := store.OutcomeRefused
	switch e.Code {
	case apierror.InternalServerError, apierror.UpstreamUnavailable, apierror.ServiceUnavailable:
		outcome = store.OutcomeFailed
	case apierror.Canceled, apierror.RateLimited: // nothing was tried
		return
	}
	if full := new(tokens.QueueError); errors.As(err, &full) {
		return // nothing was tried here either
	}
	a.Auditor.Refuse(asker{networks: a.Networks(ctx)}.network(), store.Event{
		Kind: kind, Outcome: outcome, UserID: user.ID, ClientIP: a.Address(ctx), Detail: string(e.Code),
	})
}

// audit records an event before its answer. No request fails because it cannot
// be recorded.
func (a *Auth) audit(ctx context.Context, e store.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	e.ClientIP = a.Address(ctx)
	if err := a.Events.Record(ctx, e); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "event not recorded", slog.String("kind", string(e.Kind)), slog.String("outcome", string(e.Outcome)),
			slog.String("user_id", e.UserID), slog.Any("err", err))
	}
}
