package provisioning

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
	"cubegate/tokens"
)

// PruneNext ends the login sessions that one user's document no longer names.
// The documents are listed before the user is read, and a login session enters
// the user's document before it gets one of its own: so what is listed and not
// named was ended.
func (k *Provisioner) PruneNext(ctx context.Context) error {
	until := time.Now().Add(k.Margin + 10*time.Second).UTC().Truncate(time.Millisecond)
	user, err := k.Work.Sweeps.Claim(ctx, store.Lease{Until: until})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	logins, err := k.Sessions.OfUser(ctx, user.ID)
	if err != nil {
		return err
	}
	user, err = k.Accounts.ByID(ctx, user.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, login := range logins {
		if !slices.Contains(user.Sessions, login.ID) {
			if _, err := k.Sessions.End(ctx, login.ID, "ended with others"); err != nil {
				return err
			}
		}
	}
	k.Wake()
	if user.ID == "" {
		return nil
	}
	return k.Work.Sweeps.Complete(ctx, user.ID, store.Lease{Until: until}, 0)
}

// RevokeNext takes what one ended login session still has at ConnectyCube: its
// push subscriptions and its session. Those whose time is over end first.
func (k *Provisioner) RevokeNext(ctx context.Context) error {
	if err := k.Ended.Expire(ctx); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	lease := store.Lease{Until: time.Now().Add(k.Patience + k.Margin)}
	login, err := k.Work.Revocations.Claim(ctx, lease)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	patient, cancel := context.WithTimeout(ctx, k.Patience) // which ConnectyCube may use up
	err = k.end(patient, login)
	cancel()
	if err == nil && login.EndReason == store.Expired { // else that is how it ended
		_, err = k.RemoveSession(ctx, login.UserID, login.ID)
	}
	if err == nil {
		return k.Ended.Remove(ctx, login.ID)
	}
	k.Log.LogAttrs(ctx, slog.LevelWarn, "ended login session still has a ConnectyCube session", slog.String("user_id", login.UserID), slog.Any("err", err))
	return k.Work.Revocations.Retry(ctx, login.ID, lease, time.Now().Add(pause(login.Attempts, err)), "")
}

func (k *Provisioner) end(ctx context.Context, login store.Session) error {
	token, err := k.Keys.Open(login.CubeToken, about(login.ID))
	if login.CubeToken == "" || errors.Is(err, tokens.ErrSealed) {
		token = ""
	} else if err != nil {
		return err
	}
	user, err := k.Accounts.ByID(ctx, login.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && user.Deleting {
		return nil // all goes with the account, which this session may be needed for
	}
	if err != nil {
		return err
	}
	v := k.visit(user, LoginMethod{})
	defer v.close(ctx)
	v.session = connectycube.Session{Token: token, UserID: login.CubeID}
	if err := v.unsubscribe(ctx, login); err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	return k.Cube.EndSession(ctx, token)
}

// unsubscribe stops the pushes to the device of a login session, unless somebody
// has logged in there again. Which device that is we know only from apps that
// say so; of one that does not, everything goes that no living login session is
// known to own, for a phone that has logged out must not go on showing messages.
func (v *visit) unsubscribe(ctx context.Context, login store.Session) error {
	list, err := v.subscriptions(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	others, err := v.k.Sessions.OfUser(ctx, login.UserID)
	if err != nil {
		return err
	}
	for _, s := range list {
		mine := login.DeviceID == "" || s.DeviceID == login.DeviceID
		if !mine || slices.ContainsFunc(others, func(o store.Session) bool { return v.succeeds(o, login, s.DeviceID) }) {
			continue
		}
		if err := v.k.Self.DeleteSubscription(ctx, v.session, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// succeeds reports whether another login session keeps the pushes to a device
// when login ends there: it lives, and it is the younger one, for an older one of
// the same device is as good as over.
func (v *visit) succeeds(other, login store.Session, device string) bool {
	return device != "" && other.DeviceID == device && slices.Contains(v.user.Sessions, other.ID) &&
		(login.DeviceID == "" || other.Created.After(login.Created))
}

// subscriptions lists the user's, by the session at hand or by one that the
// server can open by itself. When there is neither, they cannot be reached.
func (v *visit) subscriptions(ctx context.Context) ([]connectycube.Subscription, error) {
	if v.session.Token != "" {
		list, err := v.k.Self.Subscriptions(ctx, v.session)
		if !errors.Is(err, connectycube.ErrSessionExpired) {
			return list, err
		}
		v.session = connectycube.Session{}
	}
	if v.user.CubeID == 0 || v.moving() {
		return nil, nil
	}
	// Under a lease, so that nobody deletes the account meanwhile: to log in
	// would make it anew.
	touched, err := v.k.Work.Accounts.Acquire(ctx, v.user.ID, v.k.newLease())
	if err != nil {
		return nil, err
	}
	v.user = touched
	defer v.release(ctx)
	if v.user.Deleting {
		return nil, nil
	}
	err = v.act(ctx)
	if errors.Is(err, ErrPasswordRequired) || refused(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v.k.Self.Subscriptions(ctx, v.session)
}
