package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
	"cubegate/tokens"
)

var adaLogin = LoginInput{Email: " ada@example.org ", Password: ada.Password}

func TestLoginReportsWhatConnectyCubeDoes(t *testing.T) {
	tests := []struct {
		err  error
		want provisioning.ChatStatus
	}{
		{nil, provisioning.ChatReady},
		{fmt.Errorf("%w: %w", provisioning.ErrPending, connectycube.ErrTaken), provisioning.ChatPending},
		{provisioning.ErrPasswordRequired, provisioning.ChatPasswordNeeded},
		{provisioning.ErrForeignAccount, provisioning.ChatRefused},
		{connectycube.ErrBadCredentials, provisioning.ChatRefused},
		{connectycube.ErrRefused, provisioning.ChatRefused},
		{connectycube.ErrUnavailable, provisioning.ChatUnavailable},
		{connectycube.ErrIdentityProvider, provisioning.ChatUnavailable},
		{connectycube.ErrMisconfigured, provisioning.ChatUnavailable},
		{errors.New("odd"), provisioning.ChatUnavailable},
	}
	for _, byTicket := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprint(byTicket, " ", tt.want), func(t *testing.T) {
				f := newFlows(t)
				f.stored()
				if tt.err != nil {
					f.accounts.OnOpen = func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error) {
						return provisioning.CubeSession{}, tt.err
					}
				}
				login := f.Logins.Login
				if byTicket {
					login = f.Logins.LoginByToken
				}
				got, err := login(t.Context(), f.stranger(store.AuditLogin, CostGuess), adaLogin)
				if err != nil || got.ChatStatus != tt.want || got.AccessToken != "access "+adaID || got.ChatTicket != "ticket "+adaID || got.RefreshToken == "" {
					t.Fatalf("%+v, %v; want %s and our own tokens", got, err, tt.want)
				}
				if (got.Cube.Token != "") != (tt.want == provisioning.ChatReady) {
					t.Errorf("session %q with %s", got.Cube.Token, got.ChatStatus)
				}
				if want := (provisioning.LoginMethod{Password: ada.Password, ViaIdentityProvider: byTicket}); f.accounts.Methods[0] != want {
					t.Error("the session is opened by another method than the login has")
				}
				if tt.err != nil && !strings.Contains(f.log.String(), tt.err.Error()) {
					t.Errorf("the log does not have the cause: %s", f.log)
				}
			})
		}
	}
}

func TestLoginHidesWhetherTheEmailExists(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for _, in := range []LoginInput{
		{Email: "ada@example.org", Password: "wrong"},
		{Email: "unknown@example.org", Password: ada.Password},
	} {
		_, err := f.login(t.Context(), in)
		if !errors.Is(err, tokens.ErrWrongPassword) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	// One comparison each, the second with the decoy.
	if got := f.passwords.Compared; len(got) != 2 || got[1] != "" {
		t.Errorf("compared with %q", got)
	}
	// The audit records wrong passwords of users. Guesses at unknown emails would only
	// push other events out.
	if e := f.recorded(t); len(e) != 1 || e[0].UserID != adaID {
		t.Errorf("recorded %+v", e)
	}
}

func TestLoginStopsGuessing(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for range 3 {
		_, _ = f.login(t.Context(), LoginInput{Email: ada.Email, Password: "guess"})
	}
	_, err := f.login(t.Context(), adaLogin)
	if e := outward(err); e.Code != apierror.RateLimited || e.RetryAfter == 0 {
		t.Errorf("after three wrong passwords: %s, retry after %v", e.Code, e.RetryAfter)
	}
	if len(f.passwords.Compared) != 3 {
		t.Errorf("%d comparisons: the refused attempt cost one", len(f.passwords.Compared))
	}
}

func TestLoginReplacesAStaleHash(t *testing.T) {
	for _, setErr := range []error{nil, errors.New("odd")} {
		f := newFlows(t)
		f.stored(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.users.UpgradeErr = setErr
		if _, err := f.login(t.Context(), adaLogin); err != nil {
			t.Errorf("with %v: %v; want the login to succeed", setErr, err)
		}
		if replaced := f.users.User.PasswordHash == "hash of "+ada.Password; replaced != (setErr == nil) {
			t.Errorf("with %v the hash is %q", setErr, f.users.User.PasswordHash)
		}
	}
}

// While a login replaces a stale hash, another login with the same password or a new
// password replaces it first. The former password must not log in with the new hash.
func TestLoginWhoseStaleHashChangesConcurrently(t *testing.T) {
	for next, want := range map[string]apierror.Code{"hash of another": apierror.Unauthenticated, "old hash of " + ada.Password: ""} {
		f := newFlows(t)
		f.stored(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.Passwords.replaceHash = func(context.Context, store.HashUpgrade) error {
			f.users.User.PasswordHash = next
			return nil
		}
		_, err := f.login(t.Context(), adaLogin)
		if (err == nil) != (want == "") || err != nil && outward(err).Code != want {
			t.Errorf("%s: %v, want %q", next, err, want)
		}
	}
}

func TestLoginOfADisabledUser(t *testing.T) {
	f := newFlows(t)
	f.stored(func(u *store.User) { u.Disabled = true })
	if _, err := f.login(t.Context(), adaLogin); outward(err).Code != apierror.Forbidden {
		t.Errorf("with the correct password: %v, want %s", err, apierror.Forbidden)
	}
	if _, err := f.login(t.Context(), LoginInput{Email: ada.Email, Password: "wrong"}); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("with a wrong one: %v, want %s", err, apierror.Unauthenticated)
	}
}

// The password changes between the comparison and the start of the login session.
func TestLoginWhosePasswordChangesConcurrently(t *testing.T) {
	f := newFlows(t)
	f.stored()
	c := f.ada(store.AuditLogin)
	f.users.User.PasswordHash = "hash of another"
	if _, err := f.Sessions.startLoginSession(t.Context(), c, nil); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("%v, want %s", err, apierror.Unauthenticated)
	}
}

func TestLoginEvictsTheLeastRecentlyUsedSession(t *testing.T) {
	var f flows
	f = newFlows(t, func(o *Options) {
		o.Stores.EvictSession = func(ctx context.Context, id, session string) (bool, error) {
			// Without another login session at this moment, all pushes would end.
			sessions := f.users.User.Sessions
			if newest := sessions[len(sessions)-1]; newest == session || f.sessions.All[newest].ID == "" {
				t.Errorf("%s ends before the new login session is complete", session)
			}
			return f.users.EvictSession(ctx, id, session)
		}
	})
	f.stored(func(u *store.User) { u.Sessions = nil })
	clear(f.sessions.All)
	var ids []string
	for range 5 {
		got, err := f.login(t.Context(), adaLogin)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.Session.ID)
		if len(f.users.User.Sessions) > 3 {
			t.Fatalf("%d sessions, want at most 3", len(f.users.User.Sessions))
		}
	}
	if got := f.users.User.Evicted; !slices.Equal(got, ids[:2]) {
		t.Errorf("evicted %v of %v, want the first two", got, ids)
	}
	if got := f.users.User.Sessions; got[len(got)-1] != ids[4] || f.accounts.Woken != 0 {
		t.Errorf("left %v of %v; woken %d times", got, ids, f.accounts.Woken)
	}
	for range evictionsAtRest - 2 { // more would be forgotten sooner or later
		if _, err := f.login(t.Context(), adaLogin); err != nil {
			t.Fatal(err)
		}
	}
	if f.accounts.Woken != 1 {
		t.Errorf("woken %d times after %d evictions, want once", f.accounts.Woken, len(f.users.User.Evicted))
	}
}

func TestDeviceHasAName(t *testing.T) {
	f := newFlows(t)
	f.stored()
	name := "Ada's\n phone\x00"
	in := adaLogin
	in.Device = &DeviceInput{Name: &name, ID: &adaDevice}
	got, err := f.login(t.Context(), in)
	if err != nil || got.Session.Device != "Ada's phone" || got.Session.DeviceID != adaDevice {
		t.Errorf("%+v, %v", got.Session, err)
	}
	long := strings.Repeat("é", maxDeviceChars+1)
	in.Device = &DeviceInput{Name: &long}
	if _, err := f.login(t.Context(), in); outward(err).Fields["device.name"] == "" {
		t.Errorf("a name too long: %v", err)
	}
}

var adaDevice = "udid-of-ada"
