package provisioning

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
	"cubegate/store"
	"cubegate/tokens"
)

// openTickets are tickets that show their external ID.
type openTickets struct{}

func (openTickets) ServiceTicket(g tokens.ServiceGrant) (string, error) {
	return cmp.Or(g.ExternalID, g.Subject), nil
}

// provider makes ConnectyCube ask an identity provider that accepts every ticket.
func (f *fixture) provider(t *testing.T) {
	t.Helper()
	f.tickets = openTickets{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(rw).Encode(map[string]string{"uid": r.URL.Query().Get("token")})
	}))
	t.Cleanup(server.Close)
	err := f.sandbox.SetCIdP(sandbox.CIdP{
		Enabled: true, Method: http.MethodGet, URL: server.URL,
		RequestParams: map[string]string{"token": "#{login}"}, ResponseParams: map[string]string{"uid": "#{uid}"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// changeID changes the external ID of an account as an app can, by the user's session.
func (f *fixture) changeID(t *testing.T, chat CubeSession, externalID string) {
	t.Helper()
	body := fmt.Sprintf(`{"user":{"external_id":%q}}`, externalID)
	if externalID == "" {
		body = `{"user":{"external_id":null}}`
	}
	r := httptest.NewRequest(http.MethodPut, fmt.Sprintf("/users/%d.json", chat.UserID), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("CB-Token", chat.Token)
	rw := httptest.NewRecorder()
	if f.sandbox.ServeHTTP(rw, r); rw.Code != http.StatusOK {
		t.Fatalf("changing the external ID to %q: %d %s", externalID, rw.Code, rw.Body)
	}
}

// accounts are the external IDs at ConnectyCube by account.
func (f *fixture) accounts() map[int64]string {
	all := map[int64]string{}
	for _, u := range f.sandbox.State().Users {
		all[u.ID] = ""
		if u.ExternalID != nil {
			all[u.ID] = *u.ExternalID
		}
	}
	return all
}

// After a user has changed the external ID at ConnectyCube, the next login by ticket
// creates another account there. The linked account wins, because it has the chats.
func TestLinkedAccountWinsOverTheExternalID(t *testing.T) {
	for name, tt := range map[string]struct {
		to      string
		expired bool // the ConnectyCube session that the user had
		second  bool // an app has logged in by a ticket of its own before, so there is an older account
		want    error
	}{
		"changed":                               {to: "mine"},
		"changed, no session left":              {to: "mine", expired: true},
		"changed, a second account in use":      {to: "mine", second: true},
		"removed":                               {to: ""},
		"removed, a second account in use":      {to: "", second: true},
		"removed, no session left":              {to: "", expired: true, want: errUnlinked},
		"changed, no session, second in use":    {to: "mine", expired: true, second: true},
		"to the login of the account to come":   {to: "custom_x"},
		"removed, no session, second is in use": {to: "", expired: true, second: true, want: errUnlinked},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user := f.registered(t, "ada@x.org")
			first, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "first"), LoginMethod{Password: password})
			if err != nil || first.UserID != user.CubeID {
				t.Fatalf("before: %+v, %v", first, err)
			}
			f.provider(t)
			f.changeID(t, first, tt.to)
			if tt.second {
				if s, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Login: user.ID, Password: "x"}); err != nil || s.UserID == user.CubeID || !s.NewUser {
					t.Fatalf("the second account: %+v, %v", s, err)
				}
				f.sandbox.Advance(time.Minute)
			}
			if tt.expired {
				f.sandbox.Advance(3 * time.Hour)
			}
			for _, id := range []string{"second", "third"} { // what is restored stays
				chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, id), LoginMethod{ViaIdentityProvider: true})
				if !errors.Is(err, tt.want) || chat.UserID != user.CubeID || (chat.Token == "") != (tt.want != nil) {
					t.Fatalf("login %s: %+v, %v; want account %d, %v", id, chat, err, user.CubeID, tt.want)
				}
			}
			if got := f.read(t, user.ID).CubeID; got != user.CubeID {
				t.Errorf("linked is account %d, want %d", got, user.CubeID)
			}
			all := f.accounts()
			wantID, wantAccounts := user.ID, 1
			if tt.want != nil {
				wantID = tt.to
			}
			if tt.second {
				wantAccounts = 2
			}
			if all[user.CubeID] != wantID || len(all) != wantAccounts {
				t.Errorf("ConnectyCube has %v; want the external ID %q at %d, and %d accounts", all, wantID, user.CubeID, wantAccounts)
			}
		})
	}
}

// A login by password gives the account its external ID back, too. It finds the account
// without, but the next login by ticket would not.
func TestLoginByPasswordRestoresTheExternalID(t *testing.T) {
	f := newFixture(t)
	user, bob := f.registered(t, "ada@x.org"), f.registered(t, "bob@x.org")
	first, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "first"), LoginMethod{Password: password})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"mine", "", bob.ID + "0"} {
		f.changeID(t, first, to)
		chat, err := f.OpenCubeSession(t.Context(), f.read(t, user.ID), f.login(t, user, "login "+to), LoginMethod{Password: password})
		if err != nil || chat.UserID != user.CubeID {
			t.Fatalf("login: %+v, %v", chat, err)
		}
		if all := f.accounts(); all[user.CubeID] != user.ID || len(all) != 2 {
			t.Errorf("after a change to %q: %v", to, all)
		}
	}
}

// After a user has changed the email at ConnectyCube, the next login by password creates
// another account there. The linked account wins here, too.
func TestLinkedAccountWinsOverTheEmail(t *testing.T) {
	for name, other := range map[string]bool{"with the same password": false, "with another password": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			user := f.registered(t, "ada@x.org")
			s, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
			if err != nil {
				t.Fatal(err)
			}
			change := connectycube.UserUpdate{Email: "mine@x.org"}
			if other {
				change.Password, change.OldPassword = "another horse", password
			}
			if err := f.cube.UpdateUser(t.Context(), s, change); err != nil {
				t.Fatal(err)
			}
			chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password})
			if chat.UserID != user.CubeID || (err != nil) != other || f.read(t, user.ID).CubeID != user.CubeID {
				t.Errorf("login: %+v, %v; linked is %d, want %d", chat, err, f.read(t, user.ID).CubeID, user.CubeID)
			}
			if other && !errors.Is(err, connectycube.ErrBadCredentials) {
				t.Errorf("login: %v, want %v", err, connectycube.ErrBadCredentials)
			}
			if all := f.accounts(); len(all) != 1 || all[user.CubeID] != user.ID {
				t.Errorf("ConnectyCube has %v", all)
			}
			if !other && !f.acceptsPassword(t, "ada@x.org", password) {
				t.Error("the account has not got its email back")
			}
		})
	}
}

// The account that ConnectyCube has created replaces one that is gone. An account of the
// original, which never had the user's ID, is replaced by the one that tickets have always
// used.
func TestOtherAccountIsLinked(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		f := newFixture(t)
		user := f.registered(t, "ada@x.org")
		s, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.cube.DeleteUser(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		f.provider(t)
		chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{ViaIdentityProvider: true})
		if err != nil || chat.UserID == user.CubeID || f.read(t, user.ID).CubeID != chat.UserID {
			t.Errorf("%+v, %v; linked is %d", chat, err, f.read(t, user.ID).CubeID)
		}
	})
	t.Run("of the original", func(t *testing.T) {
		f := newFixture(t)
		user := f.create(t, "ada@x.org")
		account := f.signUp(t, "ada@x.org", password, "")
		if err := f.store.Accounts().Save(t.Context(), user.Account.Held(), store.User{ID: user.ID, CubeID: account}); err != nil {
			t.Fatal(err)
		}
		f.provider(t)
		used, err := f.cube.CreateSession(t.Context(), connectycube.Credentials{Login: user.ID, Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		f.sandbox.Advance(time.Minute)
		if user = f.read(t, user.ID); user.Account.Version != 0 {
			t.Skipf("not as the original's: %+v", user.Account)
		}
		chat, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{ViaIdentityProvider: true})
		if err != nil || chat.UserID != used.UserID {
			t.Errorf("%+v, %v; want the account in use, %d", chat, err, used.UserID)
		}
	})
}

// An app has the application's key and can sign up with any external ID. An account with
// the user's ID and another email is not the user's.
func TestForeignAccountWithTheUsersIDIsNotAdopted(t *testing.T) {
	f := newFixture(t)
	f.provider(t)
	user := store.User{ID: store.NewUserID(), FirstName: "Ada", LastName: "Lovelace", Email: "ada@x.org", PasswordHash: "hash"}
	foreign := f.signUp(t, "mallory@x.org", "another horse", user.ID)
	got, err := f.Register(t.Context(), user, LoginMethod{ViaIdentityProvider: true})
	if !errors.Is(err, connectycube.ErrTaken) || got.CubeID == foreign {
		t.Errorf("made: account %d, %v; Mallory's is %d", got.CubeID, err, foreign)
	}
}

// The deletion of a user finds an account whose external ID the user has changed.
func TestAccountWithAnotherExternalIDIsDeleted(t *testing.T) {
	for _, byTicket := range []bool{false, true} {
		f := newFixture(t)
		user := f.registered(t, "ada@x.org")
		first, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "first"), LoginMethod{Password: password})
		if err != nil {
			t.Fatal(err)
		}
		f.changeID(t, first, "mine")
		if byTicket {
			f.provider(t)
		}
		if err := f.Delete(t.Context(), f.read(t, user.ID), LoginMethod{Password: password, ViaIdentityProvider: byTicket}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.Users().ByID(t.Context(), user.ID); !errors.Is(err, store.ErrNotFound) || len(f.accounts()) != 0 {
			t.Errorf("by ticket %t: %v here; there %v", byTicket, err, f.accounts())
		}
	}
}

// An identity provider whose mapping reports another ID than ours has an account of its
// own for each user. It is used as it is.
func TestMappedAccountIsUsedAsItIs(t *testing.T) {
	u := newUnit(t)
	u.cubeUsers.user = connectycube.User{ID: 7, ExternalID: newUser().ID}
	other := connectycube.Session{Token: "token", UserID: 8}
	got, err := sessionOpener{u.begin(newUser(), LoginMethod{})}.relinkByTicket(t.Context(), other)
	if err != nil || got.UserID != 8 || len(u.userAPI.updates) != 0 {
		t.Errorf("%+v, %v after updates %+v; want the other session", got, err, u.userAPI.updates)
	}
}
