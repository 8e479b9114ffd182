package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

var login = loginInput{Email: " ada@example.org ", Password: ada.Password}

func TestLoginAnswersWhatConnectyCubeDoes(t *testing.T) {
	tests := []struct {
		err  error
		want chatStatus
	}{
		{nil, chatReady},
		{fmt.Errorf("%w: %w", provisioning.ErrPending, connectycube.ErrTaken), chatPending},
		{provisioning.ErrPasswordRequired, chatPassword},
		{provisioning.ErrForeignAccount, chatRefused},
		{connectycube.ErrBadCredentials, chatRefused},
		{connectycube.ErrRefused, chatRefused},
		{connectycube.ErrUnavailable, chatUnavailable},
		{connectycube.ErrIdentityProvider, chatUnavailable},
		{connectycube.ErrMisconfigured, chatUnavailable},
		{errors.New("odd"), chatUnavailable},
	}
	for _, byTicket := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprint(byTicket, " ", tt.want), func(t *testing.T) {
				f := newFlows(t)
				f.there()
				if tt.err != nil {
					f.accounts.open = func(store.User, provisioning.LoginMethod) (provisioning.CubeSession, error) {
						return provisioning.CubeSession{}, tt.err
					}
				}
				got, err := f.login(t.Context(), login, byTicket)
				if err != nil || got.status != tt.want || got.access != "access "+adaID || got.ticket != "ticket "+adaID || got.refresh == "" {
					t.Fatalf("%+v, %v; want %s and our own tokens", got, err, tt.want)
				}
				if (got.chat.Token != "") != (tt.want == chatReady) {
					t.Errorf("session %q with %s", got.chat.Token, got.status)
				}
				if want := (provisioning.LoginMethod{Password: ada.Password, ViaIdentityProvider: byTicket}); f.accounts.means[0] != want {
					t.Error("the account is opened by other means than the login has")
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
		_, err := f.login(t.Context(), in, false)
		if e := outward(err); e.Code != apierror.Unauthenticated || e.Message != "Invalid email or password" {
			t.Errorf("%+v: %s %q", in, e.Code, e.Message)
		}
	}
	// One comparison each, the second against nobody's hash.
	if got := f.passwords.compared; len(got) != 2 || got[1] != "" {
		t.Errorf("compared with %q", got)
	}
	// The audit knows whose password was wrong; guesses at nobody's would only
	// drive out what is in it.
	if e := f.recorded(t); len(e) != 1 || e[0].UserID != adaID {
		t.Errorf("recorded %+v", e)
	}
}

func TestLoginStopsGuessing(t *testing.T) {
	f := newFlows(t)
	f.there()
	for range 3 {
		_, _ = f.login(t.Context(), loginInput{Email: ada.Email, Password: "guess"}, false)
	}
	_, err := f.login(t.Context(), login, false)
	if e := outward(err); e.Code != apierror.RateLimited || e.RetryAfter == 0 {
		t.Errorf("after three wrong passwords: %s, retry after %v", e.Code, e.RetryAfter)
	}
	if len(f.passwords.compared) != 3 {
		t.Errorf("%d comparisons: the refused try cost one", len(f.passwords.compared))
	}
}

func TestLoginReplacesAnOldHash(t *testing.T) {
	for _, setErr := range []error{nil, errors.New("odd")} {
		f := newFlows(t)
		f.there(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.users.setErr = setErr
		if _, err := f.login(t.Context(), login, false); err != nil {
			t.Errorf("with %v: %v; the login is good all the same", setErr, err)
		}
		if replaced := f.users.user.PasswordHash == "hash of "+ada.Password; replaced != (setErr == nil) {
			t.Errorf("with %v the hash is %q", setErr, f.users.user.PasswordHash)
		}
	}
}

// changingUsers have another hash as soon as one is replaced.
type changingUsers struct {
	*fakeUsers
	next string
}

func (c changingUsers) UpgradeHash(context.Context, store.HashUpgrade) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user.PasswordHash = c.next
	return nil
}

// A login with an old hash is overtaken while it replaces that hash: by another
// login with the same password, or by a new password. The former password must
// not get in with the hash of the new one.
func TestLoginIsOvertakenWhileItReplacesAnOldHash(t *testing.T) {
	for next, want := range map[string]apierror.Code{"hash of another": apierror.Unauthenticated, "old hash of " + ada.Password: ""} {
		f := newFlows(t)
		f.there(func(u *store.User) { u.PasswordHash = "old hash of " + ada.Password })
		f.Users = changingUsers{f.users, next}
		_, err := f.login(t.Context(), login, false)
		if (err == nil) != (want == "") || err != nil && outward(err).Code != want {
			t.Errorf("%s: %v, want %q", next, err, want)
		}
	}
}

func TestLoginOfWhoIsDisabled(t *testing.T) {
	f := newFlows(t)
	f.there(func(u *store.User) { u.Disabled = true })
	if _, err := f.login(t.Context(), login, false); outward(err).Code != apierror.Forbidden {
		t.Errorf("with the right password: %v, want %s", err, apierror.Forbidden)
	}
	if _, err := f.login(t.Context(), loginInput{Email: ada.Email, Password: "wrong"}, false); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("with a wrong one: %v, want %s", err, apierror.Unauthenticated)
	}
}

// Somebody has changed the password between our look at the hash and the
// session's beginning.
func TestLoginIsOvertakenByANewPassword(t *testing.T) {
	f := newFlows(t)
	f.there()
	user := *f.users.user
	f.users.user.PasswordHash = "hash of another"
	if _, _, err := f.begin(t.Context(), user, nil); outward(err).Code != apierror.Unauthenticated {
		t.Errorf("%v, want %s", err, apierror.Unauthenticated)
	}
}

func TestOneSessionTooManyEndsTheLeastUsed(t *testing.T) {
	f := newFlows(t)
	f.there(func(u *store.User) { u.Sessions = nil })
	clear(f.sessions.all)
	var ids []string
	for range 5 {
		got, err := f.login(t.Context(), login, false)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got.session.ID)
		if len(f.users.user.Sessions) > 3 {
			t.Fatalf("%d sessions, want at most 3", len(f.users.user.Sessions))
		}
	}
	if got := f.users.user.Sessions; got[len(got)-1] != ids[4] || f.accounts.woken == 0 {
		t.Errorf("left %v of %v; woken %d times", got, ids, f.accounts.woken)
	}
}

func TestDeviceHasAName(t *testing.T) {
	f := newFlows(t)
	f.there()
	name := "Ada's\n phone\x00"
	in := login
	in.Device = &deviceInput{Name: &name, ID: &adaDevice}
	got, err := f.login(t.Context(), in, false)
	if err != nil || got.session.Device != "Ada's phone" || got.session.DeviceID != adaDevice {
		t.Errorf("%+v, %v", got.session, err)
	}
	long := strings.Repeat("é", maxDevice+1)
	in.Device = &deviceInput{Name: &long}
	if _, err := f.login(t.Context(), in, false); outward(err).Fields["device.name"] == "" {
		t.Errorf("a name too long: %v", err)
	}
}

var adaDevice = "udid-of-ada"
