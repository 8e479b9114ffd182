package server

import (
	"fmt"
	"testing"
)

// Actors are who may ask, each with a fresh life for each operation.
type Actors struct {
	*running
	Ada, Bob, Root LoginReply // bob is another user, root an administrator
}

func NewActors(t *testing.T, r *running, n int) Actors {
	t.Helper()
	c := Actors{running: r}
	for name, in := range map[string]*LoginReply{"ada": &c.Ada, "bob": &c.Bob, "root": &c.Root} {
		got := r.GraphQL(t, RegisterDocument, NewUser(fmt.Sprintf("%s%d@example.org", name, n)))
		if got.Code() != "" {
			t.Fatalf("registering %s: %s", name, got.Code())
		}
		*in = *got.Data.Register
	}
	r.promote(t, c.Root.User.ID)
	return c
}

// promote makes a user an administrator.
func (r *running) promote(t *testing.T, id string) {
	t.Helper()
	if _, err := r.Store.Users().SetRoles(t.Context(), id, []string{"admin"}); err != nil {
		t.Fatal(err)
	}
}
