package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Account is what we know of a user's account at ConnectyCube, and when to look
// after it. The zero Account, which users of the original have, means that
// nothing is known and nothing is due.
type Account struct {
	Email, Name  string // as ConnectyCube has them; empty = not known
	PasswordKind PasswordKind
	Version      int64     // grows with each change of what the account should be
	Due          time.Time // when somebody should look after it; zero = nothing to do
	Lease        string    // who does; empty = nobody
	Attempts     int       // visits since the last that ended well
	LastError    string    // class of the last failure, for administrators
	Token        string    // sealed session token, kept for a deletion
	Turn         time.Time // place among the accounts that wait to be made; zero = none
}

// PasswordKind says how the account's password is made. It is empty when nothing
// is known, and never the password itself.
type PasswordKind string

// The kinds of passwords, beside those of [PasswordDerived].
const (
	PasswordShared  PasswordKind = "shared"  // the user's own
	PasswordUnknown PasswordKind = "between" // derived or the user's own; only a login can tell
)

const derivedPrefix = "derived:"

// PasswordDerived is the kind of a password that the server makes from a key.
func PasswordDerived(key string) PasswordKind { return PasswordKind(derivedPrefix + key) }

// IsDerived reports whether the server makes the password from a key.
func (k PasswordKind) IsDerived() bool { return strings.HasPrefix(string(k), derivedPrefix) }

// Lease is the right to look after an account until a moment. Whoever is late
// finds it gone.
type Lease struct {
	ID    string
	Until time.Time
}

// accountDocument is an Account as it lies in the database.
type accountDocument struct {
	Email    string       `bson:"email,omitempty"`
	Name     string       `bson:"name,omitempty"`
	Password PasswordKind `bson:"password,omitempty"`
	Version  int64        `bson:"version,omitempty"`
	Due      *time.Time   `bson:"due,omitempty"`
	Lease    string       `bson:"lease,omitempty"`
	Attempts int          `bson:"attempts,omitempty"`
	Problem  string       `bson:"problem,omitempty"`
	Token    string       `bson:"token,omitempty"`
	Turn     *time.Time   `bson:"turn,omitempty"`
}

func (d accountDocument) account() Account {
	return Account{
		Email: d.Email, Name: d.Name, PasswordKind: d.Password, Version: d.Version,
		Due: orZero(d.Due).UTC(), Lease: d.Lease, Attempts: d.Attempts, LastError: d.Problem, Token: d.Token,
		Turn: orZero(d.Turn).UTC(),
	}
}

// held are the parts of an update that give an account to a lease.
func (l Lease) held() bson.D {
	return bson.D{{Key: "account.due", Value: l.Until}, {Key: "account.lease", Value: l.ID}}
}

// free matches an account that nobody looks after: without a lease, or with one
// that has run out.
func free(now time.Time) bson.E {
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "account.lease", Value: bson.D{{Key: "$exists", Value: false}}}},
		bson.D{{Key: "account.due", Value: bson.D{{Key: "$lte", Value: now}}}},
	}}
}

// ClaimDue takes the account that has been due for longest. The error is
// [ErrNotFound] when none is due.
func (u *Users) ClaimDue(ctx context.Context, l Lease) (User, error) {
	return u.take(ctx,
		bson.D{{Key: "account.due", Value: bson.D{{Key: "$lte", Value: time.Now()}}}},
		bson.D{{Key: "$set", Value: l.held()}, {Key: "$inc", Value: bson.D{{Key: "account.attempts", Value: 1}}}},
		options.FindOneAndUpdate().SetSort(bson.D{{Key: "account.due", Value: 1}}))
}

// Touch takes the account of a user whether or not it is due. The error is
// [ErrChanged] when somebody else looks after it, and [ErrNotFound] when the
// user is gone.
func (u *Users) Touch(ctx context.Context, id string, l Lease) (User, error) {
	return u.change(ctx, id, bson.D{free(time.Now())}, bson.D{{Key: "$set", Value: l.held()}})
}

// Record notes what was learned of an account while the lease is held. The
// error is [ErrChanged] when it is not any more.
func (u *Users) Record(ctx context.Context, id, lease string, cubeID int64, email, name string, password PasswordKind) error {
	set := bson.D{
		{Key: "account.email", Value: email}, {Key: "account.name", Value: name}, {Key: "account.password", Value: password},
		{Key: "updatedAt", Value: time.Now()},
	}
	if cubeID != 0 {
		set = append(set, bson.E{Key: "connectyCubeId", Value: number(cubeID)})
	}
	return u.whileHeld(ctx, id, lease, bson.D{{Key: "$set", Value: set}})
}

// Settled gives the lease back: nothing is left to do, unless the account was
// to become something else meanwhile, which makes it due at once. The error is
// [ErrChanged] when the lease is lost.
func (u *Users) Settled(ctx context.Context, id, lease string, version int64) error {
	same := bson.E{Key: "account.version", Value: version}
	if version == 0 { // documents of the original have none
		same.Value = bson.D{{Key: "$in", Value: bson.A{0, nil}}}
	}
	_, err := u.change(ctx, id, bson.D{{Key: "account.lease", Value: lease}, same}, bson.D{{Key: "$unset", Value: bson.D{
		{Key: "account.due", Value: ""}, {Key: "account.lease", Value: ""}, {Key: "account.attempts", Value: ""}, {Key: "account.problem", Value: ""},
		{Key: "account.turn", Value: ""},
	}}})
	if errors.Is(err, ErrChanged) {
		return u.Later(ctx, id, lease, time.Now(), "")
	}
	return err
}

// Later gives the lease back with something left to do, at a time; the zero
// time means that it waits for the user, and no longer in line. The error is
// [ErrChanged] when the lease is lost.
func (u *Users) Later(ctx context.Context, id, lease string, due time.Time, problem string) error {
	set := bson.D{{Key: "account.problem", Value: problem}}
	unset := bson.D{{Key: "account.lease", Value: ""}}
	if due.IsZero() {
		unset = append(unset, bson.E{Key: "account.due", Value: ""}, bson.E{Key: "account.turn", Value: ""})
	} else {
		set = append(set, bson.E{Key: "account.due", Value: due})
	}
	return u.whileHeld(ctx, id, lease, bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}})
}

// Remove deletes a user. The error is [ErrChanged] when the lease is lost.
func (u *Users) Remove(ctx context.Context, id, lease string) error {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return ErrNotFound
	}
	ctx, cancel := u.within(ctx)
	defer cancel()
	r, err := u.all.DeleteOne(ctx, bson.D{{Key: "_id", Value: oid}, {Key: "account.lease", Value: lease}})
	if err != nil {
		return u.wrapError("removing a user", err)
	}
	if r.DeletedCount == 0 {
		return ErrChanged
	}
	return nil
}

// ReleaseAll makes every leased account due now. It is for a database with one
// process, which has just started: nobody else can hold a lease.
func (u *Users) ReleaseAll(ctx context.Context) error {
	ctx, cancel := u.within(ctx)
	defer cancel()
	_, err := u.all.UpdateMany(ctx,
		bson.D{{Key: "account.due", Value: bson.D{{Key: "$gt", Value: time.Now()}}}, {Key: "account.lease", Value: bson.D{{Key: "$exists", Value: true}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "account.due", Value: time.Now()}}}, {Key: "$unset", Value: bson.D{{Key: "account.lease", Value: ""}}}})
	return u.wrapError("releasing accounts", err)
}

// ClaimSweep takes the user whose login sessions have been waiting for longest
// to be compared with the user's document. The error is [ErrNotFound] when
// none are.
func (u *Users) ClaimSweep(ctx context.Context, until time.Time) (User, error) {
	return u.take(ctx,
		bson.D{{Key: "sessionsDue", Value: bson.D{{Key: "$lte", Value: time.Now()}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "sessionsDue", Value: until}}}},
		options.FindOneAndUpdate().SetSort(bson.D{{Key: "sessionsDue", Value: 1}}))
}

// Swept ends what ClaimSweep began, unless the sessions changed again.
func (u *Users) Swept(ctx context.Context, id string, until time.Time) error {
	_, err := u.change(ctx, id, bson.D{{Key: "sessionsDue", Value: until}}, bson.D{{Key: "$unset", Value: bson.D{{Key: "sessionsDue", Value: ""}}}})
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// whileHeld changes a document that a lease holds.
func (u *Users) whileHeld(ctx context.Context, id, lease string, update bson.D) error {
	_, err := u.change(ctx, id, bson.D{{Key: "account.lease", Value: lease}}, update)
	if errors.Is(err, ErrNotFound) {
		return ErrChanged
	}
	return err
}

// change updates one user under a condition and returns the user as it is
// then. The error is [ErrChanged] when the condition does not hold, and
// [ErrNotFound] when there is no such user.
func (u *Users) change(ctx context.Context, id string, condition, update bson.D) (User, error) {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return User{}, ErrNotFound
	}
	user, err := u.take(ctx, append(bson.D{{Key: "_id", Value: oid}}, condition...), update, options.FindOneAndUpdate())
	if !errors.Is(err, ErrNotFound) {
		return user, err
	}
	if _, err := u.ByID(ctx, id); err != nil {
		return User{}, err
	}
	return User{}, ErrChanged
}

// take updates one user that matches, in the options' order, and returns the
// user as it is then.
func (u *Users) take(ctx context.Context, filter, update bson.D, o *options.FindOneAndUpdateOptionsBuilder) (User, error) {
	ctx, cancel := u.within(ctx)
	defer cancel()
	var d document
	err := u.all.FindOneAndUpdate(ctx, filter, update, o.SetReturnDocument(options.After)).Decode(&d)
	if err != nil {
		return User{}, u.wrapError("changing a user", err)
	}
	return d.user(), nil
}
