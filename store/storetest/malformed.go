package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cubegate/store"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// malformed tests documents that this program did not write.
func malformed(t *testing.T, tg Target) {
	t.Run("every wrong type is named", func(t *testing.T) { wrongTypesAreNamed(t, tg) })
	t.Run("lists skip them, and pages go on", func(t *testing.T) { listsSkipMalformed(t, tg) })
	t.Run("events are paged over every type of _id", func(t *testing.T) { eventsOfEveryIDType(t, tg) })
	t.Run("lookups and changes name them", func(t *testing.T) { lookupsNameMalformed(t, tg) })
	t.Run("evictions skip or name them", func(t *testing.T) { evictionsMeetMalformed(t, tg) })
	t.Run("queues skip them", func(t *testing.T) { queuesSkipMalformed(t, tg) })
	t.Run("the first start skips them", func(t *testing.T) { backfillSkipsMalformed(t, tg) })
}

// anyValues returns a value of every type that mongoimport or a person may write.
func anyValues() map[bson.Type]any {
	return map[bson.Type]any{
		bson.TypeString: "text", bson.TypeInt32: int32(5), bson.TypeInt64: int64(5), bson.TypeDouble: 5.0,
		bson.TypeBoolean: true, bson.TypeDateTime: bson.NewDateTimeFromTime(time.Now()), bson.TypeObjectID: bson.NewObjectID(),
		bson.TypeArray: bson.A{"x"}, bson.TypeEmbeddedDocument: bson.D{{Key: "x", Value: 1}}, bson.TypeBinary: bson.Binary{Data: []byte("x")},
		bson.TypeDecimal128: bson.NewDecimal128(0, 5), bson.TypeRegex: bson.Regex{Pattern: "x"}, bson.TypeTimestamp: bson.Timestamp{T: 5},
		bson.TypeSymbol: bson.Symbol("x"), bson.TypeMinKey: bson.MinKey{},
	}
}

// formOf lists the fields of a collection's documents with the types that they may have.
var (
	text    = []bson.Type{bson.TypeString}
	flag    = []bson.Type{bson.TypeBoolean}
	date    = []bson.Type{bson.TypeDateTime}
	number  = []bson.Type{bson.TypeInt32, bson.TypeInt64, bson.TypeDouble}
	texts   = []bson.Type{bson.TypeArray}
	object  = []bson.Type{bson.TypeEmbeddedDocument}
	formsOf = map[string]map[string][]bson.Type{
		"users": {
			"firstName": text, "lastName": text, "email": text, "password": text, "createdAt": date, "updatedAt": date, "__v": number,
			"emailKey": text, "connectyCubeId": number, "roles": texts, "disabled": flag, "leaving": flag, "sessions": texts,
			"passwordForm": text, "deviceGeneration": number, "endGeneration": number, "evicted": texts, "sessionsDue": date, "account": object,
			"account.email": text, "account.name": text, "account.password": text, "account.version": number, "account.due": date,
			"account.lease": text, "account.attempts": number, "account.problem": text, "account.token": text, "account.turn": date, "account.since": date,
		},
		"sessions": {
			"userId": text, "device": text, "deviceId": text, "address": text, "createdAt": date, "usedAt": date, "expires": date,
			"absolute": date, "parent": text, "children": texts, "cubeToken": text, "cubeId": number, "cubeExpires": date, "endedAt": date,
			"reason": text, "generation": number, "attempts": number, "version": number, "due": date,
			"exchange": object, "exchange.salt": text, "exchange.at": date, "exchange.client": text, "retired": nil, "retiredTokens": nil,
		},
		"audit": {
			"at": date, "kind": text, "outcome": text, "userId": text, "actor": text, "address": text, "session": text, "detail": text,
			"refusal": flag, "class": text, "share": text, "count": number, "expires": date,
		},
	}
)

// wrongTypesAreNamed writes every field with every type, and expects that Check names exactly the
// wrong ones. Null is right everywhere except in _id.
func wrongTypesAreNamed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	want := map[string]bool{}
	for collection, fields := range formsOf {
		w := &wrongDocuments{collection: collection, want: want}
		for field, right := range fields {
			w.addField(field, right)
		}
		w.addIDs()
		if _, err := b.raw.Collection(collection).InsertMany(t.Context(), w.docs); err != nil {
			t.Fatal(err)
		}
	}
	err := store.Check(t.Context(), store.Options{URI: b.URI, Database: b.name, Dial: b.Dial, Exchange: b.Exchange, ConnectTimeout: -1}, func(m *store.MalformedError) {
		field, _, _ := strings.Cut(m.Field, ".0") // an element of an array
		field, _, _ = strings.Cut(field, ".1")
		key := fmt.Sprintf("%s %s %s", m.Collection, m.ID, field)
		if !want[key] {
			t.Errorf("a document that is right: %v", m)
		}
		delete(want, key)
		if !errors.Is(m, store.ErrMalformed) || m.Problem == "" {
			t.Errorf("%s: %+v", key, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for missed := range want {
		t.Errorf("not found: %s", missed)
	}
}

// wrongDocuments are documents of a collection, and the ones among them that Check must name.
type wrongDocuments struct {
	collection string
	docs       []any
	want       map[string]bool
}

// add adds a document with one field, which is wrong or not.
func (w *wrongDocuments) add(field string, v any, wrong bool) {
	id := any(bson.NewObjectID())
	if w.collection == "sessions" {
		id = bson.NewObjectID().Hex()
	}
	e := bson.E{Key: field, Value: v}
	if parent, child, nested := strings.Cut(field, "."); nested {
		e = bson.E{Key: parent, Value: bson.D{{Key: child, Value: v}}}
	}
	w.docs = append(w.docs, bson.D{{Key: "_id", Value: id}, e})
	if wrong {
		w.want[fmt.Sprintf("%s %s %s", w.collection, idText(id), field)] = true
	}
}

// addField adds a document for each type of the field.
func (w *wrongDocuments) addField(field string, right []bson.Type) {
	w.add(field, nil, false)
	for kind, v := range anyValues() {
		w.add(field, v, !slices.Contains(right, kind))
	}
	if slices.Equal(right, texts) {
		w.add(field, bson.A{"x", 5}, true)
		w.add(field, bson.A{bson.A{"x"}}, true)
	}
	if field == "retired" { // a list of documents, of which no value above is one
		w.add(field, bson.A{bson.D{{Key: "hash", Value: "x"}, {Key: "at", Value: time.Now()}}}, false)
		w.add(field, bson.A{bson.D{{Key: "hash", Value: 5}}}, true)
	}
	if field == "retiredTokens" { // binary data, of which the value above has a wrong length
		w.add(field, bson.Binary{}, false)
		w.add(field, bson.Binary{Data: make([]byte, 80)}, false)
		w.add(field, bson.Binary{Data: make([]byte, 81)}, true)
	}
	if slices.Equal(right, number) {
		for _, v := range []float64{1.5, math.NaN(), math.Inf(1), 1e300} {
			w.add(field, v, true)
		}
	}
}

// addIDs adds a document for each wrong type of the _id.
func (w *wrongDocuments) addIDs() {
	right := bson.TypeObjectID
	if w.collection == "sessions" {
		right = bson.TypeString
	}
	for kind, v := range anyValues() {
		if slices.Contains([]bson.Type{right, bson.TypeArray, bson.TypeRegex, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128}, kind) {
			continue // no _id, or the same number as another one
		}
		w.docs = append(w.docs, bson.D{{Key: "_id", Value: v}})
		w.want[fmt.Sprintf("%s %s _id", w.collection, idText(v))] = true
	}
}

// idText returns an _id as errors show it.
func idText(id any) string {
	d, err := bson.Marshal(bson.D{{Key: "v", Value: id}})
	if err != nil {
		panic(err)
	}
	if f, ok := id.(float64); ok {
		return fmt.Sprint(f)
	}
	return bson.Raw(d).Lookup("v").String()
}

// oddIDs are an _id of every type, in MongoDB's order.
func oddIDs() []any {
	return []any{
		bson.MinKey{}, nil, math.NaN(), math.Inf(-1), int32(-5), 2.5, int64(1 << 40), bson.NewDecimal128(0x5fffed09bead87c0, 0x378d8e63ffffffff),
		"", "507f1f77bcf86cd799439011", "ada", bson.D{{Key: "x", Value: 1}}, bson.Binary{Data: []byte("x")},
		bson.NewObjectID(), bson.NewObjectID(), false, true, bson.DateTime(-5), bson.DateTime(5), bson.Timestamp{T: 5}, bson.MaxKey{},
	}
}

func listsSkipMalformed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	var docs []bson.D
	var good []string
	for i, id := range oddIDs() {
		d := with(originalUser(fmt.Sprintf("user%d@x.org", i)), "_id", id)
		if oid, ok := id.(bson.ObjectID); ok {
			good = append(good, oid.Hex())
		}
		docs = append(docs, d)
	}
	for i := range 5 { // a whole page of odd ones, with long texts that make no cursor
		docs = append(docs, with(originalUser(fmt.Sprintf("long%d@x.org", i)), "_id", strings.Repeat("ö", 2000)+fmt.Sprint(i)))
		docs = append(docs, with(originalUser(fmt.Sprintf("array%d@x.org", i)), "firstName", bson.A{"Ada"}))
	}
	last := originalUser("last@x.org")
	good = append(good, last[0].Value.(bson.ObjectID).Hex())
	b.insert(t, append(docs, last)...)
	var log bytes.Buffer
	s := b.openStore(t, func(o *store.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for limit := 1; limit <= len(docs)+1; limit++ {
		for name, list := range map[string]func(string) (store.Page[store.User], error){
			"Page": func(after string) (store.Page[store.User], error) {
				return s.Users().Page(t.Context(), store.UserFilter{}, after, limit)
			},
			"All": func(after string) (store.Page[store.User], error) { return s.Users().All(t.Context(), after, limit) },
		} {
			got, after, pages := []string{}, "", 0
			for {
				page, err := list(after)
				if err != nil || len(page.Items) > limit {
					t.Fatalf("%s after %q: %d users, %v", name, after, len(page.Items), err)
				}
				for _, u := range page.Items {
					got = append(got, u.ID)
				}
				if pages++; page.Next == "" || pages > 3*len(docs) {
					break
				}
				after = page.Next
			}
			if !slices.Equal(got, good) {
				t.Errorf("%s with limit %d lists %v, want %v", name, limit, got, good)
			}
		}
	}
	for _, named := range []string{`507f1f77bcf86cd799439011`, "firstName is of type array"} {
		if !strings.Contains(log.String(), named) {
			t.Errorf("the log does not name %q", named)
		}
	}
	for _, cursor := range []string{"~", "~!", "~AA", "~BwAA", "~EAUAAAAA", "~BAUAAAAA", "507f1f77bcf86cd79943901", "~" + strings.Repeat("A", 1<<20)} {
		if _, err := s.Users().Page(t.Context(), store.UserFilter{}, cursor, 2); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("cursor %.20q: %v", cursor, err)
		}
	}
}

func eventsOfEveryIDType(t *testing.T, tg Target) {
	b := newBase(t, tg)
	s := b.openStore(t)
	var docs []any
	want := []string{}
	for _, id := range oddIDs() {
		docs = append(docs, bson.D{{Key: "_id", Value: id}, {Key: "kind", Value: "login"}})
		if oid, ok := id.(bson.ObjectID); ok {
			want = append([]string{oid.Hex()}, want...)
		}
	}
	if _, err := b.raw.Collection("audit").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	for limit := 1; limit <= len(docs); limit++ {
		got, before := []string{}, ""
		for range len(docs) + 1 {
			page, err := s.Audit().Page(t.Context(), store.EventFilter{Kind: "login"}, before, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				got = append(got, e.ID)
			}
			if before = page.Next; before == "" {
				break
			}
		}
		if !slices.Equal(got, want) || before != "" {
			t.Errorf("with limit %d: %v and then %q, want %v", limit, got, before, want)
		}
	}
}

func lookupsNameMalformed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	id := bson.NewObjectID()
	b.insert(t,
		with(with(originalUser("named@x.org"), "_id", id), "lastName", bson.D{{Key: "secret", Value: "hunter2"}}),
		with(originalUser("hex@x.org"), "_id", "507f1f77bcf86cd799439011"),
		with(originalUser("cube@x.org"), "connectyCubeId", "51941"),
		with(originalUser("true@x.org"), "connectyCubeId", true),
		with(originalUser("half@x.org"), "connectyCubeId", 51941.5),
		append(originalUser("role@x.org"), bson.E{Key: "roles", Value: "admin"}),
		append(originalUser("off@x.org"), bson.E{Key: "disabled", Value: int32(1)}),
	)
	s := b.openStore(t)
	for email, named := range map[string]string{
		"named@x.org": `users: document with _id {"$oid":"` + id.Hex() + `"}: field lastName is of type embedded document, want string`,
		"hex@x.org":   `users: document with _id "507f1f77bcf86cd799439011": field _id is of type string, want objectID`,
		"cube@x.org":  "field connectyCubeId is of type string", "true@x.org": "field connectyCubeId is of type boolean",
		"half@x.org": "field connectyCubeId is not a whole number", "role@x.org": "field roles is of type string, want array",
		"off@x.org": "field disabled is of type 32-bit integer, want boolean",
	} {
		_, err := s.Users().ByEmail(t.Context(), email)
		if !errors.Is(err, store.ErrMalformed) || !strings.Contains(err.Error(), named) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ByEmail(%q): %v; want %v with %q", email, err, store.ErrMalformed, named)
		}
	}
	if _, err := s.Users().SetDisabled(t.Context(), id.Hex(), true); !errors.Is(err, store.ErrMalformed) {
		t.Errorf("SetDisabled: %v", err)
	}
	b.set(t, "users", id, bson.D{{Key: "lastName", Value: "Lovelace"}, {Key: "deviceGeneration", Value: "many"}})
	if _, err := s.Users().SetDisabled(t.Context(), id.Hex(), true); !errors.Is(err, store.ErrMalformed) || !strings.Contains(err.Error(), "deviceGeneration") {
		t.Errorf("an increment of a text: %v", err)
	}
	session := store.Session{ID: "s1", UserID: id.Hex(), Created: time.Now(), LastUsed: time.Now(), Expires: time.Now().Add(time.Hour)}
	if err := s.Sessions().Create(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	b.set(t, "sessions", "s1", bson.D{{Key: "version", Value: "two"}})
	if _, err := s.Sessions().ByID(t.Context(), "s1"); !errors.Is(err, store.ErrMalformed) {
		t.Errorf("a session: %v", err)
	}
	if _, err := s.Sessions().End(t.Context(), "s1", "logout"); !errors.Is(err, store.ErrMalformed) {
		t.Errorf("the end of a session: %v", err)
	}
	if list, err := s.Sessions().OfUser(t.Context(), id.Hex()); err != nil || len(list) != 0 {
		t.Errorf("the sessions of the user: %v, %v", list, err)
	}
	b.set(t, "sessions", "s1", bson.D{{Key: "expires", Value: time.Now().Add(-time.Hour)}})
	if err := s.Sessions().Expire(t.Context()); err != nil {
		t.Errorf("Expire of a malformed session: %v", err)
	}
	if err := s.Sessions().Expire(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Expire again: %v", err)
	}
}

// queuesSkipMalformed makes malformed users due before a right one.
func queuesSkipMalformed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	due := bson.D{{Key: "due", Value: time.Now().Add(-time.Hour)}}
	odd := []bson.D{
		append(with(originalUser("id@x.org"), "_id", "text"), bson.E{Key: "account", Value: due}),
		append(with(originalUser("name@x.org"), "firstName", 5), bson.E{Key: "account", Value: due}),
		append(originalUser("attempts@x.org"), bson.E{Key: "account", Value: slices.Concat(due, bson.D{{Key: "attempts", Value: "x"}})}),
		append(originalUser("list@x.org"), bson.E{Key: "account", Value: bson.A{due}}),
		append(originalUser("held@x.org"), bson.E{Key: "account", Value: bson.A{bson.D{{Key: "due", Value: time.Now().Add(time.Hour)}, {Key: "lease", Value: "l"}}}}),
	}
	b.insert(t, odd...)
	s := b.openStore(t)
	right := create(t, s.Users(), "right@x.org")
	if err := s.AccountWork().Retry(t.Context(), right.ID, right.Account.Held(), time.Now().Add(-time.Minute), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.AccountWork().ReleaseAll(t.Context()); err != nil {
		t.Errorf("ReleaseAll: %v", err)
	}
	for i := range 2 {
		got, err := s.AccountWork().Claim(t.Context(), expiredLease(fmt.Sprint("worker", i)))
		if err != nil || got.ID != right.ID {
			t.Fatalf("Claim = %q, %v; want the right user", got.Email, err)
		}
	}
	var postponed bson.M
	if err := b.raw.Collection("users").FindOne(t.Context(), bson.D{{Key: "_id", Value: "text"}}).Decode(&postponed); err != nil {
		t.Fatal(err)
	}
	account, _ := postponed["account"].(bson.D)
	for _, e := range account {
		if at, ok := e.Value.(bson.DateTime); e.Key == "due" && (!ok || time.Until(at.Time()) < store.MaxBackOff/2) || e.Key == "lease" {
			t.Errorf("the account of a malformed user is %v, want it due later, without a lease", account)
		}
	}
}

func backfillSkipsMalformed(t *testing.T, tg Target) {
	b := newBase(t, tg)
	b.insert(t, with(originalUser(""), "email", bson.A{"one@x.org", "two@x.org"}), originalUser("Right@x.org"))
	var log bytes.Buffer
	u := b.open(t, func(o *store.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if got, err := u.ByEmail(t.Context(), "right@x.org"); err != nil || got.Email != "Right@x.org" {
		t.Errorf("ByEmail = %+v, %v", got, err)
	}
	if !strings.Contains(log.String(), "field email is of type array") {
		t.Errorf("the log does not name the malformed user:\n%s", log.String())
	}
}

// set changes fields of a document.
func (b base) set(t *testing.T, collection string, id any, fields bson.D) {
	t.Helper()
	r, err := b.raw.Collection(collection).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: fields}})
	if err != nil || r.MatchedCount != 1 {
		t.Fatal(r, err)
	}
}
