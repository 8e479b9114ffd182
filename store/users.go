package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// User is a person who can log in.
type User struct {
	ID           string // 24 hexadecimal digits, as of [NewUserID]; set by Create if empty
	FirstName    string
	LastName     string
	Email        string // as typed
	PasswordHash string
	PasswordForm string    // in which the password was hashed; empty = as it was sent, before there were forms
	CubeID       int64     // ID of the ConnectyCube account; 0 = not known
	Created      time.Time // set by Create
	Updated      time.Time // time of the last change, except changes of leases

	Roles    []string // rights beyond those of every user
	Disabled bool     // cannot log in
	Deleting bool     // a tombstone: deleted here, and the deletion at ConnectyCube is due

	// Sessions are the IDs of the active login sessions. Every other login session has
	// ended, even if its document still exists.
	Sessions []string

	Endings

	Account Account
}

// Endings are what a user's document says about login sessions that have ended.
type Endings struct {
	// DeviceGeneration grows with each change that makes all devices unknown.
	DeviceGeneration int64 `bson:"deviceGeneration,omitempty"`

	// EndGeneration grows with each change that ends all login sessions, or all but one.
	EndGeneration int64 `bson:"endGeneration,omitempty"`

	// Evicted are the IDs of login sessions that ended because there were too many, until
	// their records say so.
	Evicted []string `bson:"evicted,omitempty"`
}

// HashShare returns the share of users, 0 to 1, whose password hash begins with a prefix. It
// reads all users.
func (u *Users) HashShare(ctx context.Context, prefix string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	all, err := u.coll.EstimatedDocumentCount(ctx)
	if err != nil || all == 0 {
		return 0, u.wrapError("counting users", err)
	}
	n, err := u.coll.CountDocuments(ctx, bson.D{{Key: "password", Value: bson.D{{Key: "$gte", Value: prefix}, {Key: "$lt", Value: prefix + "\U0010FFFF"}}}})
	return min(1, float64(n)/float64(all)), u.wrapError("counting password hashes", err)
}

// scanTimeout bounds an operation that reads a whole collection.
const scanTimeout = time.Minute

// FullName returns the name that other users see in a chat. It may be empty for a user of the
// original.
func (u User) FullName() string {
	return strings.TrimSpace(u.FirstName + " " + u.LastName)
}

// userDocument is the stored form of a User. Documents of the original have none of the
// fields after Original except connectyCubeId.
type userDocument struct {
	ID           bson.ObjectID `bson:"_id"`
	Original     originalUser  `bson:",inline"`
	EmailKey     string        `bson:"emailKey"`
	PasswordForm boundForm     `bson:"passwordForm,omitempty"`
	CubeID       float64       `bson:"connectyCubeId,omitempty"`
	Roles        []string      `bson:"roles,omitempty"`
	Disabled     bool          `bson:"disabled,omitempty"`
	Deleting     bool          `bson:"leaving,omitempty"`
	Sessions     []string      `bson:"sessions,omitempty"`
	Endings      `bson:",inline"`
	Account      accountDocument `bson:"account,omitempty"`
	SessionsDue  time.Time       `bson:"sessionsDue,omitempty"` // of the queue [Store.Sweeps]
}

// maxCubeID is the greatest ID of an account. Every smaller whole number has an exact float64.
const maxCubeID = 1 << 53

func (d *userDocument) check() error {
	if d.CubeID != math.Trunc(d.CubeID) || d.CubeID < 0 || d.CubeID > maxCubeID { // NaN is not equal to itself
		return fieldError{"connectyCubeId", "is not a whole number from 0 to 2^53"}
	}
	return nil
}

// accountDocument is an Account with what only [Store.Backlog] reads.
type accountDocument struct {
	Account `bson:",inline"`

	Since time.Time `bson:"since,omitempty"` // when the work began to wait; zero = no work, or an older cubegate began it
}

// originalUser has the names and the order of fields of the original's Mongoose model.
type originalUser struct {
	FirstName string    `bson:"firstName"`
	LastName  string    `bson:"lastName"`
	Email     string    `bson:"email"`
	Password  string    `bson:"password"` // its hash
	CreatedAt time.Time `bson:"createdAt"`
	UpdatedAt time.Time `bson:"updatedAt"`
	Version   int32     `bson:"__v"` // Mongoose's version key
}

func decodeUser(c collection, document bson.Raw, r *bson.Registry) (User, error) {
	var d userDocument
	if err := c.decode(document, form{bson.TypeObjectID, r}, &d); err != nil {
		return User{}, err
	}
	return d.user(), nil
}

func (d userDocument) user() User {
	return User{
		ID:           d.ID.Hex(),
		FirstName:    d.Original.FirstName,
		LastName:     d.Original.LastName,
		Email:        d.Original.Email,
		PasswordHash: d.Original.Password,
		PasswordForm: d.PasswordForm.of(d.Original.Password),
		CubeID:       int64(d.CubeID),
		Created:      d.Original.CreatedAt,
		Updated:      d.Original.UpdatedAt,
		Roles:        d.Roles,
		Disabled:     d.Disabled,
		Deleting:     d.Deleting,
		Sessions:     d.Sessions,
		Endings:      d.Endings,
		Account:      d.Account.Account,
	}
}

// Users is the collection of users. It is safe for concurrent use.
type Users struct {
	records[User]
}

// NewUserID returns the ID of a user to create.
func NewUserID() string { return bson.NewObjectID().Hex() }

// Create stores a new user under the lease l, whose holder signs the account up,
// and returns the user with its ID. The error is a [TakenError] for "email" if
// another user has the email in any letter case.
func (u *Users) Create(ctx context.Context, user User, l Lease) (User, error) {
	id, err := bson.ObjectIDFromHex(cmp.Or(user.ID, NewUserID()))
	if err != nil {
		return User{}, fmt.Errorf("inserting a user: ID %q: %w", user.ID, err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond) // BSON has milliseconds
	d := userDocument{
		ID: id,
		Original: originalUser{
			FirstName: user.FirstName, LastName: user.LastName, Email: user.Email, Password: user.PasswordHash,
			CreatedAt: now, UpdatedAt: now,
		},
		EmailKey:     EmailKey(user.Email),
		PasswordForm: bindForm(user.PasswordForm, user.PasswordHash),
		Roles:        user.Roles,
		Account:      accountDocument{Account{Due: l.Until.UTC(), Lease: l.ID}, now},
	}
	if err := u.adoptNew(ctx); err != nil {
		return User{}, err
	}
	ctx, cancel := u.withTimeout(ctx)
	defer cancel()
	if _, err := u.coll.InsertOne(ctx, d); err != nil {
		return User{}, u.wrapError("inserting a user", err)
	}
	return d.user(), nil
}

// ByEmail finds the user with exactly this email, or else the user whose email differs only
// by case. The error is [ErrNotFound] for none.
//
// The exact email comes first because the emails of two users of the original may differ
// only by case.
func (u *Users) ByEmail(ctx context.Context, email string) (User, error) {
	search := emailSearch{users: u, email: email}
	user, keyless, err := search.run(ctx)
	if keyless {
		if err := u.adoptNew(ctx); err != nil {
			return User{}, err
		}
		search.adopted = true
		user, _, err = search.run(ctx)
	}
	return user, err
}

// ByID finds a user. The error is [ErrNotFound] for none, and for a text that is not an ID.
func (u *Users) ByID(ctx context.Context, id string) (User, error) {
	oid, err := bson.ObjectIDFromHex(id)
	if err != nil {
		return User{}, ErrNotFound
	}
	return u.find(ctx, bson.D{{Key: "_id", Value: oid}})
}

// HashUpgrade replaces a password hash with a better one of the same password.
type HashUpgrade struct {
	UserID           string
	OldHash, NewHash string
	NewForm          string // PasswordForm of NewHash
}

// UpgradeHash replaces the hash. If OldHash is no longer the user's hash,
// UpgradeHash changes nothing and returns nil.
func (u *Users) UpgradeHash(ctx context.Context, c HashUpgrade) error {
	_, err := u.change(ctx, c.UserID, bson.D{{Key: "password", Value: c.OldHash}}, bson.D{{Key: "$set", Value: setFields(passwordSet(c.NewHash, c.NewForm)...)}})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// cubeIDValue returns a ConnectyCube ID as the original stores it: an int32 if it fits, else a
// double.
func cubeIDValue(n int64) any {
	if int64(int32(n)) == n {
		return int32(n)
	}
	return float64(n)
}
