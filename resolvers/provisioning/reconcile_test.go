package provisioning

import (
	"errors"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

// Every app can sign up an account with the ID of any user. An account with an email
// belongs to the user of that email; one without, to the user whose ticket opens it.
func TestBelongsToUser(t *testing.T) {
	for name, tt := range map[string]struct {
		email  string // of the account
		opened int64  // account that the ticket opens
		ticket error  // of the login by ticket
		own    bool
		err    error
	}{
		"the user's email":                   {email: "ADA@example.org", own: true},
		"the email before a change":          {email: "old@example.org", own: true},
		"another email":                      {email: "mallory@example.org"},
		"no email, the ticket opens it":      {opened: 8, own: true},
		"no email, the ticket opens another": {opened: 9},
		"no email, the ticket is refused":    {ticket: connectycube.ErrRefused},
		"no email, no reply":                 {ticket: connectycube.ErrUnavailable, err: connectycube.ErrUnavailable},
	} {
		u := newUnit(t)
		u.cube.create = func(c connectycube.Credentials) (connectycube.Session, error) {
			if c.Login == "" {
				t.Errorf("%s: logged in by password", name)
			}
			return connectycube.Session{Token: "token", UserID: tt.opened}, tt.ticket
		}
		r := u.begin(newUser(func(u *store.User) { u.CubeID, u.Account.Email = 0, "old@example.org" }), LoginMethod{})
		own, err := r.belongsToUser(t.Context(), connectycube.User{ID: 8, Email: tt.email})
		if own != tt.own || !errors.Is(err, tt.err) {
			t.Errorf("%s: %t, %v; want %t, %v", name, own, err, tt.own, tt.err)
		}
	}
}
