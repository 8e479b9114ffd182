package apicontract

import (
	"strings"
	"testing"

	"cubegate/resolvers"
	"cubegate/resolvers/identity"
)

// The codes that TestOperationsByRole wants follow from the roles of the rows. That test
// has them written out, so that it finds a wrong role in a row.
func TestCodesFollowFromTheRoles(t *testing.T) {
	t.Parallel()
	roles := map[string]identity.Role{}
	for _, op := range resolvers.Operations() {
		roles[op.Name] = op.Role
	}
	for name, row := range operations {
		_, field, _ := strings.Cut(name, ".")
		if field == "logout" { // proves itself; see server/security/logout_test.go
			continue
		}
		anyone, admin := row.anonymous != "UNAUTHENTICATED", row.ada == "FORBIDDEN" && row.bob == "FORBIDDEN"
		want := identity.RoleUser
		switch {
		case anyone:
			want = identity.RoleAnyone
		case admin:
			want = identity.RoleAdmin
		}
		if roles[field] != want {
			t.Errorf("%s has the role %d, and the codes of the role %d", name, roles[field], want)
		}
	}
}
