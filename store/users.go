package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
)

// User is a person who can log in.
type User struct {
	ID           string // 24 hexadecimal digits; given by Create
	FirstName    string
	LastName     string
	Email        string // as it was typed
	PasswordHash string
	CubeID       int64     // the ConnectyCube account; 0 = not known yet
	Created      time.Time // given by Create

	// Pending is true until the registration has ended well. A process that
	// dies in between leaves it true.
	Pending bool
}

// FullName is how others see the user in a chat; it may be empty for a user of
// the original.
func (u User) FullName() string {
	return strings.TrimSpace(u.FirstName + " " + u.LastName)
}

// document is a user as it lies in the database. Names and order are those of
// the original's Mongoose model, __v its version key; emailKey and
// pendingSince are ours, and documents of the original lack them.
type document struct {
	ID             primitive.ObjectID `bson:"_id"`
	FirstName      *string            `bson:"firstName"`
	LastName       *string            `bson:"lastName"`
	Email          string             `bson:"email"`
	Password       *string            `bson:"password"`
	CreatedAt      time.Time          `bson:"createdAt"`
	UpdatedAt      time.Time          `bson:"updatedAt"`
	Version        int32              `bson:"__v"`
	EmailKey       string             `bson:"emailKey"`
	PendingSince   *time.Time         `bson:"pendingSince,omitempty"`
	ConnectyCubeID *float64           `bson:"connectyCubeId,omitempty"`
}

func (d document) user() User {
	return User{
		ID:           d.ID.Hex(),
		FirstName:    orZero(d.FirstName),
		LastName:     orZero(d.LastName),
		Email:        d.Email,
		PasswordHash: orZero(d.Password),
		CubeID:       int64(orZero(d.ConnectyCubeID)),
		Created:      d.CreatedAt.UTC(),
		Pending:      d.PendingSince != nil,
	}
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Users is the collection of users. It is safe for concurrent use.
type Users struct {
	all       *mongo.Collection
	timeout   time.Duration // of one operation
	abandoned time.Duration
}

// within bounds one operation. The client's own timeout is not enough: the
// driver leaves it out for a context that has a deadline, however far off.
func (u *Users) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, u.timeout)
}

// Create stores a new user, pending until [Users.SetCubeID] or [Users.Keep],
// and returns it with its ID. The error is [ErrEmailTaken] when another user
// has the address in any case. A registration that was abandoned half-way does
// not hold its address.
func (u *Users) Create(ctx context.Context, user User) (User, error) {
	now := time.Now().UTC().Truncate(time.Millisecond) // what BSON keeps
	d := document{
		ID:           primitive.NewObjectIDFromTimestamp(now),
		FirstName:    &user.FirstName,
		LastName:     &user.LastName,
		Email:        user.Email,
		Password:     &user.PasswordHash,
		CreatedAt:    now,
		UpdatedAt:    now,
		EmailKey:     EmailKey(user.Email),
		PendingSince: &now,
	}
	err := u.insert(ctx, d)
	if mongo.IsDuplicateKeyError(err) {
		freed, freeErr := u.discardAbandoned(ctx, bson.D{{Key: "emailKey", Value: d.EmailKey}}, u.abandoned)
		if freeErr != nil {
			return User{}, freeErr
		}
		if freed > 0 {
			err = u.insert(ctx, d)
		}
	}
	if err != nil {
		return User{}, describe("inserting a user", err)
	}
	return d.user(), nil
}

func (u *Users) insert(ctx context.Context, d document) error {
	ctx, cancel := u.within(ctx)
	defer cancel()
	_, err := u.all.InsertOne(ctx, d)
	return err
}

// DiscardAbandoned removes every user whose registration began longer than
// age ago and never ended, and returns how many there were.
func (u *Users) DiscardAbandoned(ctx context.Context, age time.Duration) (int64, error) {
	return u.discardAbandoned(ctx, nil, age)
}

func (u *Users) discardAbandoned(ctx context.Context, who bson.D, age time.Duration) (int64, error) {
	ctx, cancel := u.within(ctx)
	defer cancel()
	old := bson.E{Key: "pendingSince", Value: bson.D{{Key: "$lte", Value: time.Now().Add(-age)}}}
	r, err := u.all.DeleteMany(ctx, append(who, old))
	if err != nil {
		return 0, describe("removing abandoned users", err)
	}
	return r.DeletedCount, nil
}

// ByEmail finds the user who typed exactly this address, else the one whose
// address is the same in another case. The error is [ErrNotFound] for none.
//
// Exactly typed comes first for two accounts of the original that differ by
// case alone: there each keeps the address that it has always used.
func (u *Users) ByEmail(ctx context.Context, address string) (User, error) {
	user, err := u.find(ctx, "email", address)
	if errors.Is(err, ErrNotFound) {
		return u.find(ctx, "emailKey", EmailKey(address))
	}
	return user, err
}

// ByID finds a user. The error is [ErrNotFound] for none, and for what is not
// an ID.
func (u *Users) ByID(ctx context.Context, id string) (User, error) {
	oid, err := primitive.ObjectIDFromHex(id)
	if err != nil {
		return User{}, ErrNotFound
	}
	return u.find(ctx, "_id", oid)
}

func (u *Users) find(ctx context.Context, field string, value any) (User, error) {
	ctx, cancel := u.within(ctx)
	defer cancel()
	var d document
	if err := u.all.FindOne(ctx, bson.D{{Key: field, Value: value}}).Decode(&d); err != nil {
		return User{}, describe("finding a user", err)
	}
	return d.user(), nil
}

// SetCubeID stores the ConnectyCube account of a user, whose registration has
// ended well by that. The error is [ErrNotFound] when the user is gone.
func (u *Users) SetCubeID(ctx context.Context, id string, cubeID int64) error {
	return u.update(ctx, id, nil, bson.D{{Key: "connectyCubeId", Value: number(cubeID)}})
}

// Keep ends the registration of a user without a ConnectyCube account: the
// person has proved to be there, so nothing may discard the user any more.
// The error is [ErrNotFound] when the user is gone.
func (u *Users) Keep(ctx context.Context, id string) error {
	return u.update(ctx, id, nil, nil)
}

// SetPassword replaces a password hash by another of the same password. When
// the old one is not there any more, somebody else was faster: nothing is
// changed, and that is no error.
func (u *Users) SetPassword(ctx context.Context, id, old, hash string) error {
	err := u.update(ctx, id, bson.D{{Key: "password", Value: old}}, bson.D{{Key: "password", Value: hash}})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (u *Users) update(ctx context.Context, id string, condition, set bson.D) error {
	oid, err := primitive.ObjectIDFromHex(id)
	if err != nil {
		return ErrNotFound
	}
	ctx, cancel := u.within(ctx)
	defer cancel()
	r, err := u.all.UpdateOne(ctx,
		append(bson.D{{Key: "_id", Value: oid}}, condition...),
		bson.D{
			{Key: "$set", Value: append(set, bson.E{Key: "updatedAt", Value: time.Now()})},
			{Key: "$unset", Value: bson.D{{Key: "pendingSince", Value: ""}}},
		})
	if err != nil {
		return describe("updating a user", err)
	}
	if r.MatchedCount == 0 {
		return ErrNotFound
	}
	return nil
}

// Discard removes a user whose registration has not ended well. One that
// somebody has logged in to meanwhile stays, and an unknown one is no error.
func (u *Users) Discard(ctx context.Context, id string) error {
	oid, err := primitive.ObjectIDFromHex(id)
	if err != nil {
		return fmt.Errorf("discarding a user: %w", ErrNotFound)
	}
	ctx, cancel := u.within(ctx)
	defer cancel()
	_, err = u.all.DeleteOne(ctx, bson.D{
		{Key: "_id", Value: oid},
		{Key: "pendingSince", Value: bson.D{{Key: "$exists", Value: true}}},
	})
	return describe("discarding a user", err)
}

// number is a ConnectyCube id as the original stores it: an int32 when it
// fits, else a double.
func number(n int64) any {
	if int64(int32(n)) == n {
		return int32(n)
	}
	return float64(n)
}
