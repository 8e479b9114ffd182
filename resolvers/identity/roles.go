package identity

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"cubegate/resolvers/apierror"
)

// Role is what an operation asks of its caller. The zero value refuses every caller.
type Role int

// The roles that an operation may ask for.
const (
	RoleAnyone Role = iota + 1 // no user; the access token is not looked at
	RoleUser                   // a user with an active login session
	RoleAdmin                  // a user with the role admin
)

// permits reports whether a caller has the role.
func (r Role) permits(c Caller) bool {
	switch r {
	case RoleAnyone:
		return true
	case RoleUser:
		return c.User.ID != ""
	case RoleAdmin:
		return slices.Contains(c.User.Roles, roleAdmin)
	}
	return false
}

var errForbidden = &apierror.Error{Code: apierror.Forbidden, Message: "The operation needs another role; ask an administrator"}

// roleAdmin is the role of administrators, who may use every operation. Other roles
// are an app's own, which reads them in the claims of a token.
const roleAdmin = "admin"

// OwnRoles lists the roles that the server itself knows.
func OwnRoles() []string { return []string{roleAdmin} }

// MaxRoles bounds the roles of one user.
const MaxRoles = 16

var rolePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// CheckRole reports an error in the name of a role.
func CheckRole(role string) error {
	if !rolePattern.MatchString(role) {
		return errors.New("a role must have 1 to 32 lower-case letters, digits, - or _, and begin with a letter")
	}
	return nil
}

// cleanRoles sorts roles, removes duplicates and checks the names.
func cleanRoles(roles []string) ([]string, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > MaxRoles {
		return nil, apierror.FieldErrors{"roles": fmt.Sprintf("must have at most %d entries", MaxRoles)}.Err()
	}
	for _, role := range roles {
		if err := CheckRole(role); err != nil {
			return nil, apierror.FieldErrors{"roles": "are invalid: " + err.Error()}.Err()
		}
	}
	return roles, nil
}
