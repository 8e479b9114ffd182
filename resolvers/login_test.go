package resolvers

import (
	"errors"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

var login = loginInput{Email: " ada@example.org ", Password: ada.Password}

// opens is a session that ConnectyCube opens for Ada.
func opens(id int64) func(connectycube.Credentials) (connectycube.Session, error) {
	return func(connectycube.Credentials) (connectycube.Session, error) {
		return connectycube.Session{Token: "session", UserID: id, User: connectycube.User{ID: id, FullName: "Ada Lovelace", ExternalID: adaID}}, nil
	}
}

func TestLoginAnswersWhatConnectyCubeDoes(t *testing.T) {
	tests := []struct {
		err  error
		want chatStatus
	}{
		{nil, chatReady},
		{connectycube.ErrBadCredentials, chatRefused},
		{connectycube.ErrRefused, chatRefused},
		{connectycube.ErrUnavailable, chatUnavailable},
		{connectycube.ErrIdentityProvider, chatUnavailable},
		{connectycube.ErrMisconfigured, chatUnavailable},
		{errors.New("odd"), chatUnavailable},
	}
	for _, open := range []string{"password", "ticket"} {
		for _, tt := range tests {
			t.Run(open+"/"+string(tt.want), func(t *testing.T) {
				f := newFlows(t)
				f.there()
				f.cube.session = func(c connectycube.Credentials) (connectycube.Session, error) {
					if tt.err != nil {
						return connectycube.Session{}, tt.err
					}
					return opens(adaCubeID)(c)
				}
				way := f.openByPassword
				if open == "ticket" {
					way = f.openByTicket
				}
				got, err := f.login(t.Context(), login, way)
				if err != nil || got.chat != tt.want || got.access != "access "+adaID || got.ticket != "ticket "+adaID {
					t.Fatalf("%+v, %v; want %s and our own tokens", got, err, tt.want)
				}
				if (got.session.Token != "") != (tt.want == chatReady) {
					t.Errorf("session %q with %s", got.session.Token, got.chat)
				}
				if tt.err != nil && !strings.Contains(f.log.String(), tt.err.Error()) {
					t.Errorf("the log does not say why: %s", f.log)
				}
			})
		}
	}
}

func TestLoginRefusesTheSameWayForAllReasons(t *testing.T) {
	f := newFlows(t)
	f.there()
	for _, in := range []loginInput{
		{Email: "ada@example.org", Password: "wrong"},
		{Email: "nobody@example.org", Password: ada.Password},
	} {
		_, err := f.login(t.Context(), in, f.openByPassword)
		if e := outward(err); e.Code != Unauthenticated || e.Message != "Invalid email or password" {
			t.Errorf("%+v: %s %q", in, e.Code, e.Message)
		}
	}
	// One comparison each, the second against nobody's hash.
	if got := f.passwords.compared; len(got) != 2 || got[1] != "" {
		t.Errorf("compared with %q", got)
	}
}

func TestLoginStopsGuessing(t *testing.T) {
	f := newFlows(t)
	f.there()
	for range 3 {
		_, _ = f.login(t.Context(), loginInput{Email: ada.Email, Password: "guess"}, f.openByPassword)
	}
	_, err := f.login(t.Context(), login, f.openByPassword)
	if e := outward(err); e.Code != RateLimited || e.RetryAfter == 0 {
		t.Errorf("after three wrong passwords: %s, retry after %v", e.Code, e.RetryAfter)
	}
	if len(f.passwords.compared) != 3 {
		t.Errorf("%d comparisons: the refused try cost one", len(f.passwords.compared))
	}
}

func TestLoginBringsTheUserUpToDate(t *testing.T) {
	t.Run("a hash of another kind is replaced", func(t *testing.T) {
		f := newFlows(t)
		f.there(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.cube.session = opens(adaCubeID)
		if _, err := f.login(t.Context(), login, f.openByPassword); err != nil || f.users.user.PasswordHash != "hash of "+ada.Password {
			t.Errorf("hash %q, %v", f.users.user.PasswordHash, err)
		}
	})
	t.Run("and when that fails, the login is good all the same", func(t *testing.T) {
		f := newFlows(t)
		f.there(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.users.setErr = errors.New("odd")
		f.cube.session = opens(adaCubeID)
		if _, err := f.login(t.Context(), login, f.openByPassword); err != nil {
			t.Error(err)
		}
	})
	t.Run("a missing account id comes from the session", func(t *testing.T) {
		f := newFlows(t)
		f.there(func(u *store.User) { u.CubeID = 0 })
		f.cube.session = opens(9)
		got, err := f.login(t.Context(), login, f.openByPassword)
		if err != nil || got.user.CubeID != 9 || f.users.user.CubeID != 9 {
			t.Errorf("account %d stored %d, %v; want 9", got.user.CubeID, f.users.user.CubeID, err)
		}
	})
	t.Run("one that differs follows the session", func(t *testing.T) {
		f := newFlows(t)
		f.there()
		f.cube.session = opens(9)
		if _, err := f.login(t.Context(), login, f.openByTicket); err != nil || f.users.user.CubeID != 9 {
			t.Errorf("stored %d, %v; want 9", f.users.user.CubeID, err)
		}
	})
	t.Run("the same is not stored again", func(t *testing.T) {
		f := newFlows(t)
		f.there()
		f.cube.session = opens(adaCubeID)
		if _, err := f.login(t.Context(), login, f.openByPassword); err != nil || f.users.cubeSet != nil {
			t.Errorf("stored %v, %v", f.users.cubeSet, err)
		}
	})
	t.Run("an account without our id and a name gets both", func(t *testing.T) {
		f := newFlows(t)
		f.there()
		f.cube.session = func(connectycube.Credentials) (connectycube.Session, error) {
			return connectycube.Session{Token: "session", UserID: adaCubeID, User: connectycube.User{ID: adaCubeID}}, nil
		}
		var told connectycube.Profile
		f.cube.update = func(_ connectycube.Session, p connectycube.Profile) error { told = p; return nil }
		want := connectycube.Profile{ExternalID: adaID, FullName: "Ada Lovelace"}
		if _, err := f.login(t.Context(), login, f.openByPassword); err != nil || told != want {
			t.Errorf("told %+v, %v; want %+v", told, err, want)
		}
	})
	t.Run("a registration that a crash left open is ended and its account made", func(t *testing.T) {
		f := newFlows(t)
		f.there(func(u *store.User) { u.Pending, u.CubeID = true, 0 })
		made := false
		f.cube.session = func(c connectycube.Credentials) (connectycube.Session, error) {
			if !made {
				return connectycube.Session{}, connectycube.ErrNotFound
			}
			return opens(6)(c)
		}
		f.cube.signUp = func(connectycube.NewUser) (connectycube.User, error) {
			made = true
			return connectycube.User{ID: 6}, nil
		}
		got, err := f.login(t.Context(), login, f.openByPassword)
		if err != nil || got.chat != chatReady || f.users.user.CubeID != 6 || !f.users.kept {
			t.Errorf("%+v, %v; stored %+v", got, err, f.users.user)
		}
	})
}

// An application with CIdP on refuses passwords (contract 8.4). The login must
// work all the same, and not ask in vain each time; when somebody switches it
// off again, that must be noticed.
func TestLoginLearnsWhichKindOfApplicationItTalksTo(t *testing.T) {
	f := newFlows(t)
	f.there()
	cidp := true
	f.cube.session = func(c connectycube.Credentials) (connectycube.Session, error) {
		switch byTicket := c.Login != ""; {
		case byTicket && c.Password != "fixed":
			t.Errorf("a ticket with the password %q", c.Password)
			fallthrough
		case byTicket == cidp:
			return opens(adaCubeID)(c)
		case cidp:
			return connectycube.Session{}, connectycube.ErrIdentityProvider
		}
		return connectycube.Session{}, connectycube.ErrNotFound // a ticket is an unknown login
	}
	steps := []struct {
		cidp  bool
		asked int // sessions asked for
	}{{true, 2}, {true, 1}, {false, 2}, {false, 1}, {true, 2}, {true, 1}}
	for i, step := range steps {
		cidp, f.cube.sessions = step.cidp, nil
		got, err := f.login(t.Context(), login, f.openByPassword)
		if err != nil || got.chat != chatReady || len(f.cube.sessions) != step.asked {
			t.Errorf("step %d: %s, %v after asking %d times; want READY after %d", i, got.chat, err, len(f.cube.sessions), step.asked)
		}
	}
}
