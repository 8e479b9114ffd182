package provisioning

import (
	"errors"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
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
		r := u.begin(newUser(), LoginMethod{Password: password})
		if err := (sessionOpener{r}).open(t.Context()); err != nil || passwords != step.passwords || tickets != step.tickets {
			t.Errorf("%s: %v after %d passwords and %d tickets, want %d and %d", step.name, err, passwords, tickets, step.passwords, step.tickets)
		}
	}
}

// Where ConnectyCube checks passwords by itself, a refresh without the password tries the
// derived ones only once.
func TestOpenDoesNotGuessTwice(t *testing.T) {
	u := newUnit(t)
	calls := 0
	u.cube.create = func(connectycube.Credentials) (connectycube.Session, error) {
		calls++
		return connectycube.Session{}, connectycube.ErrBadCredentials
	}
	for _, want := range []int{2, 0} { // one for each key
		calls = 0
		if err := (sessionOpener{u.begin(newUser(), LoginMethod{})}).open(t.Context()); !errors.Is(err, ErrPasswordRequired) || calls != want {
			t.Errorf("%v after %d calls, want %v and %d", err, calls, ErrPasswordRequired, want)
		}
	}
}

// Only an open session of the linked account is reused.
func TestReuseChecksTheAccount(t *testing.T) {
	u := newUnit(t)
	for _, token := range []string{"", "expired", "another's", "good"} {
		s := store.Session{ID: "session " + token}
		s.CubeToken = token
		u.records.list = append(u.records.list, s)
	}
	u.cube.owners = map[string]int64{"another's": 8, "good": 7}
	r := u.begin(newUser(), LoginMethod{})
	if err := (sessionOpener{r}).reuse(t.Context()); err != nil || r.session.Token != "good" || r.sessionUnused {
		t.Errorf("%+v, %v", r.session, err)
	}
	u.records.list = u.records.list[:3]
	if err := (sessionOpener{u.begin(newUser(), LoginMethod{})}).reuse(t.Context()); !errors.Is(err, ErrPasswordRequired) {
		t.Errorf("without a good one: %v, want %v", err, ErrPasswordRequired)
	}
}
