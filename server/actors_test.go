package server

import (
	"fmt"
	"testing"
)

// cast are who may ask, each with a fresh life for each operation.
type cast struct {
	*running
	ada, bob, root login // bob is another user, root an administrator
}

func newCast(t *testing.T, r *running, n int) cast {
	t.Helper()
	c := cast{running: r}
	for name, in := range map[string]*login{"ada": &c.ada, "bob": &c.bob, "root": &c.root} {
		got := r.graphql(t, registerDocument, ada(fmt.Sprintf("%s%d@example.org", name, n)))
		if got.code() != "" {
			t.Fatalf("registering %s: %s", name, got.code())
		}
		*in = *got.Data.Register
	}
	r.promote(t, c.root.User.ID)
	return c
}

// promote makes a user an administrator.
func (r *running) promote(t *testing.T, id string) {
	t.Helper()
	if _, err := r.Store.Users().SetRoles(t.Context(), id, []string{"admin"}); err != nil {
		t.Fatal(err)
	}
}
