package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cubegate/store"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// sessions tests the collection of login sessions.
func sessions(t *testing.T, tg Target) {
	b := newBase(t, tg)
	st := b.openStore(t)
	for name, test := range map[string]func(*testing.T, *store.Store){
		"a new session is stored":               newSessionIsStored,
		"an expired session is not found":       expiredIsNotFound,
		"concurrent updates are all applied":    allUpdatesApplied,
		"an error of the change writes nothing": changeErrorWritesNothing,
		"what a caller has seen may be old":     oldSightIsReadAgain,
		"one caller ends a session":             endedByOne,
		"an ended session is revoked":           endedIsRevoked,
		"an expired session ends":               expiredEnds,
		"an evicted session ends twice":         evictedEndsTwice,
		"an evicted session is logged out":      evictedIsLoggedOut,
		"sessions are listed by last use":       listedByLastUse,
	} {
		t.Run(name, func(t *testing.T) { test(t, st) })
	}
	t.Run("earlier versions share the collection", func(t *testing.T) { earlierVersionsShare(t, b, st) })
	t.Run("retired tokens of earlier versions are read", func(t *testing.T) { earlierRetiredAreRead(t, b, st) })
	t.Run("the database removes old sessions", func(t *testing.T) { hasTTL(t, b, "sessions", 7*24*time.Hour) })
	t.Run("an older index is replaced", func(t *testing.T) {
		indexes := b.raw.Collection("sessions").Indexes()
		if err := indexes.DropOne(t.Context(), "expires_1"); err != nil {
			t.Fatal(err)
		}
		if _, err := indexes.CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "expires", Value: 1}}, Options: options.Index().SetExpireAfterSeconds(0)}); err != nil {
			t.Fatal(err)
		}
		b.openStore(t)
		hasTTL(t, b, "sessions", 7*24*time.Hour)
	})
}

var sessionCount int

// newSession returns a login session that can be created.
func newSession(user string) store.Session {
	sessionCount++
	now := time.Now().UTC().Truncate(time.Millisecond)
	return store.Session{
		ID: fmt.Sprint("session ", sessionCount), UserID: user, Device: "phone", DeviceID: "udid", LastIP: "192.0.2.1",
		Created: now, LastUsed: now, Expires: now.Add(time.Hour), AbsoluteExpiry: now.Add(2 * time.Hour), RefreshTokens: store.RefreshTokens{Parent: "p"},
	}
}

// insert stores a login session and returns it.
func insert(t *testing.T, s *store.Sessions, one store.Session) store.Session {
	t.Helper()
	if err := s.Create(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	return one
}

func newSessionIsStored(t *testing.T, st *store.Store) {
	s := st.Sessions()
	want := newSession("whole")
	want.CubeToken, want.CubeID, want.CubeExpires, want.Children = "sealed", 1<<40, want.Expires, []string{"c1", "c2"}
	want.Exchange = store.RefreshExchange{Salt: "salt", At: want.LastUsed, Client: "mark"}
	want.Retired = store.RetiredTokens{{Hash: [32]byte{1}, At: want.LastUsed}, {Hash: [32]byte{31: 255}, At: want.Created}}
	insert(t, s, want)
	got, err := s.ByID(t.Context(), want.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := s.Create(t.Context(), want); err == nil || errors.Is(err, store.TakenError{Field: "email"}) {
		t.Errorf("the same id again: %v", err)
	}
}

func expiredIsNotFound(t *testing.T, st *store.Store) {
	s := st.Sessions()
	old := newSession("expired")
	old.Expires = time.Now().Add(-time.Second)
	insert(t, s, old)
	if _, err := s.ByID(t.Context(), old.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ByID: %v, want %v", err, store.ErrNotFound)
	}
	if list, err := s.OfUser(t.Context(), "expired"); err != nil || len(list) != 0 {
		t.Errorf("OfUser: %d, %v", len(list), err)
	}
	if _, err := s.Update(t.Context(), old, func(*store.Session) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Update: %v, want %v", err, store.ErrNotFound)
	}
	if err := s.Remove(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
}

func expiredEnds(t *testing.T, st *store.Store) {
	s := st.Sessions()
	if err := s.Expire(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without an expired session: %v, want %v", err, store.ErrNotFound)
	}
	old := newSession("over")
	old.Expires, old.CubeToken = time.Now().Add(-time.Hour), "sealed"
	insert(t, s, old)
	oneWinner(t, 0, race(func(int) error { return s.Expire(context.Background()) }), store.ErrNotFound)
	got, err := st.Revocations().Claim(t.Context(), store.Lease{Until: time.Now().Add(time.Hour)})
	if err != nil || got.ID != old.ID || got.EndReason != store.Expired || got.CubeToken != "sealed" {
		t.Errorf("claimed %+v, %v", got, err)
	}
	if since := time.Since(got.Expires); since > time.Minute { // the retention of the database begins now
		t.Errorf("expired %v ago", since)
	}
	if err := s.Remove(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
}

func allUpdatesApplied(t *testing.T, st *store.Store) {
	s := st.Sessions()
	one := insert(t, s, newSession("updates"))
	for _, err := range race(func(racer int) error {
		_, err := s.Update(context.Background(), one, func(s *store.Session) error {
			s.Children = append(s.Children, fmt.Sprint(racer))
			return nil
		})
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got, err := s.ByID(t.Context(), one.ID); err != nil || len(got.Children) != racers || got.Version != racers {
		t.Errorf("%d children in version %d, %v; want %d", len(got.Children), got.Version, err, racers)
	}
}

func changeErrorWritesNothing(t *testing.T, st *store.Store) {
	s := st.Sessions()
	one, no := insert(t, s, newSession("error")), errors.New("no")
	_, err := s.Update(t.Context(), one, func(s *store.Session) error {
		s.Device = "changed"
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("error %v, want that of the change", err)
	}
	if got, err := s.ByID(t.Context(), one.ID); err != nil || got.Device != "phone" || got.Version != 0 {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}

// A caller may hold a session of some versions ago, or only its ID.
func oldSightIsReadAgain(t *testing.T, st *store.Store) {
	s := st.Sessions()
	first := insert(t, s, newSession("old sight"))
	second, err := s.Update(t.Context(), first, func(s *store.Session) error { s.Parent = "second"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for name, seen := range map[string]store.Session{"the first version": first, "the current version": second, "the ID": {ID: first.ID}} {
		onlyOfFirst := errors.New("this version does not permit it")
		got, err := s.Update(t.Context(), seen, func(s *store.Session) error {
			if s.Parent != "second" {
				return onlyOfFirst
			}
			s.Device = name
			return nil
		})
		if err != nil || got.Parent != "second" || got.Device != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := s.ByID(t.Context(), first.ID); err != nil || got.Version != 4 || got.UserID != "old sight" {
		t.Errorf("afterwards %+v, %v; want version 4", got, err)
	}
}

func endedByOne(t *testing.T, st *store.Store) {
	s := st.Sessions()
	one := insert(t, s, newSession("ended"))
	oneWinner(t, 0, race(func(int) error {
		ended, err := s.End(context.Background(), one.ID, "test")
		if err == nil && !ended {
			err = store.ErrChanged
		}
		return err
	}), store.ErrChanged)
	if _, err := s.Update(t.Context(), one, func(*store.Session) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("updating an ended session: %v, want %v", err, store.ErrNotFound)
	}
	if err := s.Remove(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
}

func endedIsRevoked(t *testing.T, st *store.Store) {
	s := st.Sessions()
	one := newSession("revoked")
	one.CubeToken, one.Children, one.Retired = "sealed", []string{"c"}, store.RetiredTokens{{Hash: [32]byte{1}, At: one.Created}}
	one.Exchange = store.RefreshExchange{Salt: "salt", At: one.Created, Client: "mark"}
	insert(t, s, one)
	if _, err := s.End(t.Context(), one.ID, "logout"); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	got, err := st.Revocations().Claim(t.Context(), store.Lease{Until: until})
	if err != nil || got.ID != one.ID || got.Attempts != 1 || got.EndReason != "logout" || got.Ended.IsZero() || got.CubeToken != "sealed" || got.Parent != "" ||
		len(got.Children)+len(got.Retired) > 0 || !got.Exchange.IsZero() {
		t.Fatalf("claimed %+v, %v", got, err)
	}
	if _, err := st.Revocations().Claim(t.Context(), store.Lease{Until: until}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second claim: %v, want %v", err, store.ErrNotFound)
	}
	if err := st.Revocations().Retry(t.Context(), one.ID, store.Lease{Until: until}, time.Now().Add(-time.Second), ""); err != nil {
		t.Fatal(err)
	}
	if got, err := st.Revocations().Claim(t.Context(), store.Lease{Until: until}); err != nil || got.Attempts != 2 {
		t.Errorf("later: %+v, %v", got, err)
	}
	for range 2 { // a missing session is no error
		if err := s.Remove(t.Context(), one.ID); err != nil {
			t.Error(err)
		}
	}
}

func evictedEndsTwice(t *testing.T, st *store.Store) {
	s, e := st.Sessions(), st.Evictions()
	one, other := insert(t, s, newSession("evicted")), insert(t, s, newSession("evicted"))
	later := store.Lease{Until: time.Now().Add(time.Hour)}
	due := func(id, reason string) {
		t.Helper()
		got, err := st.Revocations().Claim(t.Context(), later)
		if err != nil || got.ID != id || got.EndReason != reason || got.Attempts != 1 || got.Parent != "" {
			t.Errorf("due: %+v, %v; want %s, %s", got, err, id, reason)
		}
	}
	none := func() {
		t.Helper()
		if got, err := st.Revocations().Claim(t.Context(), later); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("due: %+v, %v; want none", got, err)
		}
	}
	if _, err := s.End(t.Context(), other.ID, "logout"); err != nil {
		t.Fatal(err)
	}
	due(other.ID, "logout")
	for _, id := range []string{other.ID, one.ID, one.ID} { // the first has ended; a repetition changes nothing
		if err := e.Evict(t.Context(), id, store.Eviction{Generation: 3, Due: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	due(one.ID, store.Evicted)
	none()
	if _, err := s.ByID(t.Context(), one.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ByID: %v, want %v", err, store.ErrNotFound)
	}
	if ended, err := s.End(t.Context(), one.ID, "logout"); ended || err != nil {
		t.Errorf("End = %t, %v; want false: it has ended", ended, err)
	}
	for _, which := range []struct {
		user   string
		before int64
	}{{"evicted", 3}, {"another", 4}} {
		if err := e.EndEvicted(t.Context(), which.user, which.before, "with others"); err != nil {
			t.Fatal(err)
		}
	}
	none()
	for range 2 { // a repetition changes nothing
		if err := e.EndEvicted(t.Context(), "evicted", 4, "with others"); err != nil {
			t.Fatal(err)
		}
	}
	due(one.ID, "with others")
	none()
	for _, id := range []string{one.ID, other.ID} {
		if err := s.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

func listedByLastUse(t *testing.T, st *store.Store) {
	s := st.Sessions()
	var ids []string
	for i := range 3 {
		one := newSession("listed")
		one.LastUsed = one.LastUsed.Add(time.Duration(i) * time.Second)
		one.CubeToken = "sealed"
		insert(t, s, one)
		ids = append(ids, one.ID)
	}
	insert(t, s, newSession("not listed"))
	ended := newSession("listed, and ended")
	insert(t, s, ended)
	if _, err := s.End(t.Context(), ended.ID, "test"); err != nil {
		t.Fatal(err)
	}
	shown, err := s.Listed(t.Context(), append(ids, ended.ID, "unknown"))
	if err != nil || len(shown) != 3 || shown[0].ID != ids[2] || shown[2].ID != ids[0] {
		t.Fatalf("Listed %+v, %v", shown, err)
	}
	if s := shown[0]; s.UserID != "listed" || s.Device == "" || s.LastIP == "" || s.Created.IsZero() || s.Expires.IsZero() || s.Parent != "" || s.CubeToken != "" {
		t.Errorf("Listed returns %+v", s)
	}
	if err := s.Remove(t.Context(), ended.ID); err != nil { // otherwise another case would claim it
		t.Error(err)
	}
	if none, err := s.Listed(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("Listed of none: %v, %v", none, err)
	}
	list, err := s.OfUser(t.Context(), "listed")
	if err != nil || len(list) != 3 || !list[0].LastUsed.After(list[1].LastUsed) || !list[1].LastUsed.After(list[2].LastUsed) {
		t.Errorf("listed %+v, %v", list, err)
	}
}

// hasTTL checks that the database itself removes documents some time after they expire.
func hasTTL(t *testing.T, b base, collection string, after time.Duration) {
	cursor, err := b.raw.Collection(collection).Indexes().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var indexes []bson.M
	if err := cursor.All(t.Context(), &indexes); err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		if seconds, ok := index["expireAfterSeconds"]; ok && fmt.Sprint(seconds) == fmt.Sprint(int64(after.Seconds())) && index["name"] == "expires_1" {
			return
		}
	}
	t.Errorf("no TTL index on expires among %v", indexes)
}
