package identity

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// roleAdmin may do everything. Other roles are an app's own; they are in the
// claims for it to read.
const roleAdmin = "admin"

// maxRoles bounds the roles of one user.
const maxRoles = 16

var roleForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// CheckRole says what is wrong with the name of a role.
func CheckRole(role string) error {
	if !roleForm.MatchString(role) {
		return errors.New("a role is a word of 1 to 32 small letters, digits, - and _, which begins with a letter")
	}
	return nil
}

// require finds the caller and wants a role of him, as the database has it at
// this moment, whatever the token says.
func (a *Auth) require(ctx context.Context, role string) (store.User, tokens.Claims, error) {
	user, claims, err := a.caller(ctx)
	if err != nil {
		return store.User{}, tokens.Claims{}, err
	}
	if !slices.Contains(user.Roles, role) {
		a.refused(ctx, store.AuditForbidden, user, errForbidden)
		return store.User{}, tokens.Claims{}, errForbidden
	}
	return user, claims, nil
}

var errForbidden = &apierror.Error{Code: apierror.Forbidden, Message: "This takes another role"}

// cleanRoles sorts roles and drops doubles.
func cleanRoles(roles []string) ([]string, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > maxRoles {
		return nil, &apierror.Error{Code: apierror.BadUserInput, Message: fmt.Sprintf("roles has more than %d", maxRoles), Fields: apierror.FieldErrors{"roles": "are too many"}}
	}
	for _, role := range roles {
		if err := CheckRole(role); err != nil {
			return nil, &apierror.Error{Code: apierror.BadUserInput, Message: err.Error(), Fields: apierror.FieldErrors{"roles": err.Error()}}
		}
	}
	return roles, nil
}
