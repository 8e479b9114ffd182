package servertest

import (
	"fmt"
	"testing"
)

// Actors are the users that a test of one operation needs, each newly registered.
type Actors struct {
	*Server
	Ada, Bob, Root LoginReply // Ada is the subject of the test, Bob another user, Root an administrator
}

// NewActors registers the users. The number n makes their emails unique.
func NewActors(t *testing.T, r *Server, n int) Actors {
	t.Helper()
	c := Actors{Server: r}
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
func (r *Server) promote(t *testing.T, id string) {
	t.Helper()
	if _, err := r.Store.Users().SetRoles(t.Context(), id, []string{"admin"}); err != nil {
		t.Fatal(err)
	}
}
