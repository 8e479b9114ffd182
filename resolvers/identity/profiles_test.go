package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"cubegate/connectycube"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/provisioning"
	"cubegate/store"
)

// recordingEditor keeps the changes that it gets, and fails with err.
type recordingEditor struct {
	AccountEditor // any other call panics
	err           error
	names         []provisioning.Name
	emails        []provisioning.EmailChange
	passwords     []provisioning.PasswordChange
	deleted       []provisioning.LoginMethod
}

func (e *recordingEditor) Rename(_ context.Context, u store.User, name provisioning.Name) (store.User, error) {
	e.names = append(e.names, name)
	u.FirstName, u.LastName = name.First, name.Last
	return u, e.err
}

func (e *recordingEditor) ChangeEmail(_ context.Context, u store.User, c provisioning.EmailChange) (store.User, error) {
	e.emails = append(e.emails, c)
	u.Email = c.Email
	return u, e.err
}

func (e *recordingEditor) ChangePassword(_ context.Context, _ store.User, c provisioning.PasswordChange) error {
	e.passwords = append(e.passwords, c)
	return e.err
}

func (e *recordingEditor) Delete(_ context.Context, _ store.User, m provisioning.LoginMethod) error {
	e.deleted = append(e.deleted, m)
	return e.err
}

// editing returns flows with Ada in the store, and their editor.
func editing(t *testing.T, err error) (flows, *recordingEditor) {
	t.Helper()
	f, e := newFlows(t), &recordingEditor{err: err}
	f.stored()
	f.editor.AccountEditor = e
	return f, e
}

// expectEvent checks the only recorded event.
func (f flows) expectEvent(t *testing.T, want store.Event) {
	t.Helper()
	got := f.recorded(t)
	if len(got) != 1 || got[0].Kind != want.Kind || got[0].Outcome != want.Outcome || got[0].UserID != want.UserID || got[0].Actor != want.Actor ||
		got[0].Session != want.Session || got[0].Detail != want.Detail || got[0].ClientIP != f.client.IP {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
}

func TestRenameTrimsAndChecksTheNames(t *testing.T) {
	f, e := editing(t, nil)
	user, err := f.Profiles.Rename(t.Context(), f.ada(""), NameInput{" Augusta ", "King\n"})
	if err != nil || user.FirstName != "Augusta" || !slices.Equal(e.names, []provisioning.Name{{First: "Augusta", Last: "King"}}) {
		t.Errorf("%+v, %v; changed %+v", user, err, e.names)
	}
	_, err = f.Profiles.Rename(t.Context(), f.ada(""), NameInput{" ", strings.Repeat("x", 100)})
	if got := outward(err); got.Code != apierror.BadUserInput || got.Fields["firstName"] == "" || got.Fields["lastName"] == "" || len(e.names) != 1 {
		t.Errorf("%v; changed %+v", err, e.names)
	}
}

func TestChangePasswordKeepsTheCallersSession(t *testing.T) {
	f, e := editing(t, nil)
	c := f.ada(store.AuditPassword, CostGuess)
	if err := f.Profiles.ChangePassword(t.Context(), c, PasswordInput{ada.Password, "another horse"}); err != nil {
		t.Fatal(err)
	}
	want := provisioning.PasswordChange{Old: ada.Password, New: "another horse", NewHash: "hash of another horse", KeepSession: "s1"}
	if !slices.Equal(e.passwords, []provisioning.PasswordChange{want}) || f.accounts.Woken != 1 {
		t.Errorf("changed %+v, woken %d times", e.passwords, f.accounts.Woken)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditPassword, Outcome: store.OutcomeOK, UserID: adaID, Session: "s1"})
}

func TestChangePasswordChangesNothingAfterARefusal(t *testing.T) {
	for name, tt := range map[string]struct {
		in   PasswordInput
		code apierror.Code
		want []store.Event
	}{
		"short new password": {PasswordInput{ada.Password, "short"}, apierror.BadUserInput, nil},
		"long new password":  {PasswordInput{ada.Password, strings.Repeat("x", 41)}, apierror.BadUserInput, nil},
		"no password":        {PasswordInput{"", "another horse"}, apierror.BadUserInput, []store.Event{{Detail: "BAD_USER_INPUT"}}},
		"wrong password":     {PasswordInput{"guess", "another horse"}, apierror.Forbidden, []store.Event{{Detail: "FORBIDDEN"}}},
	} {
		f, e := editing(t, nil)
		err := f.Profiles.ChangePassword(t.Context(), f.ada(store.AuditPassword, CostGuess), tt.in)
		if outward(err).Code != tt.code || len(e.passwords) != 0 || f.accounts.Woken != 0 {
			t.Errorf("%s: %v, want %s; changed %+v", name, err, tt.code, e.passwords)
		}
		got := f.recorded(t)
		if len(got) != len(tt.want) || len(got) == 1 && (got[0].Detail != tt.want[0].Detail || got[0].Outcome != store.OutcomeRefused) {
			t.Errorf("%s: recorded %+v", name, got)
		}
	}
}

func TestChangesOfTheEditorThatFailAreRecorded(t *testing.T) {
	for name, run := range map[string]func(f flows) error{
		"password": func(f flows) error {
			return f.Profiles.ChangePassword(t.Context(), f.ada(store.AuditPassword, CostGuess), PasswordInput{ada.Password, "another horse"})
		},
		"email": func(f flows) error {
			_, err := f.Profiles.ChangeEmail(t.Context(), f.ada(store.AuditEmail, CostGuess), EmailInput{"new@example.org", ada.Password})
			return err
		},
		"delete": func(f flows) error {
			return f.Profiles.Delete(t.Context(), f.ada(store.AuditDelete, CostGuess), ada.Password)
		},
	} {
		f, _ := editing(t, connectycube.ErrUnavailable)
		if err := run(f); !errors.Is(err, connectycube.ErrUnavailable) || f.accounts.Woken != 0 {
			t.Errorf("%s: %v, woken %d times", name, err, f.accounts.Woken)
		}
		f.expectEvent(t, store.Event{Kind: store.AuditKind(name), Outcome: store.OutcomeFailed, UserID: adaID, Detail: "UPSTREAM_UNAVAILABLE"})
	}
}

func TestChangeEmailNeedsThePassword(t *testing.T) {
	f, e := editing(t, nil)
	c := f.ada(store.AuditEmail, CostGuess)
	user, err := f.Profiles.ChangeEmail(t.Context(), c, EmailInput{" new@example.org ", ada.Password})
	if err != nil || user.Email != "new@example.org" || !slices.Equal(e.emails, []provisioning.EmailChange{{Email: "new@example.org", Password: ada.Password}}) {
		t.Errorf("%+v, %v; changed %+v", user, err, e.emails)
	}
	f.expectEvent(t, store.Event{Kind: store.AuditEmail, Outcome: store.OutcomeOK, UserID: adaID})
	for name, tt := range map[string]struct {
		in   EmailInput
		code apierror.Code
	}{
		"no email":       {EmailInput{"no email", ada.Password}, apierror.BadUserInput},
		"wrong password": {EmailInput{"other@example.org", "guess"}, apierror.Forbidden},
	} {
		if _, err := f.Profiles.ChangeEmail(t.Context(), c, tt.in); outward(err).Code != tt.code || len(e.emails) != 1 {
			t.Errorf("%s: %v, want %s; changed %+v", name, err, tt.code, e.emails)
		}
	}
}

func TestChangeEmailToTheSameEmailChangesNothing(t *testing.T) {
	f, e := editing(t, nil)
	user, err := f.Profiles.ChangeEmail(t.Context(), f.ada(store.AuditEmail, CostGuess), EmailInput{ada.Email, ada.Password})
	if err != nil || user.Email != ada.Email || len(e.emails) != 0 || len(f.recorded(t)) != 0 {
		t.Errorf("%+v, %v; changed %+v", user, err, e.emails)
	}
}

func TestDeleteNeedsThePassword(t *testing.T) {
	f, e := editing(t, nil)
	c := f.ada(store.AuditDelete, CostGuess)
	if err := f.Profiles.Delete(t.Context(), c, "guess"); outward(err).Code != apierror.Forbidden || len(e.deleted) != 0 {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := f.Profiles.Delete(t.Context(), c, ada.Password); err != nil || !slices.Equal(e.deleted, []provisioning.LoginMethod{{Password: ada.Password}}) || f.accounts.Woken != 1 {
		t.Errorf("%v; deleted %+v", err, e.deleted)
	}
}

// A row without a cost must not open a way to guess without a limit.
func TestOperationsWithoutACostFail(t *testing.T) {
	f, _ := editing(t, nil)
	free := f.stranger(store.AuditLogin)
	_, login := f.Logins.Login(t.Context(), free, adaLogin)
	_, register := f.Logins.Register(t.Context(), free, ada)
	change := f.Profiles.Delete(t.Context(), f.ada(store.AuditDelete), ada.Password)
	_, refresh := f.Sessions.Refresh(t.Context(), free, "forged")
	_, verify := f.Authenticator.VerifyCallback(t.Context(), free, CallbackRequest{Token: "bad"})
	for name, err := range map[string]error{"login": login, "register": register, "delete": change, "refresh": refresh, "verify": verify} {
		if !errors.Is(err, errUnpriced) {
			t.Errorf("%s: %v, want errUnpriced", name, err)
		}
	}
	if n := f.passwords.Hashes(); n != 0 {
		t.Errorf("%d hashes", n)
	}
}
