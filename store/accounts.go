package store

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Account is our knowledge of a user's account at ConnectyCube, and the state of
// the work on it. Users of the original have the zero Account: nothing is known
// and no work is due.
type Account struct {
	Email        string       `bson:"email,omitempty"` // at ConnectyCube; empty = not known
	Name         string       `bson:"name,omitempty"`  // at ConnectyCube; empty = not known
	PasswordKind PasswordKind `bson:"password,omitempty"`
	Version      int64        `bson:"version,omitempty"`  // counts the changes of the wanted state
	Due          time.Time    `bson:"due,omitempty"`      // when work is due or the lease ends; zero = no work
	Lease        string       `bson:"lease,omitempty"`    // ID of the lease; empty = no lease
	Attempts     int          `bson:"attempts,omitempty"` // since the work was last complete
	LastError    string       `bson:"problem,omitempty"`  // class of the last failure, for administrators
	Token        string       `bson:"token,omitempty"`    // sealed session token, kept for the deletion
	Turn         time.Time    `bson:"turn,omitempty"`     // place among the accounts that wait for their sign-up; zero = none
}

// Held returns the lease on the account. A worker that leases a user gets the lease with it.
func (a Account) Held() Lease { return Lease{ID: a.Lease, Until: a.Due} }

// PasswordKind is the origin of the account's password, never the password itself. It is
// empty if the origin is not known.
type PasswordKind string

// The kinds of passwords, beside those of [PasswordDerived].
const (
	PasswordShared  PasswordKind = "normalized" // the user's own, normalized
	PasswordAsSent  PasswordKind = "shared"     // the user's own, as a client once sent it
	PasswordUnknown PasswordKind = "between"    // derived or the user's own; only a login can tell
)

const derivedPrefix = "derived:"

// PasswordDerived is the kind of a password that the server derives from a key.
func PasswordDerived(key string) PasswordKind { return PasswordKind(derivedPrefix + key) }

// IsOwn reports whether it is the user's own password, in either form.
func (k PasswordKind) IsOwn() bool { return k == PasswordShared || k == PasswordAsSent }

// IsDerived reports whether the server derives the password from a key.
func (k PasswordKind) IsDerived() bool { return strings.HasPrefix(string(k), derivedPrefix) }

// Accounts is the part of the users' documents about their accounts at
// ConnectyCube. It is safe for concurrent use.
type Accounts struct{ users *Users }

// ByID finds a user. The error is [ErrNotFound] for none.
func (a *Accounts) ByID(ctx context.Context, id string) (User, error) { return a.users.ByID(ctx, id) }

// queue is [Store.AccountWork].
func (a *Accounts) queue() *Queue[User] { return &Queue[User]{a.users.records, accountWork} }

// Save stores new facts about a user's account under the lease l: CubeID unless it is zero,
// and of Account the email, the name and the kind of the password. The error is
// [ErrChanged] when the lease is lost.
func (a *Accounts) Save(ctx context.Context, l Lease, u User) error {
	set := bson.D{
		{Key: "account.email", Value: u.Account.Email}, {Key: "account.name", Value: u.Account.Name}, {Key: "account.password", Value: u.Account.PasswordKind},
		{Key: "updatedAt", Value: time.Now()},
	}
	if u.CubeID != 0 {
		set = append(set, bson.E{Key: "connectyCubeId", Value: cubeIDValue(u.CubeID)})
	}
	return a.queue().underLease(ctx, u.ID, l, set, nil)
}

// MarkDeleting replaces a user's document with a tombstone. The tombstone has only the data
// that the deletion of the account at ConnectyCube needs, and other users may take the
// email. The error is [ErrChanged] when the document is a tombstone already.
func (a *Accounts) MarkDeleting(ctx context.Context, id, sealed string, l Lease) (User, error) {
	user, err := a.users.ByID(ctx, id)
	if err != nil {
		return User{}, err
	}
	fields := endSessions([]string{},
		bson.E{Key: "leaving", Value: true},
		bson.E{Key: "email", Value: "deleted:" + id}, // the original's unique index requires a value
		bson.E{Key: "emailKey", Value: "deleted:" + id},
		bson.E{Key: "account.token", Value: sealed})
	if user.Account.Email == "" {
		fields = append(fields, bson.E{Key: "account.email", Value: user.Email})
	}
	return a.users.change(ctx, id, bson.D{{Key: "email", Value: user.Email}, notDeleting}, append(accountWork.leaseUpdate(l, fields...), bumpVersion,
		bson.E{Key: "$unset", Value: bson.D{
			{Key: "firstName", Value: ""}, {Key: "lastName", Value: ""},
			{Key: "password", Value: ""}, {Key: "passwordForm", Value: ""}, {Key: "roles", Value: ""},
		}},
	))
}

// Remove deletes a user. The error is [ErrChanged] when the lease is lost.
func (a *Accounts) Remove(ctx context.Context, id string, l Lease) error {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return ErrNotFound
	}
	ctx, cancel := a.users.withTimeout(ctx)
	defer cancel()
	r, err := a.users.coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: oid}, accountWork.heldBy(l)})
	if err != nil {
		return a.users.wrapError("removing a user", err)
	}
	if r.DeletedCount == 0 {
		return ErrChanged
	}
	return nil
}
