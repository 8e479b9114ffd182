package storetest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// originalUser returns a document as the NestJS original writes it.
func originalUser(email string) bson.D {
	now := bson.NewDateTimeFromTime(time.Now())
	return bson.D{
		{Key: "_id", Value: bson.NewObjectID()}, {Key: "firstName", Value: "Ada"}, {Key: "lastName", Value: "Lovelace"},
		{Key: "email", Value: email}, {Key: "password", Value: "$2b$10$hash"},
		{Key: "createdAt", Value: now}, {Key: "updatedAt", Value: now}, {Key: "__v", Value: int32(0)},
		{Key: "connectyCubeId", Value: int32(51941)},
	}
}

// without returns the document without a field. with returns it with another value.
func without(d bson.D, field string) bson.D { return edit(d, field, nil, false) }
func with(d bson.D, field string, value any) bson.D {
	return edit(d, field, value, true)
}

func edit(d bson.D, field string, value any, keep bool) bson.D {
	out := bson.D{}
	for _, e := range d {
		switch {
		case e.Key != field:
			out = append(out, e)
		case keep:
			out = append(out, bson.E{Key: field, Value: value})
		}
	}
	return out
}

// original tests the migration from the database of the NestJS original.
func original(t *testing.T, tg Target) {
	t.Run("users are found in any case", func(t *testing.T) { originalFoundInAnyCase(t, tg) })
	t.Run("emails that differ only by case work as typed and are logged", func(t *testing.T) { emailsDifferOnlyByCase(t, tg) })
	t.Run("users that it creates later are found in any case", func(t *testing.T) { laterUsersAreFound(t, tg) })
	t.Run("a pair that it creates later is logged and works as typed", func(t *testing.T) { laterPairWorks(t, tg) })
	t.Run("unusual documents are read", func(t *testing.T) { unusualDocumentsAreRead(t, tg) })
	t.Run("many batches of users get keys", func(t *testing.T) { manyBatchesGetKeys(t, tg) })
	t.Run("its index stays, and a conflicting one is named", func(t *testing.T) { conflictingIndexIsNamed(t, tg) })
	t.Run("it can read new users", func(t *testing.T) { originalReadsNewUsers(t, tg) })
}

func originalFoundInAnyCase(t *testing.T, tg Target) {
	b := newBase(t, tg)
	b.insert(t, originalUser("Ada@Example.org"))
	u := b.open(t)
	for _, typed := range []string{"Ada@Example.org", "ada@example.org"} {
		got, err := u.ByEmail(t.Context(), typed)
		if err != nil || got.Email != "Ada@Example.org" || got.PasswordHash != "$2b$10$hash" || got.CubeID != 51941 || !got.Account.Due.IsZero() {
			t.Errorf("ByEmail(%q) = %+v, %v", typed, got, err)
		}
	}
	if _, err := u.Create(t.Context(), newUser("ADA@example.org"), lease("x")); !errors.Is(err, store.TakenError{Field: "email"}) {
		t.Errorf("Create error = %v, want %v", err, store.TakenError{Field: "email"})
	}
}

func emailsDifferOnlyByCase(t *testing.T, tg Target) {
	b := newBase(t, tg)
	b.insert(t, originalUser("Ada@x.org"), originalUser("ada@x.org"), originalUser("ADA@x.org"), originalUser("bob@x.org"))
	var log bytes.Buffer
	u := b.open(t, func(o *store.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, typed := range []string{"Ada@x.org", "ada@x.org", "ADA@x.org"} {
		if got, err := u.ByEmail(t.Context(), typed); err != nil || got.Email != typed {
			t.Errorf("ByEmail(%q) = %q, %v", typed, got.Email, err)
		}
	}
	if _, err := u.Create(t.Context(), newUser("aDa@x.org"), lease("x")); !errors.Is(err, store.TakenError{Field: "email"}) {
		t.Errorf("a fourth spelling: %v, want %v", err, store.TakenError{Field: "email"})
	}
	for _, named := range []string{"email=ada@x.org", "email=ADA@x.org"} {
		if !strings.Contains(log.String(), named) {
			t.Errorf("the log does not name %q:\n%s", named, log.String())
		}
	}
	if strings.Contains(log.String(), "bob@x.org") {
		t.Errorf("the log names an email without a collision:\n%s", log.String())
	}
	log.Reset()
	b.open(t, func(o *store.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if log.Len() > 0 {
		t.Errorf("the second start changes keys again:\n%s", log.String())
	}
}

// Both programs may use the database at the same time. Each operation has a user of its
// own, so that none relies on another.
func laterUsersAreFound(t *testing.T, tg Target) {
	b := newBase(t, tg)
	s := b.openStore(t)
	u := s.Users()
	mine := create(t, u, "mine@x.org")
	b.insert(t, originalUser("Ada@Example.org"))
	if got, err := u.ByEmail(t.Context(), "ada@example.ORG"); err != nil || got.Email != "Ada@Example.org" || got.CubeID != 51941 || !got.Account.Due.IsZero() {
		t.Errorf("ByEmail = %+v, %v", got, err)
	}
	taken := store.TakenError{Field: "email"}
	b.insert(t, originalUser("Bob@Example.org"))
	if _, err := u.Create(t.Context(), newUser("bob@example.org"), lease("x")); !errors.Is(err, taken) {
		t.Errorf("Create error = %v, want %v", err, taken)
	}
	b.insert(t, originalUser("Eve@Bücher.example"))
	if _, err := u.ChangeEmail(t.Context(), store.EmailChange{UserID: mine.ID, Old: mine.Email, New: "eve@xn--bcher-kva.example"}, lease("x")); !errors.Is(err, taken) {
		t.Errorf("ChangeEmail error = %v, want %v", err, taken)
	}
	b.insert(t, originalUser("Zoe@Example.org"))
	if page, err := u.Page(t.Context(), store.UserFilter{Text: "zoe@"}, "", 10); err != nil || len(page.Items) != 1 {
		t.Errorf("Page = %+v, %v", page, err)
	}
	b.insert(t, with(originalUser("Nil@Example.org"), "__v", int32(0)), append(originalUser("Null@Example.org"), bson.E{Key: "emailKey", Value: nil}))
	for _, typed := range []string{"nil@example.org", "null@example.org"} {
		if _, err := u.ByEmail(t.Context(), typed); err != nil {
			t.Errorf("ByEmail(%q): %v", typed, err)
		}
	}
}

// The original looks only for the exact email, so it creates a second user beside ours.
func laterPairWorks(t *testing.T, tg Target) {
	b := newBase(t, tg)
	var log bytes.Buffer
	u := b.open(t, func(o *store.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	ours := create(t, u, "Ada@x.org")
	theirs := originalUser("ada@x.org")
	b.insert(t, theirs)
	for typed, want := range map[string]string{"Ada@x.org": ours.ID, "ada@x.org": theirs[0].Value.(bson.ObjectID).Hex(), "ADA@x.org": ours.ID} {
		if got, err := u.ByEmail(t.Context(), typed); err != nil || got.ID != want {
			t.Errorf("ByEmail(%q) = %s, %v; want %s", typed, got.ID, err, want)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "email=ada@x.org") {
		t.Errorf("the log names the pair %d times, want once:\n%s", n, log.String())
	}
}

func unusualDocumentsAreRead(t *testing.T, tg Target) {
	b := newBase(t, tg)
	b.insert(t,
		without(originalUser("noid@x.org"), "connectyCubeId"),
		with(originalUser("nullid@x.org"), "connectyCubeId", nil),
		with(originalUser("double@x.org"), "connectyCubeId", float64(3000000000)),
		with(originalUser("long@x.org"), "connectyCubeId", int64(3000000000)),
		without(without(originalUser("nonames@x.org"), "firstName"), "lastName"),
		with(originalUser("nullnames@x.org"), "firstName", nil),
		without(originalUser("nopassword@x.org"), "password"),
		with(originalUser("nodates@x.org"), "createdAt", nil),
	)
	u := b.open(t)
	for email, cubeID := range map[string]int64{
		"noid@x.org": 0, "nullid@x.org": 0, "double@x.org": 3000000000, "long@x.org": 3000000000,
		"nonames@x.org": 51941, "nullnames@x.org": 51941, "nopassword@x.org": 51941, "nodates@x.org": 51941,
	} {
		if got, err := u.ByEmail(t.Context(), email); err != nil || got.CubeID != cubeID {
			t.Errorf("ByEmail(%q) = %+v, %v; want account %d", email, got, err, cubeID)
		}
	}
}

func manyBatchesGetKeys(t *testing.T, tg Target) {
	b := newBase(t, tg)
	docs := make([]any, 1201)
	for i := range docs {
		docs[i] = originalUser("User" + bson.NewObjectID().Hex() + "@x.org")
	}
	if _, err := b.raw.Collection("users").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	n, err := b.raw.Collection("users").CountDocuments(t.Context(), bson.D{{Key: "emailKey", Value: bson.D{{Key: "$exists", Value: true}}}})
	if err != nil || n != int64(len(docs)) {
		t.Errorf("%d of %d users have a key, %v", n, len(docs), err)
	}
}

func conflictingIndexIsNamed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	// Mongoose sends background; MongoDB ignores it since 4.2
	b.index(t, bson.D{{Key: "name", Value: "email_1"}, {Key: "unique", Value: true}, {Key: "background", Value: true}})
	b.open(t)

	other := newBase(t, tg)
	other.index(t, bson.D{{Key: "name", Value: "email_1"}})
	_, err := store.Open(t.Context(), store.Options{URI: other.URI, Database: other.name, Dial: other.Dial, Exchange: other.Exchange, ConnectTimeout: -1})
	if err == nil || !strings.Contains(err.Error(), "email_1") {
		t.Errorf("opening with an index that is not unique: %v; want an error that names email_1", err)
	}
}

func originalReadsNewUsers(t *testing.T, tg Target) {
	b := newBase(t, tg)
	s := b.openStore(t)
	made := create(t, s.Users(), "Ada@x.org")
	made.CubeID, made.Account.Email, made.Account.Name, made.Account.PasswordKind = 51941, "ada@x.org", "Ada Lovelace", store.PasswordShared
	if err := s.Accounts().Save(t.Context(), made.Account.Held(), made); err != nil {
		t.Fatal(err)
	}
	var got bson.M
	if err := b.raw.Collection("users").FindOne(t.Context(), bson.D{}).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got["email"] != "Ada@x.org" || got["firstName"] != "Ada" || got["__v"] != int32(0) || got["connectyCubeId"] != int32(51941) {
		t.Errorf("stored: %v", got)
	}
}

func (b base) insert(t *testing.T, docs ...bson.D) {
	t.Helper()
	list := make([]any, len(docs))
	for i, d := range docs {
		list[i] = d
	}
	if _, err := b.raw.Collection("users").InsertMany(context.Background(), list); err != nil {
		t.Fatal(err)
	}
}

// index creates an index over email. It sends the command itself, because the driver has no
// option background.
func (b base) index(t *testing.T, o bson.D) {
	t.Helper()
	command := bson.D{{Key: "createIndexes", Value: "users"},
		{Key: "indexes", Value: bson.A{append(bson.D{{Key: "key", Value: bson.D{{Key: "email", Value: 1}}}}, o...)}}}
	if err := b.raw.RunCommand(context.Background(), command).Err(); err != nil {
		t.Fatal(err)
	}
}
