package storetest

import (
	"strings"
	"testing"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// passwordForms tests that the form of a password belongs to its hash, whatever program
// writes the hash.
func passwordForms(t *testing.T, tg Target) {
	b := newBase(t, tg)
	s := b.openStore(t)
	u := s.Users()
	user := newUser("forms@example.org")
	user.PasswordHash, user.PasswordForm = "$argon2id$one", "form-1"
	made, err := u.Create(t.Context(), user, lease("created"))
	if err != nil || made.PasswordForm != "form-1" {
		t.Fatalf("created: %q, %v", made.PasswordForm, err)
	}
	expect := func(when, form, hash string) {
		t.Helper()
		got, err := u.ByID(t.Context(), made.ID)
		if err != nil || got.PasswordForm != form || got.PasswordHash != hash {
			t.Errorf("%s: hash %q in the form %q, %v; want %q in %q", when, got.PasswordHash, got.PasswordForm, err, hash, form)
		}
	}
	expect("created", "form-1", "$argon2id$one")

	if err := u.UpgradeHash(t.Context(), store.HashUpgrade{UserID: made.ID, OldHash: "$argon2id$one", NewHash: "$argon2id$two", NewForm: "form-2"}); err != nil {
		t.Fatal(err)
	}
	expect("upgraded", "form-2", "$argon2id$two")
	if err := u.UpgradeHash(t.Context(), store.HashUpgrade{UserID: made.ID, OldHash: "$argon2id$one", NewHash: "$argon2id$three", NewForm: "form-3"}); err != nil {
		t.Fatal(err)
	}
	expect("upgraded from another hash", "form-2", "$argon2id$two")
	if err := u.UpgradeHash(t.Context(), store.HashUpgrade{UserID: made.ID, OldHash: "$argon2id$two", NewHash: "$argon2id$two", NewForm: "form-3"}); err != nil {
		t.Fatal(err)
	}
	expect("only the form", "form-3", "$argon2id$two")

	byOtherProgram := bson.D{{Key: "$set", Value: bson.D{{Key: "password", Value: "$2b$10$of another program"}}}}
	if _, err := b.raw.Collection("users").UpdateOne(t.Context(), bson.D{{Key: "email", Value: made.Email}}, byOtherProgram); err != nil {
		t.Fatal(err)
	}
	expect("the hash alone was replaced", "", "$2b$10$of another program")

	changed, err := u.ReplacePassword(t.Context(), store.PasswordChange{UserID: made.ID, OldHash: "$2b$10$of another program", NewHash: "$argon2id$four", NewForm: "form-4"})
	if err != nil || changed.PasswordForm != "form-4" {
		t.Errorf("changed: %q, %v", changed.PasswordForm, err)
	}
	expect("changed", "form-4", "$argon2id$four")

	if _, err := s.Accounts().MarkDeleting(t.Context(), made.ID, "", store.Lease{ID: "created"}); err != nil {
		t.Fatal(err)
	}
	raw, err := b.raw.Collection("users").FindOne(t.Context(), bson.D{}).Raw()
	if err != nil || strings.Contains(raw.String(), "form-4") || strings.Contains(raw.String(), "argon2id") {
		t.Errorf("the tombstone tells of the password: %s, %v", raw, err)
	}
}
