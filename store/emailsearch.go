package store

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// emailSearch finds the user with an email.
type emailSearch struct {
	users   *Users
	email   string
	adopted bool // every user that can have a key has one
}

// run is one query, in one index for each branch of its $or, and the same query for an
// email that no user has, so that the time of the answer does not reveal that. If a user
// has no key yet, the user with the email may be one: run finds only that.
func (s emailSearch) run(ctx context.Context) (user User, keyless bool, err error) {
	ctx, cancel := s.users.withTimeout(ctx)
	defer cancel()
	// Two users at most have the email, so the third document has no key.
	cursor, err := s.users.coll.Find(ctx, s.filter(), options.Find().SetLimit(3))
	if err != nil {
		return User{}, false, s.users.wrapError("finding a user", err)
	}
	defer cursor.Close(context.WithoutCancel(ctx))
	err = mongo.ErrNoDocuments
	for exact := false; cursor.Next(ctx); {
		if !s.adopted && isNull(cursor.Current.Lookup("emailKey")) {
			return User{}, true, nil
		}
		if !exact {
			user, err = s.users.read(cursor.Current)
			typed, _ := cursor.Current.Lookup("email").StringValueOK()
			exact = typed == s.email
		}
	}
	if failed := cursor.Err(); failed != nil {
		return User{}, false, s.users.wrapError("finding a user", failed)
	}
	return user, false, s.users.wrapError("finding a user", err)
}

func (s emailSearch) filter() bson.D {
	branches := bson.A{bson.D{{Key: "email", Value: s.email}}, bson.D{{Key: "emailKey", Value: EmailKey(s.email)}}}
	if !s.adopted {
		branches = append(branches, keylessFilter(bson.NilObjectID))
	}
	return bson.D{{Key: "$or", Value: branches}}
}

// isNull reports whether a field equals null in a filter.
func isNull(v bson.RawValue) bool {
	return v.IsZero() || v.Type == bson.TypeNull || v.Type == bson.TypeUndefined
}
