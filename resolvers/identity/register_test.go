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

func TestRegister(t *testing.T) {
	away := fmt.Errorf("%w: %w", provisioning.ErrPending, connectycube.ErrUnavailable)
	tests := []struct {
		name   string
		err    error // of AccountOpener.Register
		wait   bool  // RegisterWhileAway
		status provisioning.ChatStatus
		code   apierror.Code
	}{
		{"made", nil, true, provisioning.ChatReady, ""},
		{"away", away, true, provisioning.ChatPending, ""},
		{"away, and users may not wait", away, false, "", apierror.UpstreamUnavailable},
		{"taken with another password", provisioning.ErrForeignAccount, true, "", apierror.Conflict},
		{"taken by another user", connectycube.ErrTaken, true, "", apierror.Conflict},
		{"refused", connectycube.ErrRefused, true, "", apierror.UpstreamUnavailable},
		{"an unknown error", errors.New("odd"), true, "", apierror.InternalServerError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlows(t, func(o *Options) { o.RegisterWhileAway = tt.wait })
			f.accounts.OnRegister = func(store.User) error { return tt.err }
			got, err := f.register(t.Context(), ada)
			if tt.code != "" {
				if code := outward(err).Code; code != tt.code || len(f.sessions.All) != 0 {
					t.Errorf("code %s (%v), sessions %+v; want %s and none", code, err, f.sessions.All, tt.code)
				}
				return
			}
			if err != nil || got.ChatStatus != tt.status || got.RefreshToken == "" || len(f.users.User.Sessions) != 1 {
				t.Errorf("%+v, %v; want %s and a login session", got, err, tt.status)
			}
			if asked := len(f.accounts.Methods) > 0; asked != (tt.err == nil) {
				t.Errorf("asked for a chat: %t", asked)
			}
		})
	}
}

func TestRegisterFinishesWhenClientIsGone(t *testing.T) {
	f := newFlows(t)
	ctx, leave := context.WithCancel(t.Context())
	f.accounts.OnRegister = func(store.User) error { leave(); return nil }
	if _, err := f.register(ctx, ada); err != nil || f.users.User == nil {
		t.Errorf("after the client left: %v, %+v; want a user", err, f.users.User)
	}
}

func TestRegisterNamesEveryBadField(t *testing.T) {
	f := newFlows(t)
	_, err := f.register(t.Context(), RegisterInput{Email: "no", LastName: "\x00", Password: "12345"})
	e := outward(err)
	for _, field := range []string{"email", "firstName", "lastName", "password"} {
		if e.Fields[field] == "" {
			t.Errorf("no error for %s: %v", field, e.Fields)
		}
	}
	if e.Code != apierror.BadUserInput || len(e.Fields) != 4 {
		t.Errorf("%s with %v", e.Code, e.Fields)
	}
}

// ConnectyCube's bound counts only if the account there has the user's own password.
func TestRegisterLimitsThePassword(t *testing.T) {
	for length, want := range map[int][2]bool{40: {true, true}, 41: {false, true}, 256: {false, true}, 257: {false, false}} {
		for i, most := range []int{SharedPasswordChars, DerivedPasswordChars} {
			f := newFlows(t, func(o *Options) { o.Limits.MaxPasswordChars = most })
			in := ada
			in.Password = strings.Repeat("é", length)
			if _, err := f.register(t.Context(), in); (err == nil) != want[i] {
				t.Errorf("%d characters where %d are allowed: %v", length, most, err)
			}
		}
	}
}
