package provisioning

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"cubegate/store"
)

// chatting returns a fixture with a user whose login session has a ConnectyCube session.
func chatting(t *testing.T) (*fixture, store.User, store.Session) {
	t.Helper()
	f := newFixture(t)
	user := f.registered(t, "ada@x.org")
	if _, err := f.OpenCubeSession(t.Context(), user, f.login(t, user, "s"), LoginMethod{Password: password}); err != nil {
		t.Fatal(err)
	}
	return f, f.read(t, user.ID), f.current(t, user)
}

// record writes an extension, as a refresh does.
func (f *fixture) record(t *testing.T, seen store.Session, x *Extension) store.Session {
	t.Helper()
	session, err := f.store.Sessions().Update(t.Context(), seen, func(s *store.Session) error { x.Record(s); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// An extension reaches the record with a write of its holder. It makes none of its own.
func TestExtensionWritesNothing(t *testing.T) {
	f, user, login := chatting(t)
	x := f.ExtendCubeSession(t.Context(), user, login)
	if got := f.current(t, user); x == nil || got.Version != login.Version {
		t.Fatalf("extension %v; the record has version %d, want %d", x, got.Version, login.Version)
	}
	login.CubeExpires = time.Time{} // so that the new time shows
	written := f.record(t, login, x)
	f.db.Sessions = nil // each further write panics
	chat, err := f.OpenCubeSession(t.Context(), user, written, LoginMethod{Extension: x})
	if err != nil || chat.Token == "" || chat.UserID != user.CubeID || !chat.Expires.Equal(written.CubeExpires) || chat.Expires.IsZero() {
		t.Errorf("%+v, %v; the record has %v", chat, err, written.CubeExpires)
	}
}

// An account that must be reconciled comes before the extension.
func TestNoExtensionBeforeAReconciliation(t *testing.T) {
	f, user, login := chatting(t)
	due := user
	due.Account.Due = time.Now()
	if x := f.ExtendCubeSession(t.Context(), due, login); x != nil {
		t.Error("an account with work that is due was not reconciled first")
	}
	login.SealedSession = store.SealedSession{}
	if x := f.ExtendCubeSession(t.Context(), user, login); x != nil {
		t.Error("a login session without a ConnectyCube session has an extension")
	}
}

// A session that has ended at ConnectyCube is replaced, and asked for once.
func TestExtensionOfAnEndedSession(t *testing.T) {
	f, user, login := chatting(t)
	token := f.plain(t, login)
	if err := f.cube.EndSession(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	asked := 0
	count := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("CB-Token") == token {
			asked++
		}
		f.sandbox.ServeHTTP(rw, r)
	})
	f.away.Store(&count)
	x := f.ExtendCubeSession(t.Context(), user, login)
	written := f.record(t, login, x)
	chat, err := f.OpenCubeSession(t.Context(), user, written, LoginMethod{Password: password, Extension: x})
	if err != nil || chat.Token == "" || chat.Token == token || asked != 1 {
		t.Errorf("%+v, %v; ConnectyCube was asked for the ended one %d times, want once", chat, err, asked)
	}
	if saved := f.plain(t, f.current(t, user)); saved != chat.Token {
		t.Error("the record does not have the new session")
	}
}

// If another request has saved a session meanwhile, that one counts, and the extended one,
// which no client will have, ends.
func TestExtensionYieldsToAnotherSession(t *testing.T) {
	f, user, login := chatting(t)
	x := f.ExtendCubeSession(t.Context(), user, login)
	sealed, err := f.sealer.Seal("of another request", additionalData(login.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Sessions().Update(t.Context(), login, func(s *store.Session) error { s.CubeToken = sealed; return nil }); err != nil {
		t.Fatal(err)
	}
	written := f.record(t, login, x)
	chat, err := f.OpenCubeSession(t.Context(), user, written, LoginMethod{Extension: x})
	if err != nil || chat.Token != "of another request" || written.CubeToken != sealed || ofUsers(f.sandbox.State()) != 0 {
		t.Errorf("%+v, %v; %d sessions live at ConnectyCube, want none", chat, err, ofUsers(f.sandbox.State()))
	}
}

// While ConnectyCube does not reply, a session that has not expired is still good, and
// nothing changes in the record.
func TestExtensionWhileConnectyCubeIsAway(t *testing.T) {
	f, user, login := chatting(t)
	away := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	f.away.Store(&away)
	for _, expired := range []bool{false, true} {
		if expired {
			login.CubeExpires = time.Now()
		}
		x := f.ExtendCubeSession(t.Context(), user, login)
		record := login
		x.Record(&record)
		chat, err := f.OpenCubeSession(t.Context(), user, record, LoginMethod{Extension: x})
		if (err == nil) == expired || (chat.Token == "") != expired || chat.UserID != user.CubeID || record.SealedSession != login.SealedSession {
			t.Errorf("expired %t: %+v, %v, record %+v", expired, chat, err, record.SealedSession)
		}
		if expired && ChatStatusOf(err) != ChatUnavailable {
			t.Errorf("chat status %v of %v", ChatStatusOf(err), err)
		}
	}
}

// plain returns the token of the ConnectyCube session that a login session has.
func (f *fixture) plain(t *testing.T, s store.Session) string {
	t.Helper()
	token, err := f.sealer.Open(s.CubeToken, additionalData(s.ID))
	if err != nil || token == "" {
		t.Fatal(errors.Join(err, errors.New("no token")))
	}
	return token
}
