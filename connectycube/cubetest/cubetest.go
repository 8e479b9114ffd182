// Package cubetest is one suite of what our client relies on, for everything
// that claims to be ConnectyCube: the sandbox, and a real application. It proves
// the stand-in against the original, so it holds no expectation that only one of
// them could know.
//
// Start reading at Run.
package cubetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
)

// Target is an application to try. It must create users by itself or not as it
// likes, and have no identity provider until Provide is called.
type Target struct {
	Options connectycube.Options

	// Provide switches a Custom Identity Provider on, one that knows each of
	// these logins by its uid and refuses all others. Nil: it cannot be done.
	Provide func(t *testing.T, uids map[string]string)
}

// Run tries everything. It calls open for each part, which gets a target of its
// own or shares one: accounts have random names. Accounts are deleted again,
// except where no session can be had for them.
func Run(t *testing.T, open func(t *testing.T) Target) {
	parts := []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"sign-up gives a user and no more", signUp},
		{"a taken e-mail is ErrTaken", duplicate},
		{"a session by e-mail is the user's", session},
		{"sessions stand beside each other", twoSessions},
		{"a wrong password is ErrBadCredentials", wrongPassword},
		{"a user is found by external id", externalID},
		{"an unknown external id is ErrNotFound", unknownExternalID},
		{"an external id can be set later", setExternalID},
		{"a user is found by e-mail", findByEmail},
		{"a session can be extended", extendSession},
		{"a session can be ended", endSession},
		{"a user can delete the own account", deleteUser},
		{"an administrator can delete a user", adminDeleteUser},
		{"push subscriptions are listed and deleted", subscriptions},
		{"a dead token is ErrSessionExpired", deadToken},
		{"a password too short is ErrRefused", shortPassword},
		{"another key is ErrMisconfigured", wrongKey},
		{"another application is ErrMisconfigured", unknownApplication},
		{"a provider's user is the one signed up with its uid", provider},
		{"a provider's refusal is ErrIdentityProvider", providerRefuses},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			target := open(t)
			part.run(t, &suite{target, client(t, target.Options)})
		})
	}
}

type suite struct {
	target Target
	cube   *connectycube.Client
}

func client(t *testing.T, o connectycube.Options) *connectycube.Client {
	t.Helper()
	c, err := connectycube.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func random() string {
	raw := make([]byte, 8)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}

func account() connectycube.NewUser {
	name := random()
	return connectycube.NewUser{
		Email:      "cubegate-" + name + "@example.com",
		Password:   "pw-" + name,
		FullName:   "Zoë Ünïcode 名前",
		ExternalID: "cubegate-" + name,
	}
}

// make signs u up and sees to it that the account goes away again.
func (s *suite) make(t *testing.T, u connectycube.NewUser) connectycube.User {
	t.Helper()
	made, err := s.cube.SignUp(t.Context(), u)
	if err != nil {
		t.Fatalf("SignUp: %v", err)
	}
	t.Cleanup(func() { s.delete(t, u) })
	return made
}

func (s *suite) login(t *testing.T, u connectycube.NewUser) connectycube.Session {
	t.Helper()
	opened, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Email: u.Email, Password: u.Password})
	if err != nil {
		t.Fatalf("CreateSession: %v", err)
	}
	return opened
}

// delete removes an account in a session of its own.
func (s *suite) delete(t *testing.T, u connectycube.NewUser) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	opened, err := s.cube.CreateSession(ctx, connectycube.Credentials{Email: u.Email, Password: u.Password})
	if errors.Is(err, connectycube.ErrIdentityProvider) {
		return // passwords do not work in this application any more
	}
	if err != nil {
		t.Errorf("opening a session to delete %s: %v", u.Email, err)
		return
	}
	if err := s.cube.DeleteUser(ctx, opened); err != nil {
		t.Errorf("deleting %s: %v", u.Email, err)
	}
}

// url returns the address of a path of the API, for requests that the client
// does not make.
func (s *suite) url(path string) string {
	return cmp.Or(s.target.Options.BaseURL, "https://api.connectycube.com") + path
}

func (s *suite) http() *http.Client { return cmp.Or(s.target.Options.HTTP, http.DefaultClient) }

// wantError also looks for the account's password, which no error may show.
func wantError(t *testing.T, err, want error, u connectycube.NewUser) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
	if err != nil && u.Password != "" && strings.Contains(err.Error(), u.Password) {
		t.Errorf("error shows the password: %v", err)
	}
}

func signUp(t *testing.T, s *suite) {
	u := account()
	made := s.make(t, u)
	if made.ID <= 0 || made.Email != u.Email || made.FullName != u.FullName || made.ExternalID != u.ExternalID {
		t.Errorf("SignUp(%v) = %+v", u, made)
	}
}

func duplicate(t *testing.T, s *suite) {
	u := account()
	s.make(t, u)
	again := account()
	again.Email = u.Email
	_, err := s.cube.SignUp(t.Context(), again)
	wantError(t, err, connectycube.ErrTaken, again)
}

func session(t *testing.T, s *suite) {
	u := account()
	made := s.make(t, u)
	opened := s.login(t, u)
	if opened.Token == "" || opened.UserID != made.ID || opened.User != made {
		t.Errorf("session of %+v = %v with user %+v", made, opened, opened.User)
	}
	if left := time.Until(opened.ExpiresAt); left < time.Minute || left > 25*time.Hour {
		t.Errorf("session ends in %v", left)
	}
}

func twoSessions(t *testing.T, s *suite) {
	u := account()
	s.make(t, u)
	first, second := s.login(t, u), s.login(t, u)
	if first.Token == second.Token {
		t.Error("two logins got one token")
	}
	if err := s.cube.UpdateUser(t.Context(), first, connectycube.UserUpdate{ExternalID: u.ExternalID}); err != nil {
		t.Errorf("first session after the second: %v", err)
	}
}

func wrongPassword(t *testing.T, s *suite) {
	u := account()
	s.make(t, u)
	wrong := u
	wrong.Password = "not-" + u.Password
	_, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Email: wrong.Email, Password: wrong.Password})
	wantError(t, err, connectycube.ErrBadCredentials, wrong)
}

func externalID(t *testing.T, s *suite) {
	u := account()
	made := s.make(t, u)
	found, err := s.cube.UserByExternalID(t.Context(), u.ExternalID)
	if err != nil || found != made {
		t.Errorf("UserByExternalID = %+v, %v, want %+v", found, err, made)
	}
	found, err = s.cube.UserByID(t.Context(), made.ID)
	if err != nil || found != made {
		t.Errorf("UserByID = %+v, %v, want %+v", found, err, made)
	}
	if got := s.login(t, u); !got.NewUser {
		t.Errorf("the session of a user who was just made: NewUser is false")
	}
}

func unknownExternalID(t *testing.T, s *suite) {
	id := "cubegate-nobody-" + random()
	for range 2 { // a look-up that created what it looked for would differ the second time
		_, err := s.cube.UserByExternalID(t.Context(), id)
		wantError(t, err, connectycube.ErrNotFound, connectycube.NewUser{})
		_, err = s.cube.UserByID(t.Context(), 1)
		wantError(t, err, connectycube.ErrNotFound, connectycube.NewUser{})
	}
}

func setExternalID(t *testing.T, s *suite) {
	u := account()
	id := u.ExternalID
	u.ExternalID = ""
	made := s.make(t, u)
	if err := s.cube.UpdateUser(t.Context(), s.login(t, u), connectycube.UserUpdate{ExternalID: id}); err != nil {
		t.Fatalf("UpdateUser: %v", err)
	}
	found, err := s.cube.UserByExternalID(t.Context(), id)
	if err != nil || found.ID != made.ID {
		t.Errorf("UserByExternalID = %+v, %v, want id %d", found, err, made.ID)
	}
}

func deadToken(t *testing.T, s *suite) {
	u := account()
	s.make(t, u)
	opened := s.login(t, u)
	opened.Token = "0123456789ABCDEF0123456789ABCDEF0123"
	err := s.cube.UpdateUser(t.Context(), opened, connectycube.UserUpdate{ExternalID: u.ExternalID})
	wantError(t, err, connectycube.ErrSessionExpired, u)
}

func shortPassword(t *testing.T, s *suite) {
	u := account()
	u.Password = "a.b-c"
	_, err := s.cube.SignUp(t.Context(), u)
	if err == nil {
		s.delete(t, u)
	}
	wantError(t, err, connectycube.ErrRefused, u)
}

func wrongKey(t *testing.T, s *suite) {
	o := s.target.Options
	o.AuthKey = "not-the-key-" + random()
	other := client(t, o)
	u := account()
	_, err := other.SignUp(t.Context(), u)
	wantError(t, err, connectycube.ErrMisconfigured, u)
	_, err = other.UserByExternalID(t.Context(), u.ExternalID)
	wantError(t, err, connectycube.ErrMisconfigured, u)
	if err != nil && strings.Contains(err.Error(), o.AuthKey) {
		t.Errorf("error shows the key: %v", err)
	}
}

func unknownApplication(t *testing.T, s *suite) {
	o := s.target.Options
	o.AppID = 1<<31 - 7
	_, err := client(t, o).UserByExternalID(t.Context(), "anything")
	wantError(t, err, connectycube.ErrMisconfigured, connectycube.NewUser{})
}

func provider(t *testing.T, s *suite) {
	if s.target.Provide == nil {
		t.Skip("this target's identity provider cannot be set by a test")
	}
	u, ticket := account(), "ticket-"+random()
	made := s.make(t, u)
	s.target.Provide(t, map[string]string{ticket: u.ExternalID})
	for range 2 {
		opened, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Login: ticket, Password: "anything"})
		if err != nil {
			t.Fatalf("CreateSession: %v", err)
		}
		if opened.UserID != made.ID || opened.User.ExternalID != u.ExternalID {
			t.Errorf("session is of %+v, want %+v", opened.User, made)
		}
	}
}

func providerRefuses(t *testing.T, s *suite) {
	if s.target.Provide == nil {
		t.Skip("this target's identity provider cannot be set by a test")
	}
	u := account()
	s.make(t, u)
	s.target.Provide(t, nil)
	_, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Login: "unknown-" + random(), Password: "anything"})
	wantError(t, err, connectycube.ErrIdentityProvider, u)
	// passwords are the provider's business as well now
	_, err = s.cube.CreateSession(t.Context(), connectycube.Credentials{Email: u.Email, Password: u.Password})
	wantError(t, err, connectycube.ErrIdentityProvider, u)
}
