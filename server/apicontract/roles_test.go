package apicontract

import (
	"strings"
	"testing"

	"cubegate/resolvers"
	"cubegate/resolvers/identity"
)

// The answers that TestEveryOperationForEverybody expects follow from the roles of the
// rows. They are written out there, so that a wrong role in a row is found.
func TestAnswersFollowFromTheRoles(t *testing.T) {
	t.Parallel()
	roles := map[string]identity.Role{}
	for _, op := range resolvers.Operations() {
		roles[op.Name] = op.Role
	}
	for name, row := range operations {
		_, field, _ := strings.Cut(name, ".")
		anyone, admin := row.nobody != "UNAUTHENTICATED", row.ada == "FORBIDDEN" && row.bob == "FORBIDDEN"
		want := identity.RoleUser
		switch {
		case anyone:
			want = identity.RoleAnyone
		case admin:
			want = identity.RoleAdmin
		}
		if roles[field] != want {
			t.Errorf("%s has the role %d, and the answers are those of %d", name, roles[field], want)
		}
	}
}
