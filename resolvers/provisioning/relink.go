package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cubegate/connectycube"
	"cubegate/store"
)

// errUnlinked means that the user's account no longer carries the user's id, and
// that no session is at hand to give it back.
var errUnlinked = errors.New("the ConnectyCube account no longer carries the user's id")

// account finds the user's account at ConnectyCube: the one whose id we keep, and
// without one the account that carries the user's id. Its external id is the
// user's to change at ConnectyCube, so it only counts for the latter.
func (v *visit) account(ctx context.Context) (connectycube.User, error) {
	if v.user.CubeID != 0 {
		return v.k.Directory.UserByID(ctx, v.user.CubeID)
	}
	return v.k.Directory.UserByExternalID(ctx, v.user.ID)
}

// reunite returns a session of the account whose id we keep, after a login by
// ticket opened another one. ConnectyCube finds the account of a ticket by its
// external id, which users may change themselves, and makes a new account when it
// finds none (contract 8.3). The kept account wins, because the user's chats
// belong to it: it gets the external id back, and an account that was made for
// this login is deleted. An older one loses the external id only, since there may
// be chats in it.
//
// The other session is returned as it is when the kept account is gone, or when
// it is one of the NestJS original, which used another account for tickets from
// the start (contract 12, row 7).
func (v *visit) reunite(ctx context.Context, other connectycube.Session) (connectycube.Session, error) {
	kept, err := v.k.Directory.UserByID(ctx, v.user.CubeID)
	switch {
	case errors.Is(err, connectycube.ErrNotFound):
		return other, nil
	case err != nil:
		v.k.discard(ctx, v.user.ID, other.Token)
		return connectycube.Session{}, err
	case kept.ExternalID == v.user.ID: // the identity provider's mapping reports another id than ours
		return other, nil
	case kept.ExternalID == "" && !v.known() && !other.NewUser:
		return other, nil
	}
	own, borrowed, err := v.keptSession(ctx, kept.ExternalID)
	if err != nil {
		v.putAside(ctx, other)
		return connectycube.Session{}, fmt.Errorf("account %d must get the external id %s back: %w", v.user.CubeID, v.user.ID, err)
	}
	if err = v.restoreID(ctx, own, other); err == nil && borrowed {
		own, err = v.ticketSession(ctx, "")
		borrowed = false
	}
	if err == nil && own.UserID != v.user.CubeID {
		err = errUnlinked
	}
	if err != nil {
		if !borrowed && own.Token != "" {
			v.k.discard(ctx, v.user.ID, own.Token)
		}
		return connectycube.Session{}, err
	}
	own.User.ExternalID = v.user.ID
	v.k.Log.LogAttrs(ctx, slog.LevelWarn, "external id of the ConnectyCube account restored",
		slog.String("user_id", v.user.ID), slog.Int64("account", own.UserID), slog.Int64("other_account", other.UserID))
	return own, nil
}

// reuniteByPassword is reunite for a login by password. Users may change their
// email at ConnectyCube as well, and most applications make an account for an
// email that they do not know (contract 5.2, row 13). The kept account gets the
// email back that the user has here.
func (v *visit) reuniteByPassword(ctx context.Context, other connectycube.Session, c candidate) (connectycube.Session, error) {
	kept, err := v.k.Directory.UserByID(ctx, v.user.CubeID)
	switch {
	case errors.Is(err, connectycube.ErrNotFound):
		return other, nil
	case err != nil:
		v.k.discard(ctx, v.user.ID, other.Token)
		return connectycube.Session{}, err
	case kept.Email == "" || store.EmailKey(kept.Email) == store.EmailKey(v.address()):
		return other, nil // no email of it would help
	}
	own, err := v.k.Cube.CreateSession(ctx, connectycube.Credentials{Email: kept.Email, Password: c.text})
	if err == nil && own.UserID != v.user.CubeID {
		v.k.discard(ctx, v.user.ID, own.Token)
		err = errUnlinked
	}
	v.putAside(ctx, other)
	if err != nil {
		return connectycube.Session{}, fmt.Errorf("account %d has another email: %w", v.user.CubeID, err)
	}
	if err := v.k.Self.UpdateUser(ctx, own, connectycube.UserUpdate{Email: v.user.Email}); err != nil {
		v.warn(ctx, "email of the ConnectyCube account not restored", err) // the next login tries again
	}
	return own, nil
}

// keptSession opens a session of the kept account: by a ticket that reports the
// external id that the account has now, otherwise with the session of a login
// session.
func (v *visit) keptSession(ctx context.Context, externalID string) (own connectycube.Session, borrowed bool, err error) {
	if externalID != "" {
		own, err = v.ticketSession(ctx, externalID)
		if err != nil || own.UserID == v.user.CubeID {
			return own, false, err
		}
		v.putAside(ctx, own)
	}
	err = v.borrow(ctx)
	own, v.session = v.session, connectycube.Session{}
	if errors.Is(err, ErrPasswordRequired) {
		err = errUnlinked // a password opens no session where the provider is asked
	}
	return own, true, err
}

// restoreID takes the user's id from the other account and gives it to the kept
// one. A process that dies in between leaves an account without the id, and the
// next login does this again.
func (v *visit) restoreID(ctx context.Context, own, other connectycube.Session) error {
	if other.NewUser {
		if err := v.k.Self.DeleteUser(ctx, other); err != nil {
			return fmt.Errorf("deleting the other account %d: %w", other.UserID, err)
		}
	} else {
		former := fmt.Sprintf("%s.%d", v.user.ID, other.UserID)
		if err := v.k.Self.UpdateUser(ctx, other, connectycube.UserUpdate{ExternalID: former}); err != nil {
			return fmt.Errorf("taking the external id from account %d: %w", other.UserID, err)
		}
		v.k.discard(ctx, v.user.ID, other.Token)
	}
	return v.k.Self.UpdateUser(ctx, own, connectycube.UserUpdate{ExternalID: v.user.ID})
}

// putAside deletes an account that was made for this login, and ends the session
// of any other.
func (v *visit) putAside(ctx context.Context, other connectycube.Session) {
	if !other.NewUser {
		v.k.discard(ctx, v.user.ID, other.Token)
		return
	}
	if err := v.k.Self.DeleteUser(ctx, other); err != nil {
		v.warn(ctx, "ConnectyCube account made by a login not deleted", err)
	}
}
