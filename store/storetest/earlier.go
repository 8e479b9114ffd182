package storetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cubegate/store"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// A replica of an earlier version writes records without the later fields, and a record
// without their values looks as if it had written it.
func earlierVersionsShare(t *testing.T, b base, st *store.Store) {
	s, raw := st.Sessions(), b.raw.Collection("sessions")
	one := insert(t, s, newSession("earlier"))
	written, err := raw.FindOne(t.Context(), bson.D{{Key: "_id", Value: one.ID}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []string{"exchange", "retiredTokens"} {
		if _, err := written.LookupErr(later); err == nil {
			t.Errorf("a new session has the field %s", later)
		}
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if _, err := raw.InsertOne(t.Context(), bson.D{
		{Key: "_id", Value: "earlier"}, {Key: "userId", Value: "earlier"}, {Key: "expires", Value: now.Add(time.Hour)}, {Key: "absolute", Value: now.Add(time.Hour)},
		{Key: "parent", Value: "p"}, {Key: "children", Value: bson.A{"c"}}, {Key: "version", Value: int64(7)},
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Update(t.Context(), store.Session{ID: "earlier"}, func(s *store.Session) error {
		if s.Parent != "p" || len(s.Children) != 1 || !s.Exchange.IsZero() || s.Retired != nil {
			t.Errorf("read %+v", s.RefreshTokens)
		}
		s.Exchange = store.RefreshExchange{Salt: "salt", At: now, Client: "mark"}
		return nil
	})
	if err != nil || got.Version != 8 || got.Exchange.Salt != "salt" {
		t.Errorf("%+v, %v", got, err)
	}
}

// The retired tokens in the form of earlier versions are read, and the next change writes them
// in the form of today alone. What is no hash of a token was never valid.
func earlierRetiredAreRead(t *testing.T, b base, st *store.Store) {
	s, raw := st.Sessions(), b.raw.Collection("sessions")
	now := time.Now().UTC().Truncate(time.Millisecond)
	one := insert(t, s, newSession("earlier form"))
	this := bson.D{{Key: "_id", Value: one.ID}}
	form := bson.A{
		bson.D{{Key: "hash", Value: strings.Repeat("0a", 32)}, {Key: "at", Value: now}},
		bson.D{{Key: "hash", Value: "short"}, {Key: "at", Value: now}}, bson.D{{Key: "hash", Value: "0a"}, {Key: "at", Value: now}},
		bson.D{{Key: "hash", Value: strings.Repeat("ff", 32)}, {Key: "at", Value: now.Add(-time.Second)}},
	}
	if _, err := raw.UpdateOne(t.Context(), this, bson.D{{Key: "$set", Value: bson.D{{Key: "retired", Value: form}}}}); err != nil {
		t.Fatal(err)
	}
	want := store.RetiredTokens{
		{Hash: [32]byte(bytes.Repeat([]byte{0x0a}, 32)), At: now},
		{Hash: [32]byte(bytes.Repeat([]byte{0xff}, 32)), At: now.Add(-time.Second)},
	}
	for range 2 {
		got, err := s.Update(t.Context(), store.Session{ID: one.ID}, func(s *store.Session) error {
			if diff := cmp.Diff(want, s.Retired); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			return nil
		})
		if err != nil || len(got.Retired) != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		written, err := raw.FindOne(t.Context(), this).Raw()
		if err != nil {
			t.Fatal(err)
		}
		if _, data, ok := written.Lookup("retiredTokens").BinaryOK(); !ok || len(data) != 2*40 || written.Lookup("retired").Type != 0 {
			t.Errorf("written %s", written)
		}
	}
	if _, err := raw.UpdateOne(t.Context(), this, bson.D{{Key: "$set", Value: bson.D{{Key: "retired", Value: form}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(t.Context(), one.ID, "logout"); err != nil {
		t.Fatal(err)
	}
	written, err := raw.FindOne(t.Context(), this).Raw()
	if err != nil || written.Lookup("retired").Type != 0 || written.Lookup("retiredTokens").Type != 0 {
		t.Errorf("ended: %s, %v", written, err)
	}
	if err := s.Remove(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
}
