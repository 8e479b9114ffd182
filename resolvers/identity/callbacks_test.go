package identity

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"cubegate/store"
	"cubegate/tokens"
)

// The callbacks of all users come from ConnectyCube's network. They wait in a class of their
// own, each in the lane of its email. Whether a user has the email, has a login session in that
// network or has sent the right password changes neither the lane nor the look-ups.
func TestCallbacksWaitInLanesOfTheirEmails(t *testing.T) {
	f := newFlows(t)
	f.stored()
	s := f.sessions.All["s1"]
	s.LastIP = "203.0.113.5" // the sandbox's users may share the network of its callbacks
	f.sessions.All["s1"] = s
	f.from("203.0.113.5")
	f.loggedIn(t)
	f.sessions.LookUps = 0
	for name, in := range map[string]struct {
		email, password string
		want            int
	}{
		"the right password": {ada.Email, adaLogin.Password, http.StatusOK},
		"a wrong password":   {"ADA@example.org", "wrong horse", http.StatusUnauthorized},
		"an unknown email":   {"Unknown@example.org", "wrong horse", http.StatusUnauthorized},
	} {
		f.passwords.Turns, f.passwords.Asked = nil, nil
		if got := f.verifyPassword(in.email, in.password); got != in.want {
			t.Errorf("%s: %d, want %d", name, got, in.want)
		}
		want := tokens.Turn{Class: tokens.Callbacks, Lanes: []string{store.EmailKey(in.email)}}
		for _, turn := range f.passwords.Turns {
			turn.Start = nil
			if !reflect.DeepEqual(turn, want) {
				t.Errorf("%s waits as %+v, want %+v", name, turn, want)
			}
		}
		if !reflect.DeepEqual(f.passwords.Asked, []tokens.Turn{want}) || len(f.passwords.Turns) != 1 {
			t.Errorf("%s is announced as %+v, and waits %d times", name, f.passwords.Asked, len(f.passwords.Turns))
		}
	}
	if f.sessions.LookUps != 0 {
		t.Errorf("%d look-ups of login sessions", f.sessions.LookUps)
	}
}

// A callback that the full queue would refuse costs no look-up, with the same answer for an
// account and for an unknown email, also from a network in which the account is at home.
func TestFullQueueRefusesCallbacksBeforeTheLookUp(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.loggedIn(t)
	f.passwords.Full, f.passwords.Turns, f.users.LookUps = true, nil, 0
	for _, email := range []string{ada.Email, "unknown@example.org"} {
		if got := f.verifyPassword(email, adaLogin.Password); got != http.StatusTooManyRequests {
			t.Errorf("%s: %d", email, got)
		}
	}
	if len(f.passwords.Turns) != 0 || f.users.LookUps != 0 {
		t.Errorf("%d turns, %d look-ups of the user", len(f.passwords.Turns), f.users.LookUps)
	}
}

// A login of an SDK does not make ConnectyCube's network one from which the user logs in.
func TestCallbacksMakeNoNetworkFamiliar(t *testing.T) {
	f := newFlows(t)
	f.stored()
	f.from("198.51.100.7")
	if got := f.verifyPassword(ada.Email, adaLogin.Password); got != http.StatusOK {
		t.Fatal(got)
	}
	if f.Passwords.familiar.includes(familiarPair{store.EmailKey(ada.Email), "198.51.100.7"}) {
		t.Error("ConnectyCube's network is familiar")
	}
}

// Only callbacks wait as callbacks: the other operations that compare passwords do not, and a
// spent budget of callbacks refuses no login.
func TestOnlyCallbacksWaitAsCallbacks(t *testing.T) {
	f := newFlows(t)
	f.stored()
	for range 5 {
		f.verifyPassword(ada.Email, "wrong horse")
	}
	if got := f.verifyPassword(ada.Email, adaLogin.Password); got != http.StatusTooManyRequests {
		t.Errorf("a callback after the budget is spent: %d", got)
	}
	f.passwords.Turns = nil
	f.loggedIn(t)
	if err := f.confirm(t.Context(), "s1", adaLogin.Password); err != nil {
		t.Error(err)
	}
	if len(f.passwords.Turns) != 2 || slices.ContainsFunc(f.passwords.Turns, func(t tokens.Turn) bool { return t.Class == tokens.Callbacks }) {
		t.Errorf("a login and a confirmation wait as %+v", f.passwords.Turns)
	}
}
