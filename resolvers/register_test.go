package resolvers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cubegate/connectycube"
	"cubegate/store"
)

func TestRegisterMakesBothOrNeither(t *testing.T) {
	unavailable := fmt.Errorf("signing up: %w", connectycube.ErrUnavailable)
	notFound := func(string) (connectycube.User, error) { return connectycube.User{}, connectycube.ErrNotFound }
	found := func(string) (connectycube.User, error) {
		return connectycube.User{ID: 7, Email: "ada@example.org"}, nil
	}
	squatted := func(string) (connectycube.User, error) {
		return connectycube.User{ID: 7, Email: "eve@example.org"}, nil
	}
	session := func(external, name string) func(connectycube.Credentials) (connectycube.Session, error) {
		return func(connectycube.Credentials) (connectycube.Session, error) {
			return connectycube.Session{UserID: 8, User: connectycube.User{ID: 8, FullName: name, ExternalID: external}}, nil
		}
	}
	fails := func(err error) func(connectycube.Credentials) (connectycube.Session, error) {
		return func(connectycube.Credentials) (connectycube.Session, error) { return connectycube.Session{}, err }
	}
	var profile connectycube.Profile
	told := func(_ connectycube.Session, p connectycube.Profile) error { profile = p; return nil }

	tests := []struct {
		name string
		err  error // of SignUp
		cube fakeCube
		want int64 // the account; 0 = neither
		code Code
	}{
		{"signed up", nil, fakeCube{}, 6, ""},
		{"the answer is lost, the account is there", unavailable, fakeCube{byID: found}, 7, ""},
		{"the answer is lost, the account is not there", unavailable, fakeCube{byID: notFound}, 0, Upstream},
		{"the answer is lost, the account is somebody else's", unavailable, fakeCube{byID: squatted}, 0, Upstream},
		{"taken by somebody who signed up with our id", connectycube.ErrTaken, fakeCube{byID: squatted}, 0, Conflict},
		{"refused", connectycube.ErrRefused, fakeCube{}, 0, Upstream},
		{"wrong application key", connectycube.ErrMisconfigured, fakeCube{}, 0, Upstream},
		{"taken by an earlier try of ours", connectycube.ErrTaken, fakeCube{byID: found}, 7, ""},
		{"taken by an orphan with the same password", connectycube.ErrTaken, fakeCube{byID: notFound, session: session("", "Ada Lovelace"), update: told}, 8, ""},
		{"taken by one of a user who is gone", connectycube.ErrTaken, fakeCube{byID: notFound, session: session("gone", ""), update: told}, 8, ""},
		{"taken by one that got our id meanwhile", connectycube.ErrTaken, fakeCube{byID: notFound, session: session(adaID, "Ada Lovelace")}, 8, ""},
		{"taken, and the provider's client made another", connectycube.ErrTaken, fakeCube{byID: notFound, session: session(adaID, ""), update: told}, 8, ""},
		{"taken by another user's", connectycube.ErrTaken, fakeCube{byID: notFound, session: session("other", "")}, 0, Conflict},
		{"taken, with another password", connectycube.ErrTaken, fakeCube{byID: notFound, session: fails(connectycube.ErrBadCredentials)}, 0, Conflict},
		{"taken, and then silence", connectycube.ErrTaken, fakeCube{byID: notFound, session: fails(connectycube.ErrUnavailable)}, 0, Upstream},
		{"something nobody knows", errors.New("odd"), fakeCube{}, 0, Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlows(t)
			*f.cube = tt.cube
			f.users.others = map[string]bool{"other": true}
			f.cube.signUp = func(u connectycube.NewUser) (connectycube.User, error) {
				want := connectycube.NewUser{Email: ada.Email, Password: ada.Password, FullName: "Ada Lovelace", ExternalID: adaID}
				if u != want {
					t.Errorf("signed up %+v, want %+v", u, want)
				}
				return connectycube.User{ID: 6}, tt.err
			}
			profile = connectycube.Profile{}
			user, err := f.register(t.Context(), ada)
			if tt.cube.update != nil && profile.ExternalID == "" && profile.FullName == "" {
				t.Error("the account was told nothing of its user")
			}
			if tt.want == 0 {
				if code := outward(err).Code; code != tt.code {
					t.Errorf("code %s (%v), want %s", code, err, tt.code)
				}
				if f.users.user != nil {
					t.Errorf("a half-made user is left: %+v", *f.users.user)
				}
				return
			}
			if err != nil || user.CubeID != tt.want || f.users.user.CubeID != tt.want || f.users.user.Pending {
				t.Errorf("registered %+v, %v; stored %+v; want account %d", user, err, f.users.user, tt.want)
			}
		})
	}
}

func TestRegisterGoesOnWhenTheClientIsGone(t *testing.T) {
	f := newFlows(t)
	ctx, leave := context.WithCancel(t.Context())
	f.cube.signUp = func(connectycube.NewUser) (connectycube.User, error) {
		leave()
		return connectycube.User{ID: 6}, nil
	}
	if _, err := f.register(ctx, ada); err != nil || f.users.user.CubeID != 6 {
		t.Errorf("after the client left: %v, %+v; want the user whole", err, f.users.user)
	}
}

func TestRegisterUndoesWhenTheAccountCannotBeStored(t *testing.T) {
	f := newFlows(t)
	f.cube.signUp = func(connectycube.NewUser) (connectycube.User, error) { return connectycube.User{ID: 6}, nil }
	f.users.setErr = fmt.Errorf("updating a user: %w", store.ErrUnavailable)
	_, err := f.register(t.Context(), ada)
	if code := outward(err).Code; code != Unavailable || f.users.user != nil {
		t.Errorf("code %s, user %+v; want %s and nobody", code, f.users.user, Unavailable)
	}
}

func TestRegisterNamesEveryBadField(t *testing.T) {
	f := newFlows(t)
	_, err := f.register(t.Context(), registerInput{Email: "no", LastName: "\x00", Password: "12345"})
	e := outward(err)
	for _, field := range []string{"email", "firstName", "lastName", "password"} {
		if e.Fields[field] == "" {
			t.Errorf("no word about %s: %v", field, e.Fields)
		}
	}
	if e.Code != BadUserInput || len(e.Fields) != 4 {
		t.Errorf("%s with %v", e.Code, e.Fields)
	}
}
