package identity

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/store"
)

func TestCallerIsTheUserOfAnActiveSession(t *testing.T) {
	for name, tt := range map[string]struct {
		token string
		edit  func(*store.User)
		ok    bool
	}{
		"good":              {"good " + adaID, func(*store.User) {}, true},
		"none":              {"", func(*store.User) {}, false},
		"expired":           {"old", func(*store.User) {}, false},
		"forged":            {"bad", func(*store.User) {}, false},
		"a chat ticket":     {"ticket " + adaID, func(*store.User) {}, false},
		"a service ticket":  {"service " + adaID, func(*store.User) {}, false},
		"an ended session":  {"ended " + adaID, func(*store.User) {}, false},
		"an unknown user":   {"good 0123456789abcdef0123456f", func(*store.User) {}, false},
		"a disabled user":   {"good " + adaID, func(u *store.User) { u.Disabled = true }, false},
		"a user to delete":  {"good " + adaID, func(u *store.User) { u.Deleting = true }, false},
		"logged out before": {"good " + adaID, func(u *store.User) { u.Sessions = nil }, false},
	} {
		f := newFlows(t)
		f.stored(tt.edit)
		c, err := f.Authenticator.Caller(t.Context(), *f.client, tt.token)
		if tt.ok && (err != nil || c.User.ID != adaID || c.SessionID != "s1" || c.Client.IP != f.client.IP) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if !tt.ok && (outward(err).Code != apierror.Unauthenticated || c.User.ID != "") {
			t.Errorf("%s: %+v, %v; want %s", name, c, err, apierror.Unauthenticated)
		}
	}
}

func TestCallerPassesOnThatTheDatabaseIsAway(t *testing.T) {
	f := newFlows(t)
	f.users.Err = store.ErrUnavailable
	if _, err := f.Authenticator.Caller(t.Context(), *f.client, "good "+adaID); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

// A row without a role is a mistake that opens nothing.
func TestTheZeroRoleRefusesEveryCaller(t *testing.T) {
	f := newFlows(t)
	f.stored(func(u *store.User) { u.Roles = []string{roleAdmin} })
	admin, stranger := f.ada(store.AuditRoles), f.stranger(store.AuditLogin)
	f.users.User.Roles = []string{"editor"}
	user := f.ada(store.AuditRoles)
	for _, tt := range []struct {
		role                  Role
		stranger, user, admin bool
	}{
		{0, false, false, false},
		{RoleAnyone, true, true, true},
		{RoleUser, false, true, true},
		{RoleAdmin, false, false, true},
		{RoleAdmin + 1, false, false, false},
	} {
		for name, check := range map[string]struct {
			caller Caller
			ok     bool
		}{"stranger": {stranger, tt.stranger}, "user": {user, tt.user}, "admin": {admin, tt.admin}} {
			err := f.Authenticator.Authorize(t.Context(), check.caller, tt.role)
			if (err == nil) != check.ok || err != nil && outward(err).Code != apierror.Forbidden {
				t.Errorf("role %d, %s: %v, want permission %t", tt.role, name, err, check.ok)
			}
		}
	}
}

func TestAuthorizeRecordsARefusal(t *testing.T) {
	f := newFlows(t)
	f.stored()
	_ = f.Authenticator.Authorize(t.Context(), f.ada(store.AuditRoles), RoleAdmin)
	if got := f.recorded(t); len(got) != 1 || got[0].Kind != store.AuditForbidden || got[0].UserID != adaID || got[0].Outcome != store.OutcomeRefused {
		t.Errorf("recorded %+v", got)
	}
}

func TestVerifyCallbackOfATokenEndsWithItsSession(t *testing.T) {
	for token, want := range map[string]int{
		"good " + adaID: http.StatusOK, "ticket " + adaID: http.StatusOK, "service " + adaID: http.StatusOK,
		"ended " + adaID: http.StatusUnauthorized, "late " + adaID: http.StatusUnauthorized, "old": http.StatusUnauthorized, "bad": http.StatusUnauthorized,
		"service 0123456789abcdef0123456f": http.StatusUnauthorized,
	} {
		f := newFlows(t)
		f.stored()
		if got := f.verify(CallbackRequest{Token: token, Email: ada.Email, Password: ada.Password}); got != want {
			t.Errorf("%s: %d, want %d", token, got, want)
		}
		stolen := strings.HasPrefix(token, "ended") || strings.HasPrefix(token, "late")
		if got := f.recorded(t); (len(got) == 1) != stolen || stolen && (got[0].Kind != store.AuditVerify || got[0].UserID != adaID) {
			t.Errorf("%s: recorded %+v", token, got)
		}
		if f.passwords.Hashes() != 0 {
			t.Errorf("%s: a token costs a hash", token)
		}
	}
}

func TestVerifyCallbackReportsTheExternalID(t *testing.T) {
	f := newFlows(t)
	f.stored()
	c := f.stranger(store.AuditVerify, CostCallback, CostToken)
	user, err := f.Authenticator.VerifyCallback(t.Context(), c, CallbackRequest{Token: "relink " + adaID})
	if err != nil || user.ID != "another id" || user.Email != ada.Email {
		t.Errorf("%+v, %v", user, err)
	}
}

func TestVerifyCallbackValidatesTheEmail(t *testing.T) {
	f := newFlows(t)
	if got := f.verifyPassword("no email", ada.Password); got != http.StatusBadRequest {
		t.Errorf("%d, want 400", got)
	}
}
