// Package cubetest is one suite for everything that claims to be ConnectyCube: the
// sandbox, and a real application. It checks the calls and answers on which our
// client relies. It proves the stand-in against the original, so it expects
// nothing that only one of them can know.
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

// Target is an application to test. It may create unknown users at their login or
// refuse them, and has no identity provider until Provide is called.
type Target struct {
	Options connectycube.Options

	// Provide turns a Custom Identity Provider on, which knows each of these
	// logins by its uid and refuses all others. Nil: a test cannot do so.
	Provide func(t *testing.T, uids map[string]string)
}

// Run runs the whole suite. It calls open for each part, which returns a target of
// its own or a shared one: accounts have random names. The suite deletes its
// accounts, except those for which no session can be opened.
func Run(t *testing.T, open func(t *testing.T) Target) {
	parts := []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"sign-up creates a user only", signUp},
		{"a taken email is ErrTaken", duplicate},
		{"a session by email is the user's", session},
		{"a user has several sessions", twoSessions},
		{"a wrong password is ErrBadCredentials", wrongPassword},
		{"a user is found by external ID", externalID},
		{"an unknown external ID is ErrNotFound", unknownExternalID},
		{"an external ID can be set later", setExternalID},
		{"a user is found by email", findByEmail},
		{"a session can be extended", extendSession},
		{"a session can be ended", endSession},
		{"a user can delete the own account", deleteUser},
		{"an administrator can delete a user", adminDeleteUser},
		{"push subscriptions are listed and deleted", subscriptions},
		{"an expired token is ErrSessionExpired", deadToken},
		{"a password that is too short is ErrRefused", shortPassword},
		{"the options are right", acceptsOptions},
		{"look-ups by API V1 are answered or forbidden", v1LookUps},
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

// register signs u up and deletes the account at the end of the test.
func (s *suite) register(t *testing.T, u connectycube.NewUser) connectycube.User {
	t.Helper()
	made, err := s.cube.SignUp(t.Context(), u)
	if err != nil {
		t.Fatalf("SignUp: %v", err)
	}
	t.Cleanup(func() { s.remove(t, u) })
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

// remove deletes an account in a session of its own.
func (s *suite) remove(t *testing.T, u connectycube.NewUser) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	opened, err := s.cube.CreateSession(ctx, connectycube.Credentials{Email: u.Email, Password: u.Password})
	if errors.Is(err, connectycube.ErrIdentityProvider) {
		return // passwords no longer work in this application
	}
	if err != nil {
		t.Errorf("opening a session to delete %s: %v", u.Email, err)
		return
	}
	if err := s.cube.DeleteUser(ctx, opened); err != nil {
		t.Errorf("deleting %s: %v", u.Email, err)
	}
}

// url returns the URL of a path of the API, for requests that the client does not
// make.
func (s *suite) url(path string) string {
	return cmp.Or(s.target.Options.BaseURL, "https://api.connectycube.com") + path
}

func (s *suite) http() *http.Client { return cmp.Or(s.target.Options.HTTP, http.DefaultClient) }

// wantError also searches the error for the account's password, which no error may show.
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
	made := s.register(t, u)
	if made.ID <= 0 || made.Email != u.Email || made.FullName != u.FullName || made.ExternalID != u.ExternalID {
		t.Errorf("SignUp(%v) = %+v", u, made)
	}
}

func duplicate(t *testing.T, s *suite) {
	u := account()
	s.register(t, u)
	again := account()
	again.Email = u.Email
	_, err := s.cube.SignUp(t.Context(), again)
	wantError(t, err, connectycube.ErrTaken, again)
}

func session(t *testing.T, s *suite) {
	u := account()
	made := s.register(t, u)
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
	s.register(t, u)
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
	s.register(t, u)
	wrong := u
	wrong.Password = "not-" + u.Password
	_, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Email: wrong.Email, Password: wrong.Password})
	wantError(t, err, connectycube.ErrBadCredentials, wrong)
}

func externalID(t *testing.T, s *suite) {
	u := account()
	made := s.register(t, u)
	found, err := s.cube.UserByExternalID(t.Context(), u.ExternalID)
	if err != nil || found != made {
		t.Errorf("UserByExternalID = %+v, %v, want %+v", found, err, made)
	}
	found, err = s.cube.UserByID(t.Context(), made.ID)
	if err != nil || found != made {
		t.Errorf("UserByID = %+v, %v, want %+v", found, err, made)
	}
	if got := s.login(t, u); !got.NewUser {
		t.Errorf("the session of a new user has NewUser false")
	}
}

// v1LookUps passes with both settings of the dashboard: a refusal is an answer.
func v1LookUps(t *testing.T, s *suite) {
	on, err := s.cube.HasV1LookUps(t.Context())
	if err != nil {
		t.Errorf("HasV1LookUps = %t, %v", on, err)
	}
}

func unknownExternalID(t *testing.T, s *suite) {
	id := "cubegate-unknown-" + random()
	for range 2 { // a look-up that creates its user would differ the second time
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
	made := s.register(t, u)
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
	s.register(t, u)
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
		s.remove(t, u)
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
	err = other.Check(t.Context())
	wantError(t, err, connectycube.ErrMisconfigured, u)
	if wrong, ok := errors.AsType[*connectycube.WrongOptionError](err); !ok || wrong.Option != connectycube.OptionAuthKey {
		t.Errorf("Check error = %v, want one about the key", err)
	}
	_, err = other.UserByExternalID(t.Context(), u.ExternalID)
	wantError(t, err, connectycube.ErrMisconfigured, u)
	if err != nil && strings.Contains(err.Error(), o.AuthKey) {
		t.Errorf("error shows the key: %v", err)
	}
}

func unknownApplication(t *testing.T, s *suite) {
	o := s.target.Options
	o.AppID = 1<<31 - 7
	other := client(t, o)
	_, err := other.UserByExternalID(t.Context(), "anything")
	wantError(t, err, connectycube.ErrMisconfigured, connectycube.NewUser{})
	err = other.Check(t.Context())
	if wrong, ok := errors.AsType[*connectycube.WrongOptionError](err); !ok || wrong.Option != connectycube.OptionAppID {
		t.Errorf("Check error = %v, want one about the application", err)
	}
}

func acceptsOptions(t *testing.T, s *suite) {
	if err := s.cube.Check(t.Context()); err != nil {
		t.Errorf("Check error = %v", err)
	}
}

func provider(t *testing.T, s *suite) {
	if s.target.Provide == nil {
		t.Skip("this target's identity provider cannot be set by a test")
	}
	u, ticket := account(), "ticket-"+random()
	made := s.register(t, u)
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
	s.register(t, u)
	s.target.Provide(t, nil)
	_, err := s.cube.CreateSession(t.Context(), connectycube.Credentials{Login: "unknown-" + random(), Password: "anything"})
	wantError(t, err, connectycube.ErrIdentityProvider, u)
	// Passwords go to the provider as well now.
	_, err = s.cube.CreateSession(t.Context(), connectycube.Credentials{Email: u.Email, Password: u.Password})
	wantError(t, err, connectycube.ErrIdentityProvider, u)
}
