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

// openTickets are tickets that say in clear which external id they are for.
type openTickets struct{}

func (openTickets) ServiceTicket(g tokens.ServiceGrant) (string, error) {
	return cmp.Or(g.ExternalID, g.Subject), nil
}

// provider makes ConnectyCube ask an identity provider that believes each ticket.
func (w *world) provider(t *testing.T) {
	t.Helper()
	w.Tickets = openTickets{}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(rw).Encode(map[string]string{"uid": r.URL.Query().Get("token")})
	}))
	t.Cleanup(server.Close)
	err := w.box.SetCIdP(sandbox.CIdP{
		Enabled: true, Method: http.MethodGet, URL: server.URL,
		RequestParams: map[string]string{"token": "#{login}"}, ResponseParams: map[string]string{"uid": "#{uid}"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// changeID changes the external id of an account as its user, by the session that
// an app has.
func (w *world) changeID(t *testing.T, chat CubeSession, externalID string) {
	t.Helper()
	body := fmt.Sprintf(`{"user":{"external_id":%q}}`, externalID)
	if externalID == "" {
		body = `{"user":{"external_id":null}}`
	}
	r := httptest.NewRequest(http.MethodPut, fmt.Sprintf("/users/%d.json", chat.UserID), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("CB-Token", chat.Token)
	rw := httptest.NewRecorder()
	if w.box.ServeHTTP(rw, r); rw.Code != http.StatusOK {
		t.Fatalf("changing the external id to %q: %d %s", externalID, rw.Code, rw.Body)
	}
}

// accounts are the external ids at ConnectyCube by account.
func (w *world) accounts() map[int64]string {
	all := map[int64]string{}
	for _, u := range w.box.State().Users {
		all[u.ID] = ""
		if u.ExternalID != nil {
			all[u.ID] = *u.ExternalID
		}
	}
	return all
}

// A user changes the own external id at ConnectyCube, which then makes a new
// account at the next login by ticket. The account whose id we keep wins: it is
// the one with the chats.
func TestKeptAccountWinsOverTheExternalID(t *testing.T) {
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
			w := newWorld(t)
			user := w.made(t, "ada@x.org")
			first, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "first"), LoginMethod{Password: password})
			if err != nil || first.UserID != user.CubeID {
				t.Fatalf("before: %+v, %v", first, err)
			}
			w.provider(t)
			w.changeID(t, first, tt.to)
			if tt.second {
				if s, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Login: user.ID, Password: "x"}); err != nil || s.UserID == user.CubeID || !s.NewUser {
					t.Fatalf("the second account: %+v, %v", s, err)
				}
				w.box.Advance(time.Minute)
			}
			if tt.expired {
				w.box.Advance(3 * time.Hour)
			}
			for _, id := range []string{"second", "third"} { // what is restored stays
				chat, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, id), LoginMethod{ViaIdentityProvider: true})
				if !errors.Is(err, tt.want) || chat.UserID != user.CubeID || (chat.Token == "") != (tt.want != nil) {
					t.Fatalf("login %s: %+v, %v; want account %d, %v", id, chat, err, user.CubeID, tt.want)
				}
			}
			if got := w.read(t, user.ID).CubeID; got != user.CubeID {
				t.Errorf("we keep account %d, want %d", got, user.CubeID)
			}
			all := w.accounts()
			wantID, wantAccounts := user.ID, 1
			if tt.want != nil {
				wantID = tt.to
			}
			if tt.second {
				wantAccounts = 2
			}
			if all[user.CubeID] != wantID || len(all) != wantAccounts {
				t.Errorf("ConnectyCube has %v; want the external id %q at %d, and %d accounts", all, wantID, user.CubeID, wantAccounts)
			}
		})
	}
}

// A login by password gives the account its external id back as well, although it
// would find the account without: the next login by ticket would not.
func TestLoginByPasswordRestoresTheExternalID(t *testing.T) {
	w := newWorld(t)
	user, bob := w.made(t, "ada@x.org"), w.made(t, "bob@x.org")
	first, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "first"), LoginMethod{Password: password})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"mine", "", bob.ID + "0"} {
		w.changeID(t, first, to)
		chat, err := w.OpenCubeSession(t.Context(), w.read(t, user.ID), w.login(t, user, "login "+to), LoginMethod{Password: password})
		if err != nil || chat.UserID != user.CubeID {
			t.Fatalf("login: %+v, %v", chat, err)
		}
		if all := w.accounts(); all[user.CubeID] != user.ID || len(all) != 2 {
			t.Errorf("after a change to %q: %v", to, all)
		}
	}
}

// A user changes the own email at ConnectyCube, which then makes a new account at
// the next login by password. The kept account wins here, too.
func TestKeptAccountWinsOverTheEmail(t *testing.T) {
	for name, other := range map[string]bool{"with the same password": false, "with another password": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			user := w.made(t, "ada@x.org")
			s, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
			if err != nil {
				t.Fatal(err)
			}
			change := connectycube.UserUpdate{Email: "mine@x.org"}
			if other {
				change.Password, change.OldPassword = "another horse", password
			}
			if err := w.cube.UpdateUser(t.Context(), s, change); err != nil {
				t.Fatal(err)
			}
			chat, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{Password: password})
			if chat.UserID != user.CubeID || (err != nil) != other || w.read(t, user.ID).CubeID != user.CubeID {
				t.Errorf("login: %+v, %v; we keep %d, want %d", chat, err, w.read(t, user.ID).CubeID, user.CubeID)
			}
			if other && !errors.Is(err, connectycube.ErrBadCredentials) {
				t.Errorf("login: %v, want %v", err, connectycube.ErrBadCredentials)
			}
			if all := w.accounts(); len(all) != 1 || all[user.CubeID] != user.ID {
				t.Errorf("ConnectyCube has %v", all)
			}
			if !other && !w.takes(t, "ada@x.org", password) {
				t.Error("the account has not got its email back")
			}
		})
	}
}

// An account that is gone is replaced by the one that ConnectyCube has made, as
// ever; and one of the original, which never had our id, by the one that tickets
// have always used.
func TestAccountIsReplacedWhereItMayBe(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		w := newWorld(t)
		user := w.made(t, "ada@x.org")
		s, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Email: "ada@x.org", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.cube.DeleteUser(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.provider(t)
		chat, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{ViaIdentityProvider: true})
		if err != nil || chat.UserID == user.CubeID || w.read(t, user.ID).CubeID != chat.UserID {
			t.Errorf("%+v, %v; we keep %d", chat, err, w.read(t, user.ID).CubeID)
		}
	})
	t.Run("of the original", func(t *testing.T) {
		w := newWorld(t)
		user := w.create(t, "ada@x.org")
		account := w.signUp(t, "ada@x.org", password, "")
		if err := w.store.Accounts().Save(t.Context(), user.Account.Held(), store.User{ID: user.ID, CubeID: account}); err != nil {
			t.Fatal(err)
		}
		w.provider(t)
		used, err := w.cube.CreateSession(t.Context(), connectycube.Credentials{Login: user.ID, Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		w.box.Advance(time.Minute)
		if user = w.read(t, user.ID); user.Account.Version != 0 {
			t.Skipf("not as the original's: %+v", user.Account)
		}
		chat, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "s"), LoginMethod{ViaIdentityProvider: true})
		if err != nil || chat.UserID != used.UserID {
			t.Errorf("%+v, %v; want the account in use, %d", chat, err, used.UserID)
		}
	})
}

// An app has the application's key and can sign up with any external id. Such an
// account is not the user's, whose id it has.
func TestForeignAccountWithTheUsersIDIsNotTaken(t *testing.T) {
	w := newWorld(t)
	w.provider(t)
	user := store.User{ID: store.NewUserID(), FirstName: "Ada", LastName: "Lovelace", Email: "ada@x.org", PasswordHash: "hash"}
	foreign := w.signUp(t, "mallory@x.org", "another horse", user.ID)
	got, err := w.Register(t.Context(), user, LoginMethod{ViaIdentityProvider: true})
	if !errors.Is(err, connectycube.ErrTaken) || got.CubeID == foreign {
		t.Errorf("made: account %d, %v; Mallory's is %d", got.CubeID, err, foreign)
	}
}

// A user who has changed the external id and is then deleted is gone at
// ConnectyCube as well.
func TestAccountWithAnotherExternalIDIsDeleted(t *testing.T) {
	for _, byTicket := range []bool{false, true} {
		w := newWorld(t)
		user := w.made(t, "ada@x.org")
		first, err := w.OpenCubeSession(t.Context(), user, w.login(t, user, "first"), LoginMethod{Password: password})
		if err != nil {
			t.Fatal(err)
		}
		w.changeID(t, first, "mine")
		if byTicket {
			w.provider(t)
		}
		if err := w.Delete(t.Context(), w.read(t, user.ID), LoginMethod{Password: password, ViaIdentityProvider: byTicket}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Users().ByID(t.Context(), user.ID); !errors.Is(err, store.ErrNotFound) || len(w.accounts()) != 0 {
			t.Errorf("by ticket %t: %v here; there %v", byTicket, err, w.accounts())
		}
	}
}
