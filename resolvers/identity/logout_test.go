package identity

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

func (f flows) logout(t *testing.T, proof LogoutProof) error {
	t.Helper()
	return f.Sessions.Logout(t.Context(), f.stranger(store.AuditLogout, CostToken), proof)
}

// Each row logs out with what it shows. Sessions s1 and s3 are Ada's, and so is that of
// the refresh token; s2 has ended.
func TestLogout(t *testing.T) {
	malformed := &apierror.Error{Code: apierror.Unauthenticated, Message: "malformed"}
	tests := []struct {
		name  string
		proof func(refresh string) LogoutProof
		ends  string // "" = none, "refresh" = that of the refresh token
		code  apierror.Code
	}{
		{"an access token", func(string) LogoutProof { return LogoutProof{AccessToken: "good " + adaID} }, "s1", ""},
		{"an expired access token", func(string) LogoutProof { return LogoutProof{AccessToken: "expired " + adaID} }, "s1", ""},
		{"the refresh token", func(r string) LogoutProof { return LogoutProof{RefreshToken: r} }, "refresh", ""},
		{"the refresh token, with another access token", func(r string) LogoutProof { return LogoutProof{AccessToken: "good " + adaID, RefreshToken: r} }, "refresh", ""},
		{"the refresh token, with a forged access token", func(r string) LogoutProof { return LogoutProof{AccessToken: "bad", RefreshToken: r} }, "refresh", ""},
		{"the refresh token, with a malformed header", func(r string) LogoutProof { return LogoutProof{HeaderErr: malformed, RefreshToken: r} }, "refresh", ""},
		{"an unknown refresh token, with an access token", func(string) LogoutProof { return LogoutProof{AccessToken: "good " + adaID, RefreshToken: "?"} }, "s1", ""},
		{"an unknown refresh token", func(string) LogoutProof { return LogoutProof{RefreshToken: "?"} }, "", ""},
		{"a session that has ended", func(string) LogoutProof { return LogoutProof{AccessToken: "ended " + adaID} }, "", ""},
		{"the session of an unknown user", func(string) LogoutProof { return LogoutProof{AccessToken: "good 0123456789abcdef00000000"} }, "", ""},
		{"nothing", func(string) LogoutProof { return LogoutProof{} }, "", apierror.Unauthenticated},
		{"a malformed header", func(string) LogoutProof { return LogoutProof{HeaderErr: malformed} }, "", apierror.Unauthenticated},
		{"a forged access token", func(string) LogoutProof { return LogoutProof{AccessToken: "bad"} }, "", apierror.Unauthenticated},
		{"a forged access token, with an unknown refresh token", func(string) LogoutProof { return LogoutProof{AccessToken: "bad", RefreshToken: "?"} }, "", apierror.Unauthenticated},
		{"a chat ticket", func(string) LogoutProof { return LogoutProof{AccessToken: "ticket " + adaID} }, "", apierror.Unauthenticated},
		{"a service ticket", func(string) LogoutProof { return LogoutProof{AccessToken: "service " + adaID} }, "", apierror.Unauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlows(t)
			f.stored()
			in := f.loggedIn(t)
			events, want := len(f.recorded(t)), slices.Clone(f.users.User.Sessions)
			ends := tt.ends
			if ends == "refresh" {
				ends = in.Session.ID
			}
			want = slices.DeleteFunc(want, func(id string) bool { return id == ends })
			err := f.logout(t, tt.proof(in.RefreshToken))
			if (err == nil) != (tt.code == "") || err != nil && outward(err).Code != tt.code {
				t.Errorf("%v, want %q", err, tt.code)
			}
			if !slices.Equal(f.users.User.Sessions, want) || f.users.User.DeviceGeneration != 0 {
				t.Errorf("left %q, want %q", f.users.User.Sessions, want)
			}
			if ended := tt.ends != ""; (f.accounts.Woken == 1) != ended || (len(f.recorded(t)) == events+1) != ended {
				t.Errorf("woken %d times, %d events", f.accounts.Woken, len(f.recorded(t))-events)
			}
			if tt.ends != "" {
				e := f.recorded(t)[events]
				if e.Kind != store.AuditLogout || e.Outcome != store.OutcomeOK || e.UserID != adaID || e.Session != ends || e.ClientIP != f.client.IP {
					t.Errorf("recorded %+v", e)
				}
			}
		})
	}
}

// A tab may hold a refresh token that another tab has replaced: the user wants to leave.
func TestLogoutWithAnOldRefreshToken(t *testing.T) {
	f := newFlows(t)
	f.stored()
	in := f.loggedIn(t)
	token := in.RefreshToken
	for range 3 {
		next, err := f.refresh(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		token = next.RefreshToken
	}
	if err := f.logout(t, LogoutProof{RefreshToken: in.RefreshToken}); err != nil || slices.Contains(f.users.User.Sessions, in.Session.ID) {
		t.Errorf("%v, left %q", err, f.users.User.Sessions)
	}
	for range 2 { // the session has ended, and later its record is gone
		if err := f.logout(t, LogoutProof{RefreshToken: token}); err != nil {
			t.Errorf("again: %v", err)
		}
		delete(f.sessions.All, in.Session.ID)
	}
}

// The refresh token's session has ended, and the access token belongs to another one.
func TestLogoutAfterAnotherLogin(t *testing.T) {
	f := newFlows(t)
	f.stored()
	in := f.loggedIn(t)
	proof := LogoutProof{AccessToken: "good " + adaID, RefreshToken: in.RefreshToken}
	for range 2 {
		if err := f.logout(t, proof); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(f.users.User.Sessions, []string{"s3"}) {
		t.Errorf("left %q", f.users.User.Sessions)
	}
}

func TestLogoutChargesUnknownRefreshTokens(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for range 6 {
		if err := f.logout(t, LogoutProof{RefreshToken: "?"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.logout(t, LogoutProof{RefreshToken: "?"}); outward(err).Code != apierror.RateLimited {
		t.Errorf("one too many: %v", err)
	}
	if err := f.logout(t, LogoutProof{AccessToken: "good " + adaID}); err != nil {
		t.Errorf("with an access token: %v", err)
	}
}

func TestLogoutReportsTheDatabase(t *testing.T) {
	f := newFlows(t)
	f.stored()
	in := f.loggedIn(t)
	f.sessions.Err = store.ErrUnavailable
	for name, proof := range map[string]LogoutProof{"the refresh token": {RefreshToken: in.RefreshToken}, "both": {AccessToken: "good " + adaID, RefreshToken: in.RefreshToken}} {
		if err := f.logout(t, proof); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !slices.Contains(f.users.User.Sessions, in.Session.ID) {
		t.Error("the session has ended")
	}
}

// An expired access token logs out and does nothing else.
func TestAnExpiredTokenIsNoCaller(t *testing.T) {
	f := newFlows(t)
	f.stored()
	if _, err := f.Authenticator.Caller(t.Context(), *f.client, "expired "+adaID); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("as a caller: %v", err)
	}
	if status := f.verify(CallbackRequest{Token: "expired " + adaID}); status != 401 {
		t.Errorf("at the callback: %d", status)
	}
}

// A login session that ended because there were too many has left its pushes and its
// session at ConnectyCube. A logout ends them, once.
func TestLogoutFromEvictedSession(t *testing.T) {
	for name, tt := range map[string]struct {
		proof    func(id, refresh string) LogoutProof
		recorded bool // the worker has saved the eviction in the record
	}{
		"an access token":                                {func(id, _ string) LogoutProof { return LogoutProof{AccessToken: "of " + id} }, true},
		"an access token, the record is active":          {func(id, _ string) LogoutProof { return LogoutProof{AccessToken: "of " + id} }, false},
		"the refresh token":                              {func(_, r string) LogoutProof { return LogoutProof{RefreshToken: r} }, true},
		"the refresh token, the record is active":        {func(_, r string) LogoutProof { return LogoutProof{RefreshToken: r} }, false},
		"the refresh token, with another's access token": {func(_, r string) LogoutProof { return LogoutProof{AccessToken: "good " + adaID, RefreshToken: r} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlows(t)
			f.stored()
			in := f.loggedIn(t)
			id := in.Session.ID
			f.Sessions.verifier = anySession{f.Sessions.verifier, id}
			if _, err := f.users.EvictSession(t.Context(), adaID, id); err != nil {
				t.Fatal(err)
			}
			if tt.recorded {
				f.users.User.Evicted = nil
				record := f.sessions.All[id]
				record.Ended, record.EndReason = time.Now(), store.Evicted
				f.sessions.All[id] = record
			}
			events, sessions := len(f.recorded(t)), slices.Clone(f.users.User.Sessions)
			if err := f.logout(t, tt.proof(id, in.RefreshToken)); err != nil {
				t.Fatal(err)
			}
			if got := f.sessions.All[id]; got.EndReason != store.LoggedOut || f.accounts.Woken != 1 || !slices.Equal(f.users.User.Sessions, sessions) {
				t.Errorf("ended as %q, woken %d times, left %q", got.EndReason, f.accounts.Woken, f.users.User.Sessions)
			}
			recorded := f.recorded(t)
			if len(recorded) != events+1 || recorded[events].Kind != store.AuditLogout || recorded[events].UserID != adaID || recorded[events].Session != id {
				t.Errorf("recorded %+v", recorded[events:])
			}
			if err := f.logout(t, LogoutProof{AccessToken: "of " + id}); err != nil || f.accounts.Woken != 1 || len(f.recorded(t)) != events+1 {
				t.Errorf("again: %v, woken %d times", err, f.accounts.Woken)
			}
		})
	}
}

// anySession accepts an access token of one more login session of Ada's.
type anySession struct {
	TokenVerifier
	id string
}

func (v anySession) VerifyLogout(raw string) (tokens.Claims, error) {
	if raw == "of "+v.id {
		return tokens.Claims{Subject: adaID, SessionID: v.id}, nil
	}
	return v.TokenVerifier.VerifyLogout(raw)
}
