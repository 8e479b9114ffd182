package store

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// bumpVersion is the part of an update that makes the account at ConnectyCube differ from the
// user.
var bumpVersion = bson.E{Key: "$inc", Value: bson.D{{Key: "account.version", Value: 1}}}

// endAll is the part of an update, beside endSessions, that ends all login sessions, evicted
// ones too, and makes all devices unknown.
var endAll = bson.E{Key: "$inc", Value: bson.D{{Key: "deviceGeneration", Value: 1}, {Key: "endGeneration", Value: 1}}}

// forgetDevices is the part of an update that makes all devices unknown.
var forgetDevices = bson.E{Key: "$inc", Value: bson.D{{Key: "deviceGeneration", Value: 1}}}

// setFields returns the argument of $set: the given fields and the time of the update.
func setFields(fields ...bson.E) bson.D {
	return append(fields, bson.E{Key: "updatedAt", Value: time.Now()})
}

// endSessions is setFields for an update that ends all login sessions except the given ones.
func endSessions(sessions []string, fields ...bson.E) bson.D {
	return append(setFields(fields...), bson.E{Key: "sessions", Value: sessions}, bson.E{Key: "evicted", Value: []string{}}, bson.E{Key: "sessionsDue", Value: time.Now()})
}

// PasswordChange replaces one password hash with another.
type PasswordChange struct {
	UserID           string
	OldHash, NewHash string
	NewForm          string // PasswordForm of NewHash
	KeepSession      string // ID of the login session that stays; empty = none
}

// ReplacePassword replaces the hash and, in the same write, ends all login sessions except
// KeepSession. The error is [ErrChanged] when the hash is not OldHash, or KeepSession has
// ended.
func (u *Users) ReplacePassword(ctx context.Context, c PasswordChange) (User, error) {
	kept, condition := []string{}, bson.D{{Key: "password", Value: c.OldHash}}
	if c.KeepSession != "" {
		kept = append(kept, c.KeepSession)
		condition = append(condition, bson.E{Key: "sessions", Value: c.KeepSession})
	}
	return u.change(ctx, c.UserID, condition, bson.D{{Key: "$set", Value: endSessions(kept, passwordSet(c.NewHash, c.NewForm)...)}, endAll})
}

// EmailChange replaces one email with another.
type EmailChange struct {
	UserID   string
	Old, New string
}

// ChangeEmail replaces the email under the lease l. The error is a [TakenError]
// for "email" if another user has the new email in any letter case, and
// [ErrChanged] if Old is no longer the user's email.
func (u *Users) ChangeEmail(ctx context.Context, c EmailChange, l Lease) (User, error) {
	if err := u.adoptNew(ctx); err != nil {
		return User{}, err
	}
	return u.change(ctx, c.UserID,
		bson.D{{Key: "email", Value: c.Old}, notDeleting},
		append(accountWork.leaseUpdate(l, setFields(bson.E{Key: "email", Value: c.New}, bson.E{Key: "emailKey", Value: EmailKey(c.New)})...), bumpVersion))
}

// NameChange replaces both names of a user.
type NameChange struct {
	UserID              string
	FirstName, LastName string
}

// ChangeName replaces both names under the lease l.
func (u *Users) ChangeName(ctx context.Context, c NameChange, l Lease) (User, error) {
	return u.change(ctx, c.UserID, bson.D{notDeleting},
		append(accountWork.leaseUpdate(l, setFields(bson.E{Key: "firstName", Value: c.FirstName}, bson.E{Key: "lastName", Value: c.LastName})...), bumpVersion))
}

// notDeleting matches users who are not being deleted.
var notDeleting = bson.E{Key: "leaving", Value: bson.D{{Key: "$ne", Value: true}}}

// SessionStart adds a login session to a user.
type SessionStart struct {
	UserID       string
	PasswordHash string // that the login has checked
	SessionID    string
}

// AddSession adds a login session to the user's list. The error is [ErrChanged]
// if the user has another password hash by now, is disabled or is being deleted.
func (u *Users) AddSession(ctx context.Context, s SessionStart) (User, error) {
	return u.change(ctx, s.UserID,
		bson.D{{Key: "password", Value: s.PasswordHash}, {Key: "disabled", Value: bson.D{{Key: "$ne", Value: true}}}, notDeleting},
		bson.D{{Key: "$push", Value: bson.D{{Key: "sessions", Value: bson.D{
			{Key: "$each", Value: bson.A{s.SessionID}}, {Key: "$slice", Value: -maxSessions},
		}}}}})
}

// maxSessions bounds the list in a user's document, in addition to the bound in the settings.
const maxSessions = 200

// RemoveSession ends one login session. It returns true to one of several concurrent callers.
func (u *Users) RemoveSession(ctx context.Context, id, session string) (bool, error) {
	return u.removeSession(ctx, id, session)
}

// RevokeSession ends one login session whose device is not trusted, and makes all devices of
// the user unknown. It returns true to one of several concurrent callers.
func (u *Users) RevokeSession(ctx context.Context, id, session string) (bool, error) {
	return u.removeSession(ctx, id, session, forgetDevices)
}

func (u *Users) removeSession(ctx context.Context, id, session string, more ...bson.E) (bool, error) {
	_, err := u.change(ctx, id, bson.D{{Key: "sessions", Value: session}}, append(bson.D{
		{Key: "$pull", Value: bson.D{{Key: "sessions", Value: session}}},
		{Key: "$set", Value: bson.D{{Key: "sessionsDue", Value: time.Now()}}},
	}, more...))
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// RemoveAllSessions ends all login sessions of a user.
func (u *Users) RemoveAllSessions(ctx context.Context, id string) (User, error) {
	return u.change(ctx, id, nil, bson.D{{Key: "$set", Value: endSessions([]string{})}, endAll})
}

// SetRoles replaces the roles of a user.
func (u *Users) SetRoles(ctx context.Context, id string, roles []string) (User, error) {
	roles = slices.Clone(roles)
	if roles == nil {
		roles = []string{}
	}
	return u.change(ctx, id, bson.D{notDeleting}, bson.D{{Key: "$set", Value: setFields(bson.E{Key: "roles", Value: roles})}})
}

// SetDisabled disables a user and, in the same write, ends all login sessions, or
// enables the user again.
func (u *Users) SetDisabled(ctx context.Context, id string, on bool) (User, error) {
	fields := bson.E{Key: "disabled", Value: on}
	if on {
		return u.change(ctx, id, bson.D{notDeleting}, bson.D{{Key: "$set", Value: endSessions([]string{}, fields)}, endAll})
	}
	return u.change(ctx, id, bson.D{notDeleting}, bson.D{{Key: "$set", Value: setFields(fields)}})
}

// UserFilter selects users; the zero filter selects all.
type UserFilter struct {
	Text     string // prefix of the email, in any letter case
	Role     string
	Disabled *bool
}

// Page lists users by ID. after is the ID of a user or the Next of an earlier page, and the page
// starts after it. The empty after starts with the first user. The error is [ErrBadCursor] for
// any other after.
func (u *Users) Page(ctx context.Context, f UserFilter, after string, limit int) (Page[User], error) {
	filter := bson.D{notDeleting}
	if f.Text != "" {
		if err := u.adoptNew(ctx); err != nil {
			return Page[User]{}, err
		}
		filter = append(filter, bson.E{Key: "emailKey", Value: bson.Regex{Pattern: "^" + regexp.QuoteMeta(EmailKey(f.Text))}})
	}
	if f.Role != "" {
		filter = append(filter, bson.E{Key: "roles", Value: f.Role})
	}
	if f.Disabled != nil && *f.Disabled {
		filter = append(filter, bson.E{Key: "disabled", Value: true})
	} else if f.Disabled != nil {
		filter = append(filter, bson.E{Key: "disabled", Value: bson.D{{Key: "$ne", Value: true}}})
	}
	return u.page(ctx, filter, pageQuery{after: after, limit: limit})
}

// All lists users like [Users.Page], including users that are being deleted.
func (u *Users) All(ctx context.Context, after string, limit int) (Page[User], error) {
	return u.page(ctx, bson.D{}, pageQuery{after: after, limit: limit})
}
