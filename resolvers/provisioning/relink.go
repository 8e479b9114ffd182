package provisioning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cubegate/connectycube"
	"cubegate/store"
)

// The linked account is the one whose ID is in the user's document. Users can change
// the external ID and the email of their account at ConnectyCube, by which a ticket and
// a password find it, and ConnectyCube creates an account when it finds none
// (docs/connectycube.md, Sessions and Identity provider). The linked account wins over
// the other one, because the user's chats belong to it.

// errUnlinked means that the linked account no longer carries the user's ID, and that no
// session is at hand to restore it.
var errUnlinked = errors.New("the ConnectyCube account no longer carries the user's ID")

// displaced returns the linked account if a login has opened a session of another
// account, and nil if it has not or the linked account is gone. After an error, other
// has ended.
func (o sessionOpener) displaced(ctx context.Context, other connectycube.Session) (*connectycube.User, error) {
	r := o.r
	if r.user.CubeID == 0 || other.UserID == r.user.CubeID {
		return nil, nil
	}
	linked, err := r.p.cubeUsers.UserByID(ctx, r.user.CubeID)
	if errors.Is(err, connectycube.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		r.p.endSession(ctx, r.user.ID, other.Token)
		return nil, err
	}
	return &linked, nil
}

// relinkByTicket returns a session of the linked account after a login by ticket. The
// linked account gets the external ID back. Another account that was created for this
// login is deleted; an older one loses the external ID only, since it may have chats.
//
// It returns other as it is if the linked account is gone, or comes from the NestJS
// original, which has always used a second account for tickets.
func (o sessionOpener) relinkByTicket(ctx context.Context, other connectycube.Session) (connectycube.Session, error) {
	r := o.r
	linked, err := o.displaced(ctx, other)
	switch {
	case err != nil:
		return connectycube.Session{}, err
	case linked == nil,
		linked.ExternalID == r.user.ID, // the identity provider's mapping reports another ID than ours
		linked.ExternalID == "" && !r.known().hasBaseline && !other.NewUser:
		return other, nil
	}
	own, reused, err := o.linkedSession(ctx, linked.ExternalID)
	if err != nil {
		o.discardOther(ctx, other)
		return connectycube.Session{}, fmt.Errorf("account %d must get the external ID %s back: %w", r.user.CubeID, r.user.ID, err)
	}
	if err = o.restoreExternalID(ctx, own, other); err == nil && reused {
		own, err = o.ticketSession(ctx, "")
		reused = false
	}
	if err == nil && own.UserID != r.user.CubeID {
		err = errUnlinked
	}
	if err != nil {
		if !reused && own.Token != "" {
			r.p.endSession(ctx, r.user.ID, own.Token)
		}
		return connectycube.Session{}, err
	}
	own.User.ExternalID = r.user.ID
	r.p.log.LogAttrs(ctx, slog.LevelWarn, "external ID of the ConnectyCube account restored",
		slog.String("user_id", r.user.ID), slog.Int64("account", own.UserID), slog.Int64("other_account", other.UserID))
	return own, nil
}

// relinkByPassword returns a session of the linked account after a login by password.
// The linked account gets the email back that the user has here.
func (o sessionOpener) relinkByPassword(ctx context.Context, other connectycube.Session, c passwordCandidate) (connectycube.Session, error) {
	r := o.r
	linked, err := o.displaced(ctx, other)
	switch {
	case err != nil:
		return connectycube.Session{}, err
	case linked == nil,
		linked.Email == "" || store.EmailKey(linked.Email) == store.EmailKey(o.accountEmail()): // its email was not changed
		return other, nil
	}
	own, err := r.p.cube.CreateSession(ctx, connectycube.Credentials{Email: linked.Email, Password: c.text})
	if err == nil && own.UserID != r.user.CubeID {
		r.p.endSession(ctx, r.user.ID, own.Token)
		err = errUnlinked
	}
	o.discardOther(ctx, other)
	if err != nil {
		return connectycube.Session{}, fmt.Errorf("account %d has another email: %w", r.user.CubeID, err)
	}
	if err := r.p.userAPI.UpdateUser(ctx, own, connectycube.UserUpdate{Email: r.user.Email}); err != nil {
		r.logWarning(ctx, "email of the ConnectyCube account not restored", err) // the next login tries again
	}
	return own, nil
}

// linkedSession opens a session of the linked account: by a ticket that reports the
// external ID that the account has now, otherwise it reuses the session of a login
// session.
func (o sessionOpener) linkedSession(ctx context.Context, externalID string) (own connectycube.Session, reused bool, err error) {
	r := o.r
	if externalID != "" {
		own, err = o.ticketSession(ctx, externalID)
		if err != nil || own.UserID == r.user.CubeID {
			return own, false, err
		}
		o.discardOther(ctx, own)
	}
	err = o.reuse(ctx)
	own, r.session = r.session, connectycube.Session{}
	if errors.Is(err, ErrPasswordRequired) {
		err = errUnlinked // where ConnectyCube asks the provider, a password opens no session
	}
	return own, true, err
}

// restoreExternalID takes the user's ID from the other account and gives it to the
// linked one. If the process dies in between, no account has the ID, and the next login
// repeats this.
func (o sessionOpener) restoreExternalID(ctx context.Context, own, other connectycube.Session) error {
	r := o.r
	if other.NewUser {
		if err := r.p.userAPI.DeleteUser(ctx, other); err != nil {
			return fmt.Errorf("deleting the other account %d: %w", other.UserID, err)
		}
	} else {
		former := fmt.Sprintf("%s.%d", r.user.ID, other.UserID)
		if err := r.p.userAPI.UpdateUser(ctx, other, connectycube.UserUpdate{ExternalID: former}); err != nil {
			return fmt.Errorf("taking the external ID from account %d: %w", other.UserID, err)
		}
		r.p.endSession(ctx, r.user.ID, other.Token)
	}
	return r.p.userAPI.UpdateUser(ctx, own, connectycube.UserUpdate{ExternalID: r.user.ID})
}

// discardOther deletes an account that was created for this login, and ends the session
// of any other.
func (o sessionOpener) discardOther(ctx context.Context, other connectycube.Session) {
	if !other.NewUser {
		o.r.p.endSession(ctx, o.r.user.ID, other.Token)
		return
	}
	if err := o.r.p.userAPI.DeleteUser(ctx, other); err != nil {
		o.r.logWarning(ctx, "ConnectyCube account created by a login not deleted", err)
	}
}
