package store

import (
	"context"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// RoleChange gives a user one role, or takes it away.
type RoleChange struct {
	UserID, Role string
	Remove       bool
}

// ChangeRole changes one role and leaves the others, also those that change at the same
// time. A role that the user has already, or does not have, is no error.
func (u *Users) ChangeRole(ctx context.Context, c RoleChange) (User, error) {
	operator := "$addToSet"
	if c.Remove {
		operator = "$pull"
	}
	return u.change(ctx, c.UserID, bson.D{notDeleting}, bson.D{
		{Key: operator, Value: bson.D{{Key: "roles", Value: c.Role}}},
		{Key: "$set", Value: setFields()},
	})
}

// RoleNames returns the names of all roles that users have, sorted. It reads all users.
func (u *Users) RoleNames(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	found, err := u.coll.Find(ctx, bson.D{{Key: "roles", Value: bson.D{{Key: "$type", Value: "string"}}}}, options.Find().SetProjection(bson.D{{Key: "roles", Value: 1}}))
	if err != nil {
		return nil, u.wrapError("listing roles", err)
	}
	defer found.Close(context.WithoutCancel(ctx))
	names := map[string]bool{}
	for found.Next(ctx) {
		list, _ := found.Current.Lookup("roles").ArrayOK() // another program may have written any type
		values, err := list.Values()
		if err != nil {
			continue
		}
		for _, value := range values {
			if name, ok := value.StringValueOK(); ok {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), u.wrapError("listing roles", found.Err())
}
