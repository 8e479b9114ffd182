package provisioning

import (
	"errors"
	"testing"

	"cubegate/connectycube"
)

// The Provisioner remembers which way to open a session has worked.
func TestOpenRemembersTheWay(t *testing.T) {
	u := newUnit(t)
	asksProvider := true
	var passwords, tickets int
	u.cube.create = func(c connectycube.Credentials) (connectycube.Session, error) {
		if c.Login != "" {
			tickets++
		} else {
			passwords++
		}
		switch {
		case c.Login != "" && asksProvider, c.Email != "" && !asksProvider:
			return connectycube.Session{Token: "token", UserID: 7}, nil
		case asksProvider:
			return connectycube.Session{}, connectycube.ErrIdentityProvider
		}
		return connectycube.Session{}, connectycube.ErrBadCredentials
	}
	for _, step := range []struct {
		name               string
		asks               bool
		passwords, tickets int // calls
	}{
		{"first login", true, 1, 1},
		{"with a provider", true, 0, 1},
		{"after the provider is turned off", false, 1, 1},
		{"without a provider", false, 1, 0},
	} {
		passwords, tickets, asksProvider = 0, 0, step.asks
		r := u.begin(ada(), LoginMethod{Password: password})
		if err := (sessionOpener{r}).open(t.Context()); err != nil || passwords != step.passwords || tickets != step.tickets {
			t.Errorf("%s: %v after %d passwords and %d tickets, want %d and %d", step.name, err, passwords, tickets, step.passwords, step.tickets)
		}
	}
}

// Where ConnectyCube checks passwords by itself, a refresh without the password does not
// try wrong ones.
func TestOpenDoesNotGuess(t *testing.T) {
	u := newUnit(t) // a session would panic
	u.seenProviderOff.Store(true)
	if err := (sessionOpener{u.begin(ada(), LoginMethod{})}).open(t.Context()); !errors.Is(err, ErrPasswordRequired) {
		t.Errorf("%v, want %v", err, ErrPasswordRequired)
	}
}
